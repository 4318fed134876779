//! What becomes of the output, as typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use herder::output::Rotation;

use crate::size;

/// How two streams become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Merge {
    /// The program has one stream
    Plain,
    /// The program has two, whose writes the kernel stamps (Linux)
    Exact,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Show the first bytes of each output stream, live
    ///
    /// What neither --head nor --tail shows is counted, and a line says how much it was. For each stream on its own.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) head: Option<usize>,

    /// Show the last bytes of each output stream, when the program has ended
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) tail: Option<usize>,

    /// Also write the whole output to PATH.stdout and PATH.stderr, which must not exist yet
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub(crate) spill: Option<PathBuf>,

    /// Also write all output to FILE, which is appended to
    ///
    /// Both streams, with what --prefix and --timestamps add, in the order in which it came. Without --merge a line of
    /// one stream comes when it is complete, so that the other does not cut it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tee: Option<PathBuf>,

    /// Begin FILE anew when it has SIZE bytes, and keep COUNT files: FILE, FILE.1, and so on
    #[arg(long, value_name = "SIZE,COUNT", requires = "tee", value_parser = size::parse_rotation)]
    pub(crate) rotate: Option<Rotation>,

    /// Put the name of the program and of the stream before each line
    ///
    /// A line is then shown when it is complete.
    #[arg(long, conflicts_with_all = ["head", "tail"])]
    pub(crate) prefix: bool,

    /// Put the time before each line (RFC 3339, in UTC): that at which its end came
    #[arg(long, conflicts_with_all = ["head", "tail"])]
    pub(crate) timestamps: bool,

    /// Replace what this pattern matches in a line, wherever the output goes; may be repeated
    ///
    /// All that matches becomes [redacted]. A line is then passed on when it is complete, and one of more than 64 KiB is
    /// replaced as a whole. The syntax of patterns is that of the regex crate: https://docs.rs/regex/1/regex/#syntax
    #[arg(long, value_name = "RE")]
    pub(crate) redact: Vec<String>,

    /// Let standard error go where standard output goes: one stream, in the exact order
    ///
    /// --merge=exact (Linux) leaves the program two streams and puts what it writes to them in the exact order, so that
    /// --prefix and --json can still tell them apart, and --timestamps has the times of the writes. The program can tell
    /// the difference, as its streams are local sockets: it can't open /dev/stdout and /dev/stderr, a write of more than
    /// some 416 KiB fails, there is no SIGPIPE, and some programs (Node.js) don't know what to do with them. Not together
    /// with --head, --tail, --spill and --idle.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "plain")]
    pub(crate) merge: Option<Merge>,

    /// Say when a line of either stream matches this pattern: the program is ready
    ///
    /// If the program ends before, a success becomes 125.
    #[arg(long, value_name = "RE")]
    pub(crate) ready_line: Option<String>,

    /// Write a report, one JSON object, when all is over
    ///
    /// To a file, to standard output (-), or to an open descriptor (fd:3; not on Windows), which the program does not
    /// get then.
    #[arg(long, value_name = "FILE|-|fd:N", value_hint = ValueHint::FilePath)]
    pub(crate) json: Option<OsString>,

    /// Say nothing about limits and signals; errors are still told
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

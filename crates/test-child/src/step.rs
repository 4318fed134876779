//! What a script may say: the steps as data, and the table that documents them.

use std::time::Duration;

use crate::os::{Code, Resource, Signal};

/// One of the two streams the program writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// One of the three standard descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standard {
    In,
    Out,
    Err,
}

/// How a grandchild relates to the family it is born into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    /// An ordinary child, in our group and session.
    Plain,
    /// A child that leads a session of its own.
    Setsid,
    /// Forked twice with a session between: an orphan at once, without a terminal.
    Detached,
}

/// What a query asks the kernel about this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    Pid,
    Ppid,
    Pgid,
    Sid,
    Spawned,
    Cwd,
    Args,
    Argv0,
    Env(String),
    EnvAll,
    Umask,
    Nice,
    Rlimit(Resource),
    /// The named line of `/proc/self/status`.
    Status(String),
    Sigmask,
    Fds,
    Pdeathsig,
    Tty,
    Foreground,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write(Stream, Vec<u8>),
    Flush,
    Bytes(Stream, u64),
    Both(u64),
    Lines(u64),
    Alternate(u64),
    Drip(u64),
    Tick(u64, Duration),
    WriteUntilEpipe,
    WriteFd(i32, Vec<u8>),
    ReadFd(i32),
    Cat,
    EchoStdin,
    ReadStdinLine,
    StdinCount,
    EofWait,
    Close(Standard),
    Ignore(Vec<Signal>),
    Catch(Vec<Signal>),
    Block(Vec<Signal>),
    On(Signal, Vec<Self>),
    KillSelf(Signal),
    StopSelf,
    Query(Query),
    Spawn(Birth, Vec<String>),
    WaitChildren,
    Setsid,
    Setpgid,
    Sleep(Duration),
    Hang,
    Spin(Option<Duration>),
    Memory(u64),
    WaitFile(String),
    Touch(String),
    Abort,
    Segv,
    Exit(Code),
    ExitAfterMain(Code),
}

/// A heading, or a step as it is typed (an example that parses) with what it does.
pub(crate) type Entry = (&'static str, &'static str);

/// Every step, in the order of the help. The first column is parsed by a test.
pub(crate) const TABLE: &[Entry] = &[
    ("", "Output (unbuffered: each step's bytes are in the pipe when it ends)"),
    ("print:TEXT", "TEXT on stdout, no newline"),
    ("eprint:TEXT", "TEXT on stderr, no newline"),
    ("println:TEXT", "TEXT and a newline on stdout"),
    ("eprintln:TEXT", "TEXT and a newline on stderr"),
    ("mark:TEXT", "the same as println: a marker that a test waits for"),
    ("flush", "nothing: there is never anything to flush"),
    ("bytes:64K", "so many bytes on stdout in writes of 64 KiB; byte i is i mod 251"),
    ("ebytes:64K", "the same on stderr"),
    ("both:64K", "the same on each of the two at once, by two threads"),
    ("lines:1000", "the lines 1 to N on stdout, as seq prints them"),
    (
        "alternate:1000",
        "the lines 1 to N, each in a write of its own: odd ones on stdout, even ones on stderr",
    ),
    ("drip:64K", "so many bytes on stdout in writes of one byte; byte i is i mod 251"),
    ("tick:3:100ms", "the lines 1 to N on stdout, with a pause before each"),
    ("write-until-epipe", "writes to stdout until nobody reads, then says on stderr: epipe after N bytes"),
    ("write-fd:1:TEXT", "TEXT on a descriptor, no newline (opened anew through /dev/fd)"),
    ("", "Input"),
    ("cat", "copies stdin to stdout"),
    ("echo-stdin", "copies stdin to stdout, then says on stderr: echoed N"),
    ("read-stdin-line", "reads one line, byte by byte, and prints: read LINE; or: eof"),
    ("stdin-count", "reads stdin to its end and prints the number of bytes"),
    ("eof-wait", "reads stdin to its end and says nothing"),
    ("read-fd:0", "copies a descriptor to stdout (opened anew through /dev/fd)"),
    ("close-stdin", "closes descriptor 0"),
    ("close-stdout", "closes descriptor 1"),
    ("close-stderr", "closes descriptor 2"),
    ("", "Signals (SIGS is one or several: TERM, SIGTERM, 15, TERM+INT)"),
    ("ignore:TERM+INT", "ignored for good (SIG_IGN), inherited by children; the program is executed anew"),
    ("catch:TERM+INT", "caught by a handler that does nothing; not inherited"),
    ("block:TERM", "blocked in the main thread, and in threads of later steps"),
    (
        "on:TERM:exit:7",
        "from now on each TERM prints `caught SIGTERM` and runs the script: on:TERM:[mark:a,exit:7]",
    ),
    ("kill-self:KILL", "sends itself a signal"),
    ("stop-self", "sends itself SIGSTOP"),
    ("", "Questions, each answered by one plain line on stdout"),
    ("pid", ""),
    ("ppid", ""),
    ("pgid", ""),
    ("sid", ""),
    ("cwd", "the working directory"),
    ("args", "what stands after `--`, one a line, escaped"),
    ("argv0", "escaped"),
    ("env:KEY", "KEY=value, escaped; or: KEY unset"),
    ("env-all", "KEY=value, a line each, escaped, in the order of the environment"),
    ("uid", "real, effective, saved and file-system user"),
    ("gid", "real, effective, saved and file-system group"),
    ("groups", "supplementary groups"),
    ("umask", "octal, four digits"),
    ("nice", ""),
    ("affinity", "the CPUs allowed, as a list: 0-3,8"),
    ("rlimit:NOFILE", "soft and hard limit, a number or `unlimited` each"),
    ("sigmask", "SigBlk, SigIgn and SigCgt: three lines (see the note on std)"),
    ("status:Threads", "the named line of /proc/self/status"),
    ("fds", "a line for each open descriptor: number and what it points at"),
    ("pdeathsig", "the signal for the parent's death, or `none`"),
    ("tty", "three times `true` or `false`: is 0, 1, 2 a terminal?"),
    ("foreground", "the foreground group of the controlling terminal, or `none`"),
    ("spawned", "the pid of the last child that a step started"),
    ("", "Family (SCRIPT is steps with commas between; [..] around a script keeps its commas together)"),
    ("spawn:mark:a,hang", "starts the program again, with our stdio, and goes on at once"),
    ("spawn-setsid:mark:a,hang", "the same, leading its own session before its first step"),
    ("spawn-detached:mark:a,hang", "the same, forked twice: an orphan in a session whose leader is gone"),
    ("wait-children", "waits until no child is left"),
    ("setsid", "leads a new session (fails for a group leader)"),
    ("setpgid", "leads a new process group"),
    ("", "Time and resources"),
    ("sleep:250ms", "us, ms, s or m; fractions are fine"),
    ("hang", "pauses for ever"),
    ("spin", "burns a CPU for ever"),
    ("spin:100ms", "burns a CPU for so long"),
    ("memory:16M", "takes and touches so much memory, and keeps it"),
    ("wait-file:PATH", "waits until the file exists"),
    ("touch:PATH", "creates the file"),
    ("", "The end (after the last step the program exits with 0)"),
    ("exit:3", "exits at once"),
    ("exit-after-main:3", "returns from main with the code"),
    ("abort", "dies of SIGABRT"),
    ("segv", "dies of SIGSEGV"),
];

const NOTES: &str = "
A wrong script exits with 64 before its first step; a step that fails exits with 74. `--` ends the script.
Numbers take K, M or G (powers of 1024).

The Rust runtime changes three things before the first step: SIGPIPE is ignored, SIGSEGV and SIGBUS have
handlers, and a closed descriptor 0, 1 or 2 is opened on /dev/null. To see exactly what a child was given, run
`grep ^Sig /proc/self/status` or `ls -l /proc/self/fd` as the child instead.
";

/// The text of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from("usage: test-child [STEP]... [-- OPERAND]...\n\nRuns its steps in order.\n");
    for (step, what) in TABLE {
        if step.is_empty() {
            text += &["\n", what, ":\n"].concat();
        } else {
            text += format!("  {step:<28} {what}").trim_end();
            text.push('\n');
        }
    }
    text + NOTES
}

//! What was typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use herder::{Signal, Termination};

use crate::{duration, help, size};

mod output;

pub(crate) use output::{Merge, OutputArgs};

#[derive(Debug, Parser)]
#[command(name = "herder", version, about = help::ABOUT, after_help = help::MAIN, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) job: Job,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Job {
    Run(Box<RunArgs>),
    Doctor(DoctorArgs),
    Init(InitArgs),
    /// Print completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a manual page
    #[command(after_help = help::MAN)]
    Man {
        /// The page of this command; without it, the page of herder itself
        page: Option<String>,
    },
}

/// Run one command with limits, a stop ladder and a report: a better timeout(1)
///
/// Runs PROGRAM with ARGS and ends as it ends. The program has our standard streams themselves, the terminal
/// included, unless an option has to see the output (--idle, and most of those under Output): then it is passed on
/// live, byte for byte.
///
/// Durations are a number and us, ms, s, m, h or d; a number alone is seconds, as with timeout(1). Sizes are bytes,
/// or a number and K, M or G. Options of herder stand before the program; everything behind it belongs to it.
#[derive(Debug, Args)]
#[command(after_help = help::RUN_SHORT, after_long_help = help::RUN_LONG)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,
    #[command(flatten)]
    pub(crate) share: ShareArgs,
    #[command(flatten)]
    pub(crate) surroundings: SurroundingArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,

    /// The program and its arguments; what stands behind the program is never an option of herder
    #[arg(
        required = true,
        trailing_var_arg = true,
        value_names = ["PROGRAM", "ARGS"],
        num_args = 1..,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(crate) command: Vec<OsString>,
}

/// Say what this host can enforce, and why it is not more
///
/// Tries each kind of scope, the strongest first, and says what refuses it and what would help. Whether something can
/// be had or not, the exit code is 0.
#[derive(Debug, Args)]
#[command(after_help = help::DOCTOR)]
pub(crate) struct DoctorArgs {
    /// Say it as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Be the first process of a container: run a command, pass signals on, reap orphans (not on Windows)
///
/// As PID 1, or as any other process, it runs PROGRAM with ARGS, passes on every signal that can be, and reaps all
/// that lose their parents. When the program has ended, what is left is asked to end with SIGTERM and killed after the
/// grace period; then it ends as the program did.
#[derive(Debug, Args)]
#[command(after_help = help::INIT_SHORT, after_long_help = help::INIT_LONG)]
pub(crate) struct InitArgs {
    /// How long what is left may take to end once it was asked to [default: 10s]; with 0 it is not asked
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) grace: Option<Duration>,

    /// The program and its arguments; what stands behind the program is never an option of herder
    #[arg(
        required = true,
        trailing_var_arg = true,
        value_names = ["PROGRAM", "ARGS"],
        num_args = 1..,
        value_hint = ValueHint::CommandWithArguments
    )]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits and stopping")]
pub(crate) struct LimitArgs {
    /// Stop the program after this time; 0 is no limit
    ///
    /// The time goes on while the program is stopped by Ctrl-Z.
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,

    /// Stop the program when it has written nothing for this time; 0 is no limit
    ///
    /// Its output goes through a pipe then, so that a program that looks sees no terminal.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) idle: Option<Duration>,

    /// The signal that asks the program to end [default: TERM]; on Windows each that can is a Ctrl-Break
    #[arg(short, long, value_name = "SIGNAL")]
    pub(crate) signal: Option<Signal>,

    /// Kill it this long after that signal [default: 10s]; 0 is never, as with timeout(1)
    #[arg(short, long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) kill_after: Option<Duration>,

    /// All steps of stopping, as in stdin:2s,INT:1s,TERM:5s, instead of --signal and --kill-after
    ///
    /// Each step is a signal, or stdin (which closes the program's standard input), and how long to wait for its
    /// effect. A kill follows the last. With a step stdin, standard input goes through a pipe.
    #[arg(long, value_name = "STEPS", conflicts_with_all = ["signal", "kill_after"])]
    pub(crate) stop: Option<Termination>,

    /// Exit with the program's own code, or 128+n, even if a limit ended it
    #[arg(long)]
    pub(crate) preserve_status: bool,

    /// Give the program a process group of its own even where it would share the terminal
    ///
    /// Limits and signals then reach its whole group at once, and Ctrl-C goes through herder. It can write to the
    /// terminal but not read from it: reading stops it.
    #[arg(long)]
    pub(crate) group: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Scope")]
pub(crate) struct ScopeArgs {
    /// What holds the program and all that it starts together
    ///
    /// What is in it is signalled, limited and ended as one. `herder doctor` says what this host can do. On Windows
    /// auto is a job, and cgroup, keeper and group are refused.
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub(crate) scope: ScopeKind,

    /// Run nothing, and exit with 125, if the scope would be weaker than this
    #[arg(long, value_name = "STRENGTH")]
    pub(crate) require_scope: Option<Required>,

    /// What happens to processes that are left when the program has ended by itself
    #[arg(long, value_name = "POLICY", default_value = "kill")]
    pub(crate) leak: LeakKind,

    /// How long they may take to end by themselves before they count as left [default: 0]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) leak_grace: Option<Duration>,
}

/// The arguments that limit what a scope may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of the scope")]
pub(crate) struct ShareArgs {
    /// Let the program and all that it starts have so much memory together
    ///
    /// Beyond it the kernel takes back what it can, and then kills. Like the others below, it takes a cgroup and a
    /// controller of the kernel; a limit that can't be had is said, and the program is run without it. Memory is
    /// limited for each process by itself then (RLIMIT_DATA), which fails requests and kills nobody. On Windows it takes
    /// a job object, and more memory is refused to whoever asks for it.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) memory: Option<usize>,

    /// Let there be so many processes and threads at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) pids: Option<u64>,

    /// Let them have so many processors' time, as in 0.5 or 2
    #[arg(long, value_name = "N", value_parser = processors)]
    pub(crate) cpu: Option<u32>,

    /// Run nothing, and exit with 125, if one of these limits can't be had for all together
    #[arg(long)]
    pub(crate) require_limits: bool,
}

/// Gives thousandths.
fn processors(text: &str) -> Result<u32, String> {
    let number: f64 = text.parse().map_err(|_| "write a number of processors, as in 0.5 or 2".to_owned())?;
    if !(0.01..=1_000_000.0).contains(&number) {
        return Err("that is less than 0.01, or more than any machine has".into());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok((number * 1000.0).round() as u32)
}

/// The scopes that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScopeKind {
    /// The strongest that this host can do
    Auto,
    /// A control group (cgroup v2), which nothing leaves by setsid(2) or a double fork; 125 where there is none
    Cgroup,
    /// Below a helper process, which nothing leaves either, in a session without our terminal; any user may
    Keeper,
    /// A PID namespace, for programs that are not trusted to end: they see other pids, and nobody outside; see herder help run
    Pidns,
    /// A process group; what leaves it is found among the orphans
    Group,
    /// A job object, which nothing leaves (Windows)
    Job,
    /// None: limits and signals are for the program alone
    None,
}

/// The strengths that can be required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Required {
    /// A PID namespace
    Pidns,
    /// A control group, or a PID namespace
    Cgroup,
    /// A helper process, or more
    Keeper,
    /// A process group, or more
    Group,
    /// A job object (Windows)
    Job,
}

/// What becomes of leftovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LeakKind {
    /// They are named, and live on (not on Windows)
    Report,
    /// They are killed
    Kill,
    /// They are named and killed, and a success becomes 125
    Fail,
    /// They live on, and nobody looks (on Windows only with --scope none)
    Ignore,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Surroundings")]
pub(crate) struct SurroundingArgs {
    /// Run the program in this directory; a relative path of the program is meant there
    #[arg(short = 'C', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) chdir: Option<PathBuf>,

    /// Set an environment variable; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<OsString>,

    /// Remove an environment variable; may be repeated
    #[arg(short = 'u', long, value_name = "KEY")]
    pub(crate) env_remove: Vec<OsString>,

    /// Start with an empty environment; on Windows SystemRoot stays unless it is removed by name
    #[arg(long)]
    pub(crate) env_clear: bool,

    /// Standard input: a file, null, or inherit
    #[arg(long, value_name = "FILE|null|inherit", value_hint = ValueHint::FilePath)]
    pub(crate) stdin: Option<PathBuf>,

    /// Run as this user, by number or by name in /etc/passwd (not on Windows)
    ///
    /// As root, a user in /etc/passwd also gets its own groups, unless --gid says otherwise. Variables such as HOME
    /// are left alone.
    #[arg(long, value_name = "USER")]
    pub(crate) uid: Option<String>,

    /// Run with this group, by number or by name in /etc/group (not on Windows)
    #[arg(long, value_name = "GROUP")]
    pub(crate) gid: Option<String>,

    /// Set the niceness, from -20 (first) to 19 (last) (not on Windows)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-20..=19))]
    pub(crate) nice: Option<i32>,

    /// Name the program so in messages and in the report
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<RunArgs, clap::Error> {
        let cli = Cli::try_parse_from(["herder", "run"].into_iter().chain(line.split_whitespace()))?;
        match cli.job {
            Job::Run(args) => Ok(*args),
            job => panic!("{job:?}"),
        }
    }

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_stands_behind_the_program_belongs_to_it() {
        for line in [
            "sleep -t 5 --json x --help -- -q",
            "-- sleep -t 5 --json x --help -- -q",
            "-t 3 sleep -t 5 --json x --help -- -q",
        ] {
            let args = parse(line).unwrap();
            assert_eq!(args.command, ["sleep", "-t", "5", "--json", "x", "--help", "--", "-q"], "{line}");
            assert!(!args.output.quiet && args.output.json.is_none(), "{line}");
        }
        assert_eq!(parse("-- --odd -x").unwrap().command, ["--odd", "-x"]);
        assert_eq!(parse("-- -- x").unwrap().command, ["--", "x"]);
        assert_eq!(parse("echo run help").unwrap().command, ["echo", "run", "help"]);
    }

    #[test]
    fn an_option_that_does_not_exist_is_not_taken_for_the_program() {
        for line in ["--tiemout 5 sleep 1", "-X sleep", "-t 5 --nope true", ""] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn values_are_checked() {
        for line in [
            "-t x true",
            "-s NOPE true",
            "--stop TERM true",
            "--stop TERM:1s -k 3 true",
            "--stop TERM:1s -s INT true",
            "--nice 20 true",
            "--head 1T true",
            "--cpu 0 true",
            "--cpu NaN true",
            "--pids 0 true",
            "--rotate 10M,3 true",
            "--tee x --rotate 10M true",
            "--tee x --rotate 0,3 true",
            "--prefix --head 1K true",
            "--timestamps --tail 1K true",
            "--scope pod true",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let args = parse("-t1.5m -k 3 -s int --nice -5 --tail 1M true").unwrap();
        assert_eq!(args.limits.timeout, Some(Duration::from_secs(90)));
        assert_eq!(args.limits.kill_after, Some(Duration::from_secs(3)));
        assert_eq!((args.limits.signal, args.surroundings.nice), (Some(Signal::INT), Some(-5)));
        assert_eq!(args.output.tail, Some(1 << 20));
        let share = parse("--cpu 1.5 --pids 7 --memory 1K true").unwrap().share;
        assert_eq!((share.cpu, share.pids, share.memory), (Some(1500), Some(7), Some(1024)));
    }
}

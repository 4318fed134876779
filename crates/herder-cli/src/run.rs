//! `herder run`.

use std::ffi::OsString;
use std::io;
use std::process::{ExitCode, ExitStatus};

use herder::error::SpawnErrorKind;
use herder::os::unix::CommandExt;
use herder::{Cause, Child, Command, Report, RunError, Signal, Stdio, Termination};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::Notify;

use crate::args::Run;

/// A limit ended it (timeout(1)).
const LIMIT: u8 = 124;

/// What the exit code is for an error.
pub(crate) fn code_of(error: &RunError) -> u8 {
    match error.as_spawn_error().map(herder::error::SpawnError::kind) {
        Some(SpawnErrorKind::ProgramNotFound) => 127,
        Some(SpawnErrorKind::NotExecutable | SpawnErrorKind::InterpreterNotFound) => 126,
        _ => crate::OWN_FAILURE,
    }
}

pub(crate) async fn run(args: &Run) -> Result<ExitCode, RunError> {
    // Before the spawn: a signal that comes meanwhile must find us ready.
    let asked = Asked::new().ok();
    let child = command(args).spawn()?;
    let report = see_through(child, asked, args).await?;
    let limited = matches!(report.cause(), Cause::TimedOut | Cause::Idle);
    if limited && !args.preserve_status {
        return Ok(ExitCode::from(LIMIT));
    }
    Ok(ExitCode::from(shell_code(report.status)))
}

fn command(args: &Run) -> Command {
    // There is one: clap requires it.
    let mut words = args.command.iter();
    let mut command = Command::new(words.next().map(OsString::as_os_str).unwrap_or_default());
    command.args(words).inherit_fds(true).termination(ladder(args, args.signal));
    command.stdin(Stdio::inherit());
    if let Some(timeout) = args.timeout {
        command.timeout(timeout);
    }
    if let Some(dir) = &args.dir {
        command.current_dir(dir);
    }
    if args.env_clear {
        command.env_clear();
    }
    for pair in &args.env {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        command.env(key, value);
    }
    if let Some(nice) = args.nice {
        command.nice(nice);
    }
    command
}

fn ladder(args: &Run, first: Signal) -> Termination {
    Termination::new().signal(first, args.kill_after)
}

/// Waits for the end; a signal to us ends the child, a second one hurries.
async fn see_through(child: Child, asked: Option<Asked>, args: &Run) -> Result<Report, RunError> {
    // A child that shares our terminal gets what is typed there from the terminal itself.
    let shares_terminal = child.strength() == herder::contain::Strength::Child;
    let handle = child.handle();
    let hurry = Notify::new();
    let watch = async {
        let Some(mut asked) = asked else { return std::future::pending::<()>().await };
        let first = asked.next(shares_terminal).await;
        let policy = ladder(args, first);
        let again = async {
            loop {
                asked.next(shares_terminal).await;
                hurry.notify_one();
            }
        };
        tokio::select! {
            _ = handle.terminate_or_hurry(&policy, &hurry) => {}
            () = again => {}
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        report = child.wait_with_output() => report,
        () = watch => std::future::pending().await,
    }
}

/// The signals that ask us to end.
struct Asked {
    interrupt: Signals,
    terminate: Signals,
    hangup: Signals,
}

impl Asked {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them; without Ctrl-C if `but_interrupt`.
    async fn next(&mut self, but_interrupt: bool) -> Signal {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => if !but_interrupt { return Signal::INT },
                _ = self.terminate.recv() => return Signal::TERM,
                _ = self.hangup.recv() => return Signal::HUP,
            }
        }
    }
}

/// The code that a shell would give.
fn shell_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(127)),
        (None, None) => crate::OWN_FAILURE,
    }
}

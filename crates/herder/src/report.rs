//! Everything known at the end of a run.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use herder_sys::Usage;

use crate::error::{SpawnError, WaitError};
use crate::output::{StreamReport, render_lossy};
use crate::terminate::Attempt;

/// How a run went: its status and output, as in [`std::process::Output`], and everything else.
///
/// An exit code other than 0, a signal, a limit that was reached and output that was cut stand in here; they are not
/// errors. [`checked`](Self::checked) makes one of what did not go well.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Cause, Command};
///
/// let report = Command::new("sh").args(["-c", "echo moo; exit 3"]).output().await?;
/// assert_eq!((report.cause(), report.status.code()), (Cause::Exited, Some(3)));
/// assert_eq!(report.stdout, b"moo\n");
/// assert!(report.checked().is_err());
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Report {
    /// How the child ended.
    pub status: ExitStatus,
    /// What was kept of its standard output: see [`stdout_report`](Self::stdout_report) for what was not.
    pub stdout: Vec<u8>,
    /// What was kept of its standard error: see [`stderr_report`](Self::stderr_report) for what was not.
    pub stderr: Vec<u8>,
    pub(crate) details: Box<Details>,
}

#[derive(Clone, Debug)]
pub(crate) struct Details {
    pub(crate) name: Arc<str>,
    pub(crate) pid: u32,
    pub(crate) cause: Cause,
    pub(crate) stdout: StreamReport,
    pub(crate) stderr: StreamReport,
    pub(crate) stdin_error: Option<(io::ErrorKind, String)>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) usage: Option<Usage>,
    pub(crate) started: SystemTime,
    pub(crate) elapsed: Duration,
    pub(crate) drained: Duration,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The program ended by itself, with whatever code.
    Exited,
    /// A signal ended it that was not ours.
    Signaled,
    /// The time of [`Command::timeout`](crate::Command::timeout) was over, and it was ended.
    TimedOut,
    /// Nothing came for the time of [`Command::idle_timeout`](crate::Command::idle_timeout), and it was ended.
    Idle,
    /// It was terminated through its [`Child`](crate::Child) or a [`ChildHandle`](crate::ChildHandle).
    Terminated,
    /// It was killed through its [`Child`](crate::Child) or a [`ChildHandle`](crate::ChildHandle).
    Killed,
}

impl Report {
    /// The name of the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.details.name
    }

    /// The process id that it had.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.details.pid
    }

    /// Why the run ended.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.details.cause
    }

    /// Whether the program ended by itself with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.details.cause == Cause::Exited && self.status.success()
    }

    /// What became of standard output: how many bytes there were, and how many were not kept.
    #[must_use]
    pub fn stdout_report(&self) -> &StreamReport {
        &self.details.stdout
    }

    /// What became of standard error.
    #[must_use]
    pub fn stderr_report(&self) -> &StreamReport {
        &self.details.stderr
    }

    /// Standard output as text, with a mark where bytes were dropped and `U+FFFD` for what is not UTF-8.
    #[must_use]
    pub fn stdout_lossy(&self) -> String {
        render_lossy(&self.stdout, &self.details.stdout)
    }

    /// Standard error as text, with a mark where bytes were dropped and `U+FFFD` for what is not UTF-8.
    #[must_use]
    pub fn stderr_lossy(&self) -> String {
        render_lossy(&self.stderr, &self.details.stderr)
    }

    /// Why feeding standard input failed, if it did: the reader gave an error. (A child that does not want its
    /// input is no failure.)
    #[must_use]
    pub fn stdin_error(&self) -> Option<&str> {
        self.details.stdin_error.as_ref().map(|(_, message)| message.as_str())
    }

    /// What was done to end the child, in order.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.details.attempts
    }

    /// What the child used; `None` if somebody else reaped it.
    #[must_use]
    pub fn usage(&self) -> Option<&Usage> {
        self.details.usage.as_ref()
    }

    /// When it was started.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.details.started
    }

    /// The time from its start to its exit.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.details.elapsed
    }

    /// The time from its exit to the end of its output, or until that was given up.
    #[must_use]
    pub fn drained(&self) -> Duration {
        self.details.drained
    }

    /// This report if the program ended by itself with code 0, else an error that has it.
    ///
    /// # Errors
    ///
    /// [`RunError`] of kind [`Unsuccessful`](RunErrorKind::Unsuccessful); its text ends with the last lines of
    /// standard error.
    pub fn checked(self) -> Result<Self, RunError> {
        if self.success() { Ok(self) } else { Err(RunError::unsuccessful(self)) }
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("status", &self.status)
            .field("stdout", &format_args!("{} bytes", self.stdout.len()))
            .field("stderr", &format_args!("{} bytes", self.stderr.len()))
            .field("details", &self.details)
            .finish()
    }
}

impl From<Report> for std::process::Output {
    /// Forgets all but status and output.
    fn from(report: Report) -> Self {
        Self { status: report.status, stdout: report.stdout, stderr: report.stderr }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exited => "exited",
            Self::Signaled => "signaled",
            Self::TimedOut => "timed out",
            Self::Idle => "idle for too long",
            Self::Terminated => "terminated",
            Self::Killed => "killed",
        })
    }
}

/// A run could not be made, or did not go as required.
pub struct RunError(Box<Failure>);

enum Failure {
    Spawn(SpawnError),
    Wait(WaitError),
    Unsuccessful(Report),
    Truncated(Report),
    NotText(Report),
}

/// What kept a run from a good end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunErrorKind {
    /// The program could not be started: see [`RunError::as_spawn_error`].
    Spawn,
    /// Its end could not be learnt.
    Wait,
    /// Success was required, and it exited with another code, was ended by a signal, or reached a limit.
    Unsuccessful,
    /// All of its output was required, and some was not kept or not read.
    Truncated,
    /// Text was required, and its output is not UTF-8.
    NotText,
}

/// Lines of standard error that an error shows at most.
const ERROR_LINES: usize = 10;

/// Bytes of standard error that an error shows at most.
const ERROR_BYTES: usize = 2048;

impl RunError {
    pub(crate) fn unsuccessful(report: Report) -> Self {
        Self(Box::new(Failure::Unsuccessful(report)))
    }

    pub(crate) fn truncated(report: Report) -> Self {
        Self(Box::new(Failure::Truncated(report)))
    }

    pub(crate) fn not_text(report: Report) -> Self {
        Self(Box::new(Failure::NotText(report)))
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> RunErrorKind {
        match &*self.0 {
            Failure::Spawn(_) => RunErrorKind::Spawn,
            Failure::Wait(_) => RunErrorKind::Wait,
            Failure::Unsuccessful(_) => RunErrorKind::Unsuccessful,
            Failure::Truncated(_) => RunErrorKind::Truncated,
            Failure::NotText(_) => RunErrorKind::NotText,
        }
    }

    /// The report, if there was a run: with its status and everything that was read.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &*self.0 {
            Failure::Unsuccessful(report) | Failure::Truncated(report) | Failure::NotText(report) => {
                Some(report)
            }
            _ => None,
        }
    }

    /// The report, if there was a run.
    #[must_use]
    pub fn into_report(self) -> Option<Report> {
        match *self.0 {
            Failure::Unsuccessful(report) | Failure::Truncated(report) | Failure::NotText(report) => {
                Some(report)
            }
            _ => None,
        }
    }

    /// Why the program could not be started, if that is what went wrong.
    #[must_use]
    pub fn as_spawn_error(&self) -> Option<&SpawnError> {
        match &*self.0 {
            Failure::Spawn(error) => Some(error),
            _ => None,
        }
    }

    /// The kind of the underlying error, as `std` names it.
    #[must_use]
    pub fn io_kind(&self) -> io::ErrorKind {
        match &*self.0 {
            Failure::Spawn(error) => error.io_kind(),
            Failure::Wait(error) => error.io_kind(),
            Failure::Unsuccessful(report) => match report.cause() {
                Cause::TimedOut | Cause::Idle => io::ErrorKind::TimedOut,
                _ => io::ErrorKind::Other,
            },
            Failure::Truncated(_) => io::ErrorKind::FileTooLarge,
            Failure::NotText(_) => io::ErrorKind::InvalidData,
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Failure::Spawn(error) => error.fmt(f),
            Failure::Wait(error) => error.fmt(f),
            Failure::Unsuccessful(report) => {
                let took = report.elapsed();
                match report.cause() {
                    Cause::Exited | Cause::Signaled => {
                        write!(f, "{:?} failed: {}", report.name(), report.status)?;
                    }
                    cause => write!(f, "{:?} {cause} after {took:.1?}: {}", report.name(), report.status)?,
                }
                show_end(f, &report.stderr_lossy())
            }
            Failure::Truncated(report) => {
                let out = report.stdout_report();
                write!(f, "the output of {:?} is not complete: ", report.name())?;
                if out.is_truncated() {
                    write!(
                        f,
                        "{} of {} bytes were dropped; Command::capture can keep more",
                        out.dropped(),
                        out.total()
                    )
                } else {
                    write!(f, "{}", out.end())
                }
            }
            Failure::NotText(report) => {
                write!(f, "the output of {:?} is not UTF-8; Command::output gives its bytes", report.name())
            }
        }
    }
}

/// The last lines of standard error: where programs say why they failed.
fn show_end(f: &mut fmt::Formatter<'_>, stderr: &str) -> fmt::Result {
    let text = stderr.trim_end();
    if text.is_empty() {
        return Ok(());
    }
    let mut start = text.len().saturating_sub(ERROR_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let tail = &text[start..];
    let lines: Vec<&str> = tail.lines().collect();
    let shown = &lines[lines.len().saturating_sub(ERROR_LINES)..];
    let cut = start > 0 || shown.len() < lines.len();
    write!(f, "\n{}{}", if cut { "[...]\n" } else { "" }, shown.join("\n"))
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RunError");
        debug.field("kind", &self.kind());
        match &*self.0 {
            Failure::Spawn(error) => debug.field("source", error),
            Failure::Wait(error) => debug.field("source", error),
            Failure::Unsuccessful(report) | Failure::Truncated(report) | Failure::NotText(report) => {
                debug.field("report", report)
            }
        };
        debug.finish()
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // A spawn or wait error is shown as this one, so what follows is its own source.
        match &*self.0 {
            Failure::Spawn(error) => error.source(),
            Failure::Wait(error) => error.source(),
            _ => None,
        }
    }
}

impl From<SpawnError> for RunError {
    fn from(error: SpawnError) -> Self {
        Self(Box::new(Failure::Spawn(error)))
    }
}

impl From<WaitError> for RunError {
    fn from(error: WaitError) -> Self {
        Self(Box::new(Failure::Wait(error)))
    }
}

impl From<RunError> for io::Error {
    fn from(error: RunError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

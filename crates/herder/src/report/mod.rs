//! Everything known at the end of a run.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use herder_sys::Usage;

use crate::contain::{Leak, LimitResult, Member, Strength};
use crate::output::{StreamReport, render_lossy};
use crate::terminate::Attempt;

mod error;

pub use error::{RunError, RunErrorKind};

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
    pub(crate) leak: Leak,
    pub(crate) strength: Strength,
    pub(crate) limits: Vec<LimitResult>,
    pub(crate) left: Leftovers,
    pub(crate) oom_kills: Option<u64>,
}

/// What the child left behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leftovers {
    pub(crate) survivors: Vec<Member>,
    /// Whether nobody was left at the end; `None` if nobody looked, or nobody can.
    pub(crate) empty: Option<bool>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The program ended by itself, with whatever code.
    Exited,
    /// A signal ended it that was not ours. (On Windows: its exit code is the one that a kill by this library, or a
    /// Ctrl-C, leaves.)
    Signaled,
    /// The time of [`Command::timeout`](crate::Command::timeout) was over, and it was ended.
    TimedOut,
    /// Nothing came for the time of [`Command::idle_timeout`](crate::Command::idle_timeout), and it was ended.
    Idle,
    /// It was terminated through its [`Child`](crate::Child) or a [`ChildHandle`](crate::ChildHandle).
    Terminated,
    /// It was killed through its [`Child`](crate::Child) or a [`ChildHandle`](crate::ChildHandle).
    Killed,
    /// The kernel killed it for want of memory: its limit of memory was reached, or that of a cgroup above it.
    ///
    /// Told only where a [`Limit::Memory`](crate::contain::Limit::Memory) is in force for the whole tree; elsewhere
    /// such an end is [`Signaled`](Self::Signaled), as the kernel does not say. Never on Windows, where a request for
    /// more than the limit fails.
    OutOfMemory,
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

    /// Who was alive when the child had ended and [`Command::leak_grace`](crate::Command::leak_grace) was over. What
    /// became of them is up to [`Command::leak`](crate::Command::leak).
    ///
    /// Empty too where they can't be seen: with a [`strength`](Self::strength) of a process group or less.
    #[must_use]
    pub fn survivors(&self) -> &[Member] {
        &self.details.left.survivors
    }

    /// Whether it is proved that nothing is left of what its [`strength`](Self::strength) reaches: of the child and all
    /// its descendants or, with a process group, of the members of that group. `None` where that can't be told, or nobody
    /// looked.
    ///
    /// # Platform notes
    ///
    /// Only Linux tells the dead of a group, which nobody has reaped yet, from the living in every case. Elsewhere they
    /// count for as long as their parent lets them lie.
    #[must_use]
    pub fn scope_empty(&self) -> Option<bool> {
        self.details.left.empty
    }

    /// How much of what the child started was in our hand.
    #[must_use]
    pub fn strength(&self) -> Strength {
        self.details.strength
    }

    /// The limits that were asked for, and how far each was in force, or why not.
    #[must_use]
    pub fn limits(&self) -> &[LimitResult] {
        &self.details.limits
    }

    /// How many processes of the child's tree, itself included, the kernel has killed for want of memory; `None` where
    /// no [`Limit::Memory`](crate::contain::Limit::Memory) is in force for the whole tree.
    ///
    /// Not 0 with a [`cause`](Self::cause) of [`Exited`](Cause::Exited): it was somebody whom the child had started.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        self.details.oom_kills
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
        if !self.success() {
            return Err(RunError::unsuccessful(self));
        }
        if self.details.leak == Leak::Fail && !self.survivors().is_empty() {
            return Err(RunError::leaked(self));
        }
        Ok(self)
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
            Self::OutOfMemory => "killed for want of memory",
        })
    }
}

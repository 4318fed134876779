//! What kept a run from a good end.

use std::fmt;
use std::io;

use super::{Cause, Report};
use crate::error::{SpawnError, WaitError};

/// A run could not be made, or did not go as required.
pub struct RunError(Box<Failure>);

enum Failure {
    Spawn(SpawnError),
    Wait(WaitError),
    Unsuccessful(Report),
    Truncated(Report),
    NotText(Report),
    Leaked(Report),
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
    /// Descendants were alive when it had ended, and [`Leak::Fail`](crate::contain::Leak::Fail) was asked for.
    Leaked,
}

/// Survivors that an error names at most.
const NAMED: usize = 5;

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

    pub(crate) fn leaked(report: Report) -> Self {
        Self(Box::new(Failure::Leaked(report)))
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
            Failure::Leaked(_) => RunErrorKind::Leaked,
        }
    }

    /// The report, if there was a run: with its status and everything that was read.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match &*self.0 {
            Failure::Unsuccessful(report)
            | Failure::Truncated(report)
            | Failure::NotText(report)
            | Failure::Leaked(report) => Some(report),
            _ => None,
        }
    }

    /// The report, if there was a run.
    #[must_use]
    pub fn into_report(self) -> Option<Report> {
        match *self.0 {
            Failure::Unsuccessful(report)
            | Failure::Truncated(report)
            | Failure::NotText(report)
            | Failure::Leaked(report) => Some(report),
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
            Failure::Leaked(_) => io::ErrorKind::Other,
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
            Failure::Leaked(report) => {
                let alive = report.survivors();
                write!(f, "{:?} left {} processes behind:", report.name(), alive.len())?;
                alive.iter().take(NAMED).try_for_each(|one| write!(f, " {} ({})", one.command, one.pid))?;
                f.write_str(if alive.len() > NAMED { " ..." } else { "" })
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
            Failure::Unsuccessful(report)
            | Failure::Truncated(report)
            | Failure::NotText(report)
            | Failure::Leaked(report) => debug.field("report", report),
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

//! What was tried to end a process.

use std::fmt;
use std::io;
use std::time::Duration;

use herder_sys::Signal;

/// A step that was taken to end a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Its standard input was closed.
    CloseStdin,
    /// It was sent a signal.
    Signal(Signal),
    /// It was killed.
    Kill,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloseStdin => f.write_str("close stdin"),
            Self::Signal(signal) => signal.fmt(f),
            Self::Kill => f.write_str("kill"),
        }
    }
}

/// One step that was tried, when, and whether it could be taken.
///
/// That a step was taken says nothing about its effect: a process may ignore a signal it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    step: Step,
    after: Duration,
    error: Option<(io::ErrorKind, String)>,
}

impl Attempt {
    /// An attempt that was made `after` the process was first asked to end.
    pub(crate) fn new(step: Step, after: Duration, result: &io::Result<()>) -> Self {
        let error = result.as_ref().err().map(|error| (error.kind(), error.to_string()));
        Self { step, after, error }
    }

    /// What was tried.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// When: the time since terminating began.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }

    /// Whether the step could be taken.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.error.is_none()
    }

    /// The kind of the error if the step could not be taken.
    #[must_use]
    pub fn error_kind(&self) -> Option<io::ErrorKind> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }

    /// The words of the operating system if the step could not be taken.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.error.as_ref().map(|(_, message)| message.as_str())
    }
}

/// One line, such as `SIGTERM after 1.5s` or `SIGTERM after 1.5s failed: permission denied`.
impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:?}", self.step, self.after)?;
        match &self.error {
            Some((_, message)) => write!(f, " failed: {message}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_tells_what_when_and_whether() {
        let good = Attempt::new(Step::Signal(Signal::TERM), Duration::ZERO, &Ok(()));
        assert!(good.succeeded());
        assert_eq!(good.error_kind(), None);
        assert_eq!(good.to_string(), "SIGTERM after 0ns");

        let error = io::Error::new(io::ErrorKind::PermissionDenied, "not yours");
        let bad = Attempt::new(Step::Kill, Duration::from_millis(1500), &Err(error));
        assert_eq!(bad.error_kind(), Some(io::ErrorKind::PermissionDenied));
        assert_eq!(bad.error_message(), Some("not yours"));
        assert_eq!(bad.to_string(), "kill after 1.5s failed: not yours");
    }
}

//! How a process is asked to end, and what happens when it does not.
//!
//! [`Termination`] is the policy, a plain value: steps of asking, each with a grace period, and a kill after the
//! last. The ladder walks it, as a pure state machine. What was tried is told as [`Attempt`]s.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use herder_sys::Signal;

mod attempt;
mod behind;
mod drive;
mod ladder;
mod on_drop;
mod parse;

pub use attempt::{Attempt, Step};
pub(crate) use behind::behind;
pub(crate) use drive::drive;
pub use on_drop::OnDrop;
pub(crate) use on_drop::blame;
pub use parse::ParseTerminationError;

/// How to end a process: ask, wait for a grace period, ask harder, and in the end kill.
///
/// A grace period is an upper bound, never a delay: a process that ends earlier ends the wait. The kill after the
/// last step is always part of it, so that terminating is always over at some point.
///
/// The default is `SIGTERM` and ten seconds, as `docker stop` does: long enough for a service to finish what it
/// is doing, short enough to wait for.
///
/// ```
/// use std::time::Duration;
/// use herder::Signal;
/// use herder::terminate::Termination;
///
/// let patient = Termination::new()
///     .close_stdin(Duration::from_secs(2))
///     .signal(Signal::INT, Duration::from_secs(1))
///     .signal(Signal::TERM, Duration::from_secs(5));
/// assert_eq!(patient.total_grace(), Duration::from_secs(8));
/// assert_eq!("stdin:2s,INT:1s,TERM:5s".parse(), Ok(patient));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Termination {
    /// Each command and each child has one, nearly always the default: that takes no memory of its own.
    rungs: Cow<'static, [Rung]>,
}

/// One step of asking and how long to wait for its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rung {
    ask: Ask,
    grace: Duration,
}

/// What can be asked before the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ask {
    CloseStdin,
    Signal(Signal),
}

impl Termination {
    /// The grace period of the default, after `SIGTERM`.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

    /// No step of asking: as long as none is added, the process is killed at once.
    #[must_use]
    pub const fn new() -> Self {
        Self { rungs: Cow::Borrowed(&[]) }
    }

    /// The default by its name: `SIGTERM`, ten seconds of grace, then a kill.
    #[must_use]
    pub fn graceful() -> Self {
        const RUNG: Rung = Rung { ask: Ask::Signal(Signal::TERM), grace: Termination::DEFAULT_GRACE };
        Self { rungs: Cow::Borrowed(&[RUNG]) }
    }

    /// Kill at once; the same value as [`new`](Self::new), for the places where it is meant as the policy.
    #[must_use]
    pub const fn kill() -> Self {
        Self::new()
    }

    /// Adds a step: close the standard input of the process and wait up to `grace`.
    ///
    /// Ends programs that read to the end of their input. Where standard input is no pipe, or is closed already,
    /// the step has nothing to do; it then fails and the ladder goes on soon.
    #[must_use]
    pub fn close_stdin(self, grace: Duration) -> Self {
        self.rung(Ask::CloseStdin, grace)
    }

    /// Adds a step: send `signal` and wait up to `grace`. With no grace the next step follows straight on.
    ///
    /// With `Duration::MAX` the wait has no end, and neither has terminating a process that ignores the signal.
    #[must_use]
    pub fn signal(self, signal: Signal, grace: Duration) -> Self {
        self.rung(Ask::Signal(signal), grace)
    }

    fn rung(mut self, ask: Ask, grace: Duration) -> Self {
        self.rungs.to_mut().push(Rung { ask, grace });
        self
    }

    /// The longest this policy waits before it kills: all grace periods together, at most `Duration::MAX`.
    #[must_use]
    pub fn total_grace(&self) -> Duration {
        self.rungs.iter().fold(Duration::ZERO, |total, rung| total.saturating_add(rung.grace))
    }
}

impl Default for Termination {
    fn default() -> Self {
        Self::graceful()
    }
}

/// The form that [`FromStr`](std::str::FromStr) reads: `stdin:2s,TERM:10s`, or `kill` where there is no step.
impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rungs.is_empty() {
            return f.write_str("kill");
        }
        for (index, rung) in self.rungs.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match rung.ask {
                Ask::CloseStdin => f.write_str("stdin")?,
                // Spelled out: a bare `KILL` is the kill at the end.
                Ask::Signal(Signal::KILL) => f.write_str("SIGKILL")?,
                Ask::Signal(signal) => match signal.name() {
                    Some(name) => f.write_str(name.strip_prefix("SIG").unwrap_or(name))?,
                    None => write!(f, "{}", signal.as_raw())?,
                },
            }
            write!(f, ":{:?}", rung.grace)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Termination({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sigterm_and_ten_seconds() {
        let default = Termination::default();
        assert_eq!(default, Termination::graceful());
        assert_eq!(default, Termination::new().signal(Signal::TERM, Duration::from_secs(10)));
        assert_eq!(default.total_grace(), Duration::from_secs(10));
        assert_eq!(format!("{default:?}"), "Termination(TERM:10s)");
    }

    #[test]
    fn the_total_saturates() {
        let long = Termination::new().close_stdin(Duration::MAX).signal(Signal::TERM, Duration::MAX);
        assert_eq!(long.total_grace(), Duration::MAX);
        assert_eq!(Termination::kill().total_grace(), Duration::ZERO);
    }
}

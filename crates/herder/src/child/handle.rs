//! A remote control that may be copied.

use std::process::ExitStatus;
use std::sync::Arc;

use herder_sys::Signal;
use tokio::sync::Notify;

use super::shared::{Asked, Shared};
use crate::contain::Strength;
use crate::error::{SignalError, WaitError};
use crate::terminate::{Termination, drive};

/// A handle on a child that others own: wait for it, signal it, end it, from any task, while others wait too.
///
/// It does not keep the child alive: when the [`Child`](crate::Child) is dropped, the child is ended.
#[derive(Clone, Debug)]
pub struct ChildHandle(Arc<Shared>);

impl ChildHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The name of the process, as it stands in errors and traces.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The process id, or `None` once it has been reaped: then the number may be another's.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.0.id()
    }

    /// How much of what the child starts is reached by [`signal`](Self::signal), [`kill`](Self::kill) and
    /// [`terminate`](Self::terminate).
    #[must_use]
    pub fn strength(&self) -> Strength {
        self.0.reach.strength
    }

    /// Waits until the child has exited. Many may wait at once, and all get the same answer.
    ///
    /// Unlike [`Child::wait`](crate::Child::wait) it leaves standard input open.
    ///
    /// # Errors
    ///
    /// [`WaitError`] if somebody else reaped it and its status is lost.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing has happened; wait again.
    pub async fn wait(&self) -> Result<ExitStatus, WaitError> {
        Ok(self.0.wait().await?.status)
    }

    /// The status if the child has exited; `None` if not. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, WaitError> {
        match self.0.reap() {
            Ok(exit) => Ok(exit.map(|exit| exit.status)),
            Err(error) => Err(WaitError::new(&self.0.name, "learn how it ended:", error)),
        }
    }

    /// Sends `signal` to the child and, where [`strength`](Self::strength) says so, to its whole group. A child that
    /// has exited gets none, and that is no error.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if there is no permission: the child changed its user.
    ///
    /// # Platform notes
    ///
    /// Windows: SIGTERM, SIGINT, SIGQUIT and SIGHUP are a Ctrl-Break for each process group in reach, which takes a
    /// console that we share with it; SIGKILL ends it. All others are an error of kind `Unsupported`.
    pub fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.0.signal(signal)
    }

    /// Sends `signal` to the child alone.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn signal_child(&self, signal: Signal) -> Result<(), SignalError> {
        let failed = |error| SignalError::new(&self.0.name, format_args!("send {signal} to"), error);
        self.0.process.signal(signal).map_err(failed)
    }

    /// Kills the child, and its group, now, and does not wait for it to be gone. A child that has exited is left
    /// alone, and that is no error.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn start_kill(&self) -> Result<(), SignalError> {
        self.0.kill()
    }

    /// Kills the child, and its group, and waits until it is reaped.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal) and [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// The kill is sent at the first poll; cancelling takes nothing back.
    pub async fn kill(&self) -> Result<(), SignalError> {
        self.0.kill()?;
        self.0.wait().await?;
        Ok(())
    }

    /// Asks the child to end, waits, and escalates as `policy` says, up to the kill; then waits until it is reaped.
    ///
    /// With a scope it is over only when nobody is left in it: a leader that goes while its workers stay does not
    /// stop the steps.
    ///
    /// The steps taken stand in the report, in order. A step that fails (no permission, say) is written down and
    /// shortens the wait for the next.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, no further step is taken; the child may have been asked already.
    pub async fn terminate(&self, policy: &Termination) -> Result<ExitStatus, WaitError> {
        self.terminate_or_hurry(policy, &Notify::new()).await
    }

    /// As [`terminate`](Self::terminate); each time `hurry` is notified, the next step is taken without further
    /// waiting: what a second Ctrl-C is for.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// As [`terminate`](Self::terminate).
    pub async fn terminate_or_hurry(
        &self,
        policy: &Termination,
        hurry: &Notify,
    ) -> Result<ExitStatus, WaitError> {
        let shared = &self.0;
        // One that has exited is not asked.
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        shared.ask(Asked::Terminate);
        // Whatever went wrong there goes wrong again in the wait below, which tells it.
        let exited = async { drop(shared.ended().await) };
        let walk = shared.walk();
        drive(policy, exited, hurry, |step| shared.take(step), |attempt| shared.attempt(attempt)).await;
        drop(walk);
        self.wait().await
    }
}

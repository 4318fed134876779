//! One scope for many children.

use std::fmt;
use std::io;
use std::sync::Arc;

pub use herder_sys::ScopeStats;

use herder_sys::Signal;
use tokio::sync::Notify;

use crate::child::{Child, ChildHandle};
use crate::command::Command;
use crate::contain::{self, Containment, Fold, Force, Limit, Member, Refusal, Strength, members};
use crate::error::{SignalError, SpawnError};
use crate::terminate::{Attempt, OnDrop, Termination, behind, blame};

mod flock;

use flock::{Flock, Left};

/// Children that are signalled, suspended, counted and ended together, with everything that they start.
///
/// Dropped, it ends all of them at once, without waiting. Where this host can do better than process groups
/// ([`strength`](Self::strength)), nothing leaves it: what a member starts is a member, sessions and double forks
/// included, and what has ended is proved to be gone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Command, Herd, Termination};
///
/// let herd = Herd::new("workers")?;
/// let mut first = herd.spawn(Command::new("sleep").arg("60"))?;
/// let second = herd.spawn(Command::new("sleep").arg("60"))?;
/// assert_eq!(herd.children().len(), 2);
/// herd.terminate(&Termination::default()).await?;
/// assert!(!first.wait().await?.success());
/// # drop(second); Ok(()) }
/// ```
pub struct Herd {
    flock: Arc<Flock>,
    on_drop: OnDrop,
}

impl Herd {
    /// An empty herd, held by the strongest means of this host. The name is for errors and traces.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] of kind [`Containment`](crate::error::SpawnErrorKind::Containment): nothing to hold it with can
    /// be made.
    pub fn new(name: impl Into<String>) -> Result<Self, SpawnError> {
        Self::contained(name, Containment::Auto)
    }

    /// An empty herd that is held as asked for.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); also if what is asked for by name can't be had.
    pub fn contained(name: impl Into<String>, containment: Containment) -> Result<Self, SpawnError> {
        let name: Arc<str> = name.into().into();
        let fold = Fold::new(containment).map_err(|error| SpawnError::of_scope(&name, error))?;
        Ok(Self { flock: Arc::new(Flock::new(name, fold)), on_drop: OnDrop::default() })
    }

    /// Chooses what dropping this does: by default all are killed.
    ///
    /// Members that were spawned are owned by their [`Child`]ren, too, and the drop of those does what their commands
    /// say. [`OnDrop::Panic`] finds a mistake where a child was not waited for, or anybody is left.
    pub fn set_on_drop(&mut self, on_drop: OnDrop) {
        self.on_drop = on_drop;
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.flock.name
    }

    /// How much of what its children start is in our hand.
    #[must_use]
    pub fn strength(&self) -> Strength {
        self.flock.fold.strength
    }

    /// Why [`strength`](Self::strength) is no greater.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.flock.fold.refusals
    }

    /// Limits what its members may use together; may be called for each kind of limit, and again.
    ///
    /// A spawn into a herd that has reached its limit of processes is refused with
    /// [`Containment`](crate::error::SpawnErrorKind::Containment). What can't be had for all together is not limited at
    /// all: a limit for each process is the [`Command`]'s to set.
    #[must_use = "a limit that can't be had is not in force"]
    pub fn limit(&self, limit: Limit) -> Force {
        let force = match self.flock.fold.hold.scope() {
            Some(scope) if contain::takes_limits(self.strength()) => contain::apply_one(limit, &scope).1,
            _ => contain::refuse(&[limit], false, self.refusals()).remove(0).1,
        };
        match force {
            Force::EachProcess(why) => Force::No(why),
            force => force,
        }
    }

    /// Starts a child as a member. It is a [`Child`] like any other: dropping it ends it, and its process group, alone.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`]; also if the herd is suspended, at its limit of processes, or was killed.
    pub fn spawn(&self, command: &Command) -> Result<Child, SpawnError> {
        let child = self.member(command).spawn()?;
        self.flock.add(&child);
        Ok(child)
    }

    /// As [`spawn`](Self::spawn), without a sleeping thread.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    ///
    /// # Cancel safety
    ///
    /// As [`Command::spawn_async`].
    pub async fn spawn_async(&self, command: &Command) -> Result<Child, SpawnError> {
        let child = self.member(command).spawn_async().await?;
        self.flock.add(&child);
        Ok(child)
    }

    /// The command, to be run as a member: for [`Command::output`], [`Command::run`] and the others.
    ///
    /// Such a child is not among the [`children`](Self::children), but all else holds for it.
    #[must_use]
    pub fn member(&self, command: &Command) -> Command {
        let mut command = command.clone();
        command.fold = Some(Arc::clone(&self.flock.fold));
        command
    }

    /// Takes in a child that was started elsewhere, with what it starts from now on. What it has started before stays
    /// where it is.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if it has ended, or this herd is held by nothing that takes a process in later: a process group
    /// does not, and neither does the keeper.
    pub fn adopt(&self, child: &Child) -> Result<(), SignalError> {
        let failed =
            |error| SignalError::new(&self.flock.name, format_args!("adopt {:?} into", child.name()), error);
        let unsupported = || io::Error::new(io::ErrorKind::Unsupported, "it is held by process groups only");
        let scope = self.flock.fold.scope().and_then(|scope| scope.ok_or_else(unsupported));
        scope.and_then(|scope| scope.adopt(&child.process)).map_err(failed)?;
        self.flock.add(child);
        Ok(())
    }

    /// The children that were spawned into it, or adopted, and have not been reaped.
    #[must_use]
    pub fn children(&self) -> Vec<ChildHandle> {
        self.flock.children()
    }

    /// Every process in it, descendants included, where they can be seen; else its children.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if the system does not tell.
    pub fn members(&self) -> Result<Vec<Member>, SignalError> {
        match self.flock.fold.hold.scope() {
            Some(scope) => members(&scope).map_err(|error| SignalError::new(&self.flock.name, "list", error)),
            None => {
                let member = |child: &ChildHandle| Some(Member::new(child.id()?, child.name()));
                Ok(self.children().iter().filter_map(member).collect())
            }
        }
    }

    /// What it uses and has used; `None` where this host keeps no account of it.
    #[must_use]
    pub fn stats(&self) -> Option<ScopeStats> {
        self.flock.fold.hold.scope()?.stats().ok()
    }

    /// Sends a signal to every process in it.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if one can't be sent: the others have got theirs.
    pub fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.flock
            .send(signal)
            .map_err(|error| SignalError::new(&self.flock.name, format_args!("send {signal} to"), error))
    }

    /// Stops every process in it from running, until [`resume`](Self::resume). A spawn into it is refused meanwhile.
    ///
    /// With process groups only, SIGSTOP is sent to the groups.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if that can't be done.
    pub fn suspend(&self) -> Result<(), SignalError> {
        self.freeze(true, "suspend")
    }

    /// Lets every process in it run again.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if that can't be done.
    pub fn resume(&self) -> Result<(), SignalError> {
        self.freeze(false, "resume")
    }

    fn freeze(&self, frozen: bool, verb: &str) -> Result<(), SignalError> {
        self.flock.set_frozen(frozen).map_err(|error| SignalError::new(self.name(), verb, error))
    }

    /// Kills every process in it, now, and does not wait. Spawns go on to work.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if one can't be killed.
    pub fn start_kill(&self) -> Result<(), SignalError> {
        self.flock.kill_once().map_err(|error| SignalError::new(&self.flock.name, "kill", error))
    }

    /// Kills every process in it, again and again, until nobody is left.
    ///
    /// # Errors
    ///
    /// As [`start_kill`](Self::start_kill).
    ///
    /// # Cancel safety
    ///
    /// The kill is sent at the first poll; cancelling takes nothing back.
    pub async fn kill(&self) -> Result<(), SignalError> {
        self.start_kill()?;
        self.flock.fold.hold.emptied(|| true).await;
        self.flock.children_ended().await;
        Ok(())
    }

    /// Waits until nobody is in it. What is spawned meanwhile counts.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing has happened.
    pub async fn wait_empty(&self) {
        self.flock.fold.hold.emptied(|| false).await;
        self.flock.children_ended().await;
    }

    /// Asks every process in it to end, waits, and escalates as `policy` says, until nobody is left. Gives the steps
    /// that were taken.
    ///
    /// # Errors
    ///
    /// None of a step: they stand in the answer. [`SignalError`] if it could not be emptied.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, no further step is taken.
    pub async fn terminate(&self, policy: &Termination) -> Result<Vec<Attempt>, SignalError> {
        self.terminate_or_hurry(policy, &Notify::new()).await
    }

    /// As [`terminate`](Self::terminate); each time `hurry` is notified, the next step is taken without further
    /// waiting.
    ///
    /// # Errors
    ///
    /// As [`terminate`](Self::terminate).
    ///
    /// # Cancel safety
    ///
    /// As [`terminate`](Self::terminate).
    pub async fn terminate_or_hurry(
        &self,
        policy: &Termination,
        hurry: &Notify,
    ) -> Result<Vec<Attempt>, SignalError> {
        Ok(self.flock.terminate(policy, hurry).await)
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        let left = Left(Arc::clone(&self.flock));
        match std::mem::take(&mut self.on_drop) {
            OnDrop::Detach => left.let_go(),
            OnDrop::Terminate(policy) if !left.0.is_over() => behind(async move {
                // Its drop kills whoever is left, and there is nobody to tell the steps.
                drop(left.0.terminate(&policy, &Notify::new()).await);
                drop(left);
            }),
            OnDrop::Panic if !left.0.is_over() => {
                drop(left);
                blame("the herd", self.name());
            }
            _ => drop(left),
        }
    }
}

impl fmt::Debug for Herd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Herd")
            .field("name", &self.name())
            .field("strength", &self.strength())
            .field("children", &self.children().len())
            .finish_non_exhaustive()
    }
}

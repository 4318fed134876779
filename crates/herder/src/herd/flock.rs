//! What a herd does to its members: the part that may outlive its owner.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder_sys::Signal;
use tokio::sync::Notify;

use crate::child::{Child, ChildHandle};
use crate::contain::Fold;
use crate::terminate::{Attempt, Step, Termination, drive};

pub(super) struct Flock {
    pub(super) name: Arc<str>,
    pub(super) fold: Arc<Fold>,
    /// Those that were alive when somebody last looked.
    children: Mutex<Vec<ChildHandle>>,
}

impl Flock {
    pub(super) fn new(name: Arc<str>, fold: Fold) -> Self {
        Self { name, fold: Arc::new(fold), children: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ChildHandle>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, child: &Child) {
        let mut children = self.lock();
        // Those that are gone are forgotten now and then: each spawn pays for a fixed number of others.
        if children.len() == children.capacity() {
            children.retain(|child| child.id().is_some());
        }
        children.push(child.handle());
    }

    pub(super) fn children(&self) -> Vec<ChildHandle> {
        let mut children = self.lock();
        children.retain(|child| child.id().is_some());
        children.clone()
    }

    /// Whether every child was waited for, and nobody is left.
    pub(super) fn is_over(&self) -> bool {
        self.children().is_empty() && self.fold.hold.is_empty()
    }

    pub(super) fn send(&self, signal: Signal) -> io::Result<()> {
        if let Some(result) = self.fold.hold.signal(signal) {
            return result;
        }
        let failed = |child: &ChildHandle| child.signal(signal).err();
        let errors: Vec<_> = self.children().iter().filter_map(failed).collect();
        errors.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }

    pub(super) fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        match self.fold.hold.scope() {
            Some(scope) => scope.set_frozen(frozen),
            None => {
                // First of all, or who comes meanwhile would run.
                self.fold.stopped.store(frozen, Ordering::Relaxed);
                self.send(if frozen { Signal::STOP } else { Signal::CONT })
            }
        }
    }

    pub(super) fn kill_once(&self) -> io::Result<()> {
        let scope = self.fold.hold.kill().unwrap_or(Ok(()));
        let failed = |child: &ChildHandle| child.start_kill().err();
        let errors: Vec<_> = self.children().iter().filter_map(failed).collect();
        scope?;
        errors.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }

    pub(super) async fn children_ended(&self) {
        for child in self.children() {
            // Its end is all that counts here; who waits for it hears what went wrong.
            drop(child.wait().await);
        }
    }

    pub(super) async fn terminate(&self, policy: &Termination, hurry: &Notify) -> Vec<Attempt> {
        let (attempts, killed) = (Mutex::new(Vec::new()), AtomicBool::new(false));
        let take = |step| match step {
            Step::Signal(signal) => {
                self.send(signal)?;
                // Those that are stopped would not get to handle it. Of no effect on the others, and no failed step.
                if signal != Signal::STOP {
                    drop(self.send(Signal::CONT));
                }
                Ok(())
            }
            Step::Kill => {
                killed.store(true, Ordering::Relaxed);
                self.kill_once()
            }
            Step::CloseStdin => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "a herd has no standard input"))
            }
        };
        let ended = async {
            self.fold.hold.emptied(|| killed.load(Ordering::Relaxed)).await;
            self.children_ended().await;
        };
        let note = |attempt| attempts.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
        drive(policy, ended, hurry, take, note).await;
        attempts.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Members whose herd is gone. Dropped, they are ended, without waiting.
pub(super) struct Left(pub(super) Arc<Flock>);

impl Left {
    /// They go on, and end with our program.
    pub(super) fn let_go(self) {
        self.0.lock().clear();
        self.0.fold.hold.release();
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let Self(flock) = self;
        if flock.fold.hold.scope().is_none() {
            // Each group by itself; the handles' errors have nobody to hear them.
            flock.lock().iter().for_each(|child| drop(child.start_kill()));
        }
        flock.fold.hold.end();
    }
}

//! What a child, or a herd, holds of its scope.

use std::io;
use std::panic::catch_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use herder_sys::{Scope, Signal};
use tokio::runtime::Handle;

use super::Member;
use crate::host::ScopeWatch;

/// A scope, until it is let go or ended.
#[derive(Debug)]
pub(crate) struct Hold(Mutex<Option<Scope>>);

impl Hold {
    pub(crate) fn new(scope: Option<Scope>) -> Self {
        Self(Mutex::new(scope))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Scope>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scope, if there is one and it was not let go.
    pub(crate) fn scope(&self) -> Option<Scope> {
        self.lock().clone()
    }

    /// Sends `signal` to all members; `None` if there is no scope.
    pub(crate) fn signal(&self, signal: Signal) -> Option<io::Result<()>> {
        Some(self.scope()?.signal(signal))
    }

    /// One round of killing; `None` if there is no scope.
    pub(crate) fn kill(&self) -> Option<io::Result<()>> {
        Some(self.scope()?.kill())
    }

    /// Whether nobody is in it. No scope has nobody; what can't be told is taken for somebody.
    pub(crate) fn is_empty(&self) -> bool {
        self.scope().is_none_or(|scope| scope.is_empty().unwrap_or(false))
    }

    /// Who is in it, as far as can be told.
    pub(crate) fn members(&self) -> Vec<Member> {
        self.scope().and_then(|scope| members(&scope).ok()).unwrap_or_default()
    }

    /// Lets go: what is in it lives on, and ends with our program.
    pub(crate) fn release(&self) {
        if let Some(scope) = self.lock().take() {
            scope.release();
        }
    }

    /// Ends it: what is in it is killed now, and until nothing is left, behind our back.
    pub(crate) fn end(&self) {
        if let Some(scope) = self.lock().take() {
            scope.end();
        }
    }

    /// Takes the scope out, for somebody else to end.
    pub(crate) fn take(&self) -> Option<Scope> {
        self.lock().take()
    }

    /// Waits until nobody is in it; kills again from time to time once `killed` says so.
    pub(crate) async fn emptied(&self, killed: impl Fn() -> bool) {
        let Some(scope) = self.scope() else { return };
        let mut watch = Watch::new(&scope);
        let mut pause = SHORTEST;
        while !scope.is_empty().unwrap_or(false) {
            if killed() {
                // What can't be killed now is tried again.
                drop(scope.kill());
            }
            watch.changed(pause).await;
            pause = (pause * 2).min(if watch.told.is_some() { RARELY } else { LONGEST });
        }
    }

    /// Kills, in rounds, until nobody is in it, or the time is over. Whether nobody is.
    pub(crate) async fn kill_until_empty(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.emptied(|| true)).await.is_ok()
    }
}

/// Who is in a scope.
pub(crate) fn members(scope: &Scope) -> io::Result<Vec<Member>> {
    let member = |found: herder_sys::Member| Member::new(found.pid.unsigned_abs(), found.command);
    Ok(scope.members()?.into_iter().map(member).collect())
}

/// Between two looks. What tells of changes may tell late, and may tell somebody else.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(100);
const RARELY: Duration = Duration::from_secs(1);

/// What tells that a scope may have become empty.
struct Watch {
    told: Option<ScopeWatch>,
    /// Whether the runtime has timers, as far as we know.
    timers: bool,
}

impl Watch {
    fn new(scope: &Scope) -> Self {
        Self { told: ScopeWatch::new(scope), timers: Handle::try_current().is_ok() }
    }

    /// Waits for news, `pause` at most.
    async fn changed(&mut self, pause: Duration) {
        let pass = pass(&mut self.timers, pause);
        let Some(told) = &self.told else { return pass.await };
        tokio::select! {
            () = told.changed() => {}
            () = pass => {}
        }
    }
}

/// Sleeps, in any runtime or none.
async fn pass(timers: &mut bool, pause: Duration) {
    // Tokio panics where there are no timers, and has no way to ask beforehand.
    if *timers && let Ok(sleep) = catch_unwind(|| tokio::time::sleep(pause)) {
        return sleep.await;
    }
    *timers = false;
    let (sender, over) = tokio::sync::oneshot::channel();
    let body = move || {
        std::thread::sleep(pause);
        // Nobody waits any more, if that fails.
        let _ = sender.send(());
    };
    match std::thread::Builder::new().name("herder-pause".into()).stack_size(64 * 1024).spawn(body) {
        Ok(_) => drop(over.await),
        Err(_) => tokio::task::yield_now().await,
    }
}

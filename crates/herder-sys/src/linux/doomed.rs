//! Children that were dropped with a scope around them: the reaper thread kills them, a few at a time.
//!
//! Who is killed wants a processor at once, to die on. Five hundred kills in a row make five hundred that compete for
//! it with the one who drops, and with all others in the program. So a drop only leaves the child here, and wakes the
//! thread once for many. If the program ends before it came to a child, the keeper ends the scope with all that is in
//! it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::per_process::PerProcess;
use super::process::ProcessHandle;
use super::{Scope, reaper};

#[derive(Debug, Default)]
struct List {
    all: VecDeque<(ProcessHandle, Scope)>,
    /// When the thread comes again without being woken.
    promise: Option<Instant>,
}

static LIST: PerProcess<Mutex<List>> = PerProcess::new();
static ANY: AtomicBool = AtomicBool::new(false);

/// So many are killed at once: they need about a millisecond of two processors to be gone.
const AT_ONCE: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);

/// Has a child killed soon, and then its scope. Does not wait.
pub(crate) fn leave(child: ProcessHandle, scope: Scope) {
    if !reaper::is_there() {
        return end(child, scope);
    }
    let mut list = lock();
    list.all.push_back((child, scope));
    ANY.store(true, Ordering::SeqCst);
    let promised = list.promise.is_some();
    drop(list);
    if !promised {
        reaper::wake();
    }
}

fn lock() -> MutexGuard<'static, List> {
    LIST.get().lock().unwrap_or_else(PoisonError::into_inner)
}

fn end(child: ProcessHandle, scope: Scope) {
    // Nobody is left to tell; the rounds that follow see to it.
    drop(child.kill_all());
    reaper::adopt(child);
    scope.end_soon();
}

/// Kills the next few, in the reaper thread. Gives the time until the next look, if there is to be one.
pub(super) fn sweep() -> Option<Duration> {
    if !ANY.load(Ordering::SeqCst) {
        return None;
    }
    let now = Instant::now();
    let mut list = lock();
    if let Some(due) = list.promise.filter(|due| *due > now) {
        return Some(due - now);
    }
    let few = list.all.len().min(AT_ONCE);
    let few: Vec<_> = list.all.drain(..few).collect();
    list.promise = (!few.is_empty()).then_some(now + PAUSE);
    ANY.store(!few.is_empty(), Ordering::SeqCst);
    let promise = list.promise;
    drop(list);
    for (child, scope) in few {
        end(child, scope);
    }
    promise.map(|due| due.saturating_duration_since(Instant::now()))
}

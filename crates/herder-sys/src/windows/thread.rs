//! The threads that start children on behalf of threads that must not wait: a start takes milliseconds.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::spawn::spawn;
use crate::{LaunchError, SpawnRequest, SpawnStep, Spawned};

type Job = Box<dyn FnOnce() + Send>;

/// More than the system starts at the same time.
const THREADS: usize = 4;

/// Nothing here depends on the thread that makes a child.
#[must_use]
pub fn is_permanent_thread() -> bool {
    true
}

/// Starts a child from one of a few threads, and calls `done` there with what [`spawn`](super::spawn()) would have
/// returned.
///
/// If `done` drops a child that nobody waits for any more, the child is ended. If `done` panics, the panic ends there.
///
/// # Errors
///
/// There is no such thread, and none can be started; `done` is not called then.
pub fn spawn_on_thread(
    request: SpawnRequest,
    done: impl FnOnce(Result<Spawned, LaunchError>) + Send + 'static,
) -> Result<(), LaunchError> {
    static POOL: LazyLock<Mutex<Option<Sender<Job>>>> = LazyLock::new(Mutex::default);
    let failed =
        |error: io::Error| LaunchError::new(SpawnStep::Prepare, error.raw_os_error().unwrap_or_default());
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.is_none() {
        *pool = Some(start().map_err(failed)?);
    }
    let job: Job = Box::new(move || done(spawn(request)));
    let sent = pool.as_ref().is_some_and(|pool| pool.send(job).is_ok());
    if sent { Ok(()) } else { Err(failed(io::ErrorKind::Other.into())) }
}

/// As [`spawn`](super::spawn()): it does not depend on the thread.
///
/// # Errors
///
/// As [`spawn`](super::spawn()).
pub fn spawn_by_thread(request: SpawnRequest) -> Result<Spawned, LaunchError> {
    spawn(request)
}

/// No thread has another's place here.
#[must_use]
pub fn thread_is_free() -> bool {
    false
}

/// A [`spawn`](super::spawn()) that another thread is to do: nothing of it depends on which.
pub fn spawn_later(request: SpawnRequest) -> impl FnOnce() -> Result<Spawned, LaunchError> + Send + 'static {
    move || spawn(request)
}

/// At least one thread.
fn start() -> io::Result<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for index in 0..THREADS {
        let jobs = Arc::clone(&jobs);
        let thread = std::thread::Builder::new().name("herder-spawn".into()).stack_size(256 * 1024);
        match thread.spawn(move || work(&jobs)) {
            Err(error) if index == 0 => return Err(error),
            _ => {}
        }
    }
    Ok(sender)
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // What `done` panics about is its own affair.
        drop(catch_unwind(AssertUnwindSafe(job)));
    }
}

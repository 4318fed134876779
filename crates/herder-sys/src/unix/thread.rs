//! The thread that starts children on behalf of threads that may end before them.
//!
//! On Linux the parent-death signal is sent when the *thread* that made the child ends (prctl(2), `PR_SET_PDEATHSIG`),
//! and runtimes end worker threads while the program goes on. So a child that shall die with its owner is made by the
//! main thread, whose end is the program's end, or else by this one, which never ends. The price is one hop: most of it
//! would be to wake another processor, so the thread is moved to that of who waits for it. Elsewhere it is for spawns
//! that block, which no thread of a runtime should do.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use crate::sys::{come_here, kept_mask, run_anywhere, spawn_with_mask};
use crate::{LaunchError, SpawnRequest, SpawnStep, Spawned};

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread.
struct Spawner {
    /// The process it is in: a forked copy of us has none.
    owner: u32,
    sender: Sender<Job>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Its number, if it can be moved to the processor of who asks.
    movable: AtomicI32,
    /// Those who wait for it.
    jobs: AtomicUsize,
}

impl State {
    /// Its number, if it can be moved and has nothing to do.
    fn free(&self) -> Option<i32> {
        let thread = self.movable.load(Ordering::Relaxed);
        (thread != 0 && self.jobs.load(Ordering::Relaxed) == 0).then_some(thread)
    }
}

static SPAWNER: Mutex<Option<Spawner>> = Mutex::new(None);

/// Starts a child from the thread that never ends, and calls `done` there with what [`spawn`](crate::spawn()) would have returned.
///
/// If `done` drops a child that nobody waits for any more, the child is ended. If `done` panics, the panic ends
/// there.
///
/// # Errors
///
/// The request comes back as an error if the thread can't be started; `done` is not called then.
pub fn spawn_on_thread(
    request: SpawnRequest,
    done: impl FnOnce(Result<Spawned, LaunchError>) + Send + 'static,
) -> Result<(), LaunchError> {
    post(request, done, |_| {})
}

/// Starts a child from the thread that never ends, and waits for it. It takes not much longer than
/// [`spawn`](crate::spawn()) itself: while the caller sleeps that thread takes its place on its processor, if it is free.
///
/// # Errors
///
/// As [`spawn`](crate::spawn()), or there is no such thread.
pub fn spawn_by_thread(request: SpawnRequest) -> Result<Spawned, LaunchError> {
    let (sender, receiver) = sync_channel(1);
    let come = |state: &State| {
        if let Some(thread) = state.free() {
            come_here(thread);
        }
    };
    post(request, move |result| drop(sender.send(result)), come)?;
    // Only if the spawn has panicked there is no answer.
    receiver.recv().unwrap_or_else(|_| Err(gone()))
}

/// Whether the thread that never ends would come to the caller at once: then even who must not wait can use
/// [`spawn_by_thread`].
#[must_use]
pub fn thread_is_free() -> bool {
    ours(lock().as_ref()).is_some_and(|spawner| spawner.state.free().is_some())
}

fn post(
    request: SpawnRequest,
    done: impl FnOnce(Result<Spawned, LaunchError>) + Send + 'static,
    before: impl FnOnce(&State),
) -> Result<(), LaunchError> {
    let failed = |error: io::Error| {
        error.raw_os_error().map_or_else(gone, |errno| LaunchError::new(SpawnStep::Prepare, errno))
    };
    let spawn = spawn_later(request);
    let (sender, state) = spawner().map_err(failed)?;
    before(&state);
    state.jobs.fetch_add(1, Ordering::Relaxed);
    let job: Job = Box::new(move || {
        let result = spawn();
        // Who has the answer may ask again at once.
        state.jobs.fetch_sub(1, Ordering::Relaxed);
        done(result);
    });
    sender.send(job).map_err(|_| gone())
}

/// There is no such thread, and nothing that says why.
fn gone() -> LaunchError {
    LaunchError::new(SpawnStep::Prepare, libc::EAGAIN)
}

/// Prepares a [`spawn`](crate::spawn()) that another thread is to do: the signal mask that the child may keep is that of
/// the thread which calls this.
pub fn spawn_later(request: SpawnRequest) -> impl FnOnce() -> Result<Spawned, LaunchError> + Send + 'static {
    let mask = kept_mask(&request);
    move || spawn_with_mask(request, mask)
}

fn lock() -> MutexGuard<'static, Option<Spawner>> {
    SPAWNER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That of this process.
fn ours(slot: Option<&Spawner>) -> Option<&Spawner> {
    slot.filter(|spawner| spawner.owner == std::process::id())
}

fn spawner() -> io::Result<(Sender<Job>, Arc<State>)> {
    let mut slot = lock();
    if let Some(spawner) = ours(slot.as_ref()) {
        return Ok((spawner.sender.clone(), Arc::clone(&spawner.state)));
    }
    let (sender, jobs) = channel::<Job>();
    let state = Arc::new(State::default());
    let told = Arc::clone(&state);
    start_but("herder-spawn", Some(libc::SIGCHLD), move || {
        if let Some(thread) = run_anywhere() {
            told.movable.store(thread, Ordering::Relaxed);
        }
        for job in jobs {
            // What `done` panics about is its own affair. The end of this thread would be everybody's:
            // the children that it made would get their parent-death signals.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    })?;
    *slot = Some(Spawner { owner: std::process::id(), sender: sender.clone(), state: Arc::clone(&state) });
    Ok((sender, state))
}

/// Starts a thread of ours: a small stack, and no signal of the program is handled there.
pub(crate) fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    start_but(name, None, run)
}

/// As [`start`]; one signal is blocked there only if it is for the caller.
///
/// For who makes children that is SIGCHLD. By default it is ignored, and costs nothing then, unless the thread that
/// made the child blocks it: "blocked signals are never ignored" (`sig_ignored` in kernel/signal.c). Each exit would
/// wake some other thread of the program, only to drop it. A program that blocks it in all its threads, to take it by
/// sigwait(3), still gets it.
fn start_but(name: &str, signal: Option<i32>, run: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    let body = move || {
        block_signals_but(signal);
        run();
    };
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(128 * 1024).spawn(body)?;
    Ok(thread.thread().clone())
}

fn block_signals_but(signal: Option<i32>) {
    // SAFETY: all zeroes is a valid signal set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes to a live local.
    unsafe { libc::sigfillset(&raw mut set) };
    if let Some(signal) = signal {
        // SAFETY: writes to a live local.
        unsafe { libc::sigdelset(&raw mut set, signal) };
    }
    // SAFETY: reads a live local; can't fail for SIG_BLOCK, which adds to what the thread has from its maker.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

//! The thread that starts children on behalf of threads that may end before them.
//!
//! On Linux the parent-death signal is sent when the *thread* that made the child ends (prctl(2), `PR_SET_PDEATHSIG`),
//! and runtimes end worker threads while the program goes on. So a child that shall die with its owner is made by the
//! main thread, whose end is the program's end, or else by this one, which never ends. The price is one hop. Elsewhere
//! it is for spawns that block, which no thread of a runtime should do.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::Thread;

use crate::sys::{kept_mask, run_anywhere, spawn_with_mask};
use crate::{LaunchError, SpawnRequest, SpawnStep, Spawned};

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread, and the process it is in: a forked copy of us has none.
static THREAD: Mutex<Option<(u32, Sender<Job>)>> = Mutex::new(None);

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
    let spawn = spawn_later(request);
    let job: Job = Box::new(move || done(spawn()));
    sender()
        .and_then(|sender| sender.send(job).map_err(|_| io::Error::from_raw_os_error(libc::EAGAIN)))
        .map_err(|error| LaunchError {
            step: SpawnStep::Prepare,
            errno: error.raw_os_error().unwrap_or(libc::EAGAIN),
        })
}

/// Prepares a [`spawn`](crate::spawn()) that another thread is to do: the signal mask that the child may keep is that of
/// the thread which calls this.
pub fn spawn_later(request: SpawnRequest) -> impl FnOnce() -> Result<Spawned, LaunchError> + Send + 'static {
    let mask = kept_mask(&request);
    move || spawn_with_mask(request, mask)
}

fn sender() -> io::Result<Sender<Job>> {
    let mut slot = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some((owner, sender)) if *owner == std::process::id() => Ok(sender.clone()),
        _ => {
            let (sender, jobs) = channel::<Job>();
            start_but("herder-spawn", Some(libc::SIGCHLD), move || {
                run_anywhere();
                for job in jobs {
                    // What `done` panics about is its own affair. The end of this thread would be everybody's:
                    // the children that it made would get their parent-death signals.
                    drop(catch_unwind(AssertUnwindSafe(job)));
                }
            })?;
            *slot = Some((std::process::id(), sender.clone()));
            Ok(sender)
        }
    }
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

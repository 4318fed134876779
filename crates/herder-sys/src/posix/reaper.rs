//! The thread that reaps children whose owner is gone.
//!
//! One for the whole program, started when the first such child is left, and independent of any runtime. It waits in
//! poll(2) on what tells their exits, and looks from time to time at those for which there is nothing that does; it
//! never looks at children that it was not given.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::process::ProcessHandle;
use super::{cvt, fd, number, thread};

/// How soon, and at most how late, one is looked at whose exit no descriptor tells: those that were killed are gone in a
/// moment, and those that were let go may stay for long.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(64);

#[derive(Debug, Default)]
struct Reaper {
    came: Mutex<Vec<ProcessHandle>>,
    /// What wakes the thread while it waits for descriptors. There may be none left for it.
    pipe: OnceLock<[OwnedFd; 2]>,
    thread: OnceLock<Thread>,
}

/// The reaper and the process that started its thread: a forked copy of us has none.
static REAPER: Mutex<Option<(u32, Arc<Reaper>)>> = Mutex::new(None);

/// Children that could not be handed over, as no thread was to be had. The next to come, and the next spawn, try
/// again.
static WAITING: Mutex<Vec<ProcessHandle>> = Mutex::new(Vec::new());
static ANY_WAITING: AtomicBool = AtomicBool::new(false);

/// Takes over a child that nobody waits for. Does not block and can't fail.
pub(crate) fn adopt(child: ProcessHandle) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.push(child);
    hand_over(&mut waiting);
}

/// Looks once more at what could not be handed over.
pub(super) fn retry() {
    if ANY_WAITING.load(Ordering::Relaxed) {
        hand_over(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn hand_over(waiting: &mut Vec<ProcessHandle>) {
    waiting.retain(|child| matches!(child.reap(), Ok(None)));
    if !waiting.is_empty()
        && let Ok(reaper) = running()
    {
        reaper.came.lock().unwrap_or_else(PoisonError::into_inner).append(waiting);
        reaper.wake();
    }
    ANY_WAITING.store(!waiting.is_empty(), Ordering::Relaxed);
}

fn running() -> io::Result<Arc<Reaper>> {
    let mut slot = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some((owner, reaper)) if *owner == std::process::id() => Ok(Arc::clone(reaper)),
        _ => {
            let reaper = Arc::new(Reaper::default());
            let body = Arc::clone(&reaper);
            let thread = thread::start("herder-reap", move || body.run())?;
            let _ = reaper.thread.set(thread);
            *slot = Some((std::process::id(), Arc::clone(&reaper)));
            Ok(reaper)
        }
    }
}

/// A child, and whether its descriptor is to be waited for: that of one which is dead, and which a debugger holds, would
/// be readable for ever.
struct Left {
    child: ProcessHandle,
    told: bool,
}

impl Left {
    fn new(child: ProcessHandle) -> Self {
        let told = child.pidfd().is_some();
        Self { child, told }
    }

    fn fd(&self) -> RawFd {
        // poll(2) passes over what is negative.
        self.child.pidfd().filter(|_| self.told).map_or(-1, |fd| fd.as_raw_fd())
    }
}

impl Reaper {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        if let Some([_, wake]) = self.pipe.get() {
            // Full, it wakes already.
            // SAFETY: one byte is read.
            unsafe { libc::write(wake.as_raw_fd(), [1u8].as_ptr().cast(), 1) };
        }
    }

    fn run(&self) {
        let mut left: Vec<Left> = Vec::new();
        let mut pause = FIRST_LOOK;
        loop {
            let came = std::mem::take(&mut *self.came.lock().unwrap_or_else(PoisonError::into_inner));
            if !came.is_empty() {
                pause = FIRST_LOOK;
            }
            left.extend(came.into_iter().map(Left::new));
            left.retain(|left| matches!(left.child.reap(), Ok(None)));
            let all_told = left.iter().all(|left| left.told);
            match self.pipe(left.iter().any(|left| left.told)) {
                Some([woken, _]) => sleep(woken, &mut left, (!all_told).then_some(pause)),
                None if left.is_empty() => std::thread::park(),
                None => std::thread::park_timeout(pause),
            }
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// Made when the first child has a descriptor to be waited for.
    fn pipe(&self, needed: bool) -> Option<&[OwnedFd; 2]> {
        if needed && self.pipe.get().is_none() {
            let ends = fd::pipe_ends().ok()?;
            ends.iter().try_for_each(|end| fd::set_nonblocking(end, true)).ok()?;
            let _ = self.pipe.set(ends);
        }
        self.pipe.get().filter(|_| needed)
    }
}

/// Until somebody comes, one of them exits, or it is time to look.
fn sleep(woken: &OwnedFd, left: &mut [Left], look: Option<Duration>) {
    let wait = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let fds = std::iter::once(woken.as_raw_fd()).chain(left.iter().map(Left::fd));
    let mut list: Vec<_> = fds.map(wait).collect();
    let timeout = look.map_or(-1, |look| look.as_millis() as i32);
    // SAFETY: as many structures as there are. All is looked at again afterwards, whatever it says.
    drop(cvt(unsafe { libc::poll(list.as_mut_ptr(), number(list.len()), timeout) }));
    let mut bytes = [0u8; 64];
    // SAFETY: as many bytes are written as there is room for, at most. It does not block.
    while unsafe { libc::read(woken.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
    for (left, poll) in left.iter_mut().zip(&list[1..]) {
        left.told &= poll.revents == 0 || !matches!(left.child.reap_exited(), Ok(None));
    }
}

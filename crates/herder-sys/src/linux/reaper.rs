//! The thread that reaps children whose owner is gone.
//!
//! One for the whole program, started when the first such child is left, and independent of any runtime: a worker
//! that is blocked, or a runtime that is gone, does not keep a zombie. It waits in epoll_wait(2) on pidfds, so an
//! exit costs the same however many children it has; it never looks at children that it was not given.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::process::ProcessHandle;
use super::{cvt, fd, thread};

/// How often children are looked at whose end no descriptor tells: on hosts without pidfds, and dead ones that a
/// debugger holds.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Reaper {
    epoll: OwnedFd,
    /// An eventfd in it.
    wake: OwnedFd,
    /// Children that the epoll reports, by pid: each is unreaped, so pids are unique.
    watched: Mutex<HashMap<u64, ProcessHandle>>,
    polled: Mutex<Vec<ProcessHandle>>,
}

/// The reaper and the process that started its thread: a forked copy of us has none.
static REAPER: Mutex<Option<(u32, Arc<Reaper>)>> = Mutex::new(None);

/// Children that could not be handed over: no thread or no descriptor was to be had. The next to come try again.
static WAITING: Mutex<Vec<ProcessHandle>> = Mutex::new(Vec::new());

/// Takes over a child that nobody waits for. Does not block and can't fail.
pub(super) fn adopt(child: ProcessHandle) {
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.push(child);
    waiting.retain(|child| matches!(child.reap(), Ok(None)));
    if waiting.is_empty() {
        return;
    }
    if let Ok(reaper) = running() {
        for child in waiting.drain(..) {
            reaper.watch(child);
        }
    }
}

fn running() -> io::Result<Arc<Reaper>> {
    let mut slot = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some((owner, reaper)) if *owner == std::process::id() => Ok(Arc::clone(reaper)),
        _ => {
            let reaper = Arc::new(Reaper::new()?);
            let thread = Arc::clone(&reaper);
            thread::start("herder-reap", move || thread.run())?;
            *slot = Some((std::process::id(), Arc::clone(&reaper)));
            Ok(reaper)
        }
    }
}

impl Reaper {
    fn new() -> io::Result<Self> {
        // SAFETY: numbers only.
        let epoll = fd::own(cvt(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?);
        // SAFETY: numbers only.
        let wake = fd::own(cvt(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?);
        // Edge-triggered: each write wakes once, nobody needs to read.
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: u64::MAX };
        let (set, fd) = (epoll.as_raw_fd(), wake.as_raw_fd());
        // SAFETY: one structure is read.
        cvt(unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(Self { epoll, wake, watched: Mutex::default(), polled: Mutex::default() })
    }

    fn watch(&self, child: ProcessHandle) {
        let key = child.pid() as u64;
        let Some(pidfd) = child.pidfd().map(|fd| fd.as_raw_fd()) else {
            return self.poll(child);
        };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // One-shot: a dead child that a debugger holds stays readable, and must not make us spin.
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLONESHOT) as u32, u64: key };
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: one structure is read.
        match cvt(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, pidfd, &raw mut event) }) {
            Ok(_) => drop(watched.insert(key, child)),
            Err(_) => {
                drop(watched);
                self.poll(child);
            }
        }
    }

    fn poll(&self, child: ProcessHandle) {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        self.wake();
    }

    /// Makes the thread look at its list.
    fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read. It can't fail: the counter of an eventfd never gets near its maximum.
        unsafe { libc::write(self.wake.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    fn run(&self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        loop {
            let timeout = if self.sweep() { -1 } else { POLL.as_millis() as i32 };
            let epoll = self.epoll.as_raw_fd();
            // SAFETY: at most as many events are written as there is room for.
            let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, timeout) };
            for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
                let key = event.u64;
                let child = self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                if let Some(child) = child {
                    self.finish(child);
                }
            }
        }
    }

    /// Whether no child is left that must be looked at from time to time.
    fn sweep(&self) -> bool {
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        polled.retain(|child| matches!(child.reap(), Ok(None)));
        polled.is_empty()
    }

    fn finish(&self, child: ProcessHandle) {
        if matches!(child.reap(), Ok(None)) {
            self.polled.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
    }
}

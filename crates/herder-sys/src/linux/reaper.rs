//! The thread that reaps children whose owner is gone.
//!
//! One for the whole program, started when the first such child is left, and independent of any runtime: a worker
//! that is blocked, or a runtime that is gone, does not keep a zombie. It waits in epoll_wait(2) on pidfds, so an
//! exit costs the same however many children it has; it never looks at children that it was not given.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::process::ProcessHandle;
use super::{cgroup, cvt, doomed, fd, keeper, launch, thread};

/// How often things are looked at whose end no descriptor tells: children on hosts without pidfds, dead ones that a
/// debugger holds, launches that hold a flag of ours.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Reaper {
    /// Made when the first child needs it, and tried again where there were no descriptors.
    poller: OnceLock<Poller>,
    thread: OnceLock<Thread>,
    /// Whether the thread looks from time to time, and needs no wake.
    polling: AtomicBool,
    /// Children that the epoll reports, by the descriptor that tells their end: it is theirs as long as they are here.
    watched: Mutex<HashMap<u64, ProcessHandle>>,
    polled: Mutex<Vec<ProcessHandle>>,
}

#[derive(Debug)]
struct Poller {
    epoll: OwnedFd,
    /// An eventfd in it.
    wake: OwnedFd,
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
    cgroup::retry();
    if ANY_WAITING.load(Ordering::Relaxed) {
        hand_over(&mut WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn hand_over(waiting: &mut Vec<ProcessHandle>) {
    match running() {
        Ok(reaper) => waiting.drain(..).for_each(|child| reaper.watch(child)),
        Err(_) => waiting.retain(|child| matches!(child.reap(), Ok(None))),
    }
    ANY_WAITING.store(!waiting.is_empty(), Ordering::Relaxed);
}

/// Has launches looked at until none holds a flag of ours any more.
pub(super) fn look_after_launches() {
    if let Ok(reaper) = running() {
        reaper.look();
    }
}

/// Whether there is the thread; it is started if there is none.
pub(super) fn is_there() -> bool {
    running().is_ok()
}

/// Has what was dropped looked at now: scopes, until they are empty, and children to kill.
pub(super) fn wake() {
    if let Ok(reaper) = running() {
        reaper.wake();
    }
}

/// The lifeline's key in the epoll: no descriptor is that high.
const LIFELINE: u64 = u64::MAX - 1;

/// Has the keeper looked after once, as soon as its lifeline says something or hangs up; with `room`, also when there
/// is room to write to it.
pub(super) fn watch_lifeline(lifeline: i32, room: bool) -> io::Result<()> {
    let reaper = running()?;
    let poller = reaper.poller().ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))?;
    let room = if room { libc::EPOLLOUT } else { 0 };
    let events = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLONESHOT | room;
    let mut event = libc::epoll_event { events: events as u32, u64: LIFELINE };
    let epoll = poller.epoll.as_raw_fd();
    // SAFETY: one structure is read.
    match cvt(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, lifeline, &raw mut event) }) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
        result => return result.map(drop),
    }
    // SAFETY: one structure is read.
    cvt(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_MOD, lifeline, &raw mut event) }).map(drop)
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

impl Poller {
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
        Ok(Self { epoll, wake })
    }

    fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read. It can't fail: the counter of an eventfd never gets near its maximum.
        unsafe { libc::write(self.wake.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    /// One-shot: a dead child that a debugger holds stays readable, and must not make us spin.
    fn add(&self, pidfd: i32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLONESHOT) as u32, u64: key };
        // SAFETY: one structure is read.
        cvt(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, pidfd, &raw mut event) })
            .map(drop)
    }
}

impl Reaper {
    /// `None` while there are no descriptors for one.
    fn poller(&self) -> Option<&Poller> {
        if self.poller.get().is_none() {
            // Lost against another thread, ours is closed again.
            let _ = self.poller.set(Poller::new().ok()?);
            self.unpark();
        }
        self.poller.get()
    }

    fn watch(&self, child: ProcessHandle) {
        let Some((pidfd, poller)) = child.pidfd().map(|fd| fd.as_raw_fd()).zip(self.poller()) else {
            return self.poll(child);
        };
        let key = pidfd as u64;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if poller.add(pidfd, key).is_ok() {
            watched.insert(key, child);
        } else {
            drop(watched);
            self.poll(child);
        }
    }

    fn poll(&self, child: ProcessHandle) {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        self.look();
    }

    /// Makes the thread look at what it polls.
    fn look(&self) {
        if !self.polling.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    fn wake(&self) {
        match self.poller.get() {
            Some(poller) => poller.wake(),
            None => self.unpark(),
        }
        // The poller may have come in between, and the thread have gone to sleep on it.
        if let Some(poller) = self.poller.get() {
            poller.wake();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn run(&self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        loop {
            // First the promise to look, then the look: what comes after it wakes us if there is no promise.
            let promised = self.sweep();
            self.polling.store(promised.is_some(), Ordering::SeqCst);
            let pause = promised.or_else(|| self.sweep());
            match (self.poller.get(), pause) {
                (Some(poller), pause) => self.wait(poller, &mut events, pause),
                (None, Some(pause)) => std::thread::park_timeout(pause),
                (None, None) => std::thread::park(),
            }
        }
    }

    fn wait(&self, poller: &Poller, events: &mut [libc::epoll_event], pause: Option<Duration>) {
        // Up to the next millisecond: too early would be a look in vain.
        let timeout = pause.map_or(-1, |pause| pause.as_micros().div_ceil(1000) as i32);
        let epoll = poller.epoll.as_raw_fd();
        // SAFETY: at most as many events are written as there is room for.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, timeout) };
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            let key = event.u64;
            if key == LIFELINE {
                keeper::lifeline_changed();
                continue;
            }
            let child = self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if let Some(child) = child {
                self.finish(child);
            }
        }
    }

    /// The time until the next look, if something is left that must be looked at from time to time.
    fn sweep(&self) -> Option<Duration> {
        let doomed = doomed::sweep();
        let scopes = cgroup::sweep();
        let urgent = launch::sweep();
        let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
        polled.retain(|child| matches!(child.reap(), Ok(None)));
        let busy = urgent || !polled.is_empty();
        // Never longer: who comes meanwhile relies on it.
        busy.then_some(POLL).into_iter().chain(scopes.map(|pause| pause.min(POLL))).chain(doomed).min()
    }

    fn finish(&self, child: ProcessHandle) {
        if matches!(child.reap(), Ok(None)) {
            self.polled.lock().unwrap_or_else(PoisonError::into_inner).push(child);
        }
    }
}

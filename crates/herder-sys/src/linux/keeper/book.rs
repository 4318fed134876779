//! What the keeper is told, and that there is always one that has been told.

use std::ffi::OsString;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::process::ProcessHandle;
use super::super::reaper;
use super::protocol::{FORGET, HOUSE, LEADS_GROUP, Message, NAME_BYTES, WATCH};
use super::start::{self, Role, Running};
use super::{House, Refused, State, lifeline};

/// A keeper that lived shorter was not ended by accident, if it happens this often in a row: then no more are
/// started until somebody asks.
const SHORT_LIFE: Duration = Duration::from_millis(50);
const SHORT_LIVES: u32 = 8;

/// So many children that are gone the keeper may hold a descriptor of.
const STALE: usize = 64;

/// All that a keeper has to know, so that another one can be told the same.
#[derive(Debug)]
pub(super) struct Book {
    /// Whose book it is: a forked copy of us begins anew.
    owner: u32,
    life: Life,
    short_lives: u32,
    house: Option<Arc<(OwnedFd, OsString)>>,
    /// By the number that the keeper knows the child by.
    watched: Vec<Option<ProcessHandle>>,
    /// Numbers of `watched` to use again.
    free: Vec<u32>,
    /// Numbers of children that are gone, which the keeper was not told: the next child replaces one of them there.
    stale: Vec<u32>,
    /// Numbers that the keeper could not be told to forget yet.
    unsaid: Vec<u32>,
}

#[derive(Debug)]
enum Life {
    None,
    /// Somebody is starting one, without the lock: who only forgets a child, or asks, does not wait for that.
    Starting,
    Running(Running),
    Refused(Refused),
}

static BOOK: Mutex<Option<Book>> = Mutex::new(None);

/// Told when a start is over.
static STARTED: Condvar = Condvar::new();

/// The book of this process, for the one who looks into it.
pub(super) struct Locked(MutexGuard<'static, Option<Book>>);

impl Deref for Locked {
    type Target = Book;

    fn deref(&self) -> &Book {
        self.0.as_ref().expect("there is one when it is locked")
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Book {
        self.0.as_mut().expect("there is one when it is locked")
    }
}

pub(super) fn lock() -> Locked {
    let mut slot = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let me = std::process::id();
    if slot.as_ref().is_none_or(|book| book.owner != me) {
        // Drops our copy of the lifeline of the process that we were forked from.
        *slot = Some(Book::new(me));
    }
    Locked(slot)
}

impl Locked {
    /// Waits until a keeper runs, or starts one. One that is gone, and whose end the reaper thread has not seen yet,
    /// counts as running: it will be replaced.
    pub(super) fn running(mut self) -> io::Result<Self> {
        let mut has_waited = false;
        loop {
            match &self.life {
                Life::Running(_) => return Ok(self),
                Life::Starting => {
                    self = Self(STARTED.wait(self.0).unwrap_or_else(PoisonError::into_inner));
                    has_waited = true;
                }
                Life::Refused(refused) if has_waited => return Err((*refused).into()),
                Life::None | Life::Refused(_) => {
                    self.life = Life::Starting;
                    drop(self);
                    let started = start::start(Role::Keeper);
                    self = lock();
                    self.settle(started);
                    STARTED.notify_all();
                    has_waited = true;
                }
            }
        }
    }

    pub(super) fn set_house(mut self, house: House<'_>) -> io::Result<()> {
        let name = house.name.as_bytes();
        if name.is_empty() || name.len() >= NAME_BYTES || name.contains(&b'/') || name.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a directory"));
        }
        if let Some(known) = &self.house
            && known.1 == house.name
            && lifeline::is_same(known.0.as_fd(), house.dir)?
        {
            return self.running().map(drop);
        }
        let known = Arc::new((house.dir.try_clone_to_owned()?, house.name.to_owned()));
        self.house = Some(Arc::clone(&known));
        loop {
            // One that is started here knows it; to be told twice does no harm.
            self = self.running()?;
            match self.tell(&house_message(&known), Some(known.0.as_fd()), start::LIMIT) {
                Err(error) if is_gone(&error) => self.bury(Life::None),
                result => {
                    if result.is_err() {
                        self.house = None;
                    }
                    return result;
                }
            }
        }
    }

    /// Registers a child, and tells its number.
    pub(super) fn watch(mut self, child: &ProcessHandle) -> io::Result<u32> {
        loop {
            self = self.running()?;
            self.say_unsaid();
            let slot = self.take_slot()?;
            self.watched[slot as usize] = Some(child.clone());
            match self.tell(&watch_message(slot, child), child.own_pidfd(), Duration::ZERO) {
                Ok(()) => return Ok(slot),
                Err(error) => {
                    self.watched[slot as usize] = None;
                    self.free.push(slot);
                    if !is_gone(&error) {
                        return Err(error);
                    }
                    self.bury(Life::None);
                }
            }
        }
    }

    /// What happened on the lifeline: there is room for more, or the keeper is gone.
    pub(super) fn look_after(mut self) {
        let Life::Running(running) = &self.life else { return };
        if running.is_alive() {
            self.say_unsaid();
            self.listen();
            return;
        }
        let short = running.since.elapsed() < SHORT_LIFE;
        self.short_lives = if short { self.short_lives + 1 } else { 0 };
        self.bury(Life::None);
        if self.short_lives >= SHORT_LIVES {
            self.short_lives = 0;
            let what = "it was ended again and again as soon as it ran";
            self.life = Life::Refused(Refused { what, errno: libc::ECONNRESET });
            return;
        }
        // An error stands in the book, for the next who asks.
        drop(self.running());
    }
}

impl Book {
    fn new(owner: u32) -> Self {
        Self {
            owner,
            life: Life::None,
            short_lives: 0,
            house: None,
            watched: Vec::new(),
            free: Vec::new(),
            stale: Vec::new(),
            unsaid: Vec::new(),
        }
    }

    pub(super) fn state(&self) -> State {
        match &self.life {
            Life::None => State::Idle,
            Life::Starting => State::Starting,
            Life::Running(running) => State::Running { pid: running.pid },
            Life::Refused(refused) => State::Refused(*refused),
        }
    }

    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(child) = self.watched.get_mut(slot as usize) {
            *child = None;
            self.unsaid.push(slot);
            self.say_unsaid();
        }
    }

    /// The child is gone, so that it does no harm if the keeper hears of it late.
    pub(super) fn outlive(&mut self, slot: u32) {
        if self.stale.len() >= STALE {
            return self.forget(slot);
        }
        if let Some(child) = self.watched.get_mut(slot as usize) {
            *child = None;
            self.stale.push(slot);
        }
    }

    /// A number that the keeper does not need, within what it can hold.
    fn take_slot(&mut self) -> io::Result<u32> {
        if let Some(slot) = self.stale.pop().or_else(|| self.free.pop()) {
            return Ok(slot);
        }
        let slot = self.watched.len() as u32;
        match &self.life {
            Life::Running(running) if slot >= running.room => Err(io::Error::from_raw_os_error(libc::EMFILE)),
            _ => {
                self.watched.push(None);
                Ok(slot)
            }
        }
    }

    /// What became of a start. A new keeper is told everything.
    fn settle(&mut self, started: Result<Running, Refused>) {
        self.life = match started {
            Ok(running) => Life::Running(running),
            Err(refused) => Life::Refused(refused),
        };
        if let Err(error) = self.tell_all() {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            self.bury(Life::Refused(Refused { what: "it does not take in what it is told", errno }));
        }
    }

    fn bury(&mut self, next: Life) {
        if let Life::Running(running) = std::mem::replace(&mut self.life, next) {
            running.reap();
        }
    }

    fn tell_all(&mut self) -> io::Result<()> {
        // A new one has nothing to forget.
        self.free.append(&mut self.unsaid);
        self.free.append(&mut self.stale);
        let Life::Running(running) = &self.life else { return Ok(()) };
        if let Some(house) = &self.house {
            lifeline::send(&running.lifeline, &house_message(house), Some(house.0.as_fd()), start::LIMIT)?;
        }
        for (slot, child) in (0..).zip(&self.watched) {
            if let Some(child) = child {
                lifeline::send(
                    &running.lifeline,
                    &watch_message(slot, child),
                    child.own_pidfd(),
                    start::LIMIT,
                )?;
            }
        }
        reaper::watch_lifeline(running.lifeline.as_raw_fd(), false)
    }

    /// Tells the keeper one thing. Where there is none, the next one is told by its start.
    fn tell(&self, message: &Message, fd: Option<BorrowedFd<'_>>, limit: Duration) -> io::Result<()> {
        match &self.life {
            Life::Running(running) => lifeline::send(&running.lifeline, message, fd, limit),
            _ => Ok(()),
        }
    }

    /// A keeper that has too much to read is told later: by the next who has something to say, or by the reaper
    /// thread as soon as there is room. One that is gone will be replaced by that thread.
    fn say_unsaid(&mut self) {
        while let Some(&slot) = self.unsaid.last() {
            let mut message = Message::new(FORGET);
            message.slot = slot;
            if self.tell(&message, None, Duration::ZERO).is_err() {
                self.listen();
                return;
            }
            self.unsaid.pop();
            self.free.push(slot);
        }
    }

    fn listen(&self) {
        if let Life::Running(running) = &self.life {
            // It was added before, so there is nothing that could fail.
            drop(reaper::watch_lifeline(running.lifeline.as_raw_fd(), !self.unsaid.is_empty()));
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET))
}

fn house_message(house: &(OwnedFd, OsString)) -> Message {
    let mut message = Message::new(HOUSE);
    for (to, from) in message.name.iter_mut().zip(house.1.as_bytes()) {
        *to = *from;
    }
    message
}

fn watch_message(slot: u32, child: &ProcessHandle) -> Message {
    let mut message = Message::new(WATCH);
    message.slot = slot;
    message.pid = child.pid();
    message.flags = if child.leads_group() { LEADS_GROUP } else { 0 };
    message
}

//! What the keeper is told, and that there is always one that has been told.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::process::ProcessHandle;
use super::super::reaper;
use super::protocol::{FORGET, HOUSE, LEADS_GROUP, Message, NAME_BYTES, WATCH};
use super::start::{self, Running};
use super::{House, Refused, State, lifeline};

/// A keeper that lived shorter was not ended by accident, if it happens this often in a row: then no more are
/// started until somebody asks.
const SHORT_LIFE: Duration = Duration::from_millis(50);
const SHORT_LIVES: u32 = 8;

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
    /// Numbers that the keeper could not be told to forget yet.
    unsaid: Vec<u32>,
}

#[derive(Debug)]
enum Life {
    None,
    Running(Running),
    Refused(Refused),
}

static BOOK: Mutex<Option<Book>> = Mutex::new(None);

/// Does `work` with the book of this process.
pub(super) fn with_book<T>(work: impl FnOnce(&mut Book) -> T) -> T {
    let mut slot = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let me = std::process::id();
    match &mut *slot {
        Some(book) if book.owner == me => work(book),
        // Drops our copy of the lifeline of the process that we were forked from.
        slot => work(slot.insert(Book::new(me))),
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
            unsaid: Vec::new(),
        }
    }

    pub(super) fn owner(&self) -> u32 {
        self.owner
    }

    pub(super) fn state(&self) -> State {
        match &self.life {
            Life::None => State::Idle,
            Life::Running(running) => State::Running { pid: running.pid },
            Life::Refused(refused) => State::Refused(*refused),
        }
    }

    pub(super) fn set_house(&mut self, house: House<'_>) -> io::Result<()> {
        let name = house.name.as_bytes();
        if name.is_empty() || name.len() >= NAME_BYTES || name.contains(&b'/') || name.contains(&0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a directory"));
        }
        if let Some(known) = &self.house
            && known.1 == house.name
            && lifeline::is_same(known.0.as_fd(), house.dir)?
        {
            return self.start_if_none();
        }
        let known = Arc::new((house.dir.try_clone_to_owned()?, house.name.to_owned()));
        let before = self.house.replace(Arc::clone(&known));
        let was_running = matches!(self.life, Life::Running(_));
        // A keeper that is started here is told of it by that.
        let mut result = self.start_if_none();
        if was_running && result.is_ok() {
            result = self.tell(&house_message(&known), Some(known.0.as_fd()), start::LIMIT);
        }
        if result.is_err() {
            self.house = before;
        }
        result
    }

    /// Registers a child, and tells its number.
    pub(super) fn watch(&mut self, child: &ProcessHandle) -> io::Result<u32> {
        self.start_if_none()?;
        self.say_unsaid();
        let slot = self.free.last().copied().unwrap_or(self.watched.len() as u32);
        if let Life::Running(running) = &self.life
            && slot >= running.room
        {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        if self.free.pop().is_none() {
            self.watched.push(None);
        }
        let at = slot as usize;
        self.watched[at] = Some(child.clone());
        let told = self.tell(&watch_message(slot, child), child.pidfd(), Duration::ZERO);
        if told.is_err() {
            self.watched[at] = None;
            self.free.push(slot);
        }
        told.map(|()| slot)
    }

    pub(super) fn forget(&mut self, slot: u32) {
        if let Some(child) = self.watched.get_mut(slot as usize) {
            *child = None;
            self.unsaid.push(slot);
            self.say_unsaid();
        }
    }

    /// What happened on the lifeline: there is room for more, or the keeper is gone.
    pub(super) fn look_after(&mut self) {
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
        drop(self.start_if_none());
    }

    /// One that is gone, and whose end the reaper thread has not seen yet, counts as running: it will be replaced.
    pub(super) fn start_if_none(&mut self) -> io::Result<()> {
        if matches!(self.life, Life::Running(_)) {
            return Ok(());
        }
        match start::start() {
            Ok(running) => self.life = Life::Running(running),
            Err(refused) => {
                self.life = Life::Refused(refused);
                return Err(refused.into());
            }
        }
        self.tell_all().map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let refused = Refused { what: "it does not take in what it is told", errno };
            self.bury(Life::Refused(refused));
            refused.into()
        })
    }

    fn bury(&mut self, next: Life) {
        if let Life::Running(running) = std::mem::replace(&mut self.life, next) {
            running.bury();
        }
    }

    fn tell_all(&mut self) -> io::Result<()> {
        // A new one has nothing to forget.
        self.free.append(&mut self.unsaid);
        let Life::Running(running) = &self.life else { return Ok(()) };
        if let Some(house) = &self.house {
            lifeline::send(&running.lifeline, &house_message(house), Some(house.0.as_fd()), start::LIMIT)?;
        }
        for (slot, child) in (0..).zip(&self.watched) {
            if let Some(child) = child {
                lifeline::send(&running.lifeline, &watch_message(slot, child), child.pidfd(), start::LIMIT)?;
            }
        }
        reaper::watch_lifeline(running.lifeline.as_raw_fd(), false)
    }

    /// Tells the keeper one thing that stands in the book already: if it is gone, the next one is told by its start.
    fn tell(&mut self, message: &Message, fd: Option<BorrowedFd<'_>>, limit: Duration) -> io::Result<()> {
        let Life::Running(running) = &self.life else { return Ok(()) };
        match lifeline::send(&running.lifeline, message, fd, limit) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => {
                self.bury(Life::None);
                self.start_if_none()
            }
            result => result,
        }
    }

    /// A keeper that has too much to read is told later: by the next who has something to say, or by the reaper
    /// thread as soon as there is room.
    fn say_unsaid(&mut self) {
        while let Some(&slot) = self.unsaid.last() {
            let mut message = Message::new(FORGET);
            message.slot = slot;
            if self.tell(&message, None, Duration::ZERO).is_err() {
                self.listen();
                return;
            }
            // Gone from there already if a new keeper was started.
            if self.unsaid.pop().is_some() {
                self.free.push(slot);
            }
        }
    }

    fn listen(&self) {
        if let Life::Running(running) = &self.life {
            // It was added before, so there is nothing that could fail.
            drop(reaper::watch_lifeline(running.lifeline.as_raw_fd(), !self.unsaid.is_empty()));
        }
    }
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

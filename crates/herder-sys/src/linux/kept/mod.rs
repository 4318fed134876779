//! Scopes whose children are born below a keeper of their own: for users without a cgroup that they may write to.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | one scope: kill, signal, freeze, empty? and the end |
//! | `refusal` | why there can be none on a host |
//! | `nursery` | the process that bears the keepers of scopes: that it is there, and has what we have to hand on |
//! | `birth` | one child: the order to the scope's keeper, and its answer |
//! | `order` | a plan as an order |
//! | `cord` | what the scope's keeper tells of one child, later |
//! | `tree` | who is below the scope's keeper |

mod birth;
mod cord;
mod nursery;
mod order;
mod refusal;
mod tree;

pub(super) use cord::{Cord, News};
pub(super) use nursery::tidy;
pub(super) use refusal::{namespace_refusal, refusal};

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use self::nursery::{Found, Idle, Kind, Nursery};
use self::tree::Root;
use super::keeper::lifeline;
use super::keeper::protocol::{EMPTY, HELLO, KILL, Message, RELEASE, UNBORN};
use super::{cvt, pidfd};
use crate::{LaunchError, Limit, Mechanism, Member, Refusal, ScopeStats, Signal, SpawnStep};

/// A scope's keeper, as we know it. Dropped, it has all that is in the scope killed.
#[derive(Debug)]
pub(super) struct Kept {
    owner: u32,
    /// The keeper is the first process of a PID namespace.
    is_namespace: bool,
    /// Whether what its members use is to be told: a keeper that had others before would tell theirs, too.
    account: bool,
    nursery: Arc<Nursery>,
    socket: OwnedFd,
    /// Taken while news is read, and what it says written down.
    reading: Mutex<()>,
    /// The process, once it has said who it is: before it bears anybody.
    root: OnceLock<Arc<Root>>,
    /// Why there will be none.
    refused: OnceLock<i32>,
    /// Whether somebody was born.
    used: AtomicBool,
    /// Whether we stopped it. Held for reading while a child is born.
    frozen: RwLock<bool>,
    /// Whether the end of this value lets the members go on.
    released: AtomicBool,
    /// Whether an order may be under way still.
    unanswered: AtomicBool,
}

impl Kept {
    pub(super) fn new(account: bool) -> Result<Self, Refusal> {
        Self::make(if account { Kind::New } else { Kind::Any }, account)
    }

    pub(super) fn namespace(account: bool) -> Result<Self, Refusal> {
        Self::make(Kind::Namespace, account)
    }

    fn make(kind: Kind, account: bool) -> Result<Self, Refusal> {
        let Found { nursery, socket, root } = nursery::scope(kind)?;
        Ok(Self {
            owner: std::process::id(),
            is_namespace: kind == Kind::Namespace,
            account,
            nursery,
            socket,
            reading: Mutex::default(),
            root: root.map_or_else(OnceLock::new, OnceLock::from),
            refused: OnceLock::new(),
            used: AtomicBool::new(false),
            frozen: RwLock::new(false),
            released: AtomicBool::new(false),
            unanswered: AtomicBool::new(false),
        })
    }

    pub(super) fn mechanism(&self) -> Mechanism {
        if self.is_namespace { Mechanism::PidNamespace } else { Mechanism::Keeper }
    }

    /// Reads what the keeper has said so far.
    fn read_news(&self) {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match lifeline::receive(&self.socket, Duration::ZERO) {
                Ok((message, Some(pidfd))) if message.kind == HELLO => {
                    // It says so once.
                    let _ = self.root.set(Arc::new(Root { pid: message.pid, pidfd }));
                }
                Ok((message, _)) if message.kind == UNBORN => {
                    let _ = self.refused.set(message.pid);
                }
                // Who reads this looks for itself.
                Ok((message, _)) => debug_assert_eq!(message.kind, EMPTY),
                // It has not read all that it was told, and is gone. What it has said is there still.
                Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => {}
                // No more for now, or for ever.
                Err(_) => return,
            }
        }
    }

    /// The keeper, if it has said who it is.
    fn root(&self) -> Option<&Arc<Root>> {
        if self.root.get().is_none() {
            self.read_news();
        }
        self.root.get()
    }

    /// The way in, for one birth: while it is held, the scope is not frozen.
    fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, LaunchError> {
        let frozen = self.frozen.read().unwrap_or_else(PoisonError::into_inner);
        if *frozen {
            return Err(LaunchError { step: SpawnStep::Scope, errno: libc::EBUSY });
        }
        Ok(frozen)
    }

    /// Why it does not answer: the keeper could not be made, or was killed.
    fn gone(&self) -> LaunchError {
        self.read_news();
        match self.refused.get() {
            Some(errno @ (&libc::EAGAIN | &libc::ENOMEM | &libc::EMFILE | &libc::ENFILE)) => {
                LaunchError { step: SpawnStep::Clone, errno: *errno }
            }
            errno => LaunchError { step: SpawnStep::Scope, errno: errno.copied().unwrap_or(libc::ENODEV) },
        }
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        let told = lifeline::send(&self.socket, &Message::new(KILL), None, Duration::ZERO);
        let Some(root) = self.root() else { return Ok(()) };
        // Somebody may have stopped it.
        forgive_gone(pidfd::send(&root.pidfd, libc::SIGCONT, 0))?;
        match told {
            // It does not read, or is gone, and then the nursery kills them, or the kernel does.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => root.send_to_all(libc::SIGKILL),
            _ => Ok(()),
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if signal == Signal::KILL {
            return self.kill();
        }
        self.root().map_or(Ok(()), |root| root.send_to_all(signal.as_raw()))
    }

    pub(super) fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        let mut state = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        self.signal(if frozen { Signal::STOP } else { Signal::CONT })?;
        *state = frozen;
        Ok(())
    }

    pub(super) fn is_frozen(&self) -> bool {
        *self.frozen.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        // It is news no more.
        self.read_news();
        match self.root() {
            Some(root) => root.is_childless(),
            // Nobody was born there yet, as that comes after the word of the keeper.
            None => Ok(!self.used.load(Ordering::SeqCst)),
        }
    }

    /// Readable when the keeper has said something, or is gone.
    pub(super) fn changes(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn members(&self) -> io::Result<Vec<Member>> {
        self.root().map_or_else(|| Ok(Vec::new()), |root| root.members())
    }

    pub(super) fn stats(&self) -> io::Result<ScopeStats> {
        if !self.account {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.root().map_or_else(|| Ok(ScopeStats::default()), |root| root.stats())
    }

    pub(super) fn limit(&self, _: Limit) -> Result<(), Refusal> {
        let what = format!("{} can't limit what processes use together", self.named());
        Err(Refusal::of(what, &io::Error::from_raw_os_error(libc::EOPNOTSUPP), "it takes a cgroup"))
    }

    /// Why it takes in nobody who was not born there.
    pub(super) fn refuse_foreign(&self) -> Refusal {
        let what = format!("{} can't take in a process that it has not born", self.named());
        let error = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        Refusal::of(what, &error, "start it there, or hold it by a cgroup")
    }

    fn named(&self) -> &'static str {
        if self.is_namespace { "a PID namespace" } else { "a keeper" }
    }

    /// Whether another scope can have its keeper: it lives, and nobody is, or comes to be, below it. Not that of a
    /// namespace, as those who were in there may have changed its mounts.
    fn is_as_good_as_new(&self, root: &Root) -> bool {
        if self.is_namespace || self.is_frozen() || self.unanswered.load(Ordering::SeqCst) {
            return false;
        }
        self.read_news();
        root.is_childless().unwrap_or(false) && !root.has_ended()
    }

    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // In a forked copy of the owner, the scope is not ours to end.
        if self.owner != std::process::id() {
            return;
        }
        if self.released.load(Ordering::Relaxed) {
            let told = lifeline::send(&self.socket, &Message::new(RELEASE), None, Duration::ZERO);
            if told.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
                && let Ok(kept) = self.socket.try_clone()
            {
                // It is not to take our end of it for the end of the scope: that is there until we are gone.
                let _kept = std::mem::ManuallyDrop::new(kept);
            }
            return;
        }
        if let Some(root) = self.root.get().filter(|root| self.is_as_good_as_new(root))
            && let Ok(socket) = self.socket.try_clone()
            && self.nursery.take_back(Idle { socket, root: Arc::clone(root) })
        {
            return;
        }
        // Not only our end of it: a forked copy of us may have it, too. It may be shut already.
        // SAFETY: numbers only.
        let _ = cvt(unsafe { libc::shutdown(self.socket.as_raw_fd(), libc::SHUT_RDWR) });
        if let Some(root) = self.root.get() {
            // Somebody may have stopped it; if it is gone, the nursery does its work.
            let _ = pidfd::send(&root.pidfd, libc::SIGCONT, 0);
        }
    }
}

/// A process that is gone needs no signal.
fn forgive_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

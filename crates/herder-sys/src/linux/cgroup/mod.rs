//! Scopes that are cgroups (v2): the kernel keeps the list of the members, whatever they do.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | one leaf while a scope has it: enter, kill, freeze, empty? and the end |
//! | `leaf` | one folder of a house: what it says about its inside, and the kill of it |
//! | `find` | where this program is in the hierarchy (pure) |
//! | `house` | the program's own folder of leaves, the pool in it, and the sweep of dead owners' |
//! | `ending` | what was dropped and is not empty yet, for the reaper thread |
//! | `members` | who is inside, and signals to them |
//! | `limits` | limits by controllers, and why not |
//! | `files` | small files and folders of cgroupfs |
//!
//! No controller is needed for any of it but for limits.

mod ending;
mod files;
mod find;
mod house;
mod leaf;
mod limits;
mod members;

pub(super) use ending::{retry, sweep};
pub(super) use house::{refusal, tidy};

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use self::house::House;
use self::leaf::{Dir, Leaf, spent};
use crate::{LaunchError, Limit, Member, Refusal, ScopeStats, Signal, SpawnStep};

/// A scope's hold of a leaf. Dropped, it kills what is in it, and the leaf goes back when it is empty.
#[derive(Debug)]
pub(super) struct Cgroup {
    owner: u32,
    house: Arc<House>,
    /// Taken at the end only.
    leaf: Option<Leaf>,
    /// Whether we froze it. Held for reading while a child is born.
    frozen: RwLock<bool>,
    /// Whether the end of this value lets the members go on.
    released: AtomicBool,
    /// Whether the end of this value leaves the kill to the reaper thread.
    soon: AtomicBool,
    /// Where children are born, once the leaf was killed.
    annex: Mutex<Annex>,
}

/// A cgroup in the leaf, and how often the leaf had been killed when it was made.
#[derive(Debug, Default)]
struct Annex {
    kills: u32,
    dir: Option<Arc<OwnedFd>>,
}

/// Where a child is born.
#[derive(Debug)]
enum Place<'a> {
    Leaf(Dir<'a>),
    Annex(Arc<OwnedFd>),
}

/// A way into the scope, for one birth: while it is there, the scope is not frozen.
#[derive(Debug)]
pub(super) struct Entrance<'a> {
    dir: Place<'a>,
    cgroup: &'a Cgroup,
    _frozen: RwLockReadGuard<'a, bool>,
}

impl Entrance<'_> {
    pub(super) fn dir(&self) -> RawFd {
        match &self.dir {
            Place::Leaf(dir) => dir.as_fd().as_raw_fd(),
            Place::Annex(dir) => dir.as_raw_fd(),
        }
    }

    /// Whose fault a refused birth is.
    pub(super) fn failure(&self, errno: i32) -> LaunchError {
        let step = match errno {
            libc::EAGAIN if !self.cgroup.is_full() => SpawnStep::Clone,
            libc::ENOMEM | libc::EMFILE | libc::ENFILE => SpawnStep::Clone,
            _ => SpawnStep::Scope,
        };
        LaunchError { step, errno }
    }
}

impl Cgroup {
    /// `account`: whether it is asked for its [`stats`](Self::stats).
    pub(super) fn new(account: bool) -> Result<Self, Refusal> {
        let mut house = house::current()?;
        let mut leaf = house.take(account);
        if leaf.as_ref().is_err_and(files::is_gone) {
            // Somebody removed the house.
            house.forget();
            house = house::current()?;
            leaf = house.take(account);
        }
        let leaf = leaf.map_err(|error| house.refuse_leaf(&error))?;
        Ok(Self::with(house, leaf))
    }

    fn with(house: Arc<House>, leaf: Leaf) -> Self {
        Self {
            owner: std::process::id(),
            house,
            leaf: Some(leaf),
            frozen: RwLock::new(false),
            released: AtomicBool::new(false),
            soon: AtomicBool::new(false),
            annex: Mutex::default(),
        }
    }

    fn leaf(&self) -> io::Result<&Leaf> {
        // It is there as long as anybody can ask.
        self.leaf.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    fn dir(&self) -> io::Result<Dir<'_>> {
        self.leaf()?.dir()
    }

    pub(super) fn enter(&self) -> Result<Entrance<'_>, LaunchError> {
        let refuse = |errno| LaunchError { step: SpawnStep::Scope, errno };
        let frozen = self.frozen.read().unwrap_or_else(PoisonError::into_inner);
        if *frozen {
            return Err(refuse(libc::EBUSY));
        }
        let failure = |error: io::Error| match error.raw_os_error() {
            Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                LaunchError { step: SpawnStep::Prepare, errno }
            }
            errno => refuse(errno.unwrap_or(libc::ENODEV)),
        };
        let leaf = self.leaf().map_err(failure)?;
        let dir = match self.annex(leaf).map_err(failure)? {
            Some(annex) => Place::Annex(annex),
            None => Place::Leaf(leaf.dir().map_err(failure)?),
        };
        Ok(Entrance { dir, cgroup: self, _frozen: frozen })
    }

    /// Where to be born in a leaf that was killed: see [`Leaf::kill`].
    fn annex(&self, leaf: &Leaf) -> io::Result<Option<Arc<OwnedFd>>> {
        let kills = leaf.kills.load(Ordering::SeqCst);
        if kills == 0 {
            return Ok(None);
        }
        let mut annex = self.annex.lock().unwrap_or_else(PoisonError::into_inner);
        if annex.kills != kills || annex.dir.is_none() {
            let name = |kills| files::number_name(u64::from(kills));
            let dir = leaf.dir()?;
            // The last one is empty, or is removed with the leaf.
            drop(files::remove_dir(dir.as_fd(), &name(annex.kills)));
            files::make_dir(dir.as_fd(), &name(kills))?;
            *annex = Annex { kills, dir: Some(Arc::new(files::open_dir(dir.as_fd(), &name(kills))?)) };
        }
        Ok(annex.dir.clone())
    }

    /// Whether the limit of processes is reached.
    fn is_full(&self) -> bool {
        let Ok(dir) = self.dir() else { return false };
        let number = |name| files::read(dir.as_fd(), name).ok()?.trim().parse::<u64>().ok();
        number(c"pids.max").zip(number(c"pids.current")).is_some_and(|(most, now)| now >= most)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        self.leaf()?.kill()
    }

    pub(super) fn adopt(&self, pid: i32) -> io::Result<()> {
        files::write(self.dir()?.as_fd(), c"cgroup.procs", &pid.to_string())
    }

    pub(super) fn leave_kill(&self) {
        self.soon.store(true, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if signal == Signal::KILL {
            return self.kill();
        }
        members::signal(self.dir()?.as_fd(), signal.as_raw())
    }

    pub(super) fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        let mut state = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        files::write(self.dir()?.as_fd(), c"cgroup.freeze", if frozen { "1" } else { "0" })?;
        *state = frozen;
        Ok(())
    }

    pub(super) fn is_frozen(&self) -> bool {
        *self.frozen.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(!self.leaf()?.state()?.populated)
    }

    pub(super) fn changes(&self) -> Option<BorrowedFd<'_>> {
        let leaf = self.leaf().ok()?;
        if leaf.events.get().is_none() {
            // Lost against another thread, ours is closed again.
            let _ = leaf.events.set(files::open_file(leaf.dir().ok()?.as_fd(), c"cgroup.events").ok()?);
        }
        leaf.events.get().map(AsFd::as_fd)
    }

    pub(super) fn members(&self) -> io::Result<Vec<Member>> {
        members::list(self.dir()?.as_fd())
    }

    pub(super) fn stats(&self) -> io::Result<ScopeStats> {
        let leaf = self.leaf()?;
        let Some(before) = leaf.spent else { return Err(io::ErrorKind::Unsupported.into()) };
        let dir = leaf.dir()?;
        let now = spent(dir.as_fd())?;
        let bytes = |name| files::read(dir.as_fd(), name).ok()?.trim().parse().ok();
        Ok(ScopeStats {
            processes: members::pids(dir.as_fd())?.len(),
            user: Duration::from_micros(now.user.saturating_sub(before.user)),
            system: Duration::from_micros(now.system.saturating_sub(before.system)),
            memory: bytes(c"memory.current"),
            memory_peak: bytes(c"memory.peak"),
            oom_kills: self.oom_kills(),
        })
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        files::value_of(&files::read(self.dir().ok()?.as_fd(), c"memory.events").ok()?, "oom_kill")
    }

    pub(super) fn limit(&self, limit: Limit) -> Result<(), Refusal> {
        let ended = |error| Refusal::of("the scope has ended", &error, "");
        let leaf = self.leaf().map_err(ended)?;
        leaf.changed.store(true, Ordering::Relaxed);
        limits::apply(&self.house, leaf.dir().map_err(ended)?.as_fd(), limit)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // In a forked copy of the owner, the scope is not ours to end.
        if self.owner != std::process::id() {
            return;
        }
        if let Some(leaf) = self.leaf.take() {
            let [released, soon] = [&self.released, &self.soon].map(|flag| flag.load(Ordering::Relaxed));
            ending::end(&self.house, leaf, released, soon);
        }
    }
}

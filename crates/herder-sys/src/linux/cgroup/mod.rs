//! Scopes that are cgroups (v2): the kernel keeps the list of the members, whatever they do.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | one leaf while a scope has it: enter, kill, freeze, empty? and the end |
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
mod limits;
mod members;

pub(super) use ending::{retry, sweep};
pub(super) use house::{refusal, tidy};

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use self::house::House;
use super::facts;
use crate::{LaunchError, Limit, Member, Refusal, ScopeStats, Signal, SpawnStep};

/// A folder for the processes of one scope at a time.
#[derive(Debug)]
struct Leaf {
    number: u64,
    dir: OwnedFd,
    /// `cgroup.events`, once somebody watches it.
    events: OnceLock<File>,
    /// The processor time of earlier scopes here: the kernel goes on counting.
    spent: Spent,
    /// Whether it differs from a new one, and so can't serve again.
    changed: AtomicBool,
    /// How often it was killed.
    kills: AtomicU32,
}

/// Processor time in user mode and in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
    user: u64,
    system: u64,
}

/// What the kernel says about the inside of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    populated: bool,
    frozen: bool,
}

impl Leaf {
    fn new(number: u64, dir: OwnedFd) -> Self {
        Self {
            number,
            dir,
            events: OnceLock::new(),
            spent: Spent::default(),
            changed: AtomicBool::new(false),
            kills: AtomicU32::new(0),
        }
    }

    fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn state(&self) -> io::Result<State> {
        // Through the file that is watched: reading it is what makes it quiet again.
        match self.events.get() {
            Some(events) => read_state(events),
            None => read_state(&files::open_file(self.dir(), c"cgroup.events")?),
        }
    }

    /// One round of a kill.
    ///
    /// A cgroup that was killed once is no place for births: kernels since 6.14 compare how often the parent's cgroup
    /// and the child's were killed, to find births that a kill has overtaken, and so kill every child that comes
    /// from elsewhere (`CLONE_INTO_CGROUP`).
    fn kill(&self) -> io::Result<()> {
        let by_file = !is_killed_by_hand(self.dir());
        self.changed.fetch_or(by_file, Ordering::Relaxed);
        let result = kill(self.dir());
        // After the kill: who makes a place for births because of it must come later.
        self.kills.fetch_add(u32::from(by_file), Ordering::SeqCst);
        result
    }

    /// Makes it as good as new. `false`: it can't be.
    fn renew(&mut self, state: State) -> bool {
        if self.changed.load(Ordering::Relaxed) || files::has_dirs(self.dir()).unwrap_or(true) {
            return false;
        }
        if state.frozen && files::write(self.dir(), c"cgroup.freeze", "0").is_err() {
            return false;
        }
        let Ok(spent) = spent(self.dir()) else { return false };
        self.spent = spent;
        self.events = OnceLock::new();
        true
    }
}

fn read_state(events: &File) -> io::Result<State> {
    let mut text = [0u8; 128];
    let count = events.read_at(&mut text, 0)?;
    let says = |line: &[u8]| text[..count].split(|byte| *byte == b'\n').any(|found| found == line);
    Ok(State { populated: !says(b"populated 0"), frozen: says(b"frozen 1") })
}

fn spent(dir: BorrowedFd<'_>) -> io::Result<Spent> {
    let text = files::read(dir, c"cpu.stat")?;
    let value = |key| files::value_of(&text, key).unwrap_or(0);
    Ok(Spent { user: value("user_usec"), system: value("system_usec") })
}

/// One round of a kill of all that is in `dir` and below. It does not wait.
fn kill(dir: BorrowedFd<'_>) -> io::Result<()> {
    if is_killed_by_hand(dir) { members::kill(dir) } else { files::write(dir, c"cgroup.kill", "1") }
}

/// Whether this kernel lacks `cgroup.kill` (before 5.14), or it is not to be used.
fn is_killed_by_hand(dir: BorrowedFd<'_>) -> bool {
    static BY_HAND: OnceLock<bool> = OnceLock::new();
    let lacks = || {
        files::open_file(dir, c"cgroup.procs").is_ok()
            && files::attributes(dir, c"cgroup.kill").is_err_and(|error| files::is_gone(&error))
    };
    *BY_HAND.get_or_init(|| facts::is_disabled("cgroup_kill") || lacks())
}

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
    /// Where children are born, once the leaf was killed.
    annex: Mutex<Annex>,
}

/// A cgroup in the leaf, and how often the leaf had been killed when it was made.
#[derive(Debug, Default)]
struct Annex {
    kills: u32,
    dir: Option<Arc<OwnedFd>>,
}

/// A way into the scope, for one birth: while it is there, the scope is not frozen.
#[derive(Debug)]
pub(super) struct Entrance<'a> {
    dir: RawFd,
    _annex: Option<Arc<OwnedFd>>,
    cgroup: &'a Cgroup,
    _frozen: RwLockReadGuard<'a, bool>,
}

impl Entrance<'_> {
    pub(super) fn dir(&self) -> RawFd {
        self.dir
    }

    /// Whose fault a refused birth is.
    pub(super) fn failure(&self, errno: i32) -> LaunchError {
        let step = match errno {
            libc::EAGAIN if !self.cgroup.is_full() => SpawnStep::Clone,
            libc::ENOMEM => SpawnStep::Clone,
            _ => SpawnStep::Scope,
        };
        LaunchError { step, errno }
    }
}

impl Cgroup {
    pub(super) fn new() -> Result<Self, Refusal> {
        let house = house::current()?;
        let leaf = match house.take() {
            // Somebody removed the house.
            Err(error) if files::is_gone(&error) => {
                house.forget();
                let house = house::current()?;
                let leaf = house.take().map_err(|error| house.refuse_leaf(&error))?;
                return Ok(Self::with(house, leaf));
            }
            leaf => leaf.map_err(|error| house.refuse_leaf(&error))?,
        };
        Ok(Self::with(house, leaf))
    }

    fn with(house: Arc<House>, leaf: Leaf) -> Self {
        Self {
            owner: std::process::id(),
            house,
            leaf: Some(leaf),
            frozen: RwLock::new(false),
            released: AtomicBool::new(false),
            annex: Mutex::default(),
        }
    }

    fn leaf(&self) -> io::Result<&Leaf> {
        // It is there as long as anybody can ask.
        self.leaf.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    fn dir(&self) -> io::Result<BorrowedFd<'_>> {
        self.leaf().map(Leaf::dir)
    }

    pub(super) fn enter(&self) -> Result<Entrance<'_>, LaunchError> {
        let refuse = |errno| LaunchError { step: SpawnStep::Scope, errno };
        let frozen = self.frozen.read().unwrap_or_else(PoisonError::into_inner);
        if *frozen {
            return Err(refuse(libc::EBUSY));
        }
        let failure = |error: io::Error| refuse(error.raw_os_error().unwrap_or(libc::ENODEV));
        let leaf = self.leaf().map_err(failure)?;
        let annex = self.annex(leaf).map_err(failure)?;
        let dir = annex.as_deref().unwrap_or(&leaf.dir).as_raw_fd();
        Ok(Entrance { dir, _annex: annex, cgroup: self, _frozen: frozen })
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
            // The last one is empty, or is removed with the leaf.
            drop(files::remove_dir(leaf.dir(), &name(annex.kills)));
            files::make_dir(leaf.dir(), &name(kills))?;
            *annex = Annex { kills, dir: Some(Arc::new(files::open_dir(leaf.dir(), &name(kills))?)) };
        }
        Ok(annex.dir.clone())
    }

    /// Whether the limit of processes is reached.
    fn is_full(&self) -> bool {
        let Ok(dir) = self.dir() else { return false };
        let number = |name| files::read(dir, name).ok()?.trim().parse::<u64>().ok();
        number(c"pids.max").zip(number(c"pids.current")).is_some_and(|(most, now)| now >= most)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        self.leaf()?.kill()
    }

    pub(super) fn adopt(&self, pid: i32) -> io::Result<()> {
        files::write(self.dir()?, c"cgroup.procs", &pid.to_string())
    }

    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Relaxed);
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        if signal == Signal::KILL {
            return self.kill();
        }
        members::signal(self.dir()?, signal.as_raw())
    }

    pub(super) fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        let mut state = self.frozen.write().unwrap_or_else(PoisonError::into_inner);
        files::write(self.dir()?, c"cgroup.freeze", if frozen { "1" } else { "0" })?;
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
            let _ = leaf.events.set(files::open_file(leaf.dir(), c"cgroup.events").ok()?);
        }
        leaf.events.get().map(AsFd::as_fd)
    }

    pub(super) fn members(&self) -> io::Result<Vec<Member>> {
        members::list(self.dir()?)
    }

    pub(super) fn stats(&self) -> io::Result<ScopeStats> {
        let leaf = self.leaf()?;
        let (now, before) = (spent(leaf.dir())?, leaf.spent);
        let bytes = |name| files::read(leaf.dir(), name).ok()?.trim().parse().ok();
        Ok(ScopeStats {
            processes: members::pids(leaf.dir())?.len(),
            user: Duration::from_micros(now.user.saturating_sub(before.user)),
            system: Duration::from_micros(now.system.saturating_sub(before.system)),
            memory: bytes(c"memory.current"),
            memory_peak: bytes(c"memory.peak"),
        })
    }

    pub(super) fn limit(&self, limit: Limit) -> Result<(), Refusal> {
        let leaf = self.leaf().map_err(|error| Refusal::of("the scope has ended", &error, ""))?;
        leaf.changed.store(true, Ordering::Relaxed);
        limits::apply(&self.house, leaf.dir(), limit)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // In a forked copy of the owner, the scope is not ours to end.
        if self.owner != std::process::id() {
            return;
        }
        if let Some(leaf) = self.leaf.take() {
            ending::end(&self.house, leaf, self.released.load(Ordering::Relaxed));
        }
    }
}

//! One folder of a house: what it says about its inside, and the kill of it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::super::facts;
use super::{files, members};

/// A folder for the processes of one scope at a time.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) name: CString,
    pub(super) home: Arc<Home>,
    /// Open if it is one of the few that are kept so; else it is opened by its name whenever it is needed.
    dir: Option<OwnedFd>,
    /// `cgroup.events`: if the folder is kept open, or once somebody watches it.
    pub(super) events: OnceLock<File>,
    /// The processor time of earlier scopes here: the kernel goes on counting. `None`: nobody looked.
    pub(super) spent: Option<Spent>,
    /// Whether it differs from a new one, and so can't serve again.
    pub(super) changed: AtomicBool,
    /// How often it was killed.
    pub(super) kills: AtomicU32,
}

/// The folder that the leaves are in.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: OwnedFd,
    /// How many leaves are kept open.
    pub(super) open: AtomicUsize,
}

/// So many leaves are kept open, with two descriptors each: births into them, and the look at what is left, cost no
/// other system calls. All others cost a descriptor only while somebody waits for their end.
const OPEN: usize = 16;

/// The folder of a leaf, for as long as it is used.
#[derive(Debug)]
pub(super) enum Dir<'a> {
    Kept(BorrowedFd<'a>),
    Opened(OwnedFd),
}

impl AsFd for Dir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Kept(dir) => dir.as_fd(),
            Self::Opened(dir) => dir.as_fd(),
        }
    }
}

/// Processor time in user mode and in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) user: u64,
    pub(super) system: u64,
}

/// What the kernel says about the inside of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) populated: bool,
    pub(super) frozen: bool,
}

impl Leaf {
    /// That of a folder which is there.
    pub(super) fn new(home: Arc<Home>, name: CString) -> io::Result<Self> {
        let mut leaf = Self {
            name,
            home,
            dir: None,
            events: OnceLock::new(),
            spent: Some(Spent::default()),
            changed: AtomicBool::new(false),
            kills: AtomicU32::new(0),
        };
        if leaf.home.open.fetch_add(1, Ordering::Relaxed) < OPEN {
            let dir = files::open_dir(leaf.home.dir.as_fd(), &leaf.name).inspect_err(|_| {
                leaf.home.open.fetch_sub(1, Ordering::Relaxed);
            })?;
            // Dropped from here on, it counts itself off.
            let dir = leaf.dir.insert(dir);
            leaf.events = OnceLock::from(files::open_file(dir.as_fd(), c"cgroup.events")?);
        } else {
            leaf.home.open.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(leaf)
    }

    pub(super) fn is_kept_open(&self) -> bool {
        self.dir.is_some()
    }

    pub(super) fn dir(&self) -> io::Result<Dir<'_>> {
        match &self.dir {
            Some(dir) => Ok(Dir::Kept(dir.as_fd())),
            None => files::open_dir(self.home.dir.as_fd(), &self.name).map(Dir::Opened),
        }
    }

    pub(super) fn state(&self) -> io::Result<State> {
        // Through the file that is watched: reading it is what makes it quiet again.
        match self.events.get() {
            Some(events) => read_state(events),
            None => {
                let path = [self.name.to_bytes(), b"/cgroup.events"].concat();
                read_state(&files::open_file(self.home.dir.as_fd(), &CString::new(path)?)?)
            }
        }
    }

    /// One round of a kill.
    ///
    /// A cgroup that was killed once is no place for births: kernels since 6.14 compare how often the parent's cgroup
    /// and the child's were killed, to find births that a kill has overtaken, and so kill every child that comes
    /// from elsewhere (`CLONE_INTO_CGROUP`).
    pub(super) fn kill(&self) -> io::Result<()> {
        let dir = self.dir()?;
        let by_file = !is_killed_by_hand(dir.as_fd());
        self.changed.fetch_or(by_file, Ordering::Relaxed);
        let result = kill(dir.as_fd());
        // After the kill: who makes a place for births because of it must come later.
        self.kills.fetch_add(u32::from(by_file), Ordering::SeqCst);
        result
    }

    /// Makes it as good as new. `false`: it can't be.
    pub(super) fn renew(&mut self, state: State) -> bool {
        let has_dirs = match &self.dir {
            Some(dir) => files::has_dirs(dir.as_fd()),
            None => files::has_dirs_at(self.home.dir.as_fd(), &self.name),
        };
        if self.changed.load(Ordering::Relaxed) || has_dirs.unwrap_or(true) {
            return false;
        }
        let thaw = || files::write(self.dir()?.as_fd(), c"cgroup.freeze", "0");
        if state.frozen && thaw().is_err() {
            return false;
        }
        self.spent = None;
        if self.dir.is_none() {
            self.events = OnceLock::new();
        }
        true
    }

    /// Begins a new account of what is spent.
    pub(super) fn start_account(&mut self) -> io::Result<()> {
        if self.spent.is_none() {
            self.spent = Some(spent(self.dir()?.as_fd())?);
        }
        Ok(())
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if self.dir.is_some() {
            self.home.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn read_state(events: &File) -> io::Result<State> {
    let mut text = [0u8; 128];
    let count = events.read_at(&mut text, 0)?;
    let says = |line: &[u8]| text[..count].split(|byte| *byte == b'\n').any(|found| found == line);
    Ok(State { populated: !says(b"populated 0"), frozen: says(b"frozen 1") })
}

pub(super) fn spent(dir: BorrowedFd<'_>) -> io::Result<Spent> {
    let text = files::read(dir, c"cpu.stat")?;
    let value = |key| files::value_of(&text, key).unwrap_or(0);
    Ok(Spent { user: value("user_usec"), system: value("system_usec") })
}

/// One round of a kill of all that is in `dir` and below. It does not wait.
pub(super) fn kill(dir: BorrowedFd<'_>) -> io::Result<()> {
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

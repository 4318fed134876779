//! The program's own folder of leaves, and those that dead programs left.
//!
//! The name tells whose it is: `herder-<pid>-<start time of pid>`, and `-1` and so on after an execve of that process. It is locked (flock(2)) as long as the owner lives,
//! which also holds for a sweeper in another PID namespace, who would not find the pid. Only a house whose owner is
//! gone by both signs is swept.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::found::Found;
use super::super::per_process::PerProcess;
use super::super::{facts, keeper};
use super::find::{self, Missing, Place};
use super::leaf::{Home, Leaf, State};
use super::{ending, files};
use crate::{Refusal, facts as host};

/// So many leaves wait for scopes to come.
const POOLED: usize = 64;

#[derive(Debug)]
pub(super) struct House {
    /// The cgroup that the house stands in: our own, or the one above.
    pub(super) parent: OwnedFd,
    name: CString,
    home: Arc<Home>,
    next: AtomicU64,
    pool: Mutex<Vec<Leaf>>,
    /// Whether controllers are enabled for the leaves: they remember what happened in them.
    pub(super) controlled: AtomicBool,
}

/// A house whose owner is gone.
#[derive(Debug)]
pub(super) struct DeadHouse {
    pub(super) parent: OwnedFd,
    pub(super) name: CString,
    pub(super) dir: OwnedFd,
}

/// That of this program. A forked copy makes its own.
static HOUSE: PerProcess<Mutex<Option<Arc<House>>>> = PerProcess::new();

/// The house of this program, made at the first call.
pub(super) fn current() -> Result<Arc<House>, Refusal> {
    let mut slot = HOUSE.get().lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some(house) => Ok(Arc::clone(house)),
        None => {
            let house = Arc::new(House::open()?);
            *slot = Some(Arc::clone(&house));
            Ok(house)
        }
    }
}

/// Why this program can have no house, found out once by making one.
pub(in super::super) fn refusal() -> Result<(), &'static Refusal> {
    static FOUND: Found = Found::new();
    FOUND.find(|| current().map(drop))
}

/// Removes the pooled leaves, and the house if no scope is left in it. Whether nothing is left on disk.
pub(in super::super) fn tidy() -> io::Result<bool> {
    let mut slot = HOUSE.get().lock().unwrap_or_else(PoisonError::into_inner);
    let Some(house) = slot.as_ref() else { return Ok(true) };
    for leaf in house.pool().drain(..) {
        files::remove_dir(house.dir(), &leaf.name)?;
    }
    match files::remove_dir(house.parent.as_fd(), &house.name) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(false),
        removed => {
            *slot = None;
            removed.map(|()| true)
        }
    }
}

/// Called when a house was made, before the first leaf is used: the keeper shall end it after us.
fn opened(house: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    keeper::ensure(Some(keeper::House::new(house, OsStr::from_bytes(name.to_bytes()))))
}

impl House {
    fn open() -> Result<Self, Refusal> {
        if facts::is_disabled("cgroup") {
            let error = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            return Err(Refusal::of("HERDER_DISABLE turns cgroups off", &error, ""));
        }
        if !host().clone3 {
            let error = io::Error::from_raw_os_error(libc::ENOSYS);
            let help = "it needs Linux 5.7 and a sandbox that allows clone3";
            return Err(Refusal::of("a child can't be born into a cgroup", &error, help));
        }
        let text = |path: &str| {
            fs::read(path)
                .map_err(|error| Refusal::of(format!("{path} can't be read"), &error, "mount /proc"))
        };
        let places = find::places(&text("/proc/self/mountinfo")?, &text("/proc/self/cgroup")?);
        let mut refused = None;
        for place in places.map_err(missing)? {
            for (path, parent) in candidates(&place)? {
                match Self::open_in(parent, &path) {
                    Ok(house) => return Ok(house),
                    Err(refusal) => refused.get_or_insert(refusal),
                };
            }
        }
        Err(refused.unwrap_or_else(|| missing(Missing::Outside)))
    }

    fn open_in(parent: OwnedFd, path: &Path) -> Result<Self, Refusal> {
        let cant = |what: &str| format!("{what} {} can't be made", path.display());
        let name = make_house(parent.as_fd())
            .map_err(|error| Refusal::of(cant("a cgroup in"), &error, help_for(&error)))?;
        let undo = |error: io::Error, what: &str| {
            drop(files::remove_dir(parent.as_fd(), &name));
            Refusal::of(cant(what), &error, help_for(&error))
        };
        let dir = match files::open_dir(parent.as_fd(), &name) {
            Ok(dir) => dir,
            Err(error) => return Err(undo(error, "a cgroup in")),
        };
        files::lock(dir.as_fd());
        let house = Self {
            parent: parent.try_clone().map_err(|error| undo(error, "a cgroup in"))?,
            name: name.clone(),
            home: Arc::new(Home { dir, open: AtomicUsize::new(0) }),
            next: AtomicU64::new(0),
            pool: Mutex::new(Vec::new()),
            controlled: AtomicBool::new(false),
        };
        let leaf = house.make().map_err(|error| undo(error, "a cgroup in"))?;
        // The kernel asks for more than making a folder does: the right to take processes from where we are.
        let born = leaf.dir().and_then(|dir| facts::try_birth_into(dir.as_fd().as_raw_fd()));
        let born = born.map_err(|error| (error, "a child in a cgroup of"));
        let told = born.and_then(|()| {
            opened(house.dir(), &house.name).map_err(|error| (error, "a keeper for the cgroup in"))
        });
        if let Err((error, what)) = told {
            drop(files::remove_dir(house.dir(), &leaf.name));
            return Err(undo(error, what));
        }
        house.pool().push(leaf);
        house.sweep();
        Ok(house)
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Leaf>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.home.dir.as_fd()
    }

    /// An empty leaf: a used one, or a new one.
    pub(super) fn take(&self, account: bool) -> io::Result<Leaf> {
        let pooled = self.pool().pop();
        let Some(mut leaf) = pooled else { return self.make() };
        if account {
            leaf.start_account()?;
        }
        Ok(leaf)
    }

    fn make(&self) -> io::Result<Leaf> {
        let name = files::number_name(self.next.fetch_add(1, Ordering::Relaxed));
        files::make_dir(self.dir(), &name)?;
        let leaf = Leaf::new(Arc::clone(&self.home), name.clone());
        leaf.inspect_err(|_| drop(files::remove_dir(self.dir(), &name)))
    }

    /// Takes back a leaf without processes: into the pool if it is as good as new. Gives it back if it can't be
    /// removed yet.
    pub(super) fn put_or_remove(&self, mut leaf: Leaf, state: State) -> Option<Leaf> {
        if !self.controlled.load(Ordering::Relaxed) && self.pool().len() < POOLED && leaf.renew(state) {
            let mut pool = self.pool();
            // Those that are kept open are the first to be used again.
            let at = if leaf.is_kept_open() { pool.len() } else { 0 };
            pool.insert(at, leaf);
            return None;
        }
        let below = leaf.dir().and_then(|dir| files::walk(dir.as_fd(), true, &mut |_| Ok(())));
        let removed = below.and_then(|()| files::remove_dir(self.dir(), &leaf.name));
        let again = removed.is_err_and(|error| !files::is_gone(&error));
        again.then_some(leaf)
    }

    /// The house is gone: the next scope makes another.
    pub(super) fn forget(&self) {
        let mut slot = HOUSE.get().lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_deref().is_some_and(|current| std::ptr::eq(current, self)) {
            *slot = None;
        }
    }

    pub(super) fn refuse_leaf(&self, error: &io::Error) -> Refusal {
        let name = self.name.to_string_lossy();
        Refusal::of(format!("a cgroup in {name} can't be made"), error, help_for(error))
    }

    /// Has the houses of dead owners, beside ours, ended.
    fn sweep(&self) {
        for name in files::dirs(self.parent.as_fd()).unwrap_or_default() {
            if name != self.name
                && let Some(dead) = self.dead(&name)
            {
                ending::end_house(dead);
            }
        }
    }

    fn dead(&self, name: &CStr) -> Option<DeadHouse> {
        let (pid, started) = parse(name.to_bytes())?;
        if start_time(&pid.to_string()) == Some(started) {
            return None;
        }
        let dir = files::open_dir(self.parent.as_fd(), name).ok()?;
        // The lock stays with us until it is removed.
        if !files::lock(dir.as_fd()) {
            return None;
        }
        Some(DeadHouse { parent: self.parent.try_clone().ok()?, name: name.to_owned(), dir })
    }
}

/// Makes a folder with a name of its own: a process that has executed another program is who it was, and what the
/// earlier program left is not ours, and may be about to be ended.
fn make_house(parent: BorrowedFd<'_>) -> io::Result<CString> {
    let first = format!("herder-{}-{}", std::process::id(), start_time("self").unwrap_or(0));
    let mut name = first.clone();
    for again in 1.. {
        let made = files::c_name(OsStr::new(&name));
        match files::make_dir(parent, &made) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => name = format!("{first}-{again}"),
            result => return result.map(|()| made),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whose house has this name: a pid and its start time.
pub(super) fn parse(name: &[u8]) -> Option<(u32, u64)> {
    let numbers = str::from_utf8(name).ok()?.strip_prefix("herder-")?;
    let mut numbers = numbers.splitn(3, '-');
    let owner = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let again = numbers.next().is_none_or(|again| again.parse::<u32>().is_ok());
    again.then_some(owner)
}

/// When a process started, in clock ticks since boot: field 22 of proc_pid_stat(5), counted from behind the name,
/// which may hold anything.
fn start_time(pid: &str) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind = stat.rsplit(|byte| *byte == b')').next()?;
    let field = behind.split(|byte| *byte == b' ').nth(20)?;
    str::from_utf8(field).ok()?.parse().ok()
}

/// Where the house may stand, best first.
///
/// Beside us, if what is above was given to us (`Delegate=` and `DelegateSubgroup=` of systemd): a cgroup with
/// processes, as our own is, can't hand controllers on. We never move this program: where it is, is its user's choice,
/// and other processes may be there that we would have to move too. Otherwise inside our own.
fn candidates(place: &Place) -> Result<Vec<(PathBuf, OwnedFd)>, Refusal> {
    let dir = &place.dir;
    let refuse = |error: &io::Error| Refusal::of(format!("{} can't be opened", dir.display()), error, "");
    if place.read_only {
        let error = io::Error::from_raw_os_error(libc::EROFS);
        return Err(Refusal::of(format!("{} can't be written", dir.display()), &error, help_for(&error)));
    }
    let own = files::open_path(dir).map_err(|error| refuse(&error))?;
    if !files::is_cgroup2(own.as_fd()) {
        return Err(refuse(&io::Error::from_raw_os_error(libc::ENODEV)));
    }
    let mut all = Vec::new();
    if let Ok(above) = files::open_dir(own.as_fd(), c"..")
        && is_delegated(above.as_fd())
    {
        all.push((dir.join(".."), above));
    }
    all.push((dir.clone(), own));
    Ok(all)
}

/// Whether systemd says that everything below is its user's affair.
fn is_delegated(dir: BorrowedFd<'_>) -> bool {
    let marks = [c"user.delegate", c"trusted.delegate"];
    files::is_cgroup2(dir) && marks.iter().any(|mark| files::attribute(dir, mark).as_deref() == Some(b"1"))
}

fn missing(missing: Missing) -> Refusal {
    let (what, help) = match missing {
        Missing::Unknown => {
            ("/proc/self/cgroup names no cgroup v2", "the kernel must have cgroup v2 (Linux 4.5)")
        }
        Missing::NotMounted => {
            ("no cgroup v2 hierarchy is mounted", "mount one, or have the container mount it")
        }
        Missing::Outside => (
            "no mounted cgroup v2 hierarchy holds our own cgroup",
            "start the program in a cgroup of its own namespace",
        ),
    };
    Refusal::of(what, &io::Error::from_raw_os_error(libc::ENOENT), help)
}

fn help_for(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            "run it as root or in a delegated cgroup, for one by `systemd-run --user --scope -p Delegate=yes`"
        }
        Some(libc::EROFS) => "have the container mount /sys/fs/cgroup for writing",
        Some(libc::EAGAIN) => "the limit of cgroups (cgroup.max.descendants) or of processes is reached",
        Some(libc::ECANCELED) => {
            "our own cgroup was killed before we came into it: start the program in another"
        }
        Some(libc::EOPNOTSUPP) => "our own cgroup is for threads: start the program in another",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner() {
        assert_eq!(parse(b"herder-12-345"), Some((12, 345)));
        assert_eq!(parse(b"herder-12-345-1"), Some((12, 345)));
        for other in [
            "herder-12",
            "herder--5",
            "herder-12-",
            "herder-12-5-x",
            "herder-12-5-6-7",
            "other-1-2",
            "herder-x-1",
        ] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_process_has_one_start_time() {
        let own = start_time("self").unwrap();
        assert_eq!(start_time(&std::process::id().to_string()), Some(own));
        assert_eq!(start_time("0"), None);
    }

    #[test]
    fn refusals_say_what_would_help() {
        let refusal = missing(Missing::NotMounted);
        assert_eq!(
            refusal.to_string(),
            "no cgroup v2 hierarchy is mounted: No such file or directory; mount one, or have the container mount it"
        );
        assert_eq!(refusal.errno(), libc::ENOENT);
    }
}

//! What this host can do, found out once by trying.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::birth::{self, Birth};
use super::pidfd::{self, is_shortage};
use super::spawn::BlockedSignals;
use super::stack::Stack;
use super::{child, cvt, fd};
use crate::Facts;
pub(super) use crate::disabled::is_disabled;

/// Facts about this host, found at the first call and kept.
///
/// Finding them takes one short-lived child, invisible to the rest of the program (no SIGCHLD, and it can't be
/// waited for by accident). Where that child can't be had for now (no memory, no descriptors, too many processes),
/// the answer is that nothing works, and the next call tries again.
#[must_use]
pub fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    static NOTHING: Facts =
        Facts { clone3: false, clone_pidfd: false, pidfd: false, shared_memory: false, close_range: false };
    if let Some(facts) = FACTS.get() {
        return facts;
    }
    match find() {
        Ok(facts) => FACTS.get_or_init(|| facts),
        Err(_) => &NOTHING,
    }
}

fn find() -> io::Result<Facts> {
    let allowed = |name: &str| !is_disabled(name);
    let pidfds = allowed("pidfd");
    let birth = if allowed("shared_memory") {
        try_births(allowed("clone3"), pidfds && allowed("clone_pidfd"))?
    } else {
        Facts { clone3: false, clone_pidfd: false, pidfd: false, shared_memory: false, close_range: false }
    };
    let pidfd = pidfds && try_pidfd()?;
    Ok(Facts { pidfd, close_range: allowed("close_range") && try_close_range(), ..birth })
}

/// pidfd_open, waitid(P_PIDFD) and pidfd_send_signal came in three versions; only all of them are of use.
fn try_pidfd() -> io::Result<bool> {
    let pidfd = match pidfd::open(std::process::id() as i32) {
        Err(error) if is_shortage(&error) => return Err(error),
        Err(_) => return Ok(false),
        Ok(pidfd) => pidfd,
    };
    // We are not our own child: ECHILD says that the kernel understood.
    let waited = wait(&pidfd, libc::WNOHANG);
    let understood = waited.is_err_and(|error| error.raw_os_error() == Some(libc::ECHILD));
    Ok(understood && pidfd::send(&pidfd, 0, 0).is_ok())
}

/// waitid(2) on a pidfd, for children of every kind.
fn wait(pidfd: &OwnedFd, options: i32) -> io::Result<()> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = options | libc::WEXITED | libc::__WALL;
    // SAFETY: the structure lives through the call.
    cvt(unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as u32, &raw mut info, options) }).map(drop)
}

/// An empty range: EINVAL says that the flag is not known, ENOSYS or EPERM that the call is not to be had.
fn try_close_range() -> bool {
    // SAFETY: numbers only; no descriptor is that high.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    result == 0
}

/// The highest rung that works: with clone3 or clone, with a pidfd that can be waited for and signalled or without.
/// And whether the child really shares our memory: emulators make a fork of it.
fn try_births(clone3: bool, pidfd: bool) -> io::Result<Facts> {
    for clone3 in [true, false].into_iter().filter(|new| clone3 || !new) {
        for pidfd in [true, false].into_iter().filter(|wish| pidfd || !wish) {
            if let Some((shared_memory, clone_pidfd)) = try_birth(clone3, pidfd)? {
                return Ok(Facts { clone3, clone_pidfd, pidfd: false, shared_memory, close_range: false });
            }
        }
    }
    Ok(Facts { clone3: false, clone_pidfd: false, pidfd: false, shared_memory: false, close_range: false })
}

/// What the trial child and we look at.
#[derive(Debug, Default)]
struct Trial {
    busy: AtomicU32,
    seen: AtomicU32,
}

/// Whether the child shared our memory, and whether its pidfd was of use; `None` if it was refused.
fn try_birth(clone3: bool, pidfd: bool) -> io::Result<Option<(bool, bool)>> {
    match bear(clone3, pidfd, None) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether a child can be born into a cgroup, and lives, by trying. It is gone when this returns.
///
/// `ECANCELED`: it was killed before its first instruction. Kernels since 6.14 do that where the cgroup that we are in
/// was killed (`cgroup.kill`) before we came into it.
pub(super) fn try_birth_into(cgroup: RawFd) -> io::Result<()> {
    match bear(true, facts().clone_pidfd, Some(cgroup))? {
        (true, _) => Ok(()),
        (false, _) => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
    }
}

/// Makes the trial child and waits for its end. Gives whether it shared our memory, and whether its pidfd was of use.
fn bear(clone3: bool, pidfd: bool, cgroup: Option<RawFd>) -> io::Result<(bool, bool)> {
    let stack = Stack::take()?;
    // Not in our frame: if the child can't be waited for, it keeps what it uses.
    let trial: &'static Trial = Box::leak(Box::default());
    let birth = Birth {
        stack_top: stack.top(),
        stack_size: stack.size(),
        clear_tid: trial.busy.as_ptr(),
        pidfd,
        cgroup,
        share_files: false,
        exit_signal: 0,
    };
    let arg = std::ptr::from_ref(trial).cast_mut().cast();
    let mask = BlockedSignals::new();
    let born = if clone3 {
        // SAFETY: the stack and `trial` live until the child has been waited for.
        unsafe { birth::clone3(&birth, enter, arg) }
    } else {
        // SAFETY: as above.
        unsafe { birth::clone(&birth, enter, arg) }
    };
    drop(mask);
    let result = match born {
        Ok(born) => {
            let pidfd = (born.pidfd >= 0).then(|| fd::own(born.pidfd));
            match wait_for(born.pid, pidfd.as_ref()) {
                Ok(useful) => Ok((trial.seen.load(Ordering::Acquire) == 1, useful)),
                Err(error) => {
                    // It may run still: its stack and `trial` stay.
                    stack.abandon();
                    return Err(error);
                }
            }
        }
        Err(errno) => Err(io::Error::from_raw_os_error(errno)),
    };
    stack.recycle();
    result
}

/// Waits for the trial child, by its pidfd if that can be done. Whether it could, and the pidfd can be signalled.
fn wait_for(pid: i32, pidfd: Option<&OwnedFd>) -> io::Result<bool> {
    if let Some(pidfd) = pidfd {
        let sent = pidfd::send(pidfd, 0, 0).is_ok();
        loop {
            match wait(pidfd, 0) {
                Ok(()) => return Ok(sent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    }
    let mut status = 0;
    loop {
        // SAFETY: one number is written to a live local. `__WALL`: the child sends no signal at its end.
        match cvt(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }) {
            Ok(_) => return Ok(false),
            // A thread of the program that waits for anything at all was faster.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// # Safety
///
/// `trial` is a `Trial` that outlives the child.
unsafe extern "C" fn enter(trial: *mut ()) -> ! {
    // SAFETY: as promised.
    let trial = unsafe { &*trial.cast::<Trial>() };
    trial.seen.store(1, Ordering::Release);
    child::exit(0)
}

//! What this host can do, found out once by trying.

use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::birth::{self, Birth};
use super::stack::Stack;
use super::{child, cvt, fd};
use crate::Facts;

/// Facts about this host, found at the first call and kept.
///
/// Finding them takes one short-lived child, invisible to the rest of the program (no SIGCHLD, and it can't be
/// waited for by accident).
#[must_use]
pub fn facts() -> &'static Facts {
    static FACTS: OnceLock<Facts> = OnceLock::new();
    FACTS.get_or_init(|| {
        let disabled = std::env::var("HERDER_DISABLE").unwrap_or_default();
        let allowed = |name: &str| !disabled.split(',').any(|word| word.trim() == name);
        let (clone3, shared_memory) =
            if allowed("shared_memory") { try_births(allowed("clone3")) } else { (false, false) };
        Facts {
            clone3,
            clone_pidfd: allowed("clone_pidfd") && allowed("pidfd"),
            pidfd: allowed("pidfd") && try_pidfd(),
            shared_memory,
            close_range: allowed("close_range") && try_close_range(),
        }
    })
}

/// pidfd_open, waitid(P_PIDFD) and pidfd_send_signal came in three versions; only all of them are of use.
fn try_pidfd() -> bool {
    // SAFETY: no arguments.
    let me = unsafe { libc::getpid() };
    // SAFETY: numbers only.
    let Ok(pidfd) = cvt(unsafe { libc::syscall(libc::SYS_pidfd_open, me, 0) }) else { return false };
    let pidfd = fd::own(pidfd as i32);
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG;
    // SAFETY: the structure lives through the call.
    let waited =
        cvt(unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as u32, &raw mut info, options) });
    // SAFETY: numbers only; signal 0 is a question.
    let sent = cvt(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, 0, 0) });
    // We are not our own child: ECHILD says that the kernel understood.
    waited.is_err_and(|error| error.raw_os_error() == Some(libc::ECHILD)) && sent.is_ok()
}

/// An empty range: EINVAL says that the flag is not known, ENOSYS or EPERM that the call is not to be had.
fn try_close_range() -> bool {
    // SAFETY: numbers only; no descriptor is that high.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    result == 0
}

/// Whether clone3 works, and whether a child with `CLONE_VM` really shares our memory: emulators make a fork of it.
fn try_births(clone3: bool) -> (bool, bool) {
    if clone3 && try_birth(true) {
        return (true, true);
    }
    (false, try_birth(false))
}

/// What the trial child and we look at.
#[derive(Debug, Default)]
struct Trial {
    busy: AtomicU32,
    seen: AtomicU32,
}

fn try_birth(clone3: bool) -> bool {
    let Ok(stack) = Stack::take() else { return false };
    let trial = Trial::default();
    let birth = Birth {
        stack_top: stack.top(),
        stack_size: stack.size(),
        clear_tid: trial.busy.as_ptr(),
        pidfd: false,
        cgroup: None,
        exit_signal: 0,
    };
    let arg = std::ptr::from_ref(&trial).cast_mut().cast();
    let mask = super::spawn::BlockedSignals::new();
    let born = if clone3 {
        // SAFETY: the stack and `trial` live until the child has been waited for.
        unsafe { birth::clone3(&birth, enter, arg) }
    } else {
        // SAFETY: as above.
        unsafe { birth::clone(&birth, enter, arg) }
    };
    drop(mask);
    let Ok(born) = born else {
        stack.recycle();
        return false;
    };
    let mut status = 0;
    // SAFETY: one number is written to a live local. `__WALL`: the child sends no signal at its end.
    while unsafe { libc::waitpid(born.pid, &raw mut status, libc::__WALL) } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    stack.recycle();
    trial.seen.load(Ordering::Acquire) == 1
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

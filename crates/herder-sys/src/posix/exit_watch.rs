//! A descriptor that becomes readable when a child has exited, and stays so.

use std::os::fd::OwnedFd;

/// A kqueue that waits for the exit of this child, and nothing else. Its event is never taken, so it stays readable.
///
/// `None`: there are no descriptors left.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
pub(super) fn watch(pid: i32) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd;

    use super::{cvt, fd, number};

    // SAFETY: no arguments.
    let queue = fd::own(cvt(unsafe { libc::kqueue() }).ok()?);
    // No fork inherits it, but a program that replaces itself would.
    // SAFETY: numbers only.
    cvt(unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) }).ok()?;
    // SAFETY: all zeroes is a valid kevent.
    let mut change: libc::kevent = unsafe { std::mem::zeroed() };
    change.ident = number(pid);
    change.filter = libc::EVFILT_PROC;
    change.flags = libc::EV_ADD;
    change.fflags = libc::NOTE_EXIT;
    // SAFETY: one structure is read, none is written.
    let added = cvt(unsafe {
        libc::kevent(queue.as_raw_fd(), &raw const change, 1, std::ptr::null_mut(), 0, std::ptr::null())
    });
    match added {
        Ok(_) => Some(queue),
        // It has exited already: macOS and OpenBSD say so, the others tell the exit at once.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => fd::at_end().ok(),
        Err(_) => None,
    }
}

/// There is none: whoever waits for a child blocks a thread in waitid(2), which is for this child alone.
#[cfg(not(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
pub(super) fn watch(_pid: i32) -> Option<OwnedFd> {
    None
}

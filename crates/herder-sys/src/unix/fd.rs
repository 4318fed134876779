//! Pipes, and small questions about descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::cvt;
use crate::Pipe;

/// A pipe that the child reads from (`child_reads`) or writes to.
///
/// # Errors
///
/// As pipe(2): too many open descriptors.
pub fn pipe(child_reads: bool) -> io::Result<Pipe> {
    let [read, write] = pipe_ends()?;
    let (ours, theirs) = if child_reads { (write, read) } else { (read, write) };
    // Only on our end: O_NONBLOCK belongs to the open file description, and programs expect a blocking stdio.
    // Of a new pipe it is the only flag, so there are none to be read first.
    // SAFETY: numbers only.
    cvt(unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok(Pipe { ours, theirs })
}

/// Both ends of a close-on-exec pipe: reading, writing.
pub(crate) fn pipe_ends() -> io::Result<[OwnedFd; 2]> {
    let mut fds: [RawFd; 2] = [-1; 2];
    make_pipe(&mut fds)?;
    let ends = fds.map(own);
    #[cfg(target_vendor = "apple")]
    for end in &ends {
        // SAFETY: numbers only.
        cvt(unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    Ok(ends)
}

#[cfg(not(target_vendor = "apple"))]
fn make_pipe(fds: &mut [RawFd; 2]) -> io::Result<()> {
    // SAFETY: two descriptors are written to a live local.
    cvt(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }).map(drop)
}

/// There is no pipe2(2): between this and the flags, a thread of somebody else's that forks may copy both ends.
#[cfg(target_vendor = "apple")]
fn make_pipe(fds: &mut [RawFd; 2]) -> io::Result<()> {
    // SAFETY: two descriptors are written to a live local.
    cvt(unsafe { libc::pipe(fds.as_mut_ptr()) }).map(drop)
}

/// A descriptor that is readable for ever: the end of a pipe that nobody writes to.
#[cfg(any(not(target_os = "linux"), herder_portable))]
pub(crate) fn at_end() -> io::Result<OwnedFd> {
    let [read, _] = pipe_ends()?;
    Ok(read)
}

/// Takes a descriptor that a system call has just given us.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: fresh from the kernel, nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Makes reads and writes on `fd` return instead of waiting, or wait again.
///
/// # Errors
///
/// As fcntl(2), which can't fail for a descriptor that is open.
pub fn set_nonblocking(fd: &OwnedFd, nonblocking: bool) -> io::Result<()> {
    // SAFETY: numbers only.
    let flags = cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    let wanted = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: numbers only.
    cvt(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, wanted) })?;
    Ok(())
}

/// Reads up to `most` bytes, and no more than `buffer` has room for, behind those that it has. As `Read::read_buf`, which
/// is not stable, it does without zeroes in memory that is overwritten at once.
///
/// 0 is the end of file, or says that there was no room.
///
/// # Errors
///
/// As read(2). The buffer is as it was then.
pub fn read_behind(fd: BorrowedFd<'_>, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let room = buffer.spare_capacity_mut();
    let most = room.len().min(most);
    // SAFETY: no more than `most` bytes are written, to memory of ours that has room for them.
    let count = unsafe { libc::read(fd.as_raw_fd(), room.as_mut_ptr().cast(), most) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: so many bytes behind those that it had were written just now, within its capacity.
    unsafe { buffer.set_len(buffer.len() + count) };
    Ok(count)
}

/// Whether `fd` is our controlling terminal and we are in its foreground process group: then a child that stays in
/// our group may use the terminal, and one in a group of its own would be stopped when it does (SIGTTIN).
#[must_use]
pub fn foreground_terminal(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: numbers only; fails with ENOTTY for anything else than our controlling terminal.
    let foreground = unsafe { libc::tcgetpgrp(fd.as_raw_fd()) };
    // SAFETY: no arguments.
    foreground > 0 && foreground == unsafe { libc::getpgrp() }
}

/// The soft limit of the stack in bytes, which bounds the size of arguments and environment (execve(2)); `None` is
/// unlimited.
#[must_use]
pub fn stack_limit() -> Option<u64> {
    let mut limit = nothing();
    // SAFETY: one structure is written to a live local.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) } == 0;
    if read { finite(limit.rlim_cur) } else { None }
}

/// The hard limit of data (`RLIMIT_DATA`) in bytes, beyond which only root can give a child more (setrlimit(2)); `None`
/// is unlimited.
#[must_use]
pub fn data_limit() -> Option<u64> {
    let mut limit = nothing();
    // SAFETY: one structure is written to a live local.
    let read = unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) } == 0;
    if read { finite(limit.rlim_max) } else { None }
}

fn nothing() -> libc::rlimit {
    libc::rlimit { rlim_cur: 0, rlim_max: 0 }
}

/// The number has another width, or a sign, on some systems.
fn finite(limit: libc::rlim_t) -> Option<u64> {
    if limit == libc::RLIM_INFINITY { None } else { wide(limit) }
}

fn wide<T: TryInto<u64>>(number: T) -> Option<u64> {
    number.try_into().ok()
}

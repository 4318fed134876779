//! Pipes, and small questions about descriptors.

use std::ffi::CStr;
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
pub(super) fn pipe_ends() -> io::Result<[OwnedFd; 2]> {
    let mut fds: [RawFd; 2] = [-1; 2];
    // SAFETY: two descriptors are written to a live local.
    cvt(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok(fds.map(own))
}

/// Takes a descriptor that a system call has just given us.
pub(super) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: fresh from the kernel, nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A close-on-exec file in memory with these bytes in it.
pub(super) fn in_memory(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated string is read.
    let file = own(cvt(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?);
    write_all(&file, bytes)?;
    Ok(file)
}

/// Writes everything.
pub(super) fn write_all(fd: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: as many bytes as there are are read.
        match cvt(unsafe { libc::write(fd.as_raw_fd(), rest.as_ptr().cast(), rest.len()) }) {
            Ok(written) => rest = rest.get(written as usize..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
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
    // SAFETY: one structure is written to a live local.
    let limit = read_limit(|limit| unsafe { libc::getrlimit64(libc::RLIMIT_STACK, limit) });
    limit.and_then(|limit| finite(limit.rlim_cur))
}

/// The hard limit of data (`RLIMIT_DATA`) in bytes, beyond which only root can give a child more (setrlimit(2)); `None`
/// is unlimited.
#[must_use]
pub fn data_limit() -> Option<u64> {
    // SAFETY: one structure is written to a live local.
    let limit = read_limit(|limit| unsafe { libc::getrlimit64(libc::RLIMIT_DATA, limit) });
    limit.and_then(|limit| finite(limit.rlim_max))
}

fn read_limit(ask: impl FnOnce(*mut libc::rlimit64) -> i32) -> Option<libc::rlimit64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    (ask(&raw mut limit) == 0).then_some(limit)
}

fn finite(limit: u64) -> Option<u64> {
    (limit != libc::RLIM64_INFINITY).then_some(limit)
}

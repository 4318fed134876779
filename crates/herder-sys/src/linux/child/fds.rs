//! The child's descriptors.

use core::ffi::CStr;

use super::super::abi::{self, RawFd};
use super::super::syscall::{Errno, syscall};
use super::{CloseFds, Move, Plan, Source, number};

fn duplicate_above(fd: RawFd, floor: RawFd) -> Result<RawFd, Errno> {
    let args = [fd as usize, abi::F_DUPFD_CLOEXEC as usize, floor as usize, 0, 0];
    // SAFETY: numbers only.
    unsafe { syscall(abi::SYS_fcntl, args) }.map(|fd| fd as RawFd)
}

fn set_fd_flags(fd: RawFd, flags: i32) -> Result<(), Errno> {
    let args = [fd as usize, abi::F_SETFD as usize, flags as usize, 0, 0];
    // SAFETY: numbers only.
    unsafe { syscall(abi::SYS_fcntl, args) }.map(drop)
}

fn duplicate_to(source: RawFd, target: RawFd) -> Result<(), Errno> {
    if source == target {
        return set_fd_flags(target, 0);
    }
    // SAFETY: numbers only.
    unsafe { syscall(abi::SYS_dup3, [source as usize, target as usize, 0, 0, 0]) }.map(drop)
}

/// Two passes: first whatever a target would overwrite is copied out of the way, then everything is placed.
pub(super) fn place(plan: &Plan) -> Result<(), Errno> {
    for Move { source, .. } in plan.moves.iter() {
        if let Source::Fd(fd, true) = source {
            fd.set(duplicate_above(fd.get(), plan.floor)?);
        }
    }
    if plan.pipe.get() >= 0 && plan.moves.iter().any(|m| m.target == plan.pipe.get()) {
        plan.pipe.set(duplicate_above(plan.pipe.get(), plan.floor)?);
    }
    for Move { source, target } in plan.moves.iter() {
        match source {
            Source::Fd(fd, _) => duplicate_to(fd.get(), *target)?,
            Source::Same(fd) => duplicate_to(*fd, *target)?,
            Source::Null => {
                let fd = open(c"/dev/null", abi::O_RDWR | abi::O_CLOEXEC)?;
                duplicate_to(fd, *target)?;
                if fd != *target {
                    let _ = number(abi::SYS_close, [fd as usize, 0]);
                }
            }
        }
    }
    Ok(())
}

fn open(path: &CStr, flags: i32) -> Result<RawFd, Errno> {
    let args = [abi::AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0, 0];
    // SAFETY: a NUL-terminated string is read.
    unsafe { syscall(abi::SYS_openat, args) }.map(|fd| fd as RawFd)
}

/// Takes a table of our own with 0, 1 and 2 of the shared one, whatever its size.
pub(super) fn leave_shared_table(plan: &Plan) -> Result<(), Errno> {
    let args = [3, u32::MAX as usize, abi::CLOSE_RANGE_UNSHARE as usize, 0, 0];
    // SAFETY: numbers only.
    match unsafe { syscall(abi::SYS_close_range, args) } {
        // A sandbox that began after the facts were found: a copy of it all, to be closed at the `execve`.
        Err(abi::ENOSYS | abi::EPERM | abi::EINVAL) => {
            number(abi::SYS_unshare, [abi::CLONE_FILES as usize, 0])?;
            close_listed(plan)
        }
        result => result.map(drop),
    }
}

/// Marks everything from 3 up that was not asked for as close-on-exec: closed only by the `execve`, so that the
/// pipe that tells of its failure still works, and paths like `/proc/self/fd/7` lead somewhere.
pub(super) fn close(plan: &Plan) -> Result<(), Errno> {
    match plan.close {
        // Nothing was taken along when it left the shared table.
        CloseFds::No | CloseFds::Unshare => Ok(()),
        CloseFds::Listed => close_listed(plan),
        CloseFds::Range => match close_ranges(plan) {
            // A sandbox that began after the facts were found.
            Err(abi::ENOSYS | abi::EPERM | abi::EINVAL) => close_listed(plan),
            result => result,
        },
    }
}

fn is_kept(plan: &Plan, fd: RawFd) -> bool {
    fd < 3 || plan.moves.iter().any(|m| m.target == fd)
}

fn close_ranges(plan: &Plan) -> Result<(), Errno> {
    let mut start = 3;
    for fd in (3..plan.floor).filter(|fd| is_kept(plan, *fd)) {
        if start < fd {
            close_range(start as u32, fd as u32 - 1)?;
        }
        start = fd + 1;
    }
    close_range(start as u32, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    let args = [first as usize, last as usize, abi::CLOSE_RANGE_CLOEXEC as usize, 0, 0];
    // SAFETY: numbers only.
    unsafe { syscall(abi::SYS_close_range, args) }.map(drop)
}

fn close_one(plan: &Plan, fd: RawFd) -> Result<(), Errno> {
    if is_kept(plan, fd) {
        return Ok(());
    }
    match set_fd_flags(fd, abi::FD_CLOEXEC) {
        Err(abi::EBADF) => Ok(()),
        result => result,
    }
}

fn close_listed(plan: &Plan) -> Result<(), Errno> {
    for_each_open(|fd| close_one(plan, fd))
}

/// Closes, for real, what the `execve` would close, but for the pipe that tells of its failure.
///
/// A program that somebody has open for writing can't be executed (ETXTBSY), and if that was one of our threads at
/// the child's birth, then the child has it open too.
pub(super) fn close_marked(plan: &Plan) {
    let _ = for_each_open(|fd| {
        // SAFETY: numbers only.
        let flags = unsafe { syscall(abi::SYS_fcntl, [fd as usize, abi::F_GETFD as usize, 0, 0, 0]) };
        let marked = flags.is_ok_and(|flags| flags & abi::FD_CLOEXEC as usize != 0);
        if marked && fd != plan.pipe.get() {
            let _ = number(abi::SYS_close, [fd as usize, 0]);
        }
        Ok(())
    });
}

/// In the child, whose table nobody else changes any more.
fn for_each_open(visit: impl Fn(RawFd) -> Result<(), Errno>) -> Result<(), Errno> {
    let flags = abi::O_RDONLY | abi::O_DIRECTORY | abi::O_CLOEXEC;
    let Ok(dir) = open(c"/proc/self/fd", flags) else { return for_each_to_limit(visit) };
    let mut entries = Entries([0; 1024]);
    loop {
        let args = [dir as usize, (&raw mut entries) as usize, size_of::<Entries>(), 0, 0];
        // SAFETY: at most as many bytes are written as there are.
        let filled = unsafe { syscall(abi::SYS_getdents64, args) }?;
        if filled == 0 {
            break;
        }
        let mut rest = entries.0.get(..filled).unwrap_or(&[]);
        while let Some((name, behind)) = first_name(rest) {
            rest = behind;
            if let Some(fd) = parse(name).filter(|fd| *fd != dir) {
                visit(fd)?;
            }
        }
    }
    let _ = number(abi::SYS_close, [dir as usize, 0]);
    Ok(())
}

/// Room for some `struct linux_dirent64`, which begin with 8-byte numbers.
#[repr(C, align(8))]
struct Entries([u8; 1024]);

/// Splits the name of the first entry off: behind its inode and offset (8 bytes each) stand its length (2) and its
/// type (1). The name ends with a NUL.
fn first_name(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(u16::from_ne_bytes([*entries.get(16)?, *entries.get(17)?]));
    Some((entries.get(19..length)?, entries.get(length..)?))
}

/// `None` for `.` and `..`.
fn parse(name: &[u8]) -> Option<RawFd> {
    let digits = name.iter().take_while(|byte| **byte != 0);
    digits.clone().next()?;
    let mut number: RawFd = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(RawFd::from(*digit - b'0'))?;
    }
    Some(number)
}

/// Where no descriptor is left to list the others with, or /proc is not there.
fn for_each_to_limit(visit: impl Fn(RawFd) -> Result<(), Errno>) -> Result<(), Errno> {
    let mut limit = abi::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let args = [0, abi::RLIMIT_NOFILE as usize, 0, (&raw mut limit) as usize, 0];
    // SAFETY: one structure is written.
    unsafe { syscall(abi::SYS_prlimit64, args) }?;
    let end = limit.rlim_cur.min(RawFd::MAX as u64) as RawFd;
    (0..end).try_for_each(visit)
}

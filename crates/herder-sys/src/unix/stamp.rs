//! A pair of sockets in place of a pipe: of each packet, which is one write, the kernel tells when it was queued.
//!
//! `SOCK_SEQPACKET`, because it is the only kind of local socket that has both: times (`SOCK_STREAM` has none,
//! net/unix/af_unix.c) and an end of file (`SOCK_DGRAM` has none, unix(7)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, SystemTime};

use super::{cvt, fd, number};
use crate::{Pipe, Stamped};

/// What the kernel is asked to queue at most, and so to take in one write. It doubles the number (socket(7)), and gives no
/// more than twice `net.core.wmem_max`.
const QUEUE: libc::c_int = 512 * 1024;

/// Room for one time, and for nothing else: there is none for descriptors that somebody might send us, which the kernel
/// drops then (unix(7), `MSG_CTRUNC`).
const CONTROL: u32 = {
    // SAFETY: arithmetic only.
    unsafe { libc::CMSG_SPACE(size_of::<libc::timespec>() as u32) }
};

/// A stream from a child whose writes come one by one, each with its time.
///
/// # Errors
///
/// As socketpair(2): too many open descriptors. `Unsupported` where the kernel gives no times (gVisor).
pub fn stamped_pipe() -> io::Result<Pipe> {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: two descriptors are written to a live local.
    cvt(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    let [ours, theirs] = fds.map(fd::own);
    set_option(&ours, libc::SO_TIMESTAMPNS, 1)?;
    // On both, so that ours tells what theirs has.
    set_option(&ours, libc::SO_SNDBUF, QUEUE)?;
    set_option(&theirs, libc::SO_SNDBUF, QUEUE)?;
    // Who reads from what it should write to gets an end of file, and does not wait for us.
    // SAFETY: numbers only.
    cvt(unsafe { libc::shutdown(ours.as_raw_fd(), libc::SHUT_WR) })?;
    fd::set_nonblocking(&ours, true)?;
    // An empty write: it is known at once whether it comes with a time.
    // SAFETY: no bytes are read.
    cvt(unsafe { libc::send(theirs.as_raw_fd(), std::ptr::null(), 0, 0) } as libc::c_int)?;
    match receive_stamped(ours.as_fd(), &mut []) {
        Ok(Some(Stamped { len: 0, .. })) => Ok(Pipe { ours, theirs }),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// No write on a stream, of which this is either end, is larger: it would fail with `EMSGSIZE`.
///
/// # Errors
///
/// As getsockopt(2), which can't fail for a socket.
pub fn largest_stamped_write(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut size: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    let out = (&raw mut size).cast();
    // SAFETY: one number is written to a live local.
    cvt(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, out, &raw mut len) })?;
    Ok(usize::try_from(size).unwrap_or(0))
}

/// The next write; `None` when nobody can write any more.
///
/// # Errors
///
/// `WouldBlock` if there is none now; otherwise as recvmsg(2).
pub fn receive_stamped(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Option<Stamped>> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // Aligned as headers are.
    let mut control = [0u64; CONTROL.div_ceil(8) as usize];
    // SAFETY: plain numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = number(CONTROL);
    let flags = libc::MSG_TRUNC | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: as many bytes as the two buffers have are written, and the header says where they are.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
    let Ok(len) = usize::try_from(len) else { return Err(io::Error::last_os_error()) };
    match time_of(&message) {
        Some(at) => Ok(Some(Stamped::new(len, at))),
        // An empty write has a time, and the end of file has none.
        None if len == 0 => Ok(None),
        None => Err(io::Error::new(io::ErrorKind::InvalidData, "a write came without its time")),
    }
}

/// The time that came with a packet.
fn time_of(message: &libc::msghdr) -> Option<SystemTime> {
    // SAFETY: the header is one that recvmsg has filled in, and its control buffer lives.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null, or a whole header in that buffer.
    let head = unsafe { header.as_ref() }?;
    if head.cmsg_level != libc::SOL_SOCKET || head.cmsg_type != libc::SCM_TIMESTAMPNS {
        return None;
    }
    // SAFETY: the data stand behind the header, in the same buffer.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: of this type the data are one such structure, for which the buffer has room.
    let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
    let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(u64::try_from(time.tv_sec).ok()?, nanoseconds))
}

fn set_option(socket: &OwnedFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let (value, len) = (&raw const value, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: one number is read from a live local.
    cvt(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, value.cast(), len) })?;
    Ok(())
}

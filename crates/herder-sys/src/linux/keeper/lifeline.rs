//! Our end of the lifeline: whole messages, each with at most one descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::super::{cvt, fd};
use super::protocol::Message;

/// Room for one descriptor beside a message, aligned as `cmsghdr` wants it.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// Bytes that may wait for the keeper to read them, with what the kernel needs for itself.
const BUFFER: i32 = 1 << 20;

/// Both ends: ours, the keeper's.
pub(super) fn pair() -> io::Result<[OwnedFd; 2]> {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: two descriptors are written to a live local.
    cvt(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    let ends = fds.map(fd::own);
    // As much as may be: some thousand messages. Where less is granted, what there was stays.
    let (level, option, bytes) = (libc::SOL_SOCKET, libc::SO_SNDBUF, BUFFER);
    let size = size_of_val(&bytes) as libc::socklen_t;
    // SAFETY: one number is read.
    unsafe { libc::setsockopt(ends[0].as_raw_fd(), level, option, (&raw const bytes).cast(), size) };
    Ok(ends)
}

/// A header for `message`, and `control` if that is wanted.
fn header(vector: &mut libc::iovec, control: Option<&mut Control>) -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    if let Some(control) = control {
        header.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: a calculation.
        let bytes = unsafe { libc::CMSG_SPACE(size_of::<RawFd>() as u32) };
        debug_assert!(bytes as usize <= control.0.len());
        header.msg_controllen = bytes as _;
    }
    header
}

/// Sends one message. It waits `limit` at most for room, and that only if the keeper does not run.
pub(super) fn send(
    socket: &OwnedFd,
    message: &Message,
    with: Option<BorrowedFd<'_>>,
    limit: Duration,
) -> io::Result<()> {
    let mut copy = *message;
    let mut vector = libc::iovec { iov_base: (&raw mut copy).cast(), iov_len: message.bytes() };
    let mut control = Control([0; 24]);
    let header = match with {
        None => header(&mut vector, None),
        Some(with) => {
            let header = header(&mut vector, Some(&mut control));
            put_descriptor(&header, with.as_raw_fd());
            header
        }
    };
    let deadline = Instant::now() + limit;
    loop {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the header and what it points at live through the call.
        match cvt(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, flags) }) {
            Ok(_) => return Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if wait(socket, libc::POLLOUT, deadline) => {}
                _ => return Err(error),
            },
        }
    }
}

fn put_descriptor(header: &libc::msghdr, fd: RawFd) {
    // SAFETY: the header has a control buffer with room for one header and a descriptor.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: a calculation.
    let bytes = unsafe { libc::CMSG_LEN(size_of::<RawFd>() as u32) };
    let control =
        libc::cmsghdr { cmsg_len: bytes as _, cmsg_level: libc::SOL_SOCKET, cmsg_type: libc::SCM_RIGHTS };
    // SAFETY: it points into the control buffer, which is aligned and large enough.
    unsafe { first.write(control) };
    // SAFETY: behind the header just written.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: there is room for one descriptor, of any alignment.
    unsafe { data.cast::<RawFd>().write_unaligned(fd) };
}

/// The next message, if one comes within `limit`. `UnexpectedEof`: the keeper is gone.
pub(super) fn receive(socket: &OwnedFd, limit: Duration) -> io::Result<(Message, Option<OwnedFd>)> {
    let mut message = Message::new(0);
    let mut vector = libc::iovec { iov_base: (&raw mut message).cast(), iov_len: size_of::<Message>() };
    let mut control = Control([0; 24]);
    let deadline = Instant::now() + limit;
    let (read, header) = loop {
        let mut header = header(&mut vector, Some(&mut control));
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the header and what it points at live through the call.
        match cvt(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) }) {
            Ok(read) => break (read as usize, header),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if wait(socket, libc::POLLIN, deadline) => {}
                _ => return Err(error),
            },
        }
    };
    let with = take_descriptor(&header);
    if read != message.bytes() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((message, with))
}

fn take_descriptor(header: &libc::msghdr) -> Option<OwnedFd> {
    // SAFETY: the kernel has filled the header.
    let first = unsafe { libc::CMSG_FIRSTHDR(header) };
    if first.is_null() {
        return None;
    }
    // SAFETY: it points at a control header that the kernel wrote.
    let control = unsafe { first.read() };
    if (control.cmsg_level, control.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
        return None;
    }
    // SAFETY: the buffer has room for one descriptor, so there is one.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: as above.
    let fd = unsafe { data.cast::<RawFd>().read_unaligned() };
    Some(fd::own(fd))
}

/// Whether it is worth another try: not once the time is over.
fn wait(socket: &OwnedFd, events: i16, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return false;
    }
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    // SAFETY: one structure. Errors (a signal) are the next try's.
    unsafe { libc::poll(&raw mut poll, 1, left.as_millis().clamp(1, 60_000) as i32) };
    true
}

/// Whether two descriptors mean the same file.
pub(super) fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(identity(one)? == identity(other)?)
}

fn identity(fd: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: one structure is written.
    cvt(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: fstat has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.st_dev, stat.st_ino))
}

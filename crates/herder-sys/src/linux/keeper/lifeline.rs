//! Our end of the lifeline, and of other sockets to keepers: whole messages, with descriptors.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::super::{cvt, fd, number};
use super::protocol::Message;

/// Bytes that may wait for the keeper to read them, with what the kernel needs for itself.
const BUFFER: i32 = 1 << 20;

/// Both ends of a lifeline: ours, the keeper's.
pub(in super::super) fn pair() -> io::Result<[OwnedFd; 2]> {
    let ends = sockets()?;
    // As much as may be: some thousand messages. Where less is granted, what there was stays.
    let (level, option, bytes) = (libc::SOL_SOCKET, libc::SO_SNDBUF, BUFFER);
    let size = size_of_val(&bytes) as libc::socklen_t;
    // SAFETY: one number is read.
    unsafe { libc::setsockopt(ends[0].as_raw_fd(), level, option, (&raw const bytes).cast(), size) };
    Ok(ends)
}

/// Two ends of a socket for whole messages.
pub(in super::super) fn sockets() -> io::Result<[OwnedFd; 2]> {
    let mut fds: [RawFd; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: two descriptors are written to a live local.
    cvt(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    Ok(fds.map(fd::own))
}

/// A header for one part of memory, and `control` if that is wanted.
fn header(vector: &mut libc::iovec, control: &mut [u64]) -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = vector;
    header.msg_iovlen = 1;
    if !control.is_empty() {
        header.msg_control = control.as_mut_ptr().cast();
        let bytes = size_of_val(control) as u32;
        header.msg_controllen = number(bytes);
    }
    header
}

/// Sends one message. It waits `limit` at most for room, and that only if the keeper does not run.
pub(in super::super) fn send(
    socket: &OwnedFd,
    message: &Message,
    with: Option<BorrowedFd<'_>>,
    limit: Duration,
) -> io::Result<()> {
    let bytes: *const Message = message;
    // SAFETY: a message has no padding, and so many of its bytes are initialised.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast(), message.bytes()) };
    send_bytes(socket, bytes, with.map(|fd| fd.as_raw_fd()).as_slice(), limit)
}

/// The same for bytes, and many descriptors.
pub(in super::super) fn send_bytes(
    socket: &OwnedFd,
    bytes: &[u8],
    with: &[RawFd],
    limit: Duration,
) -> io::Result<()> {
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = control_for(with);
    let header = header(&mut vector, &mut control);
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

/// A `cmsghdr` of descriptors, aligned as it has to be: three numbers of 8 and of 4 bytes, then the descriptors.
fn control_for(fds: &[RawFd]) -> Vec<u64> {
    if fds.is_empty() {
        return Vec::new();
    }
    let length = size_of_val(fds) as u32;
    // SAFETY: a calculation.
    let [whole, used] = [unsafe { libc::CMSG_SPACE(length) }, unsafe { libc::CMSG_LEN(length) }];
    let mut control = vec![0u64; (whole as usize).div_ceil(size_of::<u64>())];
    // SAFETY: all zeroes is a valid header. With some C libraries it has a member more, which only fills it up.
    let mut head: libc::cmsghdr = unsafe { std::mem::zeroed() };
    head.cmsg_len = number(used);
    head.cmsg_level = libc::SOL_SOCKET;
    head.cmsg_type = libc::SCM_RIGHTS;
    let first: *mut libc::cmsghdr = control.as_mut_ptr().cast();
    // SAFETY: the buffer is aligned and large enough.
    unsafe { first.write(head) };
    // SAFETY: behind the header just written.
    let data = unsafe { libc::CMSG_DATA(first) };
    // SAFETY: there is room for that many, at any alignment.
    unsafe { fds.as_ptr().cast::<u8>().copy_to_nonoverlapping(data, size_of_val(fds)) };
    control
}

/// The next message, if one comes within `limit`. `UnexpectedEof`: the keeper is gone.
pub(in super::super) fn receive(socket: &OwnedFd, limit: Duration) -> io::Result<(Message, Option<OwnedFd>)> {
    let mut message = Message::new(0);
    let (read, with) = receive_into(socket, &mut message, limit)?;
    if read != message.bytes() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((message, with))
}

/// The next message, of a kind that may have any bytes in it, and how many of them have come. 0: the keeper is gone.
pub(in super::super) fn receive_into<T: Copy>(
    socket: &OwnedFd,
    message: &mut T,
    limit: Duration,
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut vector = libc::iovec { iov_base: (&raw mut *message).cast(), iov_len: size_of::<T>() };
    // For one descriptor.
    let mut control = [0u64; 3];
    let deadline = Instant::now() + limit;
    loop {
        let mut header = header(&mut vector, &mut control);
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the header and what it points at live through the call.
        match cvt(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) }) {
            Ok(read) => return Ok((read as usize, take_descriptor(&header))),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock if wait(socket, libc::POLLIN, deadline) => {}
                _ => return Err(error),
            },
        }
    }
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

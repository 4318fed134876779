//! Receiving and sending messages with descriptors (unix(7), `SCM_RIGHTS`).

use crate::order::{INLINE, MOST_FDS, Order};
use crate::protocol::{Message, UNBORN};
use crate::sys::{self, Errno};

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;

/// `struct iovec`
#[repr(C)]
struct Vector {
    base: *mut u8,
    bytes: usize,
}

/// `struct msghdr`
#[repr(C)]
pub(crate) struct Header {
    name: usize,
    name_bytes: u32,
    vectors: *mut Vector,
    vector_count: usize,
    control: *mut u8,
    control_bytes: usize,
    flags: i32,
}

/// `struct cmsghdr` with one descriptor.
#[repr(C)]
struct Control {
    bytes: usize,
    level: i32,
    kind: i32,
    fd: i32,
    /// The kernel pads to the size of a number.
    padding: i32,
}

/// Bytes of a `Control` that count: the padding does not.
const CONTROL_BYTES: usize = 20;

/// The next message and its descriptor, or -1. `None`: the other end is closed. Does not wait.
pub(crate) fn receive(socket: i32) -> Result<Option<(Message, i32)>, Errno> {
    let mut message = Message::new(0);
    let mut control = Control { bytes: 0, level: 0, kind: 0, fd: -1, padding: 0 };
    let mut vector = Vector { base: (&raw mut message).cast(), bytes: size_of::<Message>() };
    let mut header = Header {
        name: 0,
        name_bytes: 0,
        vectors: &raw mut vector,
        vector_count: 1,
        control: (&raw mut control).cast(),
        control_bytes: size_of::<Control>(),
        flags: 0,
    };
    let bytes = sys::recvmsg(socket, &mut header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)?;
    if bytes == 0 {
        return Ok(None);
    }
    let has_fd = header.control_bytes >= CONTROL_BYTES
        && control.bytes == CONTROL_BYTES
        && (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS);
    let fd = if has_fd { control.fd } else { -1 };
    if bytes != message.bytes() {
        message.kind = 0;
    }
    Ok(Some((message, fd)))
}

/// Sends one message, with a descriptor if that is not -1. Does not wait: nobody may have to read it.
pub(crate) fn send(socket: i32, message: &Message, fd: i32) -> Result<(), Errno> {
    let bytes = message.bytes();
    let mut message = *message;
    let mut control = Control { bytes: CONTROL_BYTES, level: SOL_SOCKET, kind: SCM_RIGHTS, fd, padding: 0 };
    let mut vector = Vector { base: (&raw mut message).cast(), bytes };
    let header = Header {
        name: 0,
        name_bytes: 0,
        vectors: &raw mut vector,
        vector_count: 1,
        control: if fd >= 0 { (&raw mut control).cast() } else { core::ptr::null_mut() },
        control_bytes: if fd >= 0 { size_of::<Control>() } else { 0 },
        flags: 0,
    };
    sys::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL)
}

/// Tells that there will be no scope, or no child, and why.
pub(crate) fn refuse(socket: i32, errno: Errno) {
    let mut message = Message::new(UNBORN);
    message.pid = errno;
    // Who does not hear it sees the end of the socket.
    let _ = send(socket, &message, -1);
}

/// Sends a structure as it is.
pub(crate) fn send_plain<T: Copy>(socket: i32, message: &T) -> Result<(), Errno> {
    let mut copy = *message;
    let mut vector = Vector { base: (&raw mut copy).cast(), bytes: size_of::<T>() };
    let header = Header {
        name: 0,
        name_bytes: 0,
        vectors: &raw mut vector,
        vector_count: 1,
        control: core::ptr::null_mut(),
        control_bytes: 0,
        flags: 0,
    };
    sys::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL)
}

/// `struct cmsghdr` with as many descriptors as there can be.
#[repr(C)]
struct ManyControl {
    bytes: usize,
    level: i32,
    kind: i32,
    fds: [i32; MOST_FDS + 1],
}

const CONTROL_HEAD: usize = 16;

/// Room for the largest message, with all its descriptors.
#[repr(C)]
pub(crate) struct Inbox {
    order: Order,
    body: [u8; INLINE],
    control: ManyControl,
    count: usize,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            order: Order::default(),
            body: [0; INLINE],
            control: ManyControl { bytes: 0, level: 0, kind: 0, fds: [-1; MOST_FDS + 1] },
            count: 0,
        }
    }

    /// The next message: how many bytes it has. `None`: the other end is closed. Does not wait.
    pub(crate) fn receive(&mut self, socket: i32) -> Result<Option<usize>, Errno> {
        let bytes = size_of::<Order>() + INLINE;
        let mut vector = Vector { base: core::ptr::from_mut(self).cast(), bytes };
        let mut header = Header {
            name: 0,
            name_bytes: 0,
            vectors: &raw mut vector,
            vector_count: 1,
            control: (&raw mut self.control).cast(),
            control_bytes: size_of::<ManyControl>(),
            flags: 0,
        };
        let bytes = sys::recvmsg(socket, &mut header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)?;
        let control = &self.control;
        let has_fds = header.control_bytes >= CONTROL_HEAD
            && (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS)
            && control.bytes >= CONTROL_HEAD;
        self.count = if has_fds { ((control.bytes - CONTROL_HEAD) / 4).min(MOST_FDS) } else { 0 };
        Ok((bytes > 0).then_some(bytes))
    }

    pub(crate) fn kind(&self, bytes: usize) -> u32 {
        if bytes >= core::mem::offset_of!(Message, name) { self.order.kind } else { 0 }
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    pub(crate) fn body(&self, bytes: usize) -> &[u8] {
        self.body.get(..bytes.saturating_sub(size_of::<Order>())).unwrap_or_default()
    }

    pub(crate) fn fds(&self) -> &[i32] {
        self.control.fds.get(..self.count).unwrap_or_default()
    }

    /// That descriptor is somebody else's from now on.
    pub(crate) fn take(&mut self, at: usize) -> i32 {
        self.control.fds.get_mut(at).map_or(-1, |fd| core::mem::replace(fd, -1))
    }

    pub(crate) fn close_all(&mut self) {
        self.fds().iter().for_each(|fd| sys::close(*fd));
        self.count = 0;
    }
}

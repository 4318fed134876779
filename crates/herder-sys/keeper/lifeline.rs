//! Receiving and sending messages, each with at most one descriptor (unix(7), `SCM_RIGHTS`).

use crate::protocol::Message;
use crate::sys::{self, Errno};

const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;
const MSG_DONTWAIT: usize = 0x40;
const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;

/// `struct iovec`
#[repr(C)]
struct Vector {
    base: *mut Message,
    bytes: usize,
}

/// `struct msghdr`
#[repr(C)]
pub(crate) struct Header {
    name: usize,
    name_bytes: u32,
    vectors: *mut Vector,
    vector_count: usize,
    control: *mut Control,
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
    let mut vector = Vector { base: &raw mut message, bytes: size_of::<Message>() };
    let mut header = Header {
        name: 0,
        name_bytes: 0,
        vectors: &raw mut vector,
        vector_count: 1,
        control: &raw mut control,
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

/// Sends one message, with a descriptor if that is not -1.
pub(crate) fn send(socket: i32, message: &Message, fd: i32) -> Result<(), Errno> {
    let bytes = message.bytes();
    let mut message = *message;
    let mut control = Control { bytes: CONTROL_BYTES, level: SOL_SOCKET, kind: SCM_RIGHTS, fd, padding: 0 };
    let mut vector = Vector { base: &raw mut message, bytes };
    let header = Header {
        name: 0,
        name_bytes: 0,
        vectors: &raw mut vector,
        vector_count: 1,
        control: if fd >= 0 { &raw mut control } else { core::ptr::null_mut() },
        control_bytes: if fd >= 0 { size_of::<Control>() } else { 0 },
        flags: 0,
    };
    sys::sendmsg(socket, &header, MSG_NOSIGNAL)
}

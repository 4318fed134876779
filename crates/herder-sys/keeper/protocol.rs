//! What the owner and its keeper tell each other: the one file that both programs are built from.
//!
//! The lifeline is a `SOCK_SEQPACKET` socket, so a message arrives whole or not at all, with at most one descriptor.
//! Both ends are built together and run on one machine: the structure itself is what is sent.

/// The number that the keeper finds its end of the lifeline at.
pub(crate) const LIFELINE: i32 = 3;

/// The owner to the keeper, first: the owner itself, as a pidfd where there are any.
pub(crate) const OWNER: u32 = 1;
/// The owner to the keeper: the directory of its cgroups, with its name in the directory above. It replaces an
/// earlier one.
pub(crate) const HOUSE: u32 = 2;
/// The owner to the keeper: a child to end, by its pidfd, under a number that the owner chooses.
pub(crate) const WATCH: u32 = 3;
/// The owner to the keeper: the child of that number is nobody's to end any more.
pub(crate) const FORGET: u32 = 4;
/// The keeper to the owner, once: ready, with its pid, how many children it can hold, and its pidfd.
pub(crate) const HELLO: u32 = 5;

/// The owner to a nursery: the other end of a socket for a scope, whose keeper it shall bear.
pub(crate) const SCOPE: u32 = 6;
/// The owner to the keeper of a scope: kill all that is in it.
pub(crate) const KILL: u32 = 7;
/// The owner to the keeper of a scope: the end of this socket is not the end of the scope.
pub(crate) const RELEASE: u32 = 8;
/// The owner to the keeper of a scope: an `Order`.
pub(crate) const BEAR: u32 = 9;
/// The keeper of a scope to the owner: nobody is left in it.
pub(crate) const EMPTY: u32 = 10;
/// The answer to an order, with the child's pid and pidfd.
pub(crate) const BORN: u32 = 11;
/// The answer to an order: there is no child; the error number stands in place of the pid.
pub(crate) const UNBORN: u32 = 12;
/// After `BORN`: an `Ended`.
pub(crate) const ENDED: u32 = 13;

/// With `SCOPE`: its keeper shall be the first process of a PID namespace.
pub(crate) const NAMESPACE: u32 = 1;
/// With `OWNER`: be a nursery, which bears the keepers of scopes.
pub(crate) const NURSERY: u32 = 8;
/// With `WATCH`: the child leads a process group.
pub(crate) const LEADS_GROUP: u32 = 1;
/// With `OWNER`: do without `cgroup.kill`, as kernels before 5.14.
pub(crate) const NO_CGROUP_KILL: u32 = 2;
/// With `OWNER`: signal groups by number, as kernels before 6.9.
pub(crate) const NO_PIDFD_GROUP: u32 = 4;

/// The most bytes of a name, its NUL included (`NAME_MAX`).
pub(crate) const NAME_BYTES: usize = 256;

/// One message, in either direction.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Message {
    pub(crate) kind: u32,
    /// The number of a child; with `HELLO`, how many there may be.
    pub(crate) slot: u32,
    pub(crate) pid: i32,
    pub(crate) flags: u32,
    /// With `HOUSE`: ends with a NUL.
    pub(crate) name: [u8; NAME_BYTES],
}

impl Message {
    pub(crate) fn new(kind: u32) -> Self {
        Self { kind, slot: 0, pid: 0, flags: 0, name: [0; NAME_BYTES] }
    }

    /// How many of its bytes are sent: a name that does not count is not, so that more messages can wait.
    pub(crate) fn bytes(&self) -> usize {
        if self.kind == HOUSE { size_of::<Self>() } else { core::mem::offset_of!(Self, name) }
    }
}

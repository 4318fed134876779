//! The system calls that make processes and wait for them.

use crate::abi;
use crate::sys::{self, Errno, numbers, syscall};

const P_ALL: usize = 0;
const P_PID: usize = 1;
const WNOHANG: usize = 1;
const WEXITED: usize = 4;
const WNOWAIT: usize = 0x0100_0000;
const WALL: usize = 0x4000_0000;

/// The part of `siginfo_t` that waitid(2) fills, and the rest of its 128 bytes.
#[repr(C)]
struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: i32,
    uid: u32,
    status: i32,
    rest: [i32; 25],
}

/// How a child ended.
pub(crate) struct Dead {
    pub(crate) pid: i32,
    pub(crate) code: i32,
    pub(crate) status: i32,
    pub(crate) usage: [i64; 18],
}

/// `CLD_EXITED`
const EXITED: i32 = 1;

impl Dead {
    pub(crate) fn is_success(&self) -> bool {
        (self.code, self.status) == (EXITED, 0)
    }
}

fn wait(kind: usize, pid: i32, flags: usize) -> Result<Option<Dead>, Errno> {
    let mut info =
        Info { signal: 0, errno: 0, code: 0, padding: 0, pid: 0, uid: 0, status: 0, rest: [0; 25] };
    let mut usage = [0i64; 18];
    let args = [
        kind,
        pid as usize,
        (&raw mut info).addr(),
        flags | WEXITED | WNOHANG | WALL,
        (&raw mut usage).addr(),
        0,
    ];
    // SAFETY: both structures have the sizes that the kernel writes.
    unsafe { syscall(abi::SYS_waitid, args) }?;
    Ok((info.pid != 0).then_some(Dead { pid: info.pid, code: info.code, status: info.status, usage }))
}

/// Reaps any child that is dead. `None`: none is. `Err`: there are no children.
pub(crate) fn reap_any() -> Result<Option<Dead>, Errno> {
    wait(P_ALL, 0, 0)
}

/// Tells of any child that is dead, and does not reap it.
pub(crate) fn see_any() -> Result<Option<Dead>, Errno> {
    wait(P_ALL, 0, WNOWAIT)
}

/// Reaps this child if it is dead.
pub(crate) fn reap(pid: i32) {
    let _ = wait(P_PID, pid, 0);
}

/// The copy returns 0; we get its pidfd.
pub(crate) fn fork_with_pidfd(pidfd: &mut i32) -> Result<i32, Errno> {
    const CLONE_PIDFD: usize = 0x1000;
    let args = [CLONE_PIDFD | sys::SIGCHLD, 0, core::ptr::from_mut(pidfd).addr(), 0, 0, 0];
    // SAFETY: memory is copied, the stack too: the copy goes on as if alone. One number is written in ours.
    unsafe { syscall(abi::SYS_clone, args) }.map(|pid| pid as i32)
}

/// As [`sys::fork`], into namespaces of the flags given: the copy is the first process of a PID namespace.
pub(crate) fn fork_into(namespaces: usize) -> Result<usize, Errno> {
    // SAFETY: memory is copied, the stack too: the copy goes on as if alone. No address is given.
    unsafe { syscall(abi::SYS_clone, [namespaces | sys::SIGCHLD, 0, 0, 0, 0, 0]) }
}

/// How we are given the processor.
pub(crate) struct Policy(usize);

/// Puts us in front of all ordinary processes, where we may: among chains that fork as fast as they can, each in a
/// session, and so a share of the processor, of its own (sched(7), autogroups), we would hardly have our turn. Gives
/// what there was before.
pub(crate) fn hurry() -> Option<Policy> {
    const SCHED_FIFO: usize = 1;
    const SCHED_RESET_ON_FORK: usize = 0x4000_0000;
    // SCHED_OTHER, SCHED_BATCH, SCHED_IDLE: the others are in front already.
    const ORDINARY: [usize; 3] = [0, 3, 5];
    let before = numbers(abi::SYS_sched_getscheduler, [0; 4]).ok()?;
    if !ORDINARY.contains(&(before & !SCHED_RESET_ON_FORK)) {
        return None;
    }
    set_policy(SCHED_FIFO, 1).ok().map(|()| Policy(before))
}

impl Policy {
    pub(crate) fn restore(self) {
        let Self(before) = self;
        // The only priority that those have.
        let _ = set_policy(before, 0);
    }
}

fn set_policy(policy: usize, priority: i32) -> Result<(), Errno> {
    let priority = (&raw const priority).addr();
    // SAFETY: one number is read.
    unsafe { syscall(abi::SYS_sched_setscheduler, [0, policy, priority, 0, 0, 0]) }.map(drop)
}

/// Who loses his parent below us becomes our child.
pub(crate) fn become_subreaper() -> Result<(), Errno> {
    const PR_SET_CHILD_SUBREAPER: usize = 36;
    numbers(abi::SYS_prctl, [PR_SET_CHILD_SUBREAPER, 1, 0, 0]).map(drop)
}

/// Whoever made us takes us along.
pub(crate) fn die_with_parent() {
    let _ = numbers(abi::SYS_prctl, [abi::PR_SET_PDEATHSIG as usize, sys::SIGKILL as usize, 0, 0]);
}

/// A session of our own: what is sent to that of others is not for us.
pub(crate) fn leave_session() {
    let _ = numbers(abi::SYS_setsid, [0; 4]);
}

/// A descriptor that can be read when a child has died.
pub(crate) fn child_signals() -> Result<i32, Errno> {
    const SFD_NONBLOCK_CLOEXEC: usize = (0o4_000 | abi::O_CLOEXEC) as usize;
    let set = 1u64 << (sys::SIGCHLD - 1);
    let args = [usize::MAX, (&raw const set).addr(), 8, SFD_NONBLOCK_CLOEXEC, 0, 0];
    // SAFETY: eight bytes are read.
    unsafe { syscall(abi::SYS_signalfd4, args) }.map(|fd| fd as i32)
}

/// Takes what was said there: the children themselves are looked at afterwards.
pub(crate) fn quiet(signals: i32) {
    let mut buffer = [0; 128];
    while sys::read(signals, &mut buffer).is_ok_and(|text| !text.is_empty()) {}
}

/// Whether dead children vanish unseen, as the owner wants it for itself. They don't any more.
pub(crate) fn see_children() -> bool {
    let mut action = [0usize; 4];
    // SAFETY: the buffer is as large as the kernel's structure.
    let _ = unsafe { syscall(abi::SYS_rt_sigaction, [sys::SIGCHLD, 0, (&raw mut action).addr(), 8, 0, 0]) };
    let ignored = action.first() == Some(&abi::SIG_IGN);
    if ignored {
        set_sigchld(abi::SIG_DFL);
    }
    ignored
}

pub(crate) fn set_sigchld(handler: usize) {
    let action = [handler, 0, 0, 0];
    // SAFETY: the buffer is as large as the kernel's structure.
    let _ = unsafe { syscall(abi::SYS_rt_sigaction, [sys::SIGCHLD, (&raw const action).addr(), 0, 8, 0, 0]) };
}

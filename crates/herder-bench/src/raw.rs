//! The bare `clone3` that everything else is measured against: the only module of this program with `unsafe`.
//!
//! The child runs on a mapped stack of its own, in the memory of the parent, and makes nothing but system calls
//! until its `execve`: the restored signal mask, at most one option, the two redirections. What it reads lives in
//! its [`Slot`], which is not used again before the kernel has cleared the slot's thread id.
#![expect(
    unsafe_code,
    reason = "the baseline is the system call itself; the library under test is not in here"
)]

use std::ffi::{CString, c_char, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::raw_call::{CloneArgs, clone3, system_call};

const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const INTO_CGROUP: u64 = 0x2_0000_0000;
const STACK: usize = 64 * 1024;
/// Signal masks of the kernel have 64 bits, on every architecture that is supported here.
const MASK_BYTES: usize = 8;

/// What the children of one batch have in common: built once, read by each child before its exec.
pub(crate) struct Plan {
    /// Owns the strings that the two pointer blocks point to.
    _strings: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    cwd: Option<CString>,
    uid: Option<u32>,
    rlimit: Option<(u32, libc::rlimit64)>,
    umask: Option<u32>,
    nice: Option<i32>,
    own_group: bool,
    own_session: bool,
}

/// The options of a [`Plan`], each the counterpart of one option of the libraries.
#[derive(Default)]
pub(crate) struct PlanOptions {
    pub(crate) cwd: Option<CString>,
    pub(crate) uid: Option<u32>,
    /// A resource and its soft and hard limit.
    pub(crate) rlimit: Option<(u32, u64, u64)>,
    pub(crate) umask: Option<u32>,
    pub(crate) nice: Option<i32>,
    pub(crate) own_group: bool,
    pub(crate) own_session: bool,
}

impl Plan {
    /// `argv` starts with the program.
    pub(crate) fn new(argv: Vec<CString>, environment: Vec<CString>, options: PlanOptions) -> Self {
        let arguments = argv.iter().map(|argument| argument.as_ptr()).chain([ptr::null()]).collect();
        let envp = environment.iter().map(|entry| entry.as_ptr()).chain([ptr::null()]).collect();
        let mut strings = environment;
        strings.extend(argv);
        let rlimit = options
            .rlimit
            .map(|(what, soft, hard)| (what, libc::rlimit64 { rlim_cur: soft, rlim_max: hard }));
        let PlanOptions { cwd, uid, umask, nice, own_group, own_session, .. } = options;
        Self {
            _strings: strings,
            argv: arguments,
            envp,
            cwd,
            uid,
            rlimit,
            umask,
            nice,
            own_group,
            own_session,
        }
    }
}

/// How the child is cloned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// `CLONE_VFORK`: the call returns when the child has executed its program.
    Vfork,
    /// The call returns at once; an error of the child's exec is seen when it has ended.
    Async,
    /// `CLONE_VFORK | CLONE_FILES`: the child makes its copy of the table of open files from what it keeps of it.
    SharedFiles,
}

/// One child's stack and the words that it shares with its parent.
pub(crate) struct Slot {
    stack: *mut c_void,
    block: Box<Block>,
    /// The folder of the cgroup that children are born into, if not into our own.
    cgroup: Option<OwnedFd>,
}

struct Block {
    plan: Option<Rc<Plan>>,
    how: How,
    redirections: [i32; 2],
    /// The signal mask that the child gets back before its exec.
    mask: u64,
    error: AtomicI32,
    /// Not zero while a child uses this slot: the kernel clears it at the exec or the exit.
    tid: AtomicU32,
}

impl Slot {
    pub(crate) fn new() -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::STACK | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address that the kernel chooses.
        let stack = unsafe { mmap_anonymous(ptr::null_mut(), STACK, protection, flags) }?;
        let block = Box::new(Block {
            plan: None,
            how: How::Vfork,
            redirections: [-1; 2],
            mask: 0,
            error: AtomicI32::new(0),
            tid: AtomicU32::new(0),
        });
        Ok(Self { stack, block, cgroup: None })
    }

    /// Has children born into another cgroup than ours, by its folder.
    pub(crate) fn set_cgroup(&mut self, folder: Option<OwnedFd>) {
        self.cgroup = folder;
    }

    /// Clones one child, with its stdout and stderr redirected where a descriptor is given.
    ///
    /// Panics when the slot's last child has not ended: its stack is still in use.
    pub(crate) fn spawn(
        &mut self,
        plan: &Rc<Plan>,
        how: How,
        redirections: [Option<BorrowedFd<'_>>; 2],
    ) -> io::Result<OwnedFd> {
        assert_eq!(self.block.tid.load(Ordering::Acquire), 0, "the slot is in use");
        self.block.how = how;
        self.block.redirections = redirections.map(|fd| fd.map_or(-1, |fd| fd.as_raw_fd()));
        if !self.block.plan.as_ref().is_some_and(|held| Rc::ptr_eq(held, plan)) {
            self.block.plan = Some(Rc::clone(plan));
        }
        self.block.error.store(0, Ordering::Relaxed);
        self.block.tid.store(u32::MAX, Ordering::Relaxed);
        let mut pidfd: i32 = -1;
        let vfork = if how == How::Async { 0 } else { libc::CLONE_VFORK as u64 };
        let files = if how == How::SharedFiles { libc::CLONE_FILES as u64 } else { 0 };
        let shared = (libc::CLONE_VM | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID) as u64;
        let arguments = CloneArgs {
            flags: shared
                | vfork
                | files
                | CLEAR_SIGHAND
                | if self.cgroup.is_some() { INTO_CGROUP } else { 0 },
            cgroup: self.cgroup.as_ref().map_or(0, |folder| folder.as_raw_fd() as u64),
            pidfd: (&raw mut pidfd).addr() as u64,
            child_tid: self.block.tid.as_ptr().addr() as u64,
            exit_signal: libc::SIGCHLD as u64,
            stack: self.stack.addr() as u64,
            stack_size: STACK as u64,
            ..CloneArgs::default()
        };
        self.block.mask = set_mask(u64::MAX);
        let result = clone3(&arguments, child, &raw const *self.block);
        set_mask(self.block.mask);
        if result < 0 {
            self.block.tid.store(0, Ordering::Relaxed);
            return Err(errno(result));
        }
        // SAFETY: the kernel has just opened this descriptor for us.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        if how != How::Async
            && let Err(error) = self.outcome()
        {
            rustix::process::waitid(
                rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd)),
                rustix::process::WaitIdOptions::EXITED,
            )?;
            return Err(error);
        }
        Ok(pidfd)
    }

    /// What the child met before its exec; final once the child has executed its program or has ended.
    pub(crate) fn outcome(&self) -> io::Result<()> {
        match self.block.error.load(Ordering::Acquire) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A child that has not reached its exec needs all of this: wait, a benchmark has nothing better to do.
        while self.block.tid.load(Ordering::Acquire) != 0 {
            std::thread::yield_now();
        }
        // SAFETY: the mapping of `new`, which no child uses any more.
        let result = unsafe { munmap(self.stack, STACK) };
        debug_assert!(result.is_ok(), "the stack was mapped");
    }
}

/// The child, from its first instruction to its exec.
extern "C" fn child(block: *const Block) -> ! {
    // SAFETY: the slot lives until the kernel clears its thread id, and nobody writes to the block before.
    let block = unsafe { &*block };
    let failed = match block.plan.as_deref() {
        Some(plan) => prepare_and_exec(block, plan),
        None => libc::EINVAL as isize,
    };
    block.error.store(failed.unsigned_abs() as i32, Ordering::Release);
    loop {
        system_call(libc::SYS_exit_group, [127, 0, 0, 0]);
    }
}

/// Returns only when a step has failed, with the kernel's answer.
fn prepare_and_exec(block: &Block, plan: &Plan) -> isize {
    let call = |number, arguments| match system_call(number, arguments) {
        failed if failed < 0 => Err(failed),
        _ => Ok(()),
    };
    let steps = || {
        if block.how == How::SharedFiles {
            let unshare = libc::CLOSE_RANGE_UNSHARE as usize;
            call(libc::SYS_close_range, [3, u32::MAX as usize, unshare, 0])?;
        }
        for (fd, target) in block.redirections.into_iter().zip(1..) {
            if fd >= 0 {
                call(libc::SYS_dup3, [fd as usize, target, 0, 0])?;
            }
        }
        if plan.own_group {
            call(libc::SYS_setpgid, [0, 0, 0, 0])?;
        }
        if plan.own_session {
            call(libc::SYS_setsid, [0; 4])?;
        }
        if let Some(umask) = plan.umask {
            call(libc::SYS_umask, [umask as usize, 0, 0, 0])?;
        }
        if let Some(nice) = plan.nice {
            call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, nice as usize, 0])?;
        }
        if let Some((what, limit)) = &plan.rlimit {
            call(libc::SYS_prlimit64, [0, *what as usize, ptr::from_ref(limit).addr(), 0])?;
        }
        if let Some(uid) = plan.uid {
            call(libc::SYS_setresuid, [uid as usize; 4])?;
        }
        if let Some(cwd) = &plan.cwd {
            call(libc::SYS_chdir, [cwd.as_ptr().addr(), 0, 0, 0])?;
        }
        let mask = ptr::from_ref(&block.mask).addr();
        call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, MASK_BYTES])?;
        call(libc::SYS_execve, [plan.argv[0].addr(), plan.argv.as_ptr().addr(), plan.envp.as_ptr().addr(), 0])
    };
    steps().err().unwrap_or(0)
}

/// Sets the signal mask of this thread and returns the one before.
fn set_mask(mask: u64) -> u64 {
    let mut before: u64 = 0;
    let (new, old) = ((&raw const mask).addr(), (&raw mut before).addr());
    let result = system_call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, new, old, MASK_BYTES]);
    debug_assert_eq!(result, 0, "the arguments are valid");
    before
}

fn errno(result: isize) -> io::Error {
    io::Error::from_raw_os_error(result.unsigned_abs() as i32)
}

/// Makes `command` fork instead of `posix_spawn`: the cost of `pre_exec`, with a closure that does nothing.
pub(crate) fn add_pre_exec(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure does nothing.
    unsafe { command.pre_exec(|| Ok(())) };
}

#[cfg(test)]
mod tests {
    use super::{How, Plan, PlanOptions, Slot};
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::ffi::CString;
    use std::io::ErrorKind;
    use std::os::fd::AsFd;
    use std::rc::Rc;

    fn plan(program: &str, cwd: &str) -> Rc<Plan> {
        let cwd = CString::new(cwd).ok();
        let rlimit = Some((libc::RLIMIT_CORE, 0, 0));
        let options = PlanOptions { cwd, own_group: true, rlimit, ..PlanOptions::default() };
        Rc::new(Plan::new(vec![CString::new(program).unwrap()], Vec::new(), options))
    }

    #[test]
    fn what_the_child_met_is_reported() {
        for how in [How::Vfork, How::Async, How::SharedFiles] {
            let mut slot = Slot::new().unwrap();
            for (plan, fails) in [
                (plan("/bin/true", "/"), false),
                (plan("/no/such", "/"), true),
                (plan("/bin/true", "/no/such"), true),
            ] {
                let spawned = slot.spawn(&plan, how, [None; 2]).and_then(|pidfd| {
                    waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
                    slot.outcome()
                });
                assert_eq!(
                    spawned.map_err(|error| error.kind()),
                    if fails { Err(ErrorKind::NotFound) } else { Ok(()) }
                );
            }
        }
    }
}

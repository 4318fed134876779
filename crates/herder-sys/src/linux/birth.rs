//! The system calls that make a process, and nothing else.
//!
//! `clone3` and `clone` with `CLONE_VM` return twice on two stacks, which no function of a compiled language can
//! do: the child must not return into the frames of its parent, so these two are written in assembly and the
//! child goes straight into [`Entry`], which never returns.

use std::os::fd::RawFd;

use super::syscall::Errno;

/// What a child runs.
pub(super) type Entry = unsafe extern "C" fn(*mut ()) -> !;

/// What a new process shares and gets, for [`clone3`] and [`clone`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    /// The top of the stack, aligned to 16 bytes.
    pub(super) stack_top: *mut u8,
    /// Bytes of stack below it.
    pub(super) stack_size: usize,
    /// The word that the kernel sets to 0, and wakes (futex(2)), when the child has let go of our memory.
    pub(super) clear_tid: *mut u32,
    /// Whether a pidfd is asked for.
    pub(super) pidfd: bool,
    /// The directory of a cgroup to be born in.
    pub(super) cgroup: Option<RawFd>,
    /// Whether our descriptor table is shared, until the child leaves it.
    pub(super) share_files: bool,
    /// The signal at the child's end: SIGCHLD, or 0 for a child that only we can see (`__WALL`).
    pub(super) exit_signal: i32,
}

/// A process that was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Born {
    pub(super) pid: i32,
    /// -1 where none was asked for, or the kernel ignored the wish.
    pub(super) pidfd: RawFd,
}

/// `struct clone_args` of `<linux/sched.h>`, with the `cgroup` of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// The size of `clone_args` in Linux 5.3: an older kernel refuses a larger one only if its tail is not zero, but a
/// sandbox may be stricter.
const CLONE_ARGS_SIZE_VER0: usize = 64;

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// clone3(2) with our memory, its own stack and default signal actions.
///
/// No `CLONE_VFORK`: the caller would sleep uninterruptibly until the child has been scheduled and its `execve` is
/// over, for milliseconds on a busy machine and for ever if the child is stopped or frozen.
///
/// # Safety
///
/// The stack, `clear_tid` and what `arg` points at must live until `clear_tid` reads 0. `entry(arg)` must be fit
/// for a process that shares our memory and thread-local storage: bare system calls only.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) unsafe fn clone3(birth: &Birth, entry: Entry, arg: *mut ()) -> Result<Born, Errno> {
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID) as u64 | CLONE_CLEAR_SIGHAND,
        child_tid: birth.clear_tid as u64,
        exit_signal: birth.exit_signal as u64,
        stack: birth.stack_top as u64 - birth.stack_size as u64,
        stack_size: birth.stack_size as u64,
        ..CloneArgs::default()
    };
    if birth.share_files {
        args.flags |= libc::CLONE_FILES as u64;
    }
    if birth.pidfd {
        args.flags |= libc::CLONE_PIDFD as u64;
        args.pidfd = (&raw mut pidfd) as u64;
    }
    let mut size = CLONE_ARGS_SIZE_VER0;
    if let Some(cgroup) = birth.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup as u64;
        size = size_of::<CloneArgs>();
    }
    // SAFETY: the arguments live through the call; the caller vouches for the rest.
    let result = unsafe { raw_clone3(&raw mut args, size, entry, arg) };
    born(result, pidfd)
}

/// clone3(2) with a copy of our memory, as fork(2), born into a cgroup: 0 in the child.
///
/// What the program has registered to run around a fork (pthread_atfork(3)) does not.
///
/// # Safety
///
/// As after a fork of a program with threads: async-signal-safe code only.
pub(super) unsafe fn fork_into(cgroup: RawFd) -> Result<i32, Errno> {
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup as u64,
        ..CloneArgs::default()
    };
    // SAFETY: the arguments live through the call. The child returns here on its own copy of the stack.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
    let failure = || std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
    if result < 0 { Err(failure()) } else { Ok(result as i32) }
}

/// clone(2) with our memory and its own stack, for kernels and sandboxes without clone3: no cgroup, and signal
/// handlers stay (the child resets them). `pidfd` is a wish: kernels before 5.2 ignore it.
///
/// # Safety
///
/// As for [`clone3`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) unsafe fn clone(birth: &Birth, entry: Entry, arg: *mut ()) -> Result<Born, Errno> {
    let mut pidfd: RawFd = -1;
    let mut flags = (libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | birth.exit_signal) as usize;
    if birth.share_files {
        flags |= libc::CLONE_FILES as usize;
    }
    if birth.pidfd {
        flags |= libc::CLONE_PIDFD as usize;
    }
    // SAFETY: `pidfd` lives through the call; the caller vouches for the rest.
    let result = unsafe { raw_clone(flags, birth, &raw mut pidfd, entry, arg) };
    born(result, pidfd)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn born(result: isize, pidfd: RawFd) -> Result<Born, Errno> {
    if result < 0 { Err(-result as Errno) } else { Ok(Born { pid: result as i32, pidfd }) }
}

#[cfg(target_arch = "x86_64")]
unsafe fn raw_clone3(args: *mut CloneArgs, size: usize, entry: Entry, arg: *mut ()) -> isize {
    let result: isize;
    // SAFETY: in the parent only rax, rcx and r11 change. In the child rsp is the top of its own stack, and
    // `entry` never returns. Registers are named, as the child overwrites rbp and rdi before it reads the others.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r8",
            "call rdx",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") args,
            in("rsi") size,
            in("rdx") entry,
            in("r8") arg,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

#[cfg(target_arch = "x86_64")]
unsafe fn raw_clone(flags: usize, birth: &Birth, pidfd: *mut RawFd, entry: Entry, arg: *mut ()) -> isize {
    let result: isize;
    // SAFETY: as in `raw_clone3`. Order of arguments: flags, stack, parent_tid (here the pidfd), child_tid, tls.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r12",
            "ud2",
            "2:",
            in("r9") arg,
            in("r12") entry,
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags,
            in("rsi") birth.stack_top,
            in("rdx") pidfd,
            in("r10") birth.clear_tid,
            in("r8") 0usize,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn raw_clone3(args: *mut CloneArgs, size: usize, entry: Entry, arg: *mut ()) -> isize {
    let result: isize;
    // SAFETY: in the parent only x0 changes. In the child sp is the top of its own stack, and `entry` never
    // returns.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            in("x9") arg,
            in("x10") entry,
            in("x8") libc::SYS_clone3,
            inlateout("x0") args as isize => result,
            in("x1") size,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn raw_clone(flags: usize, birth: &Birth, pidfd: *mut RawFd, entry: Entry, arg: *mut ()) -> isize {
    let result: isize;
    // SAFETY: as in `raw_clone3`. Order of arguments: flags, stack, parent_tid (here the pidfd), tls, child_tid.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x30, xzr",
            "mov x0, x9",
            "blr x10",
            "brk #1",
            "2:",
            in("x9") arg,
            in("x10") entry,
            in("x8") libc::SYS_clone,
            inlateout("x0") flags as isize => result,
            in("x1") birth.stack_top,
            in("x2") pidfd,
            in("x3") 0usize,
            in("x4") birth.clear_tid,
        );
    }
    result
}

/// Processors whose stubs are not written go straight to the rung that forks.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn clone3(_: &Birth, _: Entry, _: *mut ()) -> Result<Born, Errno> {
    Err(libc::ENOSYS)
}

/// Processors whose stubs are not written go straight to the rung that forks.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn clone(_: &Birth, _: Entry, _: *mut ()) -> Result<Born, Errno> {
    Err(libc::ENOSYS)
}

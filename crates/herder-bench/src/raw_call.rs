//! The system calls of a child that shares its parent's memory, without libc.
#![expect(unsafe_code, reason = "the calls themselves")]

use std::arch::asm;
use std::ptr;

/// The kernel's `clone_args`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct CloneArgs {
    pub(crate) flags: u64,
    pub(crate) pidfd: u64,
    pub(crate) child_tid: u64,
    pub(crate) parent_tid: u64,
    pub(crate) exit_signal: u64,
    pub(crate) stack: u64,
    pub(crate) stack_size: u64,
    pub(crate) tls: u64,
    pub(crate) set_tid: u64,
    pub(crate) set_tid_size: u64,
    pub(crate) cgroup: u64,
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn clone3<T>(
    arguments: &CloneArgs,
    child: extern "C" fn(*const T) -> !,
    block: *const T,
) -> isize {
    let result: isize;
    // SAFETY: the child starts on its own stack, calls a function that never returns and reads a block that the
    // caller keeps; the parent goes on behind the call with every register but these as it was.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(arguments),
            in("rsi") size_of::<CloneArgs>(),
            in("r12") block,
            in("r13") child,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
pub(crate) fn clone3<T>(
    arguments: &CloneArgs,
    child: extern "C" fn(*const T) -> !,
    block: *const T,
) -> isize {
    let result: isize;
    // SAFETY: the child starts on its own stack, calls a function that never returns and reads a block that the
    // caller keeps; the parent goes on behind the call with every register but these as it was.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(arguments) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x20") block,
            in("x21") child,
            lateout("x30") _,
        );
    }
    result
}

/// A system call that touches neither `errno` nor anything else of libc, which the child shares with its parent.
pub(crate) fn system_call(number: i64, arguments: [usize; 4]) -> isize {
    let [a, b, c, d] = arguments;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every caller passes numbers, or pointers to memory that outlives the call.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") d, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every caller passes numbers, or pointers to memory that outlives the call.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c,
             in("x3") d, options(nostack));
    }
    result
}

//! System calls without the C library, for code that runs in a child that shares our memory.
//!
//! The wrappers of the C library store `errno` in thread-local memory, and the child has the thread pointer of
//! the thread that made it, which goes on running at the same time. They may also take locks (setuid(2) does).

/// An error number of the kernel.
pub(super) type Errno = i32;

/// Makes system call `number`.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the kernel does with them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn syscall(number: libc::c_long, args: [usize; 5]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel's calling convention (syscall(2)): rcx and r11 are overwritten, the caller vouches for
    // the arguments.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    decode(result)
}

/// Makes system call `number`.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the kernel does with them.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) unsafe fn syscall(number: libc::c_long, args: [usize; 5]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel's calling convention (syscall(2)): the caller vouches for the arguments.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            options(nostack),
        );
    }
    decode(result)
}

/// Makes system call `number`. Other processors have only the rung that forks, where the C library's thread-local
/// `errno` is the child's own copy.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the kernel does with them.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn syscall(number: libc::c_long, args: [usize; 5]) -> Result<usize, Errno> {
    // SAFETY: the caller vouches for the arguments.
    let result = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4]) };
    if result < 0 {
        return Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL));
    }
    Ok(result as usize)
}

/// The kernel gives errors as -4095 to -1.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn decode(result: isize) -> Result<usize, Errno> {
    if (-4095..0).contains(&result) { Err(-result as Errno) } else { Ok(result as usize) }
}

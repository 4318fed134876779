//! The first instructions, and what the compiler expects of a C library.

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

use crate::sys;

// The kernel enters here with a 16-byte aligned stack and no return address; a function expects to be called.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {}", "ud2", sym enter);

#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl {}", "brk #1", sym enter);

extern "C" fn enter() -> ! {
    crate::main()
}

/// Nothing here panics; if it did, the owner would start another keeper.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    sys::exit(101)
}

/// Keeps the compiler from seeing a loop that it would turn into a call of the function it stands in.
#[inline(always)]
fn step() {
    // SAFETY: no instruction at all.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}

/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    for at in 0..count {
        // SAFETY: the caller vouches for `count` bytes.
        let byte = unsafe { from.wrapping_add(at).read() };
        // SAFETY: as above.
        unsafe { to.wrapping_add(at).write(byte) };
        step();
    }
    to
}

/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if to.addr() <= from.addr() {
        // SAFETY: as the caller promises; going upwards, no byte is overwritten before it is read.
        return unsafe { memcpy(to, from, count) };
    }
    for at in (0..count).rev() {
        // SAFETY: the caller vouches for `count` bytes.
        let byte = unsafe { from.wrapping_add(at).read() };
        // SAFETY: as above.
        unsafe { to.wrapping_add(at).write(byte) };
        step();
    }
    to
}

/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
    for at in 0..count {
        // SAFETY: the caller vouches for `count` bytes.
        unsafe { to.wrapping_add(at).write(byte as u8) };
        step();
    }
    to
}

/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    for at in 0..count {
        // SAFETY: the caller vouches for `count` bytes.
        let left = unsafe { left.wrapping_add(at).read() };
        // SAFETY: as above.
        let right = unsafe { right.wrapping_add(at).read() };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
        step();
    }
    0
}

/// # Safety
///
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { memcmp(left, right, count) }
}

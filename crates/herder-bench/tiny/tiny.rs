//! The program that the benchmark runs: static, no libc, a few instructions long, so that what is measured is
//! the spawning and not the child. `build.rs` builds it three times:
//!
//! * `mode="exit"`: exits with status 0 at once;
//! * `mode="out"`: writes 24 bytes on stdout and 24 on stderr, then exits;
//! * `mode="wait"`: sleeps until it is killed, ten minutes at most (a benchmark that dies leaves nothing behind).
#![no_std]
#![no_main]

use core::arch::asm;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const WRITE: usize = 1;
    pub const NANOSLEEP: usize = 35;
    pub const EXIT_GROUP: usize = 231;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub const WRITE: usize = 64;
    pub const NANOSLEEP: usize = 101;
    pub const EXIT_GROUP: usize = 94;
}

fn call(number: usize, a: usize, b: usize, c: usize) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the three calls used here read memory that the caller borrows, and change none.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
             lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the three calls used here read memory that the caller borrows, and change none.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b, in("x2") c,
             options(nostack));
    }
    result
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    if cfg!(mode = "out") {
        let text = b"twenty-four bytes here.\n";
        call(number::WRITE, 1, text.as_ptr() as usize, text.len());
        call(number::WRITE, 2, text.as_ptr() as usize, text.len());
    }
    if cfg!(mode = "wait") {
        let ten_minutes: [i64; 2] = [600, 0];
        call(number::NANOSLEEP, ten_minutes.as_ptr() as usize, 0, 0);
    }
    loop {
        call(number::EXIT_GROUP, 0, 0, 0);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        call(number::EXIT_GROUP, 101, 0, 0);
    }
}

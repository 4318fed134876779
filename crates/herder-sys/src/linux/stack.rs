//! Stacks for children, mapped once and used again.

use std::io;
use std::sync::{Mutex, PoisonError};

/// What the child's code needs is below 2 KiB; a debug build wants more, and no signal
/// handler runs there. 64 KiB leave room for both.
const SIZE: usize = 64 * 1024;

/// What can't be touched lies below each stack: one page of the largest kind (AArch64 has 64 KiB).
const GUARD: usize = 64 * 1024;

/// How many idle stacks are kept: enough for a burst of spawns, 2 MiB at most.
const KEPT: usize = 32;

static IDLE: Mutex<Vec<Stack>> = Mutex::new(Vec::new());

/// A mapped stack that nobody else uses.
#[derive(Debug)]
pub(super) struct Stack {
    base: *mut u8,
}

// SAFETY: the mapping is not tied to a thread.
unsafe impl Send for Stack {}

impl Stack {
    /// An idle stack, or a new one.
    pub(super) fn take() -> io::Result<Self> {
        if let Some(stack) = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(stack);
        }
        // SAFETY: a new private mapping, nothing of ours is replaced.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SIZE + GUARD,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base: base.cast() };
        // SAFETY: the lowest pages of the mapping just made.
        super::cvt(unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) })?;
        Ok(stack)
    }

    /// Its highest address, aligned as both processors want it.
    pub(super) fn top(&self) -> *mut u8 {
        self.base.wrapping_add(SIZE + GUARD)
    }

    /// Bytes that may be used below [`top`](Self::top).
    pub(super) fn size(&self) -> usize {
        SIZE
    }

    /// Puts it back for the next child. Nobody may use it any more.
    pub(super) fn recycle(self) {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(self);
        }
    }
}

impl Stack {
    /// Leaves it to a child that may never let go of it.
    pub(super) fn abandon(self) {
        let _kept = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone, and whoever drops it vouches that no child runs on it.
        let result = unsafe { libc::munmap(self.base.cast(), SIZE + GUARD) };
        debug_assert_eq!(result, 0, "unmapping our own mapping");
    }
}

//! Memory that this process has written to.
#![expect(unsafe_code, reason = "memory is mapped by hand, so that it is in small pages")]

use std::ffi::c_void;
use std::io;
use std::ptr;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Memory in small pages, each of them written once: what a fork must copy the page tables of.
pub(crate) struct Touched {
    start: *mut c_void,
    length: usize,
}

impl Touched {
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new anonymous mapping at an address that the kernel chooses.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::PRIVATE) }?;
        // SAFETY: the whole of the mapping just made, and an advice that changes none of its contents.
        unsafe { madvise(start, length, Advice::LinuxNoHugepage) }?;
        for offset in (0..length).step_by(4096) {
            let page = start.cast::<u8>().wrapping_add(offset);
            // SAFETY: `offset` is below `length`, so this byte is within the mapping.
            unsafe { page.write_volatile(1) };
        }
        Ok(Self { start, length })
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nothing refers to.
        let result = unsafe { munmap(self.start, self.length) };
        debug_assert!(result.is_ok(), "the memory was mapped");
    }
}

//! Handles that are ours.

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, HANDLE, WAIT_FAILED, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, INFINITE, WaitForSingleObject};

use super::cvt;

/// Takes a handle that a system call has just given us; null is its error.
pub(super) fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fresh from the kernel, nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// A second handle for the same thing; children may get it or not.
pub(super) fn duplicate(handle: HANDLE, inheritable: bool) -> io::Result<OwnedHandle> {
    // SAFETY: no arguments; a constant.
    let ours = unsafe { GetCurrentProcess() };
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: one handle is written to a live local. A handle that is none is an error.
    cvt(unsafe {
        DuplicateHandle(ours, handle, ours, &raw mut copy, 0, i32::from(inheritable), DUPLICATE_SAME_ACCESS)
    })?;
    own(copy)
}

/// Waits until the thing is signalled, `limit` at most (`None`: for ever). Whether it is.
pub(super) fn wait(handle: &impl AsRawHandle, limit: Option<Duration>) -> io::Result<bool> {
    let limit = limit.map_or(INFINITE, |limit| u32::try_from(limit.as_millis()).unwrap_or(INFINITE - 1));
    // SAFETY: the handle is open while it is borrowed.
    match unsafe { WaitForSingleObject(handle.as_raw_handle(), limit) } {
        WAIT_OBJECT_0 => Ok(true),
        WAIT_FAILED => Err(io::Error::last_os_error()),
        _ => Ok(false),
    }
}

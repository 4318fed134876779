//! The handles that a child gets.

use std::fs::OpenOptions;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{
    HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{
    GetConsoleMode, GetStdHandle, STD_ERROR_HANDLE, STD_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
};

use super::cvt;
use super::handle::duplicate;
use crate::{FdSource, SpawnRequest};

/// Handles for one child, which no other child of ours gets: each start names its own in a list.
pub(super) struct Streams {
    /// Standard input, output and error; null is none at all.
    pub(super) standard: [HANDLE; 3],
    /// All that the child gets, each once.
    pub(super) list: Vec<HANDLE>,
    /// Copies that may be inherited, open until the child has its own.
    _copies: Vec<OwnedHandle>,
}

impl Streams {
    pub(super) fn new(request: &SpawnRequest) -> io::Result<Self> {
        let mut copies: Vec<OwnedHandle> = Vec::new();
        let mut standard = [null_mut(); 3];
        for (index, id) in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE].into_iter().enumerate() {
            let named = request.fds.iter().rev().find(|(target, _)| usize::try_from(*target) == Ok(index));
            let copy = match named.map(|(_, source)| source) {
                None => inherited(id)?,
                Some(FdSource::Null) => Some(null_device()?),
                Some(FdSource::Fd(handle)) => Some(duplicate(handle.as_raw_handle(), true)?),
                Some(FdSource::Same(other)) => {
                    let other = usize::try_from(*other).ok().filter(|other| *other < index);
                    standard[index] =
                        other.map(|other| standard[other]).ok_or(io::ErrorKind::InvalidInput)?;
                    continue;
                }
            };
            if let Some(copy) = copy {
                standard[index] = copy.as_raw_handle();
                copies.push(copy);
            }
        }
        if request.fds.iter().any(|(target, _)| !(0..=2).contains(target)) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut list: Vec<HANDLE> = copies.iter().map(AsRawHandle::as_raw_handle).collect();
        for handle in &request.windows.handles {
            let handle = handle.as_raw_handle();
            // The child is to find it under the number that it has here, so it is no copy.
            // SAFETY: the request has it open.
            cvt(unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) })?;
            if !list.contains(&handle) {
                list.push(handle);
            }
        }
        Ok(Self { standard, list, _copies: copies })
    }
}

/// A copy of our own stream; `None` if we have none, as a program with windows may.
fn inherited(id: STD_HANDLE) -> io::Result<Option<OwnedHandle>> {
    // SAFETY: a number only.
    let handle = unsafe { GetStdHandle(id) };
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Ok(None);
    }
    match duplicate(handle, true) {
        Ok(copy) => Ok(Some(copy)),
        // It was closed, and the number is left.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(6) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn null_device() -> io::Result<OwnedHandle> {
    let file: OwnedHandle = OpenOptions::new().read(true).write(true).open(r"\\.\NUL")?.into();
    duplicate(file.as_raw_handle(), true)
}

/// Whether `handle` is our console: then a child that is to hear Ctrl-C as we do must stay in our process group.
#[must_use]
pub fn foreground_terminal(handle: BorrowedHandle<'_>) -> bool {
    let mut mode = 0;
    // SAFETY: one number is written to a live local; anything but a console is an error.
    unsafe { GetConsoleMode(handle.as_raw_handle(), &raw mut mode) != 0 }
}

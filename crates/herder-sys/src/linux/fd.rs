//! Files in memory, beside what every Unix has.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::cvt;
pub(super) use crate::unix::fd::{own, pipe_ends, set_nonblocking};

/// A close-on-exec file in memory with these bytes in it.
pub(super) fn in_memory(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated string is read.
    let file = own(cvt(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) })?);
    write_all(&file, bytes)?;
    Ok(file)
}

/// Writes everything.
pub(super) fn write_all(fd: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: as many bytes as there are are read.
        match cvt(unsafe { libc::write(fd.as_raw_fd(), rest.as_ptr().cast(), rest.len()) }) {
            Ok(written) => rest = rest.get(written as usize..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

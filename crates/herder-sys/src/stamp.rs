//! Streams on which the kernel writes down when each write was made.

#[cfg(not(target_os = "linux"))]
use std::io;
#[cfg(not(target_os = "linux"))]
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

#[cfg(not(target_os = "linux"))]
use crate::Pipe;
#[cfg(target_os = "linux")]
pub use crate::unix::stamp::{largest_stamped_write, receive_stamped, stamped_pipe};

/// One write on a stamped stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamped {
    /// How many bytes it had. Those that did not fit into the buffer are lost.
    pub len: usize,
    /// When it was made, by the clock of the system (`CLOCK_REALTIME`).
    pub at: SystemTime,
}

impl Stamped {
    #[cfg(target_os = "linux")]
    pub(crate) fn new(len: usize, at: SystemTime) -> Self {
        Self { len, at }
    }
}

/// Not on this system.
///
/// # Errors
///
/// Always `Unsupported`.
#[cfg(not(target_os = "linux"))]
pub fn stamped_pipe() -> io::Result<Pipe> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not on this system.
///
/// # Errors
///
/// Always `Unsupported`.
#[cfg(not(target_os = "linux"))]
pub fn largest_stamped_write(_: BorrowedFd<'_>) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not on this system.
///
/// # Errors
///
/// Always `Unsupported`.
#[cfg(not(target_os = "linux"))]
pub fn receive_stamped(_: BorrowedFd<'_>, _: &mut [u8]) -> io::Result<Option<Stamped>> {
    Err(io::ErrorKind::Unsupported.into())
}

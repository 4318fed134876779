//! Descriptors in the reactor of the current runtime, if it has one.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Puts a descriptor into the reactor of the current runtime. `fd` owns it and never changes it.
///
/// Tokio panics in a runtime without its I/O driver, and has no way to ask beforehand.
pub(crate) fn register<F: AsRawFd>(fd: F, interest: Interest) -> io::Result<AsyncFd<F>> {
    #[expect(deprecated, reason = "the safe form, by the promise above")]
    let register = std::panic::AssertUnwindSafe(|| AsyncFd::with_interest(fd, interest));
    std::panic::catch_unwind(register).unwrap_or_else(|_| {
        let message = "this Tokio runtime has no I/O driver: build it with enable_io or enable_all";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    })
}

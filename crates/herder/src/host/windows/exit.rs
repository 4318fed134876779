//! Being told of an exit: by the system's thread pool, which waits for many processes with one thread.

use std::convert::Infallible;
use std::io;

use herder_sys::{ExitWatch, ProcessHandle};
use tokio::sync::watch;

/// The reactor of a runtime does not know of exits here.
#[derive(Debug)]
pub(crate) struct InReactor(Infallible);

impl InReactor {
    /// `None`.
    pub(crate) fn new(_process: &ProcessHandle) -> Option<Self> {
        None
    }

    /// Waits until the child has exited.
    #[expect(clippy::unused_async, reason = "as on the other systems")]
    pub(crate) async fn exited(&self) -> io::Result<()> {
        match self.0 {}
    }
}

/// Who tells of an exit: not any more when this is dropped.
#[derive(Debug)]
pub(crate) struct Telling {
    _watch: Option<ExitWatch>,
}

/// Tells when the child has exited, without any runtime.
///
/// Where the system can't wait for it, the sender is dropped at once.
pub(crate) fn tell_exit(process: &ProcessHandle, exited: watch::Sender<bool>) -> Telling {
    let tell = move || {
        exited.send_replace(true);
    };
    Telling { _watch: process.watch(tell).ok() }
}

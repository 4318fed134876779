//! Being told of an exit: by the pidfd in the reactor, or by a thread that waits.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use herder_sys::ProcessHandle;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::reactor::register;

/// A child's pidfd in the reactor of a runtime.
#[derive(Debug)]
pub(crate) struct InReactor(AsyncFd<Pidfd>);

#[derive(Debug)]
struct Pidfd(ProcessHandle);

impl AsRawFd for Pidfd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.pidfd().map_or(-1, |fd| fd.as_fd().as_raw_fd())
    }
}

impl InReactor {
    /// Puts the pidfd into the reactor of the current runtime; `None` if there is none to be had.
    pub(crate) fn new(process: &ProcessHandle) -> Option<Self> {
        process.pidfd()?;
        // The process owns its pidfd, which never changes.
        register(Pidfd(process.clone()), Interest::READABLE).ok().map(Self)
    }

    /// Waits until the child has exited.
    ///
    /// # Errors
    ///
    /// That runtime is gone.
    pub(crate) async fn exited(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }
}

/// Who tells of an exit, as long as there is need.
#[derive(Debug)]
pub(crate) struct Telling(());

/// Tells when the child has exited, without any runtime: a thread blocks in waitid(2).
///
/// Where there is no thread to be had, the sender is dropped at once.
pub(crate) fn tell_exit(process: &ProcessHandle, exited: watch::Sender<bool>) -> Telling {
    let process = process.clone();
    let body = move || {
        // Whatever it says, the waiters look for themselves.
        drop(process.wait_exited());
        exited.send_replace(true);
    };
    drop(std::thread::Builder::new().name("herder-wait".into()).stack_size(64 * 1024).spawn(body));
    Telling(())
}

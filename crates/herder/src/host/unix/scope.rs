//! Being told that a scope may be empty.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use herder_sys::{Mechanism, Scope};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use super::super::CGROUP_CHANGES;
use super::reactor::register;

/// What tells that a scope may have become empty.
#[derive(Debug)]
pub(crate) struct ScopeWatch {
    fd: AsyncFd<Changes>,
    interest: Interest,
}

#[derive(Debug)]
struct Changes(Scope);

impl AsRawFd for Changes {
    fn as_raw_fd(&self) -> RawFd {
        self.0.changes().map_or(-1, |fd| fd.as_fd().as_raw_fd())
    }
}

impl ScopeWatch {
    /// In the reactor of the current runtime; `None` if there is none to be had, or if somebody else waits for the
    /// same scope in this runtime: then it has to be looked at from time to time.
    pub(crate) fn new(scope: &Scope) -> Option<Self> {
        Handle::try_current().ok()?;
        scope.changes()?;
        let interest = match scope.mechanism() {
            Mechanism::Cgroup => CGROUP_CHANGES,
            _ => Interest::READABLE,
        };
        // The scope owns its descriptor, which never changes.
        let fd = register(Changes(scope.clone()), interest).ok()?;
        Some(Self { fd, interest })
    }

    /// Waits for news.
    pub(crate) async fn changed(&self) {
        if let Ok(mut ready) = self.fd.ready(self.interest).await {
            ready.clear_ready();
        }
    }
}

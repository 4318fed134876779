//! Being told that a scope may be empty.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use herder_sys::Scope;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

/// What tells that a scope may have become empty.
#[derive(Debug)]
pub(crate) struct ScopeWatch(AsyncFd<Changes>);

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
        let interest = Interest::PRIORITY;
        #[expect(deprecated, reason = "the safe form: the scope owns its descriptor, which never changes")]
        let register = || AsyncFd::with_interest(Changes(scope.clone()), interest).ok();
        // Tokio panics in a runtime without its I/O driver, and has no way to ask beforehand.
        catch_unwind(AssertUnwindSafe(register)).ok().flatten().map(Self)
    }

    /// Waits for news.
    pub(crate) async fn changed(&self) {
        if let Ok(mut ready) = self.0.ready(Interest::PRIORITY).await {
            ready.clear_ready();
        }
    }
}

//! Nothing tells that a job is empty, but its own count: it has to be looked at from time to time.

use std::convert::Infallible;

use herder_sys::Scope;

/// What tells that a scope may have become empty: nothing that could be relied on.
///
/// A completion port gives messages about a job. They are a hint, and delivery is not guaranteed, by Microsoft's own
/// word ("JOBOBJECT_ASSOCIATE_COMPLETION_PORT").
#[derive(Debug)]
pub(crate) struct ScopeWatch(Infallible);

impl ScopeWatch {
    /// `None`.
    pub(crate) fn new(_scope: &Scope) -> Option<Self> {
        None
    }

    /// Waits for news.
    #[expect(clippy::unused_async, reason = "as on the other systems")]
    pub(crate) async fn changed(&self) {
        match self.0 {}
    }
}

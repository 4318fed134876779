//! What there is for a limit that holds for no tree: nothing. Windows limits a job, or nobody.

use herder_sys::{Limit, SpawnRequest};

/// Whether each process by itself can be held to it; if not, what is to be said of that beside the reason why the tree
/// can't be.
pub(crate) fn each_process(_limit: Limit) -> Result<(), &'static str> {
    Err("")
}

/// Nothing: [`each_process`] says no to every limit.
pub(crate) fn limit_memory_of_each(_request: &mut SpawnRequest, _bytes: u64) {}

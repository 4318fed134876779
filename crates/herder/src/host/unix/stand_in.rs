//! What there is for a limit that holds for no tree: one for each process by itself. setrlimit(2)

use herder_sys::{Limit, Resource, SpawnRequest, data_limit};

/// Whether each process by itself can be held to it; if not, what is to be said of that beside the reason why the tree
/// can't be.
pub(crate) fn each_process(limit: Limit) -> Result<(), &'static str> {
    match limit {
        Limit::Memory(_) => Ok(()),
        Limit::Processes(_) => {
            Err("; RLIMIT_NPROC is no substitute: it counts all processes of a user, and none of root's")
        }
        Limit::Cpu(_) => Err("; there is no resource limit of that kind"),
        _ => Err(""),
    }
}

/// Limits the memory of each process of the child by itself.
pub(crate) fn limit_memory_of_each(request: &mut SpawnRequest, bytes: u64) {
    // To raise a hard limit takes privileges; one that is lower than what is asked for does what is asked for.
    let bytes = data_limit().map_or(bytes, |most| most.min(bytes));
    request.rlimits.push((Resource::Data, bytes, bytes));
}

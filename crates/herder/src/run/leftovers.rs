//! What a child leaves behind: seen, named, and ended or let go.

use std::time::Duration;

use crate::child::{Settings, Shared};
use crate::contain::{Leak, Limit, LimitResult, Strength};
use crate::report::Leftovers;

/// How long a scope may take to be empty after it was killed: far more than the kernel needs, but a process that waits
/// for a disk that does not answer can't be killed.
const TEARDOWN: Duration = Duration::from_secs(5);

/// After the child has exited and its output was read. `ended`: we ended it.
pub(super) async fn end(shared: &Shared, settings: &Settings, ended: bool) -> Leftovers {
    let hold = &shared.reach.hold;
    if hold.scope().is_none() || (settings.leak == Leak::Ignore && !ended) {
        return Leftovers::default();
    }
    if !hold.is_empty() && !ended && !settings.leak_grace.is_zero() {
        // Not in time: what is left is looked at below.
        drop(tokio::time::timeout(settings.leak_grace, hold.emptied(|| false)).await);
    }
    let found = if hold.is_empty() { Vec::new() } else { hold.members() };
    let survivors =
        found.into_iter().filter(|member| member.pid != shared.process.pid().unsigned_abs()).collect();
    let kills = ended || settings.leak.kills();
    let empty = if kills { hold.kill_until_empty(TEARDOWN).await } else { hold.is_empty() };
    Leftovers { survivors, empty: Some(empty) }
}

/// The same of a process group, which is killed when the child is reaped, so after that. Those that left it are not seen.
pub(super) async fn group_is_empty(shared: &Shared, settings: &Settings, ended: bool) -> Option<bool> {
    if shared.reach.strength != Strength::Group || (settings.leak == Leak::Ignore && !ended) {
        return None;
    }
    let emptied = async {
        let mut pause = Duration::from_millis(1);
        while shared.process.group_is_empty() == Some(false) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(TEARDOWN / 50);
        }
    };
    if ended || settings.leak.kills() {
        // Not in time: what is left then is told.
        drop(tokio::time::timeout(TEARDOWN, emptied).await);
    }
    shared.process.group_is_empty()
}

/// How many were killed for want of memory, where that is limited for all together.
pub(super) fn oom_kills(shared: &Shared) -> Option<u64> {
    let is_limited = |(limit, force): &LimitResult| matches!(limit, Limit::Memory(_)) && force.is_whole();
    let limited = shared.reach.limits.iter().any(is_limited);
    limited.then(|| shared.reach.hold.scope()?.oom_kills()).flatten()
}

//! What a child is given of its owner.

use super::{Act, Hygiene, Scenario, row};

pub(super) fn scenarios() -> Vec<Scenario> {
    use Hygiene::{BlockedSignals, ClosedStandard, ConcurrentDescriptors, IgnoredPipe, OpenDescriptor};
    let act = |name, promise, hygiene| row(name, promise, Act::Hygiene(hygiene));
    vec![
        act(
            "open-descriptor",
            "a descriptor that is not close-on-exec does not reach the child",
            OpenDescriptor,
        ),
        act(
            "concurrent-descriptors",
            "children spawned at once hold none of each other's pipes",
            ConcurrentDescriptors,
        ),
        act("blocked-signals", "signals that the caller blocks are not blocked in the child", BlockedSignals),
        act("sigpipe", "SIGPIPE, which Rust ignores, is not ignored in the child", IgnoredPipe),
        act("closed-standard", "a capture works in a program without descriptors 0, 1 and 2", ClosedStandard),
    ]
}

//! Many at once, and what may not be waited for.

use super::{Act, Crowd, Scenario, row};

pub(super) fn scenarios() -> Vec<Scenario> {
    use Crowd::{
        BigParent, DescriptorsAfterFailures, DescriptorsAfterRuns, DropHundreds, ThousandAtOnce, Threads,
        TimeOfDrop, ZombiesAfterDrops, ZombiesAfterWaits,
    };
    let act = |name, promise, crowd| row(name, promise, Act::Crowd(crowd));
    let alone = |scenario| Scenario { heavy: true, ..scenario };
    vec![
        alone(act("thousand-at-once", "a thousand children at once each have their status", ThousandAtOnce)),
        alone(act(
            "drop-500",
            "dropping 500 living children at once blocks nobody and ends them all",
            DropHundreds,
        )),
        act("zombies-after-waits", "a hundred awaited children leave no zombie", ZombiesAfterWaits),
        act("zombies-after-drops", "a hundred children dropped unawaited leave no zombie", ZombiesAfterDrops),
        alone(act(
            "descriptors-after-runs",
            "two hundred runs leave no descriptor open",
            DescriptorsAfterRuns,
        )),
        alone(act(
            "descriptors-after-failures",
            "two hundred failed starts leave no descriptor and no zombie",
            DescriptorsAfterFailures,
        )),
        act("threads", "runs from sixteen threads at once each have their own output", Threads),
        alone(act("big-parent", "a spawn does not take longer in a program of 768 MiB", BigParent)),
        act("time-of-drop", "a drop does not wait for the child to end", TimeOfDrop),
    ]
}

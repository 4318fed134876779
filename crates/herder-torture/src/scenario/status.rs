//! What is told about an end.

use super::{Act, Scenario, Status, row};

pub(super) fn scenarios() -> Vec<Scenario> {
    use Status::{
        AllCodes, CancelledAndRetried, CodeIsNoSignal, GracefulEnd, Ignored, KillAfterExit, KillWhileWaiting,
        OutsideRuntime, ShortLivedThread, Signals, TryWait, WaitTwice,
    };
    let act = |name, promise, status| row(name, promise, Act::Status(status));
    vec![
        Scenario { heavy: true, ..act("exit-codes", "each code from 0 to 255 is told", AllCodes) },
        act("signals", "the signal that ended a child is told", Signals),
        act("code-no-signal", "a child that exits with 137 is told from one that was killed", CodeIsNoSignal),
        act("wait-twice", "a second wait gives the same status", WaitTwice),
        act("try-wait", "try_wait gives the status, again and again, and so does wait", TryWait),
        act("wait-cancelled", "a wait that was cancelled twenty times loses no status", CancelledAndRetried),
        act("kill-while-waiting", "a child can be killed while somebody waits for it", KillWhileWaiting),
        act("kill-after-exit", "a kill that comes too late leaves the status alone", KillAfterExit),
        act(
            "sigchld-ignored",
            "a status that the kernel threw away is told to be lost, not made up",
            Ignored,
        ),
        act("asked-first", "a child that cleans up when asked has the time to", GracefulEnd),
        act(
            "short-lived-thread",
            "the end of the thread that spawned it does not end a child",
            ShortLivedThread,
        ),
        act("no-runtime", "a child can be spawned and dropped without any runtime", OutsideRuntime),
    ]
}

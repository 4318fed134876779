//! Walks a ladder in real time.

use std::future::Future;
use std::io;
use std::time::Instant;

use tokio::sync::Notify;

use super::ladder::{Action, Event, Ladder};
use super::{Attempt, Step, Termination};

/// Walks down `policy` until the process has `exited`: `take` does a step, `note` is told how that went.
///
/// `hurry` makes it take the next rung at once.
///
/// # Cancel safety
///
/// Cancelled, it takes no further step.
pub(crate) async fn drive(
    policy: &Termination,
    exited: impl Future<Output = ()>,
    hurry: &Notify,
    take: impl Fn(Step) -> io::Result<()>,
    note: impl Fn(Attempt),
) {
    let mut ladder = Ladder::new(policy, Instant::now());
    let mut exited = std::pin::pin!(exited);
    let mut event = Event::Tick;
    loop {
        let step = match ladder.step(event, Instant::now()) {
            Action::CloseStdin => Step::CloseStdin,
            Action::Signal(signal) => Step::Signal(signal),
            Action::Kill => Step::Kill,
            Action::WaitUntil(until) => {
                event = tokio::select! {
                    biased;
                    () = &mut exited => Event::Exited,
                    () = tokio::time::sleep_until(until.into()) => Event::Tick,
                    () = hurry.notified() => Event::Hurry,
                };
                continue;
            }
            Action::WaitForExit => {
                exited.as_mut().await;
                event = Event::Exited;
                continue;
            }
            Action::Done => return,
        };
        let result = take(step);
        note(Attempt::new(step, ladder.elapsed(Instant::now()), &result));
        event = if result.is_ok() { Event::Tick } else { Event::StepFailed };
    }
}

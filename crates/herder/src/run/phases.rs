//! The two phases of a run: until the exit, and after it, while the output drains.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::clock::{Clock, Limit};
use super::drain::Activity;
use crate::child::Shared;
use crate::report::RunError;
use crate::terminate::{Termination, drive};

/// How long a child that exits soon is looked at before its pipes are: most outputs are small, and can be read whole
/// after the exit, without waiting for them in the reactor.
const EXIT_FIRST: Duration = Duration::from_millis(2);

/// Feeding and reading, as one future that is driven in two phases: before the exit and after it.
pub(super) struct Work<'a, F> {
    pub(super) future: Pin<&'a mut F>,
    pub(super) done: bool,
    /// Whether there are pipes to read, and nothing to feed that the child may wait for.
    pub(super) pays_to_wait: bool,
}

impl<F: Future<Output = ()>> Work<'_, F> {
    /// Goes on with it; may be cancelled and called again until it is done.
    async fn advance(&mut self) {
        self.future.as_mut().await;
        self.done = true;
    }
}

/// Works until the child has exited; ends it when a limit is reached. Gives that limit.
pub(super) async fn until_exit(
    shared: &Shared,
    policy: &Termination,
    clock: &Clock,
    activity: &Activity,
    work: &mut Work<'_, impl Future<Output = ()>>,
) -> Result<Option<Limit>, RunError> {
    let mut exited = std::pin::pin!(shared.exited());
    let (mut limit, mut gone) = (None, false);
    let hurry = Notify::new();
    let mut ladder = std::pin::pin!(drive(
        policy,
        std::future::pending(),
        &hurry,
        |step| shared.take(step),
        |attempt| shared.attempt(attempt)
    ));
    if work.pays_to_wait {
        tokio::select! {
            biased;
            exit = &mut exited => return exit.map(|()| None).map_err(Into::into),
            () = tokio::time::sleep(EXIT_FIRST.min(clock.shortest())) => {}
        }
    }
    loop {
        let deadline = clock.next(activity.last());
        tokio::select! {
            biased;
            exit = &mut exited, if !gone => {
                exit?;
                if limit.is_none() && !shared.is_walked() {
                    return Ok(None);
                }
                gone = true;
            }
            // It is being ended, and that is over when nobody is left.
            () = shared.reach.hold.emptied(|| shared.record().killed), if gone => return Ok(limit),
            () = shared.walks_over(), if gone && limit.is_none() => return Ok(None),
            () = work.advance(), if !work.done => {}
            () = &mut ladder, if limit.is_some() => {}
            () = sleep_until(deadline), if limit.is_none() && deadline.is_some() => {
                limit = clock.reached(activity.last(), Instant::now());
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// After the exit: reads on until the streams end, or nothing came for the grace period, or a descendant has kept
/// them busy for too long. A writer that takes no bytes is waited for until `patience` ends; one that is only slow, to
/// the end of what the child left behind.
pub(super) async fn drain_rest(
    grace: Duration,
    patience: Option<Instant>,
    activity: &Activity,
    work: &mut Work<'_, impl Future<Output = ()>>,
) {
    let exited = Instant::now();
    let long_for = grace.saturating_mul(10);
    while !work.done {
        let since = if activity.is_delivering() { Some(Instant::now()) } else { activity.last() };
        // A moment at least: without any grace, a writer that takes its time would make this a busy loop.
        let pause = if activity.is_delivering() { grace.max(MOMENT) } else { grace };
        let wake = since.map_or(exited, |since| since.max(exited)).checked_add(pause);
        tokio::select! {
            biased;
            () = work.advance() => return,
            () = sleep_until(wake) => {}
        }
        let now = Instant::now();
        let quiet = activity.last().is_none_or(|last| now.saturating_duration_since(last) >= grace);
        let long = now.saturating_duration_since(exited) >= long_for;
        // A reader behind a tee may be slow: what the child left behind is not given up for that.
        let delivering = activity.is_delivering() && !activity.is_past_exit();
        let moves = activity.last().is_some_and(|last| now.saturating_duration_since(last) < long_for);
        // A subscriber that is never polled is no writer that somebody waits for.
        let patient = moves || !activity.is_held_up() && patience.is_none_or(|end| now < end);
        if (quiet || long) && !(delivering && patient) {
            return;
        }
    }
}

/// How often a writer that takes no bytes is looked at.
const MOMENT: Duration = Duration::from_millis(10);

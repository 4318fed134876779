//! When a stream is over whose child has exited, though something still holds it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// More than that, read after the exit, is not the child's. A pipe can hold 1 MiB without privileges
/// (`/proc/sys/fs/pipe-max-size`); a [stamped](crate::Stdio::stamped) stream 1 MiB and one more write, which is not
/// larger, and there are two of them.
const LEFT_BEHIND: u64 = 4 * 1024 * 1024;

/// When to give up a stream whose child has exited.
pub(crate) struct Exit {
    pub(crate) exited: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// How long the stream may be quiet then.
    pub(crate) grace: Duration,
}

/// Watches for the exit of the child, and a stream that goes on all the same.
pub(super) struct AfterExit {
    exit: Exit,
    exited_at: Option<Instant>,
    /// How long we were blocked since then.
    pub(super) blocked: Duration,
    /// What was read since then.
    read: u64,
    /// How long we have waited for bytes since then.
    waited: Duration,
    quiet: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl AfterExit {
    pub(super) fn new(exit: Exit) -> Self {
        let (blocked, waited) = (Duration::ZERO, Duration::ZERO);
        Self { exit, exited_at: None, blocked, read: 0, waited, quiet: None }
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exited_at.is_some()
    }

    pub(super) fn poll_exited(&mut self, context: &mut Context<'_>) -> bool {
        if self.exited_at.is_none() && self.exit.exited.as_mut().poll(context).is_ready() {
            self.exited_at = Some(Instant::now());
            self.blocked = Duration::ZERO;
        }
        self.has_exited()
    }

    fn long(&self) -> Duration {
        self.exit.grace.saturating_mul(10)
    }

    /// Nothing is there to be read: ready if it has been so for long enough.
    pub(super) fn poll_quiet(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.poll_exited(context) {
            return Poll::Pending;
        }
        let left = self.exit.grace.min(self.long().saturating_sub(self.waited));
        let quiet = self.quiet.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
        quiet.1.as_mut().poll(context)
    }

    /// Something is there to be read.
    pub(super) fn has_bytes(&mut self, context: &mut Context<'_>) {
        if let Some((since, _)) = self.quiet.take() {
            self.waited += since.elapsed();
        }
        // One that always has bytes leaves no other time to ask.
        self.poll_exited(context);
    }

    pub(super) fn is_flooded(&mut self, count: usize) -> bool {
        let Some(exited_at) = self.exited_at else { return false };
        self.read += count as u64;
        self.read > LEFT_BEHIND && exited_at.elapsed().saturating_sub(self.blocked) >= self.long()
    }
}

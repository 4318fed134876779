//! When to give up on a reader of our output that does not read.
//!
//! As long as all goes well we wait for it, as any program does. But when the program is gone because its time was
//! over, or because we were asked to end, we must not stay behind for ever with bytes that nobody takes.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use herder::ChildHandle;
use tokio::sync::watch;

/// How long a reader may take for one write, once we would rather end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A stream of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout = 0,
    Stderr = 1,
}

impl Stream {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// The writes of one run that wait for a reader.
#[derive(Debug)]
pub(crate) struct Stall {
    /// Since when a write waits, for each stream.
    since: Mutex<[Option<Instant>; 2]>,
    asked: watch::Sender<bool>,
    given_up: watch::Sender<bool>,
}

impl Default for Stall {
    fn default() -> Self {
        Self { since: Mutex::default(), asked: watch::channel(false).0, given_up: watch::channel(false).0 }
    }
}

impl Stall {
    /// Notes that a write to a stream has been made, or waits.
    pub(crate) fn note(&self, stream: Stream, waits: bool) {
        let since = &mut self.since.lock().unwrap_or_else(PoisonError::into_inner)[stream as usize];
        *since = if waits { since.or_else(|| Some(Instant::now())) } else { None };
    }

    /// Notes that we are to end.
    pub(crate) fn ask(&self) {
        self.asked.send_replace(true);
    }

    /// Whether we are to end.
    pub(crate) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Ready when no write is to wait any longer.
    pub(crate) fn given_up(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut given_up = self.given_up.subscribe();
        async move { drop(given_up.wait_for(|given_up| *given_up).await) }
    }

    pub(crate) fn has_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// Waits for the end of the program, then for a reason to end (`deadline` is one), and then gives up on a reader
    /// that does not read.
    pub(crate) async fn watch(&self, child: &ChildHandle, deadline: Option<Instant>) -> Infallible {
        drop(child.wait().await);
        let mut asked = self.asked.subscribe();
        let over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = asked.wait_for(|asked| *asked) => {}
            () = over => {}
        }
        let begin = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
            let stalled = |since: Instant| since.max(begin).elapsed() >= PATIENCE;
            if since.into_iter().flatten().any(stalled) {
                self.given_up.send_replace(true);
            }
        }
    }
}

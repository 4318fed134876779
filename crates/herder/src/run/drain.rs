//! Reads one stream to its end: into the bounds of a capture, a file, and a writer.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::{Tee, not_captured};
use crate::child::{ChildStderr, ChildStdout, Settings};
use crate::output::{Collector, OutputEnd, Redactor, SharedOutput, Spill, StreamReport};

/// Bytes read at once: what a pipe holds by default.
const CHUNK: usize = 64 * 1024;

/// Chunks read in one go: 1 MiB.
const YIELD_AFTER: u32 = 16;

/// What both streams can hold at most: more than that, read after the exit, is not only the child's. A pipe holds no more
/// than 1 MiB without privileges (`/proc/sys/fs/pipe-max-size`), a stamped stream twice that.
const LEFT_BEHIND: u64 = 4 * 1024 * 1024;

/// What happened on the streams of a child, for the timers of the join.
#[derive(Debug, Default)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Streams that a task of their own reads.
    shared: Vec<SharedOutput>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    last: Option<Instant>,
    delivering: u32,
    exited: bool,
    after_exit: u64,
}

impl Activity {
    pub(super) fn new(shared: impl IntoIterator<Item = SharedOutput>) -> Self {
        Self { state: Mutex::default(), shared: shared.into_iter().collect() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a byte came last.
    pub(super) fn last(&self) -> Option<Instant> {
        let shared = self.shared.iter().filter_map(SharedOutput::last).max();
        self.state().last.max(shared)
    }

    /// Whether a chunk is on its way to a file or a writer.
    pub(super) fn is_delivering(&self) -> bool {
        self.is_held_up() || self.shared.iter().any(SharedOutput::is_spilling) || self.state().delivering > 0
    }

    /// Whether a subscriber of a shared stream keeps it from being read.
    pub(super) fn is_held_up(&self) -> bool {
        self.shared.iter().any(SharedOutput::is_held_up)
    }

    pub(super) fn after_exit(&self) {
        self.state().exited = true;
    }

    /// Whether more was read after the exit than the child can have left behind.
    pub(super) fn is_past_exit(&self) -> bool {
        self.state().after_exit > LEFT_BEHIND
    }

    fn read(&self, count: usize) {
        let mut state = self.state();
        state.last = Some(Instant::now());
        if state.exited {
            state.after_exit += count as u64;
        }
    }

    fn delivering(&self) -> Delivering<'_> {
        self.state().delivering += 1;
        Delivering(self)
    }
}

struct Delivering<'a>(&'a Activity);

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.delivering -= 1;
        state.last = Some(Instant::now());
    }
}

/// Either output stream.
pub(super) enum Source {
    Stdout(ChildStdout),
    Stderr(ChildStderr),
}

impl From<ChildStdout> for Source {
    fn from(stream: ChildStdout) -> Self {
        Self::Stdout(stream)
    }
}

impl From<ChildStderr> for Source {
    fn from(stream: ChildStderr) -> Self {
        Self::Stderr(stream)
    }
}

impl Source {
    /// Reads up to [`CHUNK`] bytes, and no more than `buffer` has room for, behind those that it has.
    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        match self {
            Self::Stdout(stream) => stream.poll_read_behind(context, buffer, CHUNK),
            Self::Stderr(stream) => stream.poll_read_behind(context, buffer, CHUNK),
        }
    }
}

/// One stream on its way into the report. What was read is kept here, whenever the reading is given up.
pub(super) struct Drain<'a> {
    source: Option<Source>,
    /// The stream that a task reads, instead of us.
    shared: Option<SharedOutput>,
    piped: bool,
    /// If there is anything to replace.
    redactor: Option<Box<Redactor>>,
    collector: Collector,
    spill: Option<Spill>,
    tee: Option<Tee<'a>>,
    end: OutputEnd,
}

impl<'a> Drain<'a> {
    pub(super) fn new(
        source: Option<Source>,
        shared: Option<SharedOutput>,
        settings: &Settings,
        spill: Option<Spill>,
        tee: Option<Tee<'a>>,
    ) -> Self {
        let piped = source.is_some() || shared.is_some();
        let collector = Collector::new(&settings.capture);
        let redact = Some(&settings.redact).filter(|redact| !redact.is_empty());
        let redactor = redact.map(|redact| Box::new(Redactor::new(redact.clone())));
        Self { source, shared, piped, redactor, collector, spill, tee, end: OutputEnd::StillHeld }
    }

    pub(super) fn is_piped(&self) -> bool {
        self.piped
    }

    /// Reads until the end of the stream.
    pub(super) async fn run(&mut self, activity: &Activity) {
        if let Some(shared) = &self.shared {
            // There is a runtime. One that nobody has subscribed to yet would not end.
            drop(shared.start());
            shared.ended().await;
            return;
        }
        let mut buffer = Vec::new();
        let mut chunks = 0u32;
        while let Some(source) = &mut self.source {
            // What nobody else wants is read to where it is kept; else this goes through a chunk that is looked at.
            let alone = self.redactor.is_none() && self.spill.is_none() && self.tee.is_none();
            let kept = if alone { self.collector.room(CHUNK) } else { None };
            buffer.clear();
            let into = kept.unwrap_or_else(|| {
                buffer.reserve_exact(CHUNK);
                &mut buffer
            });
            let count = match std::future::poll_fn(|context| source.poll_read(context, into)).await {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.close(OutputEnd::failed(&error)),
            };
            if count > 0 {
                activity.read(count);
            }
            let redacted = self.redact(&buffer);
            let chunk = redacted.as_deref().unwrap_or(&buffer);
            if let Err(error) = self.deliver(chunk, activity).await {
                return self.close(OutputEnd::failed(&error));
            }
            if count == 0 {
                return self.close(OutputEnd::Eof);
            }
            chunks += 1;
            if chunks == YIELD_AFTER {
                // A writer that is faster than we are must not keep the timers from being looked at.
                tokio::task::yield_now().await;
                chunks = 0;
            }
        }
    }

    /// What is passed on in place of the next bytes, if anything may be replaced; none are the end.
    fn redact(&mut self, bytes: &[u8]) -> Option<Bytes> {
        let redactor = self.redactor.as_mut()?;
        Some(if bytes.is_empty() { redactor.end() } else { redactor.push(Bytes::copy_from_slice(bytes)) })
    }

    async fn deliver(&mut self, chunk: &[u8], activity: &Activity) -> io::Result<()> {
        self.collector.push(chunk);
        if chunk.is_empty() || self.spill.is_none() && self.tee.is_none() {
            return Ok(());
        }
        let _delivering = activity.delivering();
        if let Some(spill) = &mut self.spill {
            spill.push(Bytes::copy_from_slice(chunk)).await;
        }
        if let Some(tee) = &mut self.tee {
            // What it is, should this be given up here.
            self.end = OutputEnd::NotTaken;
            tee.write_all(chunk).await?;
            tee.flush().await?;
            self.end = OutputEnd::StillHeld;
        }
        Ok(())
    }

    /// Closes our end: a writer that is still there gets `EPIPE`.
    fn close(&mut self, end: OutputEnd) {
        self.end = end;
        self.source = None;
    }

    /// Delivers what is held back of a stream that was given up, if there is anybody who takes it.
    async fn deliver_rest(&mut self, patience: Duration) {
        let Some(rest) = self.redact(&[]).filter(|rest| !rest.is_empty()) else { return };
        if self.end != OutputEnd::StillHeld {
            self.tee = None;
        }
        let end = self.end.clone();
        // The end is not about these few bytes.
        let activity = Activity::default();
        drop(tokio::time::timeout(patience, Box::pin(self.deliver(&rest, &activity))).await);
        self.end = end;
    }

    /// What was kept, and the report. A disk that hangs is waited for as long as `grace`.
    pub(super) async fn finish(mut self, grace: Duration) -> (Vec<u8>, StreamReport) {
        if !self.piped {
            return not_captured();
        }
        let patience = grace.max(Duration::from_secs(10));
        self.deliver_rest(grace).await;
        if let Some(shared) = self.shared {
            // One that was given up may be read on, and written, without end.
            let patience = if shared.end().is_some() { patience } else { grace };
            let spill = shared.spill(patience).await;
            let given_up = if shared.is_held_up() { OutputEnd::NotTaken } else { OutputEnd::StillHeld };
            let (bytes, captured) = shared.take_kept();
            let report = StreamReport::new(captured, shared.end().unwrap_or(given_up), spill);
            return (bytes, report.with_redactions(shared.redactions()));
        }
        let spill = match &self.spill {
            Some(spill) => Some(spill.finish_within(patience).await),
            None => None,
        };
        let (bytes, captured) = self.collector.finish();
        let report = StreamReport::new(captured, self.end, spill);
        (bytes, report.with_redactions(self.redactor.map_or(0, |redactor| redactor.stretches())))
    }
}

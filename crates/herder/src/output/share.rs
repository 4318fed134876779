//! One stream for many readers: the handle, and the state behind it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncRead;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::after_exit::Exit;
use super::log::Log;
use super::reader::Source;
use super::reading::{Next, Turn};
use super::{Capture, Captured, Collector, FileReport, OutputEnd, Redact, Redactor, Spill};
use super::{Replay, ShareOptions, Subscriber, Unread, WhenFull};

/// An output stream that any number of subscribers read, each at its own pace.
///
/// One task reads it, once the first subscriber is there, or when it is [told to](ShareOptions::wait_for_start); what it
/// reads is handed to all without being copied. Cloned, it is the same stream. When all clones and all subscribers are
/// gone the task ends and the pipe is closed, as if [`ChildStdout`](crate::ChildStdout) were dropped; the
/// [`Child`](crate::Child) keeps it open, too, while it is there.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Command, Stdio};
/// use herder::output::Event;
///
/// let mut child = Command::new("echo").arg("moo").stdout(Stdio::piped()).spawn()?;
/// let stdout = child.stdout.take().unwrap().share();
/// let (mut one, mut other) = (stdout.subscribe(), stdout.subscribe());
/// assert_eq!(one.next().await, Some(Event::Chunk("moo\n".into())));
/// assert_eq!(other.next().await, Some(Event::Chunk("moo\n".into())));
/// assert_eq!(one.next().await, None);
/// # Ok(()) }
/// ```
pub struct SharedOutput {
    pub(super) inner: Arc<Inner>,
}

/// What handles, subscribers and the reader look at together.
pub(super) struct Inner {
    state: Mutex<State>,
    pub(super) chunk_size: usize,
    ended: Notify,
    /// The file that has the whole stream, or why there is none.
    spill: Option<Result<Spill, Box<FileReport>>>,
}

pub(super) struct State {
    pub(super) log: Log,
    unread: Unread,
    /// Whether it is not to be read yet.
    waits: bool,
    /// Until the reader is started.
    pub(super) source: Option<Source>,
    pub(super) task: Option<AbortHandle>,
    pub(super) turn: Turn,
    /// The reader, while it waits for room.
    pub(super) reader: Option<Waker>,
    /// Subscribers that wait for bytes.
    pub(super) waiting: Vec<(u64, Waker)>,
    handles: usize,
    kept: Collector,
    redactions: u64,
    /// Whether the reader waits for the file.
    spilling: bool,
    last: Option<Instant>,
    end: Option<OutputEnd>,
}

impl SharedOutput {
    /// Shares any reader.
    pub fn new(source: impl AsyncRead + Send + 'static, options: &ShareOptions) -> Self {
        Self::of_child(source, options, Redact::new(), None, None)
    }

    /// Shares a stream of a child, which may be held open after its exit, and makes the file for all of it.
    pub(crate) fn of_child(
        source: impl AsyncRead + Send + 'static,
        options: &ShareOptions,
        redact: Redact,
        spill: Option<PathBuf>,
        exit: Option<Exit>,
    ) -> Self {
        let block = options.chunk_size;
        let create = |path: PathBuf| {
            Spill::create(path.clone()).map_err(|error| Box::new(FileReport::not_made(path, &error)))
        };
        let spill = spill.map(create);
        let file = spill.clone().and_then(Result::ok);
        let state = State {
            log: Log::new(options.capacity, options.replay, block),
            unread: options.unread,
            waits: options.waits,
            source: Some(Source {
                stream: Box::pin(source),
                redactor: Redactor::new(redact),
                spill: file,
                exit,
            }),
            task: None,
            turn: Turn::default(),
            reader: None,
            waiting: Vec::new(),
            handles: 1,
            kept: Collector::new(&options.capture),
            redactions: 0,
            spilling: false,
            last: None,
            end: None,
        };
        let inner = Inner { state: Mutex::new(state), chunk_size: block, ended: Notify::new(), spill };
        Self { inner: Arc::new(inner) }
    }

    /// A subscriber that misses nothing that is still kept and holds the child back when it is slow:
    /// [`Replay::All`], [`WhenFull::Block`].
    ///
    /// It has a part in the stream from now on, polled or not. The first one starts the reading: for several that all
    /// shall have every byte there is [`ShareOptions::wait_for_start`].
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        self.subscribe_with(Replay::All, WhenFull::Block)
    }

    /// A subscriber that starts where `replay` says, and does as `when_full` says when it is slow.
    ///
    /// May be called at any time, also after the end of the stream.
    #[must_use]
    pub fn subscribe_with(&self, replay: Replay, when_full: WhenFull) -> Subscriber {
        let id = self.inner.change(|state| state.log.attach(replay, when_full));
        // Outside of a runtime the first poll does it.
        drop(self.inner.start());
        Subscriber::new(Arc::clone(&self.inner), id)
    }

    /// Reads from now on, though there is no subscriber yet, or all that were
    /// [waited for](ShareOptions::wait_for_start) are there.
    ///
    /// # Errors
    ///
    /// If it is not called in a Tokio runtime, unless a subscriber was attached in one before.
    pub fn start(&self) -> std::io::Result<()> {
        self.inner.start()?;
        self.inner.change(|state| state.waits = false);
        Ok(())
    }

    /// Frees what is kept for those who come late. They start with what is read then; subscribers that are there lose
    /// nothing. Can't be taken back; doing it again does nothing.
    pub fn seal(&self) {
        self.inner.change(|state| state.log.seal());
    }

    /// Whether it was [sealed](Self::seal).
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.inner.lock().log.is_sealed()
    }

    /// How many bytes have been read from the child, as they are after redaction.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.inner.lock().log.total()
    }

    /// How the stream ended, or `None` if it has not. Subscribers may still have bytes to read.
    #[must_use]
    pub fn end(&self) -> Option<OutputEnd> {
        self.inner.lock().end.clone()
    }

    /// Waits until all was read from the child. It comes to that only if there is, or was, a subscriber or a
    /// [`start`](Self::start).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing has happened.
    pub async fn ended(&self) -> OutputEnd {
        loop {
            let ended = self.inner.ended.notified();
            if let Some(end) = self.end() {
                return end;
            }
            ended.await;
        }
    }

    /// When a byte was read last.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.inner.lock().last
    }

    /// How many stretches were replaced.
    pub(crate) fn redactions(&self) -> u64 {
        self.inner.lock().redactions
    }

    /// Whether reading waits for a subscriber.
    pub(crate) fn is_held_up(&self) -> bool {
        self.inner.lock().reader.is_some()
    }

    /// Whether reading waits for the file.
    pub(crate) fn is_spilling(&self) -> bool {
        self.inner.lock().spilling
    }

    /// What became of the file. Waits no longer than `patience` for what is on its way to it.
    pub(crate) async fn spill(&self, patience: Duration) -> Option<FileReport> {
        Some(match self.inner.spill.as_ref()? {
            Ok(spill) => spill.finish_within(patience).await,
            Err(report) => FileReport::clone(report),
        })
    }

    /// What was kept for the report, and what is known of the stream.
    pub(crate) fn take_kept(&self) -> (Vec<u8>, Captured) {
        let mut state = self.inner.lock();
        std::mem::replace(&mut state.kept, Collector::new(&Capture::none())).finish()
    }
}

impl Clone for SharedOutput {
    fn clone(&self) -> Self {
        self.inner.lock().handles += 1;
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl Drop for SharedOutput {
    fn drop(&mut self) {
        self.inner.change(|state| state.handles -= 1);
    }
}

impl fmt::Debug for SharedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("SharedOutput")
            .field("total", &state.log.total())
            .field("sealed", &state.log.is_sealed())
            .field("end", &state.end)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing of anyone else runs under the lock: no waker, no visitor, no source.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that the reader may wait for, or that may have been the last reason for it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let (mut waker, mut task, mut source) = (None, None, None);
        if state.handles == 0 && !state.log.has_cursors() {
            (task, source) = (state.task.take(), state.source.take());
        } else if state.admitted() > 0 {
            waker = state.reader.take();
        }
        drop(state);
        // A source is someone else's, too.
        drop(source);
        if let Some(task) = task {
            task.abort();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// The subscriber is gone.
    pub(super) fn detach(&self, id: u64) {
        self.change(|state| {
            state.log.detach(id);
            state.waiting.retain(|(waiting, _)| *waiting != id);
        });
    }

    pub(super) fn end(&self) -> Option<OutputEnd> {
        self.lock().end.clone()
    }

    /// Hands a chunk over to the file.
    pub(super) async fn spill(&self, spill: &Spill, chunk: Bytes) {
        self.lock().spilling = true;
        spill.push(chunk).await;
        self.lock().spilling = false;
    }

    /// Ready when the stream may be read at all.
    pub(super) fn poll_started(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.waits {
            return Poll::Ready(());
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// How many bytes the reader may read now; waits until there is room for some.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<u64> {
        let mut state = self.lock();
        state.turn.goes_on();
        match state.admitted() {
            0 => {
                state.reader = Some(context.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }

    /// Takes what was read, with the number of stretches that were replaced in all, and puts those who wait for it into
    /// `wakers`. The reading may have had its turn for `long`; tells how it goes on.
    pub(super) fn push(&self, chunk: Bytes, redactions: u64, wakers: &mut Vec<Waker>, long: bool) -> Next {
        let mut state = self.lock();
        state.redactions = redactions;
        state.last = Some(Instant::now());
        state.kept.push(&chunk);
        state.log.push(chunk);
        wakers.extend(state.waiting.drain(..).map(|(_, waker)| waker));
        let crowded = state.log.is_crowded();
        state.turn.pushed(long || crowded)
    }

    /// The stream is over; the first answer counts.
    pub(super) fn close(&self, end: OutputEnd) {
        let mut state = self.lock();
        if state.log.is_closed() {
            return;
        }
        state.log.close();
        state.end = Some(end);
        state.reader = None;
        let source = state.source.take();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(source);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
        self.ended.notify_waiters();
    }
}

impl State {
    /// How many bytes may be read now: none rather than a few.
    pub(super) fn admitted(&self) -> u64 {
        if !self.log.has_cursors() && self.unread == Unread::Block {
            return 0;
        }
        let room = self.log.room();
        if room < self.log.worthwhile() { 0 } else { room }
    }
}

//! Consumers: a task that gives what a subscriber gets to a visitor, until the end or until it is stopped.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};

use super::visitor::{AsyncVisitor, Sync, Visitor};
use super::{Event, OutputEnd, Subscriber};

/// What a consumer leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consumed<T> {
    /// The result of its visitor.
    pub value: T,
    /// How many bytes of the stream it has missed, in [gaps](Event::Gap).
    pub missed: u64,
    /// What ended it.
    pub stopped: Stopped,
}

/// What ended a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// The end of the stream.
    End(OutputEnd),
    /// Its visitor, which had enough.
    Break,
    /// [`Consumer::cancel`].
    Cancel,
}

/// A task that reads a stream for you.
///
/// Dropped, it is aborted: whatever it has collected is lost. It is not waited for then; its place in the stream is
/// free a moment later. [`cancel`](Self::cancel) ends it and gives what it has.
#[derive(Debug)]
#[must_use = "dropped, it is aborted"]
pub struct Consumer<T> {
    /// Nothing if there was no runtime.
    task: Option<JoinHandle<Consumed<T>>>,
    stop: Arc<Notify>,
}

impl<T: Send + 'static> Consumer<T> {
    /// Waits for its end: that of the stream, or the visitor's `Break`.
    ///
    /// A stream whose child has exited ends also when something else still holds it: see
    /// [`share`](crate::ChildStdout::share).
    ///
    /// # Errors
    ///
    /// [`ConsumeError`] if its visitor has panicked, or its runtime is gone.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the consumer is aborted.
    pub async fn wait(mut self) -> Result<Consumed<T>, ConsumeError> {
        self.join().await
    }

    /// Ends it between two chunks, and gives what it has. If that takes longer than `deadline`, it is aborted.
    ///
    /// What is in the stream and was not given to the visitor is not given any more.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait); and [`ConsumeErrorKind::Aborted`] after the deadline.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the consumer is aborted.
    pub async fn cancel(mut self, deadline: Duration) -> Result<Consumed<T>, ConsumeError> {
        self.stop.notify_one();
        match tokio::time::timeout(deadline, self.join()).await {
            Ok(result) => result,
            Err(_) => {
                self.abort().await;
                Err(ConsumeError(ConsumeErrorKind::Aborted, "it did not end in time".into()))
            }
        }
    }

    /// Ends it where it is, and waits until it is gone. What it has is lost.
    ///
    /// A visitor that does not wait can't be stopped inside of a call.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it is aborted all the same.
    pub async fn abort(mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        // It is gone, or was already.
        drop(self.join().await);
    }

    /// Whether it has ended, so that [`wait`](Self::wait) has an answer.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(JoinHandle::is_finished)
    }

    async fn join(&mut self) -> Result<Consumed<T>, ConsumeError> {
        let Some(task) = &mut self.task else { return Err(ConsumeError::no_runtime()) };
        // Left where a cancelled join still aborts it.
        let result = task.await;
        self.task = None;
        result.map_err(ConsumeError::of_task)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// A consumer has no result.
#[derive(Clone, Debug)]
pub struct ConsumeError(ConsumeErrorKind, String);

/// Why a consumer has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsumeErrorKind {
    /// Its visitor has panicked; the words of the panic stand in the error. Nobody else has noticed.
    Panicked,
    /// It was aborted, or its runtime was shut down.
    Aborted,
    /// It was made outside of a Tokio runtime, and could not be started.
    NoRuntime,
}

impl ConsumeError {
    /// Why.
    #[must_use]
    pub fn kind(&self) -> ConsumeErrorKind {
        self.0
    }

    fn no_runtime() -> Self {
        Self(ConsumeErrorKind::NoRuntime, "there is no Tokio runtime; enter one first".into())
    }

    fn of_task(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => {
                let words = panic.downcast_ref::<&str>().copied();
                let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                Self(ConsumeErrorKind::Panicked, words.unwrap_or("without words").to_owned())
            }
            Err(_) => Self(ConsumeErrorKind::Aborted, "its task was ended".into()),
        }
    }
}

impl fmt::Display for ConsumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ConsumeErrorKind::Panicked => write!(f, "a consumer of output panicked: {}", self.1),
            ConsumeErrorKind::Aborted => write!(f, "a consumer of output was aborted: {}", self.1),
            ConsumeErrorKind::NoRuntime => write!(f, "a consumer of output could not start: {}", self.1),
        }
    }
}

impl std::error::Error for ConsumeError {}

impl From<ConsumeError> for io::Error {
    fn from(error: ConsumeError) -> Self {
        Self::other(error)
    }
}

impl Subscriber {
    /// Gives what comes to a visitor, in a task of its own.
    pub fn visit<V: Visitor>(self, visitor: V) -> Consumer<V::Output> {
        self.visit_async(Sync(visitor))
    }

    /// Gives what comes to a visitor that may wait, in a task of its own.
    pub fn visit_async<V: AsyncVisitor>(self, visitor: V) -> Consumer<V::Output> {
        let stop = Arc::new(Notify::new());
        let task = Handle::try_current().ok();
        let task = task.map(|runtime| runtime.spawn(drive(self, visitor, Arc::clone(&stop))));
        Consumer { task, stop }
    }

    /// Calls `look` with each chunk, in a task of its own.
    ///
    /// It blocks a thread of the runtime while it runs.
    pub fn inspect(self, look: impl FnMut(Bytes) -> ControlFlow<()> + Send + 'static) -> Consumer<()> {
        self.visit(Inspect(look))
    }

    /// Calls `look` with each chunk, and waits for what it gives before the next, in a task of its own.
    pub fn inspect_async<F, U>(self, look: F) -> Consumer<()>
    where
        F: FnMut(Bytes) -> U + Send + 'static,
        U: Future<Output = ControlFlow<()>> + Send,
    {
        self.visit_async(Inspect(look))
    }
}

struct Inspect<F>(F);

impl<F: FnMut(Bytes) -> ControlFlow<()> + Send + 'static> Visitor for Inspect<F> {
    type Output = ();

    fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        (self.0)(chunk)
    }

    fn finish(self) {}
}

impl<F, U> AsyncVisitor for Inspect<F>
where
    F: FnMut(Bytes) -> U + Send + 'static,
    U: Future<Output = ControlFlow<()>> + Send,
{
    type Output = ();

    fn chunk(&mut self, chunk: Bytes) -> impl Future<Output = ControlFlow<()>> + Send {
        (self.0)(chunk)
    }

    async fn finish(self) {}
}

/// The task of a consumer.
async fn drive<V: AsyncVisitor>(
    mut subscriber: Subscriber,
    mut visitor: V,
    stop: Arc<Notify>,
) -> Consumed<V::Output> {
    let mut missed = 0;
    let mut stopping = std::pin::pin!(stop.notified());
    let stopped = loop {
        let mut poll = |context: &mut Context<'_>| match stopping.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(Stopped::Cancel)),
            Poll::Pending => subscriber.poll_event(context).map(Ok),
        };
        let event = match std::future::poll_fn(|context| Poll::Ready(poll(context))).await {
            Poll::Ready(event) => event,
            Poll::Pending => {
                if visitor.idle().await.is_break() {
                    break Stopped::Break;
                }
                std::future::poll_fn(poll).await
            }
        };
        let event = match event {
            Ok(event) => event,
            Err(stopped) => break stopped,
        };
        let flow = match event {
            Some(Event::Chunk(chunk)) => visitor.chunk(chunk).await,
            Some(Event::Gap(bytes)) => {
                missed += bytes;
                visitor.gap(bytes).await
            }
            None => {
                let end = subscriber.end().unwrap_or(OutputEnd::Eof);
                visitor.end(&end).await;
                break Stopped::End(end);
            }
        };
        if flow.is_break() {
            break Stopped::Break;
        }
        // The log is not asked for leave to go on, as a socket would be.
        tokio::task::coop::consume_budget().await;
    };
    // Its place is free when the result is there.
    drop(subscriber);
    Consumed { value: visitor.finish().await, missed, stopped }
}

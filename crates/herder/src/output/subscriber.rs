//! One reader of a shared stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::OutputEnd;
use super::log::Taken;
use super::share::Inner;

/// What a subscriber gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a stream is bytes, and bytes that are missing")]
pub enum Event {
    /// The next bytes; never empty.
    Chunk(Bytes),
    /// Here so many bytes are missing: they were no longer kept when the subscriber came, or it was too slow.
    Gap(u64),
}

/// One reader of a [`SharedOutput`](super::SharedOutput), with its own place in the stream.
///
/// It is a [`Stream`] of [`Event`]s, for those who use one. Dropped, it is no longer waited for.
///
/// What it gets are the bytes of the stream, each once and in order, with a gap wherever some are missing: together
/// they add up to the whole stream from the place it started at.
pub struct Subscriber {
    inner: Arc<Inner>,
    id: u64,
    /// What was taken and given back: a gap, and bytes behind it.
    missing: u64,
    rest: Bytes,
}

impl Subscriber {
    pub(super) fn new(inner: Arc<Inner>, id: u64) -> Self {
        Self { inner, id, missing: 0, rest: Bytes::new() }
    }

    /// The next bytes, or how many are missing; `None` when the stream has ended, or was given up.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing is lost.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    /// What is there now, without waiting; `None` if there is nothing now, or nothing any more.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.poll_event(&Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    /// How the stream ended, or `None` if it has not. Some of it may still have to be read here.
    #[must_use]
    pub fn end(&self) -> Option<OutputEnd> {
        self.inner.end()
    }

    pub(super) fn poll_event(&mut self, context: &Context<'_>) -> Poll<Option<Event>> {
        if self.missing > 0 {
            return Poll::Ready(Some(Event::Gap(std::mem::take(&mut self.missing))));
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Event::Chunk(std::mem::take(&mut self.rest))));
        }
        self.inner.poll_take(self.id, context).map(|taken| match taken {
            Taken::Chunk(chunk) => Some(Event::Chunk(chunk)),
            Taken::Gap(bytes) => Some(Event::Gap(bytes)),
            Taken::Empty | Taken::End => None,
        })
    }

    /// Puts back what was taken last.
    pub(super) fn put_back(&mut self, missing: u64, rest: Bytes) {
        debug_assert!(self.missing == 0 && self.rest.is_empty());
        (self.missing, self.rest) = (missing, rest);
    }
}

impl Stream for Subscriber {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(context)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.inner.detach(self.id);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("end", &self.end()).finish_non_exhaustive()
    }
}

//! Writing to a child.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use herder_sys::OwnedDescriptor;
use tokio::io::AsyncWrite;

use crate::host::Writer;

/// Our end of the standard input of a child.
///
/// Closing it is the child's end of input: drop it, or shut it down. (With `tokio::process` only the drop closes.)
/// A write to a child that has closed its end, or is gone, gives [`BrokenPipe`](io::ErrorKind::BrokenPipe).
///
/// Write in one task and read the child's output in another, or let Herder feed it
/// ([`Stdio::bytes`](crate::Stdio::bytes)): a child that waits for its output to be read does not read its input.
#[derive(Debug)]
pub struct ChildStdin(Arc<StdinCell>);

/// The pipe, where the ladder of a termination can close it too, whoever holds the [`ChildStdin`].
#[derive(Debug)]
pub(crate) struct StdinCell(Mutex<State>);

#[derive(Debug)]
struct State {
    end: Option<Writer>,
    /// A write that waits: closing the pipe must end it.
    waiting: Option<Waker>,
}

impl StdinCell {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was a pipe to close.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        let (end, waiting) = (state.end.take(), state.waiting.take());
        drop(state);
        let was_open = end.is_some();
        drop(end);
        if let Some(waker) = waiting {
            waker.wake();
        }
        was_open
    }
}

impl ChildStdin {
    pub(crate) fn new(end: Writer) -> Self {
        Self(Arc::new(StdinCell(Mutex::new(State { end: Some(end), waiting: None }))))
    }

    pub(crate) fn cell(&self) -> Arc<StdinCell> {
        Arc::clone(&self.0)
    }

    /// The end for another process, where it blocks.
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedDescriptor> {
        let end = self.0.lock().end.take().ok_or(io::ErrorKind::BrokenPipe)?;
        end.into_descriptor()
    }
}

impl Drop for ChildStdin {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// # Cancel safety
///
/// A write that is cancelled has written nothing; `write_all`, as with any writer, may have written a part.
impl AsyncWrite for ChildStdin {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        let Some(end) = &mut state.end else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = end.poll_write(context, bytes);
        state.waiting = written.is_pending().then(|| context.waker().clone());
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}

//! A stream of the program on its way to all who get it: our stream, the file, and who waits for a line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use tokio::io::AsyncWrite;

use crate::decorate::Decorator;
use crate::passthrough::Passthrough;
use crate::ready::Watch;
use crate::tee::Part;

/// A writer that passes on what it gets.
pub(crate) struct Relay<'a, W> {
    shown: Passthrough<'a, W>,
    decorator: Option<Decorator>,
    tee: Option<Part<'a>>,
    watch: Option<Watch<'a>>,
    /// Decorated lines on their way to be shown, and how much of them has gone.
    pending: Vec<u8>,
    gone: usize,
    /// When what comes was written, if that is known.
    at: Option<SystemTime>,
}

impl<'a, W: AsyncWrite + Unpin> Relay<'a, W> {
    pub(crate) fn new(
        shown: Passthrough<'a, W>,
        decorator: Option<Decorator>,
        tee: Option<Part<'a>>,
        watch: Option<Watch<'a>>,
    ) -> Self {
        Self { shown, decorator, tee, watch, pending: Vec::new(), gone: 0, at: None }
    }

    /// Says when what comes next was written. Otherwise it is taken for written when it comes.
    pub(crate) fn written_at(&mut self, at: SystemTime) {
        self.at = Some(at);
    }

    /// How many bytes are not shown: see [`Passthrough::omitted`].
    pub(crate) fn omitted(&self, total: u64, kept: usize) -> u64 {
        self.shown.omitted(total, kept)
    }

    /// Says that no more bytes come: what waited for the end of its line goes on.
    pub(crate) fn end(&mut self) {
        if let Some(decorator) = &mut self.decorator {
            let start = self.pending.len();
            decorator.end(self.at.unwrap_or_else(SystemTime::now), &mut self.pending);
            if let Some(tee) = &mut self.tee {
                tee.push(&self.pending[start..]);
            }
        }
        if let Some(tee) = &mut self.tee {
            tee.end();
        }
        if let Some(watch) = &mut self.watch {
            watch.end();
        }
    }

    /// Shows the rest: see [`Passthrough::finish`].
    pub(crate) async fn finish(&mut self, total: u64, kept: &[u8]) -> io::Result<()> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_flush(context)).await?;
        self.shown.finish(total, kept).await
    }

    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.gone < self.pending.len() {
            let rest = &self.pending[self.gone..];
            self.gone += ready!(Pin::new(&mut self.shown).poll_write(context, rest))?;
        }
        self.pending.clear();
        self.gone = 0;
        if self.tee.as_ref().is_some_and(|tee| tee.poll_room(context).is_pending()) {
            // Only if it waits: otherwise it would be told that our own stream does not.
            let given_up = ready!(self.shown.guard(context, Poll::<io::Result<()>>::Pending));
            // The file takes no more, which is told at the end. What is shown goes on.
            self.tee = self.tee.take().filter(|_| given_up.is_ok());
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Relay<'_, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_pending(context))?;
        let count = match &mut this.decorator {
            Some(decorator) => {
                decorator.push(bytes, this.at.unwrap_or_else(SystemTime::now), &mut this.pending);
                bytes.len()
            }
            None => ready!(Pin::new(&mut this.shown).poll_write(context, bytes))?,
        };
        let bytes = &bytes[..count];
        if let Some(tee) = &mut this.tee {
            tee.push(if this.decorator.is_some() { &this.pending } else { bytes });
        }
        if let Some(watch) = &mut this.watch {
            watch.push(bytes);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.shown).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

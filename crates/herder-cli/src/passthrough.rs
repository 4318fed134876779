//! A stream of the program on its way to ours: all of it, or its head at once and its tail at the end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::platform;
use crate::stall::{Stall, Stream};

/// How much of each stream is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first so many bytes, live.
    pub(crate) head: u64,
    /// The last so many, when all is over.
    pub(crate) tail: usize,
}

/// A writer that shows the head of what it gets, and takes the rest without showing it.
pub(crate) struct Passthrough<'a, W> {
    out: W,
    /// Bytes that are still to be shown.
    live: u64,
    window: Option<Window>,
    in_line: bool,
    has_reader: fn() -> bool,
    stream: Stream,
    stall: &'a Stall,
    given_up: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

impl<'a> Passthrough<'a, tokio::io::Stdout> {
    pub(crate) fn stdout(window: Option<Window>, stall: &'a Stall) -> Self {
        Self::new(tokio::io::stdout(), platform::stdout_has_reader, window, (Stream::Stdout, stall))
    }
}

impl<'a> Passthrough<'a, tokio::io::Stderr> {
    pub(crate) fn stderr(window: Option<Window>, stall: &'a Stall) -> Self {
        Self::new(tokio::io::stderr(), platform::stderr_has_reader, window, (Stream::Stderr, stall))
    }
}

impl<'a, W: AsyncWrite + Unpin> Passthrough<'a, W> {
    fn new(
        out: W,
        has_reader: fn() -> bool,
        window: Option<Window>,
        (stream, stall): (Stream, &'a Stall),
    ) -> Self {
        let live = window.map_or(u64::MAX, |window| window.head);
        let given_up = Box::pin(stall.given_up());
        Self { out, live, window, in_line: false, has_reader, stream, stall, given_up }
    }

    /// How many bytes are neither in the head nor in the tail of a stream of `total` bytes, of which `kept`, the last
    /// ones, are at hand.
    pub(crate) fn omitted(&self, total: u64, kept: usize) -> u64 {
        self.window.map_or(0, |window| total.saturating_sub(kept as u64).saturating_sub(window.head))
    }

    /// Shows the tail, after a line that says how much was left out in front of it; `kept` is the end of the stream.
    pub(crate) async fn finish(&mut self, total: u64, kept: &[u8]) -> io::Result<()> {
        let Some(window) = self.window else { return Ok(()) };
        let before = total.saturating_sub(kept.len() as u64);
        let omitted = self.omitted(total, kept.len());
        self.live = u64::MAX;
        if omitted > 0 {
            let open = if self.in_line { "\n" } else { "" };
            let unit = if omitted == 1 { "byte" } else { "bytes" };
            self.write_all(format!("{open}[... {omitted} {unit} omitted ...]\n").as_bytes()).await?;
        }
        // The head may reach into what was kept.
        let shown = usize::try_from(window.head.saturating_sub(before)).unwrap_or(usize::MAX);
        self.write_all(kept.get(shown..).unwrap_or_default()).await?;
        self.flush().await
    }

    /// What holds for every operation: to end when nobody reads and nobody waits any more.
    pub(crate) fn guard<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.stall.note(self.stream, done.is_pending());
        if done.is_ready() {
            return done;
        }
        if !self.stall.has_given_up() {
            ready!(self.given_up.as_mut().poll(context));
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it")))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Passthrough<'_, W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let show = usize::try_from(self.live).unwrap_or(usize::MAX).min(bytes.len());
        if show == 0 {
            // Without a reader the program must learn it from the next write, as it would without us.
            let open = bytes.is_empty() || (self.has_reader)();
            let gone = || io::ErrorKind::BrokenPipe.into();
            return Poll::Ready(if open { Ok(bytes.len()) } else { Err(gone()) });
        }
        let written = Pin::new(&mut self.out).poll_write(context, &bytes[..show]);
        if let Poll::Ready(Ok(count)) = &written {
            if self.window.is_some() {
                self.live = self.live.saturating_sub(*count as u64);
            }
            if let Some(last) = bytes.get(count.wrapping_sub(1)) {
                self.in_line = *last != b'\n';
            }
        }
        self.guard(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.out).poll_flush(context);
        self.guard(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(window: Option<Window>, chunks: &[&str]) -> (String, u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let stall = Stall::default();
            let mut out = Vec::new();
            let mut through = Passthrough::new(&mut out, || true, window, (Stream::Stdout, &stall));
            let all = chunks.concat();
            for chunk in chunks {
                through.write_all(chunk.as_bytes()).await.unwrap();
            }
            let kept = &all.as_bytes()[all.len() - window.map_or(0, |window| window.tail).min(all.len())..];
            through.finish(all.len() as u64, kept).await.unwrap();
            let omitted = through.omitted(all.len() as u64, kept.len());
            drop(through);
            (String::from_utf8(out).unwrap(), omitted)
        })
    }

    #[test]
    fn without_a_window_everything_is_shown() {
        assert_eq!(shown(None, &["ab", "c\n"]), ("abc\n".into(), 0));
    }

    #[test]
    fn head_and_tail_and_a_line_between_them() {
        let window = |head, tail| Some(Window { head, tail });
        assert_eq!(shown(window(3, 2), &["abcdefg"]), ("abc\n[... 2 bytes omitted ...]\nfg".into(), 2));
        assert_eq!(shown(window(3, 2), &["ab\ndefg"]), ("ab\n[... 2 bytes omitted ...]\nfg".into(), 2));
        assert_eq!(
            shown(window(3, 2), &["a", "b", "c", "d", "e", "f"]).0,
            "abc\n[... 1 byte omitted ...]\nef"
        );
        assert_eq!(shown(window(3, 0), &["abcdefg"]), ("abc\n[... 4 bytes omitted ...]\n".into(), 4));
        assert_eq!(shown(window(0, 2), &["abcdefg"]), ("[... 5 bytes omitted ...]\nfg".into(), 5));
        assert_eq!(shown(window(0, 0), &[]), (String::new(), 0));
    }

    #[test]
    fn what_fits_is_shown_as_it_is_and_once() {
        for (head, tail) in [(3, 2), (5, 0), (0, 5), (4, 4), (9, 9), (5, 5)] {
            assert_eq!(
                shown(Some(Window { head, tail }), &["ab", "cde"]),
                ("abcde".into(), 0),
                "{head} {tail}"
            );
        }
    }

    #[tokio::test]
    async fn a_reader_that_has_left_is_noticed_behind_the_head() {
        let stall = Stall::default();
        let mut out = Vec::new();
        let mut through =
            Passthrough::new(&mut out, || false, Some(Window { head: 2, tail: 0 }), (Stream::Stdout, &stall));
        through.write_all(b"ab").await.unwrap();
        assert_eq!(through.write_all(b"c").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

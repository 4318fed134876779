//! Both streams of a child as one.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

/// Which stream of a child a piece comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a program has these two")]
pub enum Origin {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        })
    }
}

/// Both streams as one, each piece with its origin: [subscribers](super::Subscriber) give events,
/// [`Lines`](super::Lines) lines.
///
/// Pieces of one stream are in order. Between the streams the order is the one in which they were read: what a program
/// writes to both within a moment may come the other way round, because two pipes have no common order. Where the order
/// has to be exact and the origin does not matter, let both be one pipe:
/// [`Stdio::to_stdout`](crate::Stdio::to_stdout). Where both matter, there is
/// [`ChildStdout::in_order_with`](crate::ChildStdout::in_order_with) on Linux.
///
/// If pieces of both are there, they take turns: neither stream can keep the other from being read.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Command, Stdio, output::{LineOptions, Origin, merge}};
///
/// let mut command = Command::new("sh");
/// let mut child = command.args(["-c", "echo a; echo b >&2"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
/// let stdout = child.stdout.take().unwrap().share().subscribe().lines(LineOptions::new());
/// let stderr = child.stderr.take().unwrap().share().subscribe().lines(LineOptions::new());
/// let mut both = merge(stdout, stderr);
/// let mut seen = Vec::new();
/// while let Some((origin, line)) = both.next().await {
///     seen.push((origin, line.text().into_owned()));
/// }
/// seen.sort();
/// assert_eq!(seen, [(Origin::Stdout, "a".to_owned()), (Origin::Stderr, "b".to_owned())]);
/// # Ok(()) }
/// ```
pub fn merge<S: Stream + Unpin>(stdout: S, stderr: S) -> Merged<S> {
    Merged { streams: [Some(stdout), Some(stderr)], stderr_first: false }
}

/// What [`merge`] gives. A stream itself.
#[derive(Debug)]
#[must_use]
pub struct Merged<S> {
    streams: [Option<S>; 2],
    stderr_first: bool,
}

impl<S: Stream + Unpin> Merged<S> {
    /// The next piece of either stream; `None` when both have ended.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing is lost if nothing is by the streams.
    pub async fn next(&mut self) -> Option<(Origin, S::Item)> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<S: Stream + Unpin> Stream for Merged<S> {
    type Item = (Origin, S::Item);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let order = match self.stderr_first {
            false => [Origin::Stdout, Origin::Stderr],
            true => [Origin::Stderr, Origin::Stdout],
        };
        for origin in order {
            let slot = &mut self.streams[origin as usize];
            let Some(stream) = slot else { continue };
            match Pin::new(stream).poll_next(context) {
                Poll::Ready(Some(item)) => {
                    self.stderr_first = origin == Origin::Stdout;
                    return Poll::Ready(Some((origin, item)));
                }
                Poll::Ready(None) => *slot = None,
                Poll::Pending => {}
            }
        }
        let over = self.streams.iter().all(Option::is_none);
        if over { Poll::Ready(None) } else { Poll::Pending }
    }
}

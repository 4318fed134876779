//! What a child writes, as it arrives.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use herder_sys::OwnedDescriptor;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Outlets, Shared};
use crate::host::{Reader, Stamped};
use crate::output::{Capture, Exit, Ordered, Redact, ShareOptions, SharedOutput, Writes};

/// The child that a stream comes from.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) outlets: Arc<Outlets>,
    /// How long it may be quiet after the exit.
    pub(super) grace: Duration,
    pub(super) redact: Redact,
    /// Of the command.
    pub(super) capture: Capture,
}

impl Link {
    /// Shares a stream, and lets the join know.
    fn share(
        self,
        stream: impl AsyncRead + Send + 'static,
        which: usize,
        options: &ShareOptions,
    ) -> SharedOutput {
        let exited = Box::pin(exited(self.shared));
        let grace = options.drain_grace.unwrap_or(self.grace);
        let exit = Exit { exited, grace };
        let name = ["stdout", "stderr"][which];
        let spill = options.capture.spill_path(name).or_else(|| self.capture.spill_path(name));
        let output = SharedOutput::of_child(stream, options, self.redact, spill, Some(exit));
        self.outlets.put(which, output.clone());
        output
    }
}

/// Waits for the exit of the child. Where that can't be learnt, whoever waits for the child is told so; here the end of
/// file is all there is.
async fn exited(shared: Arc<Shared>) {
    if shared.exited().await.is_err() {
        std::future::pending::<()>().await;
    }
}

macro_rules! output_end {
    ($(#[$doc:meta])* $name:ident, $which:expr) => {
        $(#[$doc])*
        ///
        /// Its end of file means that nobody holds the other end any more: a descendant that inherited it may do so
        /// long after the child has exited. Dropped, writers get `EPIPE` (and, unless they ignore it, SIGPIPE).
        pub struct $name {
            pub(crate) end: Reader,
            /// In a box, as most children have no such stream, and room for one all the same.
            link: Option<Box<Link>>,
        }

        impl $name {
            pub(crate) fn new(end: Reader) -> Self {
                Self { end, link: None }
            }

            pub(super) fn link(&mut self, link: Link) {
                self.link = Some(Box::new(link));
            }

            /// Lets many read it, each at its own pace: see [`SharedOutput`].
            ///
            /// After the exit of the child the stream ends at the latest when nothing has come for the
            /// [`drain_grace`](crate::Command::drain_grace) of the command, or ten times that in all, whoever else still
            /// holds it: [`OutputEnd::StillHeld`](crate::output::OutputEnd::StillHeld).
            ///
            /// Nothing is read before somebody subscribes. In a runtime with several threads that is too early for those
            /// who subscribe next, should they want every byte: [`ShareOptions::wait_for_start`] waits for all.
            /// [`Child::wait_with_output`](crate::Child::wait_with_output) waits for the end of the stream, too.
            #[must_use]
            pub fn share(self) -> SharedOutput {
                self.share_with(&ShareOptions::new())
            }

            /// As [`share`](Self::share), with other options than the default.
            #[must_use]
            pub fn share_with(mut self, options: &ShareOptions) -> SharedOutput {
                match self.link.take() {
                    Some(link) => link.share(self, $which, options),
                    None => SharedOutput::new(self, options),
                }
            }

            /// The end for another process, where it blocks.
            pub(crate) fn into_descriptor(self) -> io::Result<OwnedDescriptor> {
                self.end.into_descriptor()
            }

            /// Reads up to `most` bytes, and no more than `buffer` has room for, behind those that it has.
            pub(crate) fn poll_read_behind(
                &mut self,
                context: &mut Context<'_>,
                buffer: &mut Vec<u8>,
                most: usize,
            ) -> Poll<io::Result<usize>> {
                self.end.poll_read_behind(context, buffer, most)
            }
        }

        /// # Cancel safety
        ///
        /// A read that is cancelled has read nothing.
        impl AsyncRead for $name {
            fn poll_read(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let unfilled = buffer.initialize_unfilled();
                let read = std::task::ready!(self.end.poll_read(context, unfilled))?;
                buffer.advance(read);
                Poll::Ready(Ok(()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.end).finish()
            }
        }
    };
}

output_end! {
    /// Our end of the standard output of a child.
    ChildStdout, 0
}

output_end! {
    /// Our end of the standard error of a child.
    ChildStderr, 1
}

impl ChildStdout {
    /// Reads this and the other stream of the same child in the exact order in which they were written, with the stream
    /// and the time of each piece.
    ///
    /// Both have to be [`Stdio::stamped`](crate::Stdio::stamped), which says what that means for the child. The streams
    /// of two children are put in order, too: they end when both children have exited.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if cfg!(target_os = "linux") {
    /// use herder::{Command, Stdio, output::{LineOptions, Origin}};
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo one; echo two >&2; echo three"]).stdout(Stdio::stamped()).stderr(Stdio::stamped());
    /// let mut child = command.spawn()?;
    /// let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    /// let mut lines = stdout.in_order_with(stderr)?.lines(LineOptions::new());
    /// let mut seen = Vec::new();
    /// while let Some((origin, line)) = lines.next().await {
    ///     seen.push((origin, line.text().into_owned()));
    /// }
    /// let expected = [(Origin::Stdout, "one"), (Origin::Stderr, "two"), (Origin::Stdout, "three")];
    /// assert_eq!(seen, expected.map(|(origin, text)| (origin, text.to_owned())));
    /// # }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one of them is a pipe. Both are closed then.
    pub fn in_order_with(mut self, mut stderr: ChildStderr) -> io::Result<Ordered> {
        let links = [self.link.take(), stderr.link.take()];
        let pipe = || io::Error::new(io::ErrorKind::InvalidInput, "a pipe has no times; see Stdio::stamped");
        let mut redact = links.iter().map(|link| link.as_ref().map(|link| link.redact.clone()));
        let mut side = |end: Reader| -> io::Result<(Box<dyn Writes + Send>, Redact)> {
            let writes = Box::new(end.into_stamped().ok_or_else(pipe)?);
            Ok((writes, redact.next().flatten().unwrap_or_default()))
        };
        let streams = [side(self.end)?, side(stderr.end)?];
        let [Some(one), Some(other)] = links else { return Ok(Ordered::new(streams, None)) };
        let grace = one.grace.max(other.grace);
        let exited = async move {
            exited(one.shared).await;
            exited(other.shared).await;
        };
        Ok(Ordered::new(streams, Some(Exit { exited: Box::pin(exited), grace })))
    }
}

impl Writes for Stamped {
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<(SystemTime, Bytes)>>> {
        self.poll_write(context)
    }

    fn try_write(&mut self) -> io::Result<Option<(SystemTime, Bytes)>> {
        self.try_write()
    }
}

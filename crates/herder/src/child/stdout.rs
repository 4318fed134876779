//! What a child writes, as it arrives.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use herder_sys::OwnedDescriptor;
use tokio::io::{AsyncRead, ReadBuf};

use super::{Outlets, Shared};
use crate::host::Reader;
use crate::output::{Exit, Redact, ShareOptions, SharedOutput};

/// The child that a stream comes from.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) outlets: Arc<Outlets>,
    /// How long it may be quiet after the exit.
    pub(super) grace: Duration,
    pub(super) redact: Redact,
}

impl Link {
    /// Shares a stream, and lets the join know.
    fn share(
        self,
        stream: impl AsyncRead + Send + 'static,
        which: usize,
        options: &ShareOptions,
    ) -> SharedOutput {
        let shared = self.shared;
        let exited = async move {
            // Its end can't be learnt: whoever waits for the child is told so; here the end of file is all there is.
            if shared.exited().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let grace = options.drain_grace.unwrap_or(self.grace);
        let exit = Exit { exited: Box::pin(exited), grace };
        let output = SharedOutput::with_exit(stream, options, self.redact, Some(exit));
        self.outlets.put(which, output.clone());
        output
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
            link: Option<Link>,
        }

        impl $name {
            pub(crate) fn new(end: Reader) -> Self {
                Self { end, link: None }
            }

            pub(super) fn link(&mut self, link: Link) {
                self.link = Some(link);
            }

            /// Lets many read it, each at its own pace: see [`SharedOutput`].
            ///
            /// After the exit of the child the stream ends at the latest when nothing has come for the
            /// [`drain_grace`](crate::Command::drain_grace) of the command, or ten times that in all, whoever else still
            /// holds it: [`OutputEnd::StillHeld`](crate::output::OutputEnd::StillHeld).
            ///
            /// Nothing is read before somebody subscribes. [`Child::wait_with_output`](crate::Child::wait_with_output)
            /// waits for the end of the stream, too.
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

            pub(crate) fn poll_read_slice(
                &mut self,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.end.poll_read(context, buffer)
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
                let read = std::task::ready!(self.poll_read_slice(context, unfilled))?;
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

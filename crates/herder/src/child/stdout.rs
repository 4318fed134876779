//! What a child writes, as it arrives.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, Interest, ReadBuf};

use super::end::{End, blocking};

macro_rules! output_end {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Its end of file means that nobody holds the other end any more: a descendant that inherited it may do so
        /// long after the child has exited. Dropped, writers get `EPIPE` (and, unless they ignore it, SIGPIPE).
        #[derive(Debug)]
        pub struct $name(End<PipeReader>);

        impl $name {
            pub(crate) fn new(fd: OwnedFd) -> Self {
                Self(End::new(fd.into(), Interest::READABLE))
            }

            /// The descriptor, to be given to another child as its standard input, or used without Tokio: it blocks.
            ///
            /// # Errors
            ///
            /// If the pipe could not be registered with the runtime earlier and was given up.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                blocking(self.0.into_pipe()?.into())
            }

            pub(crate) fn poll_read_slice(
                &mut self,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_io(context, |mut pipe| pipe.read(buffer))
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

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }
    };
}

output_end! {
    /// Our end of the standard output of a child.
    ChildStdout
}

output_end! {
    /// Our end of the standard error of a child.
    ChildStderr
}

//! What a child writes, as it arrives.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use herder_sys::OwnedDescriptor;
use tokio::io::{AsyncRead, ReadBuf};

use crate::host::Reader;

macro_rules! output_end {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Its end of file means that nobody holds the other end any more: a descendant that inherited it may do so
        /// long after the child has exited. Dropped, writers get `EPIPE` (and, unless they ignore it, SIGPIPE).
        #[derive(Debug)]
        pub struct $name(pub(crate) Reader);

        impl $name {
            pub(crate) fn new(end: Reader) -> Self {
                Self(end)
            }

            /// The end for another process, where it blocks.
            pub(crate) fn into_descriptor(self) -> io::Result<OwnedDescriptor> {
                self.0.into_descriptor()
            }

            pub(crate) fn poll_read_slice(
                &mut self,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read(context, buffer)
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

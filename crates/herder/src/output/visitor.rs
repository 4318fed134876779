//! What looks at a stream.

use std::future::Future;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::OutputEnd;

/// What looks at a stream, piece by piece, for a [`Consumer`](super::Consumer).
///
/// `Break` ends the consumer, and nobody else. A panic ends it, too, and [`Consumer::wait`](super::Consumer::wait) tells.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::ops::ControlFlow;
/// use herder::{Command, Stdio, output::Visitor};
///
/// struct Count(usize);
///
/// impl Visitor for Count {
///     type Output = usize;
///
///     fn chunk(&mut self, chunk: bytes::Bytes) -> ControlFlow<()> {
///         self.0 += chunk.len();
///         ControlFlow::Continue(())
///     }
///
///     fn finish(self) -> usize {
///         self.0
///     }
/// }
///
/// let mut child = Command::new("echo").arg("moo").stdout(Stdio::piped()).spawn()?;
/// let count = child.stdout.take().unwrap().share().subscribe().visit(Count(0));
/// assert_eq!(count.wait().await?.value, 4);
/// # Ok(()) }
/// ```
pub trait Visitor: Send + 'static {
    /// What is left of it in the end.
    type Output: Send + 'static;

    /// The next bytes. Blocks a thread of the runtime while it runs: see [`AsyncVisitor`].
    fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()>;

    /// So many bytes are missing here.
    fn gap(&mut self, bytes: u64) -> ControlFlow<()> {
        let _: u64 = bytes;
        ControlFlow::Continue(())
    }

    /// The stream has ended; not called if the consumer was ended before.
    fn end(&mut self, end: &OutputEnd) {
        let _: &OutputEnd = end;
    }

    /// Its result, whatever ended the consumer, save a panic and [`Consumer::abort`](super::Consumer::abort).
    fn finish(self) -> Self::Output;
}

/// A [`Visitor`] that may wait.
///
/// While it waits its subscriber falls behind: [`WhenFull`](super::WhenFull) says what happens then.
pub trait AsyncVisitor: Send + 'static {
    /// What is left of it in the end.
    type Output: Send + 'static;

    /// The next bytes.
    ///
    /// # Cancel safety
    ///
    /// It is dropped where it waits only by [`Consumer::abort`](super::Consumer::abort), a [`cancel`](super::Consumer::cancel) that lasts too long,
    /// or the drop of the consumer; nothing is called then any more.
    fn chunk(&mut self, chunk: Bytes) -> impl Future<Output = ControlFlow<()>> + Send;

    /// So many bytes are missing here.
    ///
    /// # Cancel safety
    ///
    /// As [`chunk`](Self::chunk).
    fn gap(&mut self, bytes: u64) -> impl Future<Output = ControlFlow<()>> + Send {
        let _: u64 = bytes;
        async { ControlFlow::Continue(()) }
    }

    /// Nothing more is there for now: a good time to flush. Not called before each wait, but at least before the first
    /// one after a chunk.
    ///
    /// # Cancel safety
    ///
    /// As [`chunk`](Self::chunk).
    fn idle(&mut self) -> impl Future<Output = ControlFlow<()>> + Send {
        async { ControlFlow::Continue(()) }
    }

    /// The stream has ended; not called if the consumer was ended before.
    ///
    /// # Cancel safety
    ///
    /// As [`chunk`](Self::chunk).
    fn end(&mut self, end: &OutputEnd) -> impl Future<Output = ()> + Send {
        let _: &OutputEnd = end;
        async {}
    }

    /// Its result, whatever ended the consumer, save a panic and [`Consumer::abort`](super::Consumer::abort).
    ///
    /// # Cancel safety
    ///
    /// As [`chunk`](Self::chunk).
    fn finish(self) -> impl Future<Output = Self::Output> + Send;
}

/// A visitor that does not wait, where one that may is expected.
pub(super) struct Sync<V>(pub(super) V);

impl<V: Visitor> AsyncVisitor for Sync<V> {
    type Output = V::Output;

    async fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.0.chunk(chunk)
    }

    async fn gap(&mut self, bytes: u64) -> ControlFlow<()> {
        self.0.gap(bytes)
    }

    async fn end(&mut self, end: &OutputEnd) {
        self.0.end(end);
    }

    async fn finish(self) -> V::Output {
        self.0.finish()
    }
}

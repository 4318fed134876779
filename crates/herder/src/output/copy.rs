//! Consumers that pass a stream on to a writer.

use std::io;
use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{AsyncVisitor, Consumer, Line, LineOptions, LineSplitter, Subscriber};

/// What became of bytes that were passed on to a writer.
#[derive(Debug)]
#[non_exhaustive]
pub struct Copied<W> {
    /// The writer, flushed, and not shut down.
    pub writer: W,
    /// How many bytes it took.
    pub written: u64,
    /// How many bytes it did not take, of those that came before the consumer ended.
    pub failed: u64,
    /// The first error.
    pub error: Option<io::Error>,
}

impl Subscriber {
    /// Writes what comes to `writer`, in a task of its own, until the end of the stream or the first error.
    ///
    /// It is flushed whenever nothing more is there, so that nothing stays in a buffer while the child is silent. An
    /// error ends the consumer and nobody else; it stands in [`Copied::error`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use herder::{Command, Stdio};
    ///
    /// let mut child = Command::new("echo").arg("moo").stdout(Stdio::piped()).spawn()?;
    /// let tee = child.stdout.take().unwrap().share().subscribe().copy_to(Vec::new());
    /// assert_eq!(tee.wait().await?.value.writer, b"moo\n");
    /// # Ok(()) }
    /// ```
    pub fn copy_to<W: AsyncWrite + Unpin + Send + 'static>(self, writer: W) -> Consumer<Copied<W>> {
        self.copy_to_with(writer, |_| ControlFlow::Break(()))
    }

    /// As [`copy_to`](Self::copy_to); after an error `on_error` says whether to go on with the next chunk. What the
    /// writer did not take of the chunk is lost for it, and counted.
    pub fn copy_to_with<W: AsyncWrite + Unpin + Send + 'static>(
        self,
        writer: W,
        on_error: impl FnMut(&io::Error) -> ControlFlow<()> + Send + 'static,
    ) -> Consumer<Copied<W>> {
        self.visit_async(Copy::new(writer, on_error))
    }

    /// Writes lines to `writer`: `write` appends what stands for a line, its ending included, to the buffer. Otherwise
    /// as [`copy_to_with`](Self::copy_to_with); lines that came together are written together.
    pub fn copy_lines_to<W: AsyncWrite + Unpin + Send + 'static>(
        self,
        options: LineOptions,
        write: impl FnMut(&Line<'_>, &mut Vec<u8>) + Send + 'static,
        writer: W,
        on_error: impl FnMut(&io::Error) -> ControlFlow<()> + Send + 'static,
    ) -> Consumer<Copied<W>> {
        let copy = Copy::new(writer, on_error);
        self.visit_async(CopyLines {
            splitter: LineSplitter::new(options),
            write,
            copy,
            buffer: Vec::new(),
            broke: false,
        })
    }
}

struct Copy<W, F> {
    on_error: F,
    copied: Copied<W>,
    unflushed: bool,
}

impl<W, F> Copy<W, F>
where
    W: AsyncWrite + Unpin + Send + 'static,
    F: FnMut(&io::Error) -> ControlFlow<()> + Send + 'static,
{
    fn new(writer: W, on_error: F) -> Self {
        let copied = Copied { writer, written: 0, failed: 0, error: None };
        Self { on_error, copied, unflushed: false }
    }

    async fn write(&mut self, mut bytes: &[u8]) -> ControlFlow<()> {
        self.unflushed = true;
        while !bytes.is_empty() {
            match self.copied.writer.write(bytes).await {
                Ok(0) => return self.fail(io::ErrorKind::WriteZero.into(), bytes.len()),
                Ok(count) => {
                    self.copied.written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(error, bytes.len()),
            }
        }
        ControlFlow::Continue(())
    }

    fn fail(&mut self, error: io::Error, lost: usize) -> ControlFlow<()> {
        self.copied.failed += lost as u64;
        let flow = (self.on_error)(&error);
        self.copied.error.get_or_insert(error);
        flow
    }

    async fn flush(&mut self) -> ControlFlow<()> {
        if !std::mem::take(&mut self.unflushed) {
            return ControlFlow::Continue(());
        }
        match self.copied.writer.flush().await {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => self.fail(error, 0),
        }
    }
}

impl<W, F> AsyncVisitor for Copy<W, F>
where
    W: AsyncWrite + Unpin + Send + 'static,
    F: FnMut(&io::Error) -> ControlFlow<()> + Send + 'static,
{
    type Output = Copied<W>;

    async fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.write(&chunk).await
    }

    async fn idle(&mut self) -> ControlFlow<()> {
        self.flush().await
    }

    async fn finish(mut self) -> Copied<W> {
        // An error is written down; there is nothing left to break off.
        let _: ControlFlow<()> = self.flush().await;
        self.copied
    }
}

struct CopyLines<W, F, M> {
    splitter: LineSplitter,
    write: M,
    copy: Copy<W, F>,
    buffer: Vec<u8>,
    broke: bool,
}

impl<W, F, M> CopyLines<W, F, M>
where
    W: AsyncWrite + Unpin + Send + 'static,
    F: FnMut(&io::Error) -> ControlFlow<()> + Send + 'static,
    M: FnMut(&Line<'_>, &mut Vec<u8>) + Send + 'static,
{
    async fn lines(&mut self) -> ControlFlow<()> {
        while let Some(line) = self.splitter.next_line() {
            (self.write)(&line, &mut self.buffer);
        }
        let flow = self.copy.write(&self.buffer).await;
        self.buffer.clear();
        self.broke = flow.is_break();
        flow
    }
}

impl<W, F, M> AsyncVisitor for CopyLines<W, F, M>
where
    W: AsyncWrite + Unpin + Send + 'static,
    F: FnMut(&io::Error) -> ControlFlow<()> + Send + 'static,
    M: FnMut(&Line<'_>, &mut Vec<u8>) + Send + 'static,
{
    type Output = Copied<W>;

    async fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.splitter.push(chunk);
        self.lines().await
    }

    async fn gap(&mut self, bytes: u64) -> ControlFlow<()> {
        self.splitter.gap(bytes);
        self.lines().await
    }

    async fn idle(&mut self) -> ControlFlow<()> {
        self.copy.flush().await
    }

    async fn finish(mut self) -> Copied<W> {
        // After the first error it is for the handler to say whether there is more to write.
        if !self.broke {
            self.splitter.end();
            let _: ControlFlow<()> = self.lines().await;
        }
        self.copy.finish().await
    }
}

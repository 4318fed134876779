//! A file for output, as an async writer.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::rotate::{RotatingFile, Rotation};
use super::{FileReport, Rotated, Spill};

/// A file that output is appended to, and that may be [rotated](Rotation).
///
/// Writing is done on the blocking threads of the runtime, all chunks that wait at once, without a task that lives as
/// long as the file. What was handed over is written even if this is dropped, as long as the runtime is not. While
/// 1 MiB waits for the disk, a writer waits, too.
///
/// After an error nothing more is written, and each further write gives that error again: a file with a hole would be
/// worse than one that ends early.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use herder::output::{LogFile, Rotation};
/// use tokio::io::AsyncWriteExt;
///
/// # let path = folder.path().join("log");
/// let mut log = LogFile::append(&path)?.rotate(Rotation::new(1024 * 1024, 3))?;
/// log.write_all(b"one line\n").await?;
/// log.flush().await?;
/// assert_eq!(std::fs::read(&path)?, b"one line\n");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LogFile {
    spill: Spill<RotatingFile>,
    rotated: Arc<Mutex<Rotated>>,
}

impl LogFile {
    /// Opens a file to append to it, and makes it if it is not there. Blocks as opening does.
    ///
    /// # Errors
    ///
    /// Whatever the operating system says about opening it.
    pub fn append(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), OpenOptions::new().append(true).create(true))
    }

    /// Makes a file, which must not be there yet. Blocks as opening does.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`], and whatever else the operating system says about making it.
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open(path.as_ref(), OpenOptions::new().append(true).create_new(true))
    }

    fn open(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        let file = options.open(path)?;
        let file = RotatingFile::new(path.to_owned(), file);
        let rotated = file.rotated();
        Ok(Self { spill: Spill::new(path.to_owned(), file), rotated })
    }

    /// Rotates it. To be said before anything is written; what is in the file already counts.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if it is no regular file: a pipe or a device can't be renamed and made anew.
    /// Whatever the operating system says when asked about the file.
    pub fn rotate(self, rotation: Rotation) -> io::Result<Self> {
        self.spill.with_idle(|file| file.rotate(rotation)).unwrap_or_else(|| {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "the file is being written to"))
        })?;
        Ok(self)
    }

    /// Hands over a chunk without copying it; waits while 1 MiB waits for the disk.
    ///
    /// Never fails: what could not be written is told by [`report`](Self::report) and by each write or flush.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it has not taken the chunk.
    pub async fn push(&mut self, chunk: Bytes) {
        self.spill.push(chunk).await;
    }

    /// Waits until everything handed over is written, or failed to be, and tells what became of it.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, writing goes on; it may be called again.
    pub async fn finish(&mut self) -> FileReport {
        self.spill.finish().await;
        self.report()
    }

    /// What became of it so far, without waiting.
    #[must_use]
    pub fn report(&self) -> FileReport {
        let rotated = self.rotated.lock().unwrap_or_else(PoisonError::into_inner).clone();
        FileReport { rotated, ..self.spill.report() }
    }

    fn failed(&self) -> io::Result<()> {
        match self.spill.report().error {
            Some((kind, message)) => Err(io::Error::new(kind, message)),
            None => Ok(()),
        }
    }
}

/// A write is done when the bytes are handed over; a flush when they are written.
impl AsyncWrite for LogFile {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.spill.poll_room(context));
        self.failed()?;
        self.spill.add(Bytes::copy_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.spill.poll_idle(context));
        Poll::Ready(self.failed())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_full_disk_is_told_by_each_write_and_by_the_report() {
        let mut log = LogFile::append("/dev/full").unwrap();
        log.write_all(b"lost").await.unwrap();
        for _ in 0..2 {
            assert_eq!(log.flush().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(log.write(b"x").await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        let report = log.finish().await;
        assert_eq!((report.written(), report.error_kind()), (0, Some(io::ErrorKind::StorageFull)));
    }

    #[tokio::test]
    async fn an_existing_file_is_appended_to_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before ").unwrap();
        assert_eq!(LogFile::create_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let mut log = LogFile::append(&path).unwrap();
        log.push("behind".into()).await;
        assert_eq!(log.finish().await.written(), 6);
        assert_eq!(std::fs::read(&path).unwrap(), b"before behind");
    }

    #[tokio::test]
    async fn rotations_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::append(&path).unwrap().rotate(Rotation::new(1000, 2)).unwrap();
        for _ in 0..1000 {
            log.write_all(b"123456789\n").await.unwrap();
        }
        let report = log.finish().await;
        assert_eq!((report.written(), report.rotation_error_kind()), (10_000, None));
        // Each file ends with the first line that ends in its last eighth.
        assert_eq!(report.rotations(), 10_000 / 880);
    }

    #[tokio::test]
    async fn what_can_not_be_rotated_is_told_at_once() {
        let log = LogFile::append("/dev/null").unwrap();
        let error = log.rotate(Rotation::new(1000, 2)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

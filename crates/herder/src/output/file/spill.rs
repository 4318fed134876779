//! Chunks on their way to a file.
//!
//! The file is written by blocking tasks, at most one at a time for each file, which take all chunks that wait and
//! end when none is left. A task for the whole life of the process would be simpler, but tasks that mostly wait
//! use up the blocking pool of the runtime: with 512 of them the next file is never written, its queue fills, and
//! its process blocks for ever. `tokio::fs` makes one trip to the pool for every chunk.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::{Failure, FileReport, failure};

/// How many bytes may wait for the disk before the reader waits too, and with it, once its pipe is full, the process.
const QUEUE_BYTES: usize = 1024 * 1024;

/// A file that is given a stream chunk by chunk. Cloned, it is the same file.
#[derive(Debug)]
pub(crate) struct Spill<W = File> {
    shared: Arc<Shared<W>>,
}

impl<W> Clone for Spill<W> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<W>(Mutex<State<W>>);

#[derive(Debug)]
struct State<W> {
    chunks: VecDeque<Bytes>,
    /// The bytes of the chunks that are queued or being written.
    bytes: usize,
    /// Here while no task has it.
    writer: Option<Writer<W>>,
    report: FileReport,
    /// Who waits for progress.
    wakers: Vec<Waker>,
}

impl Spill {
    /// Makes the file, which must not exist yet, before the process is started: a path that can't be used is better
    /// told before an hour of work than after it. Blocks as opening a file does.
    ///
    /// # Errors
    ///
    /// Whatever the operating system says about making a file at `path`.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self::new(path, file))
    }
}

impl<W: Write + Send + 'static> Spill<W> {
    /// For a writer that is there; the path is for the report.
    pub(in crate::output) fn new(path: PathBuf, out: W) -> Self {
        let state = State {
            chunks: VecDeque::new(),
            bytes: 0,
            writer: Some(Writer { out, written: 0, error: None }),
            report: FileReport::new(path),
            wakers: Vec::new(),
        };
        Self { shared: Arc::new(Shared(Mutex::new(state))) }
    }

    /// Hands over the next chunk; waits while 1 MiB waits for the disk. Never fails: see [`FileReport`].
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it has not taken the chunk.
    pub(crate) async fn push(&self, chunk: Bytes) {
        poll_fn(|context| self.poll_room(context)).await;
        self.add(chunk);
    }

    /// Waits until everything handed over is written, or failed to be, and tells what became of it.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, writing goes on; it may be called again.
    pub(crate) async fn finish(&self) -> FileReport {
        poll_fn(|context| self.poll_idle(context)).await;
        self.report()
    }

    /// The same, but waits no longer than `patience`: a disk may hang.
    pub(crate) async fn finish_within(&self, patience: Duration) -> FileReport {
        match tokio::time::timeout(patience, self.finish()).await {
            Ok(report) => report,
            Err(_) => self.report(),
        }
    }

    /// What became of it so far, for a file that hangs: says how much is written now, without waiting.
    pub(crate) fn report(&self) -> FileReport {
        self.shared.lock().report.clone()
    }

    /// Ready when a chunk may be added.
    pub(super) fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        self.shared.poll_while(context, |state| state.bytes >= QUEUE_BYTES)
    }

    /// Ready when everything is written, or failed to be.
    pub(super) fn poll_idle(&self, context: &Context<'_>) -> Poll<()> {
        self.shared.poll_while(context, |state| state.bytes > 0 || state.writer.is_none())
    }

    /// Hands over a chunk, whether there is room or not.
    pub(super) fn add(&self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        state.bytes += chunk.len();
        state.chunks.push_back(chunk);
        if let Some(writer) = state.writer.take() {
            let shared = Arc::clone(&self.shared);
            drop(tokio::task::spawn_blocking(move || shared.write_all(writer)));
        }
    }

    /// Does something with the target, unless it is being written to.
    pub(super) fn with_idle<T>(&self, work: impl FnOnce(&mut W) -> T) -> Option<T> {
        self.shared.lock().writer.as_mut().map(|writer| work(&mut writer.out))
    }
}

impl<W: Write> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        // Nothing panics while it holds the lock, and if it did the queue would still be a queue.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_while(&self, context: &Context<'_>, busy: impl Fn(&State<W>) -> bool) -> Poll<()> {
        let mut state = self.lock();
        if !busy(&state) {
            return Poll::Ready(());
        }
        if !state.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }

    /// The blocking task: writes until nothing waits, flushes, and puts the writer back.
    fn write_all(&self, mut writer: Writer<W>) {
        let (mut done, mut flushed) = (0, true);
        loop {
            let mut state = self.lock();
            state.bytes -= done;
            state.report.written = writer.written;
            state.report.error.clone_from(&writer.error);
            let batch = std::mem::take(&mut state.chunks);
            let wakers = std::mem::take(&mut state.wakers);
            if batch.is_empty() && flushed {
                state.writer = Some(writer);
                drop(state);
                wakers.into_iter().for_each(Waker::wake);
                return;
            }
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            done = batch.iter().map(Bytes::len).sum();
            batch.iter().for_each(|chunk| writer.write(chunk));
            flushed = batch.is_empty();
            if flushed {
                writer.flush();
            }
        }
    }
}

#[derive(Debug)]
struct Writer<W> {
    out: W,
    written: u64,
    error: Option<Failure>,
}

impl<W: Write> Writer<W> {
    /// Writes all of the chunk, and after an error nothing any more: a file with a hole in it would be worse than
    /// one that ends early.
    fn write(&mut self, mut chunk: &[u8]) {
        while !chunk.is_empty() && self.error.is_none() {
            match self.out.write(chunk) {
                Ok(0) => self.fail(&io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count as u64;
                    chunk = &chunk[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.fail(&error),
            }
        }
    }

    /// For a writer with a buffer. What was taken counts as written even if this fails.
    fn flush(&mut self) {
        if self.error.is_none()
            && let Err(error) = self.out.flush()
        {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.error = Some(failure(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::mpsc;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap()
    }

    /// A disk that takes so many bytes and then is full, at most `step` at a time.
    struct Disk {
        room: usize,
        step: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.step).min(self.room);
            self.room -= count;
            if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A disk that writes only when it is told to.
    struct SlowDisk(mpsc::Receiver<()>);

    impl Write for SlowDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_existing_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(Spill::create(path.clone()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_the_rest_goes_by() {
        runtime().block_on(async {
            let spill = Spill::new("disk".into(), Disk { room: 10, step: 3 });
            for _ in 0..5 {
                spill.push(Bytes::from_static(b"abcd")).await;
            }
            let report = spill.finish().await;
            assert_eq!(report.written(), 10);
            assert_eq!(report.error_kind(), Some(io::ErrorKind::StorageFull));
            assert!(report.error_message().is_some());
            assert_eq!(report.path(), Path::new("disk"));
        });
    }

    #[test]
    fn a_slow_disk_holds_the_reader_back_and_cancelling_loses_nothing() {
        runtime().block_on(async {
            let (tick, disk) = mpsc::channel();
            let spill = Spill::new("slow".into(), SlowDisk(disk));
            spill.push(Bytes::from(vec![0; QUEUE_BYTES])).await;
            tokio::select! {
                biased;
                () = spill.push(Bytes::from_static(b"late")) => panic!("the queue is full"),
                () = std::future::ready(()) => {}
            }
            assert_eq!(spill.report().written(), 0);
            tick.send(()).unwrap();
            tick.send(()).unwrap();
            spill.push(Bytes::from_static(b"late")).await;
            let report = spill.finish().await;
            assert_eq!((report.written(), report.error_kind()), (QUEUE_BYTES as u64 + 4, None));
        });
    }

    #[test]
    fn what_was_handed_over_is_written_even_if_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let runtime = runtime();
        runtime.block_on(async {
            Spill::create(path.clone()).unwrap().push(Bytes::from_static(b"left behind")).await;
            // The one thread of the pool is free again only when the file is written.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"left behind");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_file_has_all_chunks_in_order(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("out");
            let report = runtime().block_on(async {
                let spill = Spill::create(path.clone()).unwrap();
                for chunk in &chunks {
                    spill.push(Bytes::copy_from_slice(chunk)).await;
                }
                spill.finish().await
            });
            let all = chunks.concat();
            prop_assert_eq!(report.written(), all.len() as u64);
            prop_assert_eq!(report.error_kind(), None);
            prop_assert_eq!(std::fs::read(&path).unwrap(), all);
        }
    }
}

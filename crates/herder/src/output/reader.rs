//! The reading of a shared stream.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

use super::after_exit::{AfterExit, Exit};
use super::reading::Next;
use super::share::Inner;
use super::{OutputEnd, Redactor, Spill};

/// What is read at first at once; more if the stream gives more.
const SMALL_BUFFER: usize = 8 * 1024;

/// No more than this is copied, or an eighth of what was asked for, so that the buffer can be used again, and whole: the
/// rest of one makes the next read a short one.
const SMALL_CHUNK: usize = 2 * 1024;

/// How many buffers may wait for their readers to be done with them.
const POOL: usize = 5;

/// After how many bytes the others have their turn.
const TURN: usize = 256 * 1024;

/// A stream that is not read yet.
pub(super) struct Source {
    pub(super) stream: Pin<Box<dyn AsyncRead + Send>>,
    pub(super) redactor: Redactor,
    /// The file that all of it goes to.
    pub(super) spill: Option<Spill>,
    pub(super) exit: Option<Exit>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// Closes the stream if the task ends without having done so: with its runtime, maybe before it has begun, or by a panic
/// of the source.
pub(super) struct Closing(pub(super) Arc<Inner>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close(OutputEnd::failed(&io::Error::other("the task that read it was ended")));
    }
}

/// Reads until the end.
pub(super) async fn read(closing: Closing, source: Source) {
    let inner = &closing.0;
    let (mut redactor, spill) = (source.redactor, source.spill);
    let mut input = Input { stream: source.stream, after: source.exit.map(AfterExit::new) };
    let mut buffers = Buffers::new(inner.chunk_size);
    let mut wakers = Vec::new();
    let mut since_turn = 0;
    std::future::poll_fn(|context| input.poll_started(inner, context)).await;
    let end = loop {
        let blocked = Instant::now();
        let room = std::future::poll_fn(|context| inner.poll_room(context)).await;
        input.was_blocked(blocked);
        let buffer = buffers.get(usize::try_from(room).unwrap_or(usize::MAX));
        match std::future::poll_fn(|context| input.poll_read(context, buffer)).await {
            Ok(Read::Quiet) => break OutputEnd::StillHeld,
            Ok(Read::Bytes(0)) => break OutputEnd::Eof,
            Ok(Read::Bytes(count)) => {
                let chunk = redactor.push(buffers.take(count));
                let copy = spill.as_ref().map(|spill| (spill, chunk.clone()));
                since_turn += count;
                let next = inner.push(chunk, redactor.stretches(), &mut wakers, since_turn >= TURN);
                wakers.drain(..).for_each(std::task::Waker::wake);
                if let Some((spill, chunk)) = copy {
                    let blocked = Instant::now();
                    inner.spill(spill, chunk).await;
                    input.was_blocked(blocked);
                }
                if next != Next::GoOn {
                    give_way(next).await;
                    since_turn = 0;
                }
                if input.is_flooded(count) {
                    break OutputEnd::StillHeld;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break OutputEnd::failed(&error),
        }
    };
    let rest = redactor.end();
    if let Some(spill) = &spill {
        inner.spill(spill, rest.clone()).await;
    }
    // Whoever waits is woken by the end.
    inner.push(rest, redactor.stretches(), &mut wakers, false);
    inner.close(end);
    wakers.into_iter().for_each(std::task::Waker::wake);
}

/// One that is faster than we are must not fill the log before its readers had a look at it.
async fn give_way(next: Next) {
    if next == Next::Yield {
        // To wake ourselves would save the look at the reactor that comes with this, and starve a reader that the
        // runtime blocks on: it has its turn only after many tasks.
        return tokio::task::yield_now().await;
    }
    let mut stopped = false;
    std::future::poll_fn(
        |_| if std::mem::replace(&mut stopped, true) { Poll::Ready(()) } else { Poll::Pending },
    )
    .await;
}

/// The stream, and the child it comes from.
struct Input {
    stream: Pin<Box<dyn AsyncRead + Send>>,
    after: Option<AfterExit>,
}

enum Read {
    Bytes(usize),
    /// The child has exited, and nothing has come for long enough.
    Quiet,
}

impl Input {
    /// Ready when the stream is to be read: it was started, or has waited for that since the exit of the child for as long
    /// as it may be quiet.
    fn poll_started(&mut self, inner: &Inner, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.after {
            _ if inner.poll_started(context).is_ready() => Poll::Ready(()),
            // The time that has passed counts: if nothing is there by now, the stream is over.
            Some(after) => after.poll_quiet(context),
            None => Poll::Pending,
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Read>> {
        let mut buffer = ReadBuf::new(buffer);
        let mut read = self.stream.as_mut().poll_read(context, &mut buffer);
        if let Some(after) = &mut self.after {
            if read.is_pending() && !after.has_exited() && after.poll_exited(context) {
                // What the child wrote last may have come since.
                read = self.stream.as_mut().poll_read(context, &mut buffer);
            }
            if read.is_pending() {
                return after.poll_quiet(context).map(|()| Ok(Read::Quiet));
            }
            after.has_bytes(context);
        }
        read.map_ok(|()| Read::Bytes(buffer.filled().len()))
    }

    /// Takes note of bytes that were read; tells whether they were too many, for too long after the exit.
    fn is_flooded(&mut self, count: usize) -> bool {
        self.after.as_mut().is_some_and(|after| after.is_flooded(count))
    }

    /// Waiting for readers is no silence of the stream.
    fn was_blocked(&mut self, since: Instant) {
        if let Some(after) = &mut self.after {
            after.blocked += since.elapsed();
        }
    }
}

/// Buffers to read into, used again when all readers are done with them.
struct Buffers {
    current: BytesMut,
    /// Those that were handed out.
    pool: VecDeque<Bytes>,
    size: usize,
    most: usize,
}

impl Buffers {
    fn new(most: usize) -> Self {
        Self { current: BytesMut::new(), pool: VecDeque::new(), size: most.min(SMALL_BUFFER), most }
    }

    /// A buffer with at most so many bytes.
    fn get(&mut self, most: usize) -> &mut [u8] {
        if self.current.len() < self.size.min(most).div_ceil(4) {
            self.current = self.unused();
        }
        let length = self.current.len().min(most);
        &mut self.current[..length]
    }

    fn unused(&mut self) -> BytesMut {
        while let Some(index) = self.pool.iter().position(Bytes::is_unique) {
            if let Some(Ok(mut buffer)) = self.pool.remove(index).map(Bytes::try_into_mut)
                && buffer.capacity() >= self.size
            {
                buffer.resize(self.size, 0);
                return buffer;
            }
        }
        BytesMut::zeroed(self.size)
    }

    /// The bytes that were read into the buffer.
    fn take(&mut self, count: usize) -> Bytes {
        if count == self.current.len() && self.size < self.most {
            self.size = (self.size * 2).min(self.most);
        }
        if count <= SMALL_CHUNK.max(self.size / 8) {
            return Bytes::copy_from_slice(&self.current[..count]);
        }
        let chunk = self.current.split_to(count).freeze();
        if self.pool.len() == POOL {
            self.pool.pop_front();
        }
        self.pool.push_back(chunk.clone());
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_when_its_readers_are_done() {
        let mut buffers = Buffers::new(16 * 1024);
        let mut addresses = Vec::new();
        for _ in 0..100 {
            let length = buffers.get(usize::MAX).len();
            let chunk = buffers.take(length);
            addresses.push(chunk.as_ptr());
        }
        addresses.sort_unstable();
        addresses.dedup();
        assert!(addresses.len() <= 4, "{}", addresses.len());
    }

    #[test]
    fn buffers_grow_with_what_comes_and_stay_within_their_bound() {
        let mut buffers = Buffers::new(64 * 1024);
        assert_eq!(buffers.get(usize::MAX).len(), SMALL_BUFFER);
        for _ in 0..10 {
            let length = buffers.get(usize::MAX).len();
            drop(buffers.take(length));
        }
        assert_eq!(buffers.get(usize::MAX).len(), 64 * 1024);
        assert_eq!(buffers.get(10).len(), 10);
        assert_eq!(buffers.take(3).len(), 3);
    }

    #[test]
    fn a_short_read_leaves_a_large_buffer_whole() {
        let mut buffers = Buffers::new(64 * 1024);
        for _ in 0..4 {
            let length = buffers.get(usize::MAX).len();
            drop(buffers.take(length));
        }
        let _ = buffers.get(usize::MAX);
        drop(buffers.take(8 * 1024));
        assert_eq!(buffers.get(usize::MAX).len(), 64 * 1024);
    }

    #[test]
    fn a_small_chunk_does_not_hold_the_buffer() {
        let mut buffers = Buffers::new(64 * 1024);
        let _ = buffers.get(usize::MAX);
        let chunks: Vec<_> = (0..100).map(|_| buffers.take(1)).collect();
        assert!(chunks.iter().all(Bytes::is_unique));
    }
}

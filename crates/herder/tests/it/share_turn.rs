//! The only subscriber of a shared stream reads on where the task has given way, and nobody notices.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use herder::output::{Event, OutputEnd, Replay, ShareOptions, SharedOutput, Subscriber, WhenFull};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::Id;

use crate::support::{multi_thread, run, within};

/// Bytes of one read; a few more of them than the task reads at once.
const CHUNK: usize = 8 * 1024;
const CHUNKS: usize = 100;

/// A stream that always has bytes, and knows which tasks have read it.
struct Ready {
    left: usize,
    readers: Arc<Mutex<Vec<Id>>>,
    /// It panics in any other task than the first.
    panics: bool,
}

impl AsyncRead for Ready {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(task) = tokio::task::try_id() {
            let mut readers = self.readers.lock().unwrap();
            readers.push(task);
            let first = readers[0];
            drop(readers);
            assert!(!self.panics || task == first, "on purpose");
        }
        let count = buffer.remaining().min(CHUNK).min(self.left);
        buffer.put_slice(&[b'x'; CHUNK][..count]);
        self.left -= count;
        Poll::Ready(Ok(()))
    }
}

/// Such a stream, shared, and who has read it.
fn ready(panics: bool) -> (SharedOutput, Arc<Mutex<Vec<Id>>>) {
    let readers = Arc::default();
    let source = Ready { left: CHUNK * CHUNKS, readers: Arc::clone(&readers), panics };
    (SharedOutput::new(source, &ShareOptions::new()), readers)
}

/// Takes what comes until this task has read itself, or the stream has ended; how much was that?
async fn read_until_we_did(subscriber: &mut Subscriber, readers: &Mutex<Vec<Id>>) -> usize {
    let mut bytes = 0;
    while let Some(event) = within(subscriber.next()).await {
        let Event::Chunk(chunk) = event else { panic!("{event:?}") };
        bytes += chunk.len();
        if readers.lock().unwrap().contains(&tokio::task::id()) {
            break;
        }
    }
    bytes
}

async fn rest(mut subscriber: Subscriber) -> usize {
    let mut bytes = 0;
    while let Some(event) = within(subscriber.next()).await {
        let Event::Chunk(chunk) = event else { panic!("{event:?}") };
        bytes += chunk.len();
    }
    bytes
}

/// In a task of one thread, where the turns are what they are.
fn in_a_task<F: Future<Output = ()> + Send + 'static>(work: F) {
    run(async { tokio::spawn(work).await.unwrap() });
}

#[test]
fn the_only_subscriber_reads_on_where_the_task_gave_way() {
    in_a_task(async {
        let (shared, readers) = ready(false);
        let mut subscriber = shared.subscribe();
        let first = read_until_we_did(&mut subscriber, &readers).await;
        assert!(readers.lock().unwrap().contains(&tokio::task::id()), "it was never our turn");
        assert_eq!(first + rest(subscriber).await, CHUNK * CHUNKS);
        assert_eq!(shared.end(), Some(OutputEnd::Eof));
    });
}

#[test]
fn one_that_has_read_and_is_polled_no_more_blocks_nobody() {
    in_a_task(async {
        let (shared, readers) = ready(false);
        let mut subscriber = shared.subscribe();
        let first = read_until_we_did(&mut subscriber, &readers).await;
        assert!(readers.lock().unwrap().contains(&tokio::task::id()), "it was never our turn");
        // The rest is within the capacity.
        assert_eq!(within(shared.ended()).await, OutputEnd::Eof);
        assert_eq!(first + rest(subscriber).await, CHUNK * CHUNKS);
    });
}

#[test]
fn where_there_are_two_the_task_reads() {
    in_a_task(async {
        let (shared, readers) = ready(false);
        let (one, other) = (shared.subscribe(), shared.subscribe_with(Replay::All, WhenFull::Block));
        let other = tokio::spawn(rest(other));
        assert_eq!(rest(one).await + other.await.unwrap(), 2 * CHUNK * CHUNKS);
        assert!(!readers.lock().unwrap().contains(&tokio::task::id()));
    });
}

#[test]
fn a_source_that_panics_while_a_subscriber_reads_it_ends_its_stream_only() {
    in_a_task(async {
        let (shared, readers) = ready(true);
        let mut subscriber = shared.subscribe();
        read_until_we_did(&mut subscriber, &readers).await;
        assert!(readers.lock().unwrap().contains(&tokio::task::id()), "it was never our turn");
        rest(subscriber).await;
        assert!(matches!(shared.end(), Some(OutputEnd::Failed { .. })), "{:?}", shared.end());
    });
}

#[test]
fn with_several_threads_every_byte_comes_whoever_reads() {
    multi_thread().block_on(async {
        for _ in 0..200 {
            let (shared, _) = ready(false);
            let reader = tokio::spawn(rest(shared.subscribe()));
            assert_eq!(reader.await.unwrap(), CHUNK * CHUNKS);
            assert_eq!(within(shared.ended()).await, OutputEnd::Eof);
        }
    });
}

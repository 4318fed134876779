//! One stream, many readers: who gets what, and what happens to those who are slow. The streams are in this process.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use herder::output::{Event, OutputEnd, Replay, ShareOptions, SharedOutput, Subscriber, Unread, WhenFull};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::support::{current_thread, multi_thread, park_on, run, within};

const WHEN_FULL: [WhenFull; 3] = [WhenFull::Block, WhenFull::DropNewest, WhenFull::DropOldest];

/// A shared stream and the end to write to; as large as a pipe.
fn stream(options: &ShareOptions) -> (DuplexStream, SharedOutput) {
    let (writer, reader) = tokio::io::duplex(64 * 1024);
    (writer, SharedOutput::new(reader, options))
}

/// So many numbered lines.
fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

/// Everything until the end: the bytes, and how many are missing.
async fn rest(mut subscriber: Subscriber) -> (Vec<u8>, u64) {
    let (mut bytes, mut missing) = (Vec::new(), 0);
    while let Some(event) = within(subscriber.next()).await {
        match event {
            Event::Chunk(chunk) => bytes.extend_from_slice(&chunk),
            Event::Gap(count) => missing += count,
        }
    }
    (bytes, missing)
}

/// Waits until the reader has taken so many bytes.
async fn read(shared: &SharedOutput, bytes: u64) {
    within(async {
        while shared.total() < bytes {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until everything that can run has run.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// T12, T31
#[test]
fn all_subscribers_get_all_bytes() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        let readers: Vec<_> = (0..8).map(|_| tokio::spawn(rest(shared.subscribe()))).collect();
        let text = numbered(50_000);
        writer.write_all(&text).await.unwrap();
        drop(writer);
        for reader in readers {
            assert_eq!(reader.await.unwrap(), (text.clone(), 0));
        }
        assert_eq!((shared.end(), shared.total()), (Some(OutputEnd::Eof), text.len() as u64));
    });
}

#[test]
fn chunks_are_shared_and_not_copied() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        let mut readers: Vec<_> = (0..8).map(|_| shared.subscribe()).collect();
        writer.write_all(&[b'x'; 8 * 1024]).await.unwrap();
        let mut addresses = Vec::new();
        for reader in &mut readers {
            let Some(Event::Chunk(chunk)) = reader.next().await else { panic!("a chunk") };
            addresses.push((chunk.as_ptr(), chunk.len()));
        }
        addresses.dedup();
        assert_eq!(addresses.len(), 1);
    });
}

// T13: there is no single subscriber, so none is refused, and a place is free when its owner is gone.
#[test]
fn one_that_is_dropped_is_not_waited_for() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().capacity(1000));
        let slow = shared.subscribe();
        let fast = tokio::spawn(rest(shared.subscribe()));
        let text = numbered(100_000);
        let write = tokio::spawn({
            let text = text.clone();
            async move { writer.write_all(&text).await }
        });
        read(&shared, 500).await;
        settle().await;
        assert!(shared.total() <= 1000 && !write.is_finished());
        drop(slow);
        assert_eq!(within(fast).await.unwrap(), (text, 0));
        write.await.unwrap().unwrap();
    });
}

// T15, T27
#[test]
fn one_that_blocks_holds_up_the_writer_and_misses_nothing() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().capacity(10_000).replay(0));
        let slow = shared.subscribe();
        let text = numbered(100_000);
        let write = tokio::spawn({
            let text = text.clone();
            async move { writer.write_all(&text).await }
        });
        read(&shared, 5_000).await;
        settle().await;
        assert!(!write.is_finished());
        assert!(shared.total() <= 10_000, "{}", shared.total());
        assert_eq!(rest(slow).await, (text, 0));
        write.await.unwrap().unwrap();
    });
}

// T16
#[test]
fn a_stream_that_nobody_reads_any_more_is_drained() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().replay(0));
        drop(shared.subscribe());
        writer.write_all(&numbered(100_000)).await.unwrap();
        writer.write_all(b"last").await.unwrap();
        drop(writer);
        assert_eq!(within(shared.ended()).await, OutputEnd::Eof);
        let total = shared.total();
        assert_eq!(rest(shared.subscribe()).await, (Vec::new(), total));
        assert_eq!(rest(shared.subscribe_with(Replay::None, WhenFull::Block)).await, (Vec::new(), 0));
    });
}

// T16
#[test]
fn a_stream_that_nobody_reads_any_more_blocks_if_it_shall() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().replay(0).unread(Unread::Block));
        let text = numbered(100_000);
        let write = tokio::spawn({
            let text = text.clone();
            async move { writer.write_all(&text).await }
        });
        let mut first = shared.subscribe();
        let Some(Event::Chunk(chunk)) = first.next().await else { panic!("a chunk") };
        drop(first);
        settle().await;
        assert!(!write.is_finished());
        let (bytes, missing) = rest(shared.subscribe()).await;
        assert_eq!(missing + bytes.len() as u64, text.len() as u64);
        assert!(missing >= chunk.len() as u64);
        assert!(text.ends_with(&bytes));
    });
}

// T15, T16: nothing is read before the first subscriber comes, so that it misses nothing whatever is replayed.
#[test]
fn the_first_subscriber_misses_nothing_however_late_it_comes() {
    for replay in [Replay::None, Replay::All] {
        run(async {
            let (mut writer, shared) = stream(&ShareOptions::new().replay(0));
            writer.write_all(b"early").await.unwrap();
            settle().await;
            assert_eq!(shared.total(), 0);
            let first = shared.subscribe_with(replay, WhenFull::Block);
            writer.write_all(b" and late").await.unwrap();
            drop(writer);
            assert_eq!(rest(first).await, (b"early and late".to_vec(), 0));
        });
    }
}

#[test]
fn a_stream_can_be_read_before_anybody_subscribes() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().replay(usize::MAX));
        shared.start().unwrap();
        let text = numbered(100_000);
        writer.write_all(&text).await.unwrap();
        drop(writer);
        within(shared.ended()).await;
        assert_eq!(rest(shared.subscribe()).await, (text, 0));
    });
}

// T17
#[test]
fn those_who_drop_delay_nobody_and_are_told_how_much_they_missed() {
    for when_full in [WhenFull::DropNewest, WhenFull::DropOldest] {
        run(async {
            let (mut writer, shared) = stream(&ShareOptions::new().capacity(10_000));
            let slow = shared.subscribe_with(Replay::All, when_full);
            let fast = tokio::spawn(rest(shared.subscribe()));
            let text = numbered(100_000);
            writer.write_all(&text).await.unwrap();
            drop(writer);
            // The fast one has all, though the slow one has not been polled.
            assert_eq!(fast.await.unwrap(), (text.clone(), 0));
            let (bytes, missing) = rest(slow).await;
            assert_eq!((bytes.len(), missing), (10_000, text.len() as u64 - 10_000));
        });
    }
}

// T18: what is dropped is one of two, and the same for all kinds of streams.
#[test]
fn the_oldest_or_the_newest_bytes_are_dropped() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().capacity(10).replay(0));
        let mut keeps_old = shared.subscribe_with(Replay::None, WhenFull::DropNewest);
        let keeps_new = shared.subscribe_with(Replay::None, WhenFull::DropOldest);
        writer.write_all(b"0123456789abcdef").await.unwrap();
        read(&shared, 16).await;
        // It takes part again when it has read what it kept.
        let mut kept = Vec::new();
        while kept.len() < 10 {
            match keeps_old.try_next() {
                Some(Event::Chunk(chunk)) => kept.extend_from_slice(&chunk),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(kept, b"0123456789");
        assert_eq!(keeps_old.try_next(), Some(Event::Gap(6)));
        writer.write_all(b"XYZ").await.unwrap();
        drop(writer);
        assert_eq!(rest(keeps_old).await, (b"XYZ".to_vec(), 0));
        assert_eq!(rest(keeps_new).await, (b"9abcdefXYZ".to_vec(), 9));
    });
}

// T19, T20, T21, T22
#[test]
fn a_late_subscriber_starts_where_it_likes() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().replay(1000));
        shared.start().unwrap();
        for (at, piece) in ["first ", "second ", "third"].into_iter().enumerate() {
            writer.write_all(piece.as_bytes()).await.unwrap();
            read(&shared, [6, 13, 18][at]).await;
        }
        let cases = [
            (Replay::None, ""),
            (Replay::Bytes(3), "ird"),
            (Replay::Bytes(1000), "first second third"),
            (Replay::Chunks(0), ""),
            (Replay::Chunks(2), "second third"),
            (Replay::Chunks(9), "first second third"),
            (Replay::All, "first second third"),
        ];
        let readers = cases.map(|(replay, _)| shared.subscribe_with(replay, WhenFull::Block));
        writer.write_all(b"!").await.unwrap();
        drop(writer);
        for (reader, (replay, expected)) in readers.into_iter().zip(cases) {
            let (bytes, missing) = rest(reader).await;
            assert_eq!(
                (String::from_utf8(bytes).unwrap(), missing),
                (format!("{expected}!"), 0),
                "{replay:?}"
            );
        }
    });
}

// T21, T22: the bound is exact, and what is asked for beyond it is told.
#[test]
fn what_is_no_longer_kept_comes_as_a_gap() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().replay(1000));
        shared.start().unwrap();
        let text = numbered(10_000);
        writer.write_all(&text).await.unwrap();
        drop(writer);
        within(shared.ended()).await;
        let late = shared.subscribe();
        assert_eq!(rest(late).await, (text[text.len() - 1000..].to_vec(), text.len() as u64 - 1000));
        let late = shared.subscribe_with(Replay::Bytes(1100), WhenFull::Block);
        assert_eq!(rest(late).await, (text[text.len() - 1000..].to_vec(), 100));
    });
}

// T23
#[test]
fn a_hundred_thousand_late_subscribers_lose_and_repeat_nothing() {
    multi_thread().block_on(within(async {
        const ROUNDS: usize = 500;
        const READERS: usize = 200;
        for round in 0..ROUNDS {
            let (mut writer, shared) = stream(&ShareOptions::new());
            shared.start().unwrap();
            let text: Arc<Vec<u8>> = Arc::new(numbered(60 + round % 50));
            let source = Arc::clone(&text);
            let write = tokio::spawn(async move {
                for piece in source.chunks(1 + round % 7 * 10) {
                    writer.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
            let attach = |skip: usize| {
                let (shared, text) = (shared.clone(), Arc::clone(&text));
                tokio::spawn(async move {
                    for reader in 0..READERS / 2 {
                        let (bytes, missing) =
                            rest(shared.subscribe_with(Replay::All, WHEN_FULL[(reader + skip) % 3])).await;
                        assert_eq!((bytes.as_slice(), missing), (text.as_slice(), 0));
                    }
                })
            };
            let (one, other) = (attach(0), attach(1));
            write.await.unwrap();
            one.await.unwrap();
            other.await.unwrap();
        }
    }));
}

// T23
#[test]
fn a_hundred_thousand_replaced_subscribers_lose_and_repeat_nothing() {
    multi_thread().block_on(within(async {
        // Each goes when it has a byte that its forerunner had not, and is not far behind; nobody reads in between.
        const REPLACED: u64 = 100_000;
        let options = ShareOptions::new().capacity(64).replay(256).chunk_size(32).unread(Unread::Block);
        let (mut writer, shared) = stream(&options);
        let write = tokio::spawn(async move {
            let text: Vec<u8> = (0..251).collect();
            while writer.write_all(&text).await.is_ok() {}
        });
        let mut next = 0;
        for _ in 0..REPLACED {
            let mut subscriber = shared.subscribe();
            let mut at = 0;
            let before = next;
            while next == before || shared.total() > next + 64 {
                match within(subscriber.next()).await.unwrap() {
                    Event::Gap(missing) => at += missing,
                    Event::Chunk(chunk) => {
                        assert!(at <= next, "{} lost", at - next);
                        for &byte in &chunk {
                            assert_eq!(u64::from(byte), at % 251);
                            at += 1;
                        }
                        next = next.max(at);
                    }
                }
            }
        }
        drop(shared);
        write.await.unwrap();
    }));
}

// T24, T29
#[test]
fn an_error_ends_the_stream_for_all_and_for_those_who_come_later() {
    struct Failing(Option<&'static [u8]>);
    impl AsyncRead for Failing {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            match self.0.take() {
                Some(bytes) => {
                    buffer.put_slice(bytes);
                    Poll::Ready(Ok(()))
                }
                None => Poll::Ready(Err(std::io::Error::other("the disk is gone"))),
            }
        }
    }
    run(async {
        let shared = SharedOutput::new(Failing(Some(b"before")), &ShareOptions::new());
        let mut subscriber = shared.subscribe();
        assert_eq!(subscriber.next().await, Some(Event::Chunk("before".into())));
        assert_eq!(subscriber.next().await, None);
        let Some(OutputEnd::Failed { message, .. }) = subscriber.end() else {
            panic!("{:?}", subscriber.end())
        };
        assert_eq!(message, "the disk is gone");
        assert_eq!(subscriber.next().await, None);
        assert_eq!(rest(shared.subscribe()).await, (b"before".to_vec(), 0));
    });
}

// T25
#[test]
fn sealing_frees_what_is_kept_and_touches_nobody_who_is_there() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new().replay(usize::MAX));
        shared.start().unwrap();
        writer.write_all(b"before").await.unwrap();
        read(&shared, 6).await;
        let early = shared.subscribe();
        assert!(!shared.is_sealed());
        shared.seal();
        shared.seal();
        assert!(shared.is_sealed());
        let late = shared.subscribe();
        writer.write_all(b" after").await.unwrap();
        drop(writer);
        assert_eq!(rest(early).await, (b"before after".to_vec(), 0));
        assert_eq!(rest(late).await, (b" after".to_vec(), 6));
    });
}

// T26
#[test]
fn no_chunk_is_larger_than_what_is_read_at_once() {
    run(async {
        for size in [1, 100, 5000, 64 * 1024] {
            let options = ShareOptions::new().chunk_size(size).replay(usize::MAX);
            let (mut writer, shared) = stream(&options);
            let mut subscriber = shared.subscribe();
            let write = tokio::spawn(async move { writer.write_all(&numbered(2000)).await });
            let mut total = 0;
            while let Some(event) = subscriber.next().await {
                let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                assert!((1..=size).contains(&chunk.len()), "{} of {size}", chunk.len());
                total += chunk.len();
            }
            assert_eq!(total, numbered(2000).len());
            write.await.unwrap().unwrap();
        }
    });
}

// T30
#[test]
fn a_stream_tells_where_it_is() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        assert_eq!((shared.total(), shared.end(), shared.is_sealed()), (0, None, false));
        let subscriber = shared.subscribe();
        writer.write_all(b"moo").await.unwrap();
        read(&shared, 3).await;
        drop(writer);
        assert_eq!(within(shared.ended()).await, OutputEnd::Eof);
        assert_eq!((shared.total(), subscriber.end()), (3, Some(OutputEnd::Eof)));
        assert!(format!("{shared:?} {subscriber:?}").contains("Eof"));
    });
}

// T32: one type for all streams, so that a helper needs no parameters.
#[test]
fn streams_of_all_kinds_fit_into_one_list() {
    run(async {
        let (mut writer, ours) = stream(&ShareOptions::new());
        let streams = vec![
            ours,
            SharedOutput::new(&b"bytes"[..], &ShareOptions::new().unread(Unread::Block)),
            SharedOutput::new(tokio::io::empty(), &ShareOptions::new().replay(0)),
        ];
        writer.write_all(b"duplex").await.unwrap();
        drop(writer);
        let mut all = Vec::new();
        for shared in &streams {
            all.push(rest(shared.subscribe()).await.0);
        }
        assert_eq!(all, [&b"duplex"[..], b"bytes", b""]);
    });
}

#[test]
fn the_end_of_all_handles_closes_the_pipe_and_not_before() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        let subscriber = shared.clone().subscribe();
        drop(shared);
        writer.write_all(b"still read").await.unwrap();
        let mut subscriber = subscriber;
        assert_eq!(subscriber.next().await, Some(Event::Chunk("still read".into())));
        drop(subscriber);
        // The task is ended a moment later.
        within(async {
            while writer.write_all(b"nobody").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

#[test]
fn a_stream_that_was_never_read_is_closed_with_its_handles() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        drop(shared);
        assert!(writer.write_all(b"nobody").await.is_err());
    });
}

#[test]
fn a_future_that_is_not_polled_and_one_that_is_cancelled_lose_nothing() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        let mut subscriber = shared.subscribe();
        drop(subscriber.next());
        for _ in 0..10 {
            tokio::select! {
                biased;
                event = subscriber.next() => panic!("{event:?}"),
                () = std::future::ready(()) => {}
            }
        }
        writer.write_all(b"moo").await.unwrap();
        drop(writer);
        assert_eq!(rest(subscriber).await, (b"moo".to_vec(), 0));
    });
}

#[test]
fn it_works_across_runtimes_and_says_so_where_there_is_none() {
    let runtime = current_thread();
    // Outside of a runtime nothing can be read: that is told, and not waited for.
    let shared = SharedOutput::new(&b"moo"[..], &ShareOptions::new());
    assert!(shared.start().is_err());
    let mut subscriber = shared.subscribe();
    assert_eq!(park_on(subscriber.next()), None);
    assert!(matches!(subscriber.end(), Some(OutputEnd::Failed { .. })));
    // A subscriber made outside is fine if it is polled inside.
    let shared = SharedOutput::new(&b"moo"[..], &ShareOptions::new());
    let subscriber = shared.subscribe();
    assert_eq!(runtime.block_on(rest(subscriber)), (b"moo".to_vec(), 0));
    // A reader that went with its runtime is an end, too.
    let (_writer, shared) = stream(&ShareOptions::new());
    let mut subscriber = runtime.block_on(async { shared.subscribe() });
    drop(runtime);
    assert_eq!(park_on(subscriber.next()), None);
    assert!(matches!(subscriber.end(), Some(OutputEnd::Failed { .. })));
}

#[test]
fn a_source_that_panics_ends_its_stream() {
    struct Panicking;
    impl AsyncRead for Panicking {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            panic!("on purpose")
        }
    }
    run(async {
        let shared = SharedOutput::new(Panicking, &ShareOptions::new());
        let mut subscriber = shared.subscribe();
        assert_eq!(within(subscriber.next()).await, None);
        assert!(matches!(subscriber.end(), Some(OutputEnd::Failed { .. })));
    });
}

#[test]
fn a_fast_subscriber_that_drops_keeps_up_with_a_source_that_never_waits() {
    run(async {
        // The source is always ready, on the only thread there is.
        let source = tokio::io::repeat(b'x').take(50 << 20);
        let shared = SharedOutput::new(source, &ShareOptions::new());
        let (bytes, missing) = rest(shared.subscribe_with(Replay::All, WhenFull::DropOldest)).await;
        assert_eq!((bytes.len(), missing), (50 << 20, 0));
    });
}

#[test]
fn it_is_a_stream_too() {
    run(async {
        let (mut writer, shared) = stream(&ShareOptions::new());
        let mut subscriber = Box::pin(shared.subscribe());
        writer.write_all(b"moo").await.unwrap();
        drop(writer);
        let next =
            std::future::poll_fn(|context| futures_core::Stream::poll_next(subscriber.as_mut(), context));
        assert_eq!(next.await, Some(Event::Chunk(Bytes::from_static(b"moo"))));
    });
}

//! Consumers: visitors, what is collected, copied and waited for, and every way in which a consumer ends.

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use herder::Capture;
use herder::output::{
    AsyncVisitor, ConsumeErrorKind, Endings, Event, KeepLines, LineEnd, LineOptions, OutputEnd, Replay,
    ShareOptions, SharedOutput, Stopped, TooLong, Visitor, WhenFull,
};
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};

use crate::support::{park_on, run, within};

fn stream() -> (DuplexStream, SharedOutput) {
    let (writer, reader) = tokio::io::duplex(64 * 1024);
    (writer, SharedOutput::new(reader, &ShareOptions::new().replay(usize::MAX)))
}

fn of(bytes: &[u8]) -> SharedOutput {
    SharedOutput::new(io::Cursor::new(bytes.to_vec()), &ShareOptions::new().replay(usize::MAX))
}

const STOPPED_BY_EOF: Stopped = Stopped::End(OutputEnd::Eof);

/// Writes down what it is told.
#[derive(Default)]
struct Diary {
    entries: Vec<String>,
    chunks: usize,
    told: Option<mpsc::UnboundedSender<()>>,
}

impl Visitor for Diary {
    type Output = Vec<String>;

    fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.entries.push(format!("chunk {}", chunk.len()));
        if let Some(told) = &self.told {
            told.send(()).unwrap();
        }
        self.chunks = self.chunks.saturating_sub(1);
        if self.chunks == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn gap(&mut self, bytes: u64) -> ControlFlow<()> {
        self.entries.push(format!("gap {bytes}"));
        ControlFlow::Continue(())
    }

    fn end(&mut self, end: &OutputEnd) {
        self.entries.push(end.to_string());
    }

    fn finish(self) -> Vec<String> {
        self.entries
    }
}

// T33, T34, T35, T56: told of the end only when the stream ends by itself.
#[test]
fn a_visitor_is_told_of_everything_once() {
    run(async {
        let visitor = || Diary { chunks: 9, ..Diary::default() };
        let shared = of(b"moo");
        let consumed = within(shared.subscribe().visit(visitor()).wait()).await.unwrap();
        assert_eq!(consumed.value, ["chunk 3", "end of output"]);
        assert_eq!((consumed.missed, consumed.stopped), (0, STOPPED_BY_EOF));

        let consumed =
            shared.subscribe().visit(Diary { chunks: 1, ..Diary::default() }).wait().await.unwrap();
        assert_eq!((consumed.value, consumed.stopped), (vec!["chunk 3".to_owned()], Stopped::Break));

        let (mut writer, shared) = stream();
        let (sender, mut told) = mpsc::unbounded_channel();
        let consumer = shared.subscribe().visit(Diary { chunks: 9, told: Some(sender), ..Diary::default() });
        writer.write_all(b"moo").await.unwrap();
        told.recv().await.unwrap();
        let consumed = consumer.cancel(Duration::MAX).await.unwrap();
        assert_eq!((consumed.value, consumed.stopped), (vec!["chunk 3".to_owned()], Stopped::Cancel));
    });
}

// T34, T49: a gap is told to the visitor and stands in the result, whatever the visitor does with it.
#[test]
fn what_a_consumer_missed_stands_in_its_result() {
    run(async {
        let shared = SharedOutput::new(&b"0123456789"[..], &ShareOptions::new().replay(4));
        shared.start().unwrap();
        shared.ended().await;
        let consumed =
            shared.subscribe().visit(Diary { chunks: 9, ..Diary::default() }).wait().await.unwrap();
        assert_eq!((consumed.value[0].as_str(), consumed.missed), ("gap 6", 6));
        let consumed = shared.subscribe().collect(&Capture::default()).wait().await.unwrap();
        assert_eq!((consumed.value.bytes(), consumed.missed), (&b"6789"[..], 6));
        let lines =
            shared.subscribe().collect_lines(LineOptions::new(), KeepLines::all()).wait().await.unwrap();
        assert_eq!((lines.missed, lines.value.iter().next().unwrap().missing()), (6, 6));
    });
}

// T35: it ends only itself, and the words of the panic are there.
#[test]
fn a_panicking_visitor_ends_only_itself() {
    run(async {
        let (mut writer, shared) = stream();
        let other = shared.subscribe().collect(&Capture::default());
        let consumer = shared.subscribe().inspect(|chunk| panic!("bad chunk of {}", chunk.len()));
        let pending = shared.subscribe().inspect_async(|_| async { panic!("later") });
        writer.write_all(b"moo").await.unwrap();
        let error = within(consumer.wait()).await.unwrap_err();
        assert_eq!(error.kind(), ConsumeErrorKind::Panicked);
        assert_eq!(error.to_string(), "a consumer of output panicked: bad chunk of 3");
        assert_eq!(within(pending.wait()).await.unwrap_err().kind(), ConsumeErrorKind::Panicked);
        writer.write_all(&[b'x'; 2 << 20]).await.unwrap();
        drop(writer);
        assert_eq!(within(other.wait()).await.unwrap().value.total(), 3 + (2 << 20));
    });
}

/// An asynchronous visitor that gets stuck.
struct Stuck(Option<oneshot::Sender<()>>);

impl AsyncVisitor for Stuck {
    type Output = ();

    async fn chunk(&mut self, _: Bytes) -> ControlFlow<()> {
        if let Some(started) = self.0.take() {
            started.send(()).unwrap();
        }
        std::future::pending().await
    }

    async fn finish(self) {}
}

// T36, T37, T38, T39: however a consumer goes, the others go on and the child is no longer held up by it.
#[test]
fn a_stuck_consumer_can_be_ended_in_every_way() {
    for way in 0..4 {
        run(async move {
            let (mut writer, reader) = tokio::io::duplex(1024);
            let shared = SharedOutput::new(reader, &ShareOptions::new().capacity(1024));
            let (started, begun) = oneshot::channel();
            let consumer = shared.subscribe().visit_async(Stuck(Some(started)));
            let other = shared.subscribe().collect(&Capture::none());
            let write = tokio::spawn(async move { writer.write_all(&[b'x'; 100_000]).await });
            within(begun).await.unwrap();
            assert!(!consumer.is_finished());
            match way {
                0 => {
                    let error = within(consumer.cancel(Duration::from_millis(10))).await.unwrap_err();
                    assert_eq!(error.kind(), ConsumeErrorKind::Aborted);
                }
                1 => within(consumer.abort()).await,
                2 => drop(consumer),
                _ => drop(tokio::time::timeout(Duration::from_millis(1), consumer.wait()).await.unwrap_err()),
            }
            assert_eq!(within(other.wait()).await.unwrap().value.total(), 100_000);
            write.await.unwrap().unwrap();
        });
    }
}

// T37: a stream that never pauses is no reason not to stop.
#[test]
fn a_busy_consumer_can_be_cancelled() {
    run(async {
        let shared = SharedOutput::new(tokio::io::repeat(b'x'), &ShareOptions::new());
        let (sender, mut told) = mpsc::unbounded_channel();
        let consumer = shared.subscribe().inspect(move |_| {
            let _: Result<(), _> = sender.send(());
            ControlFlow::Continue(())
        });
        told.recv().await.unwrap();
        assert_eq!(within(consumer.cancel(Duration::MAX)).await.unwrap().stopped, Stopped::Cancel);
    });
}

// T40
#[test]
fn a_consumer_tells_whether_it_has_ended_and_keeps_its_result() {
    run(async {
        let consumer = of(b"moo").subscribe().collect(&Capture::default());
        within(async {
            while !consumer.is_finished() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(consumer.wait().await.unwrap().value.into_bytes(), b"moo");
    });
}

#[test]
fn a_consumer_without_a_runtime_says_so() {
    let consumer = of(b"moo").subscribe().collect(&Capture::default());
    assert!(consumer.is_finished());
    assert_eq!(park_on(consumer.wait()).unwrap_err().kind(), ConsumeErrorKind::NoRuntime);
    let runtime = crate::support::current_thread();
    let (_writer, shared) = stream();
    let consumer = runtime.block_on(async { shared.subscribe().collect(&Capture::default()) });
    drop(runtime);
    assert_eq!(park_on(consumer.wait()).unwrap_err().kind(), ConsumeErrorKind::Aborted);
}

// T41, T42, T44
#[test]
fn inspectors_see_chunks_and_lines_until_they_have_enough() {
    run(async {
        let shared = of(b"one\ntwo\nthree\nfour");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let push = |seen: &Arc<Mutex<Vec<String>>>, text: &str| {
            let mut seen = seen.lock().unwrap();
            seen.push(text.to_owned());
            if text == "three" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let log = Arc::clone(&seen);
        let lines =
            shared.subscribe().inspect_lines(LineOptions::new(), move |line| push(&log, &line.text()));
        assert_eq!(lines.wait().await.unwrap().stopped, Stopped::Break);
        let log = Arc::clone(&seen);
        let lines = shared.subscribe().inspect_lines_async(LineOptions::new(), move |line| {
            let log = Arc::clone(&log);
            async move {
                tokio::task::yield_now().await;
                push(&log, &line.text())
            }
        });
        assert_eq!(lines.wait().await.unwrap().stopped, Stopped::Break);
        assert_eq!(*seen.lock().unwrap(), ["one", "two", "three", "one", "two", "three"]);
        let log = Arc::clone(&seen);
        let chunks = shared.subscribe().inspect_async(move |chunk| {
            log.lock().unwrap().push(chunk.len().to_string());
            async { ControlFlow::Continue(()) }
        });
        assert_eq!(chunks.wait().await.unwrap().stopped, STOPPED_BY_EOF);
        assert_eq!(seen.lock().unwrap().last().unwrap(), "18");
    });
}

// T43, T45: exact to the byte.
#[test]
fn bytes_are_collected_within_exact_bounds() {
    run(async {
        let text: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let shared = of(&text);
        let cases = [
            (Capture::unlimited(), text.clone(), None),
            (Capture::head(1000), text[..1000].to_vec(), Some(1000)),
            (Capture::tail(1000), text[99_000..].to_vec(), Some(0)),
            (Capture::head_and_tail(10, 20), [&text[..10], &text[99_980..]].concat(), Some(10)),
            (Capture::none(), Vec::new(), Some(0)),
        ];
        for (capture, expected, gap_at) in cases {
            let collected = shared.subscribe().collect(&capture).wait().await.unwrap().value;
            assert_eq!((collected.total(), collected.gap_at()), (100_000, gap_at));
            assert_eq!(collected.dropped(), 100_000 - expected.len() as u64);
            assert_eq!(collected.into_bytes(), expected);
        }
        let omitted = of(b"first\nsecond\nlast\n").subscribe().collect(&Capture::head_and_tail(6, 5));
        let text = omitted.wait().await.unwrap().value.to_text_lossy();
        assert_eq!(text, "first\n[... 7 bytes omitted ...]\nlast\n");
    });
}

// T46, T47, T48: no holes but the one that is told.
#[test]
fn lines_are_collected_within_bounds() {
    run(async {
        let shared = of(b"1\n22\n333\n4444\n55555\n6\n");
        let keep = async |keep: KeepLines| {
            let lines =
                shared.subscribe().collect_lines(LineOptions::new(), keep).wait().await.unwrap().value;
            let texts: Vec<_> = lines.iter().map(|line| line.text().into_owned()).collect();
            assert_eq!((lines.total(), lines.dropped() + lines.len() as u64), (6, 6));
            (texts.join(" "), lines.gap_at(), lines.dropped_bytes())
        };
        let none = (String::from("1 22 333 4444 55555 6"), None, 0);
        assert_eq!(keep(KeepLines::all()).await, none);
        assert_eq!(keep(KeepLines::head_and_tail(3, 3)).await, none);
        assert_eq!(keep(KeepLines::head(2)).await, ("1 22".into(), Some(2), 13));
        assert_eq!(keep(KeepLines::tail(2)).await, ("55555 6".into(), Some(0), 10));
        assert_eq!(keep(KeepLines::head_and_tail(1, 1)).await, ("1 6".into(), Some(1), 14));
        // The head ends in front of what does not fit, though later lines would fit.
        assert_eq!(keep(KeepLines::all().max_bytes(5)).await, ("1 22".into(), Some(2), 13));
        assert_eq!(keep(KeepLines::tail(9).max_bytes(10)).await, ("4444 55555 6".into(), Some(0), 6));
        assert_eq!(keep(KeepLines::tail(9).max_bytes(4)).await, ("6".into(), Some(0), 15));
        let ends = shared.subscribe().collect_lines(LineOptions::new(), KeepLines::head_and_tail(1, 1));
        let text = ends.wait().await.unwrap().value.to_text_lossy();
        assert_eq!(text, "1\n[... 4 lines omitted ...]\n6\n");
    });
}

/// A writer that keeps what it got until it is flushed, and takes so many bytes.
struct Buffered {
    buffer: Vec<u8>,
    flushed: Arc<Mutex<Vec<u8>>>,
    room: usize,
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(self.room);
        if count == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::StorageFull, "full")));
        }
        self.room -= count;
        self.buffer.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let buffer = std::mem::take(&mut self.buffer);
        self.flushed.lock().unwrap().extend_from_slice(&buffer);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

// T50, T53
#[test]
fn a_copy_is_whole_and_nothing_stays_in_a_buffer_while_the_stream_is_silent() {
    run(async {
        let (mut writer, shared) = stream();
        let flushed = Arc::new(Mutex::new(Vec::new()));
        let out = Buffered { buffer: Vec::new(), flushed: Arc::clone(&flushed), room: usize::MAX };
        let copy = shared.subscribe().copy_to(out);
        writer.write_all(b"prompt> ").await.unwrap();
        within(async {
            while flushed.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        writer.write_all(b"rest").await.unwrap();
        drop(writer);
        let copied = within(copy.wait()).await.unwrap();
        assert_eq!((copied.stopped, copied.value.written, copied.value.failed), (STOPPED_BY_EOF, 12, 0));
        assert!(copied.value.error.is_none() && copied.value.writer.buffer.is_empty());
        assert_eq!(*flushed.lock().unwrap(), b"prompt> rest");
    });
}

// T52
#[test]
fn a_writer_that_fails_ends_its_copy_or_not_as_chosen() {
    run(async {
        for goes_on in [false, true] {
            let (mut writer, shared) = stream();
            let out = Buffered { buffer: Vec::new(), flushed: Arc::default(), room: 4 };
            let mut errors = 0;
            let (sender, mut told) = mpsc::unbounded_channel();
            let copy = shared.subscribe().copy_to_with(out, move |error| {
                assert_eq!(error.kind(), io::ErrorKind::StorageFull);
                errors += 1;
                let _: Result<(), _> = sender.send(errors);
                if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            let other = shared.subscribe().collect(&Capture::default());
            writer.write_all(b"123456").await.unwrap();
            assert_eq!(within(told.recv()).await, Some(1));
            writer.write_all(b"789").await.unwrap();
            if goes_on {
                assert_eq!(within(told.recv()).await, Some(2));
            }
            drop(writer);
            let copied = within(copy.wait()).await.unwrap();
            assert_eq!(copied.stopped, if goes_on { STOPPED_BY_EOF } else { Stopped::Break });
            assert_eq!((copied.value.written, copied.value.failed), (4, if goes_on { 5 } else { 2 }));
            assert_eq!(copied.value.error.unwrap().to_string(), "full");
            assert_eq!(within(other.wait()).await.unwrap().value.bytes(), b"123456789");
        }
    });
}

// T51, T52
#[test]
fn lines_are_written_as_one_likes_them() {
    run(async {
        let write = |line: &herder::output::Line<'_>, out: &mut Vec<u8>| {
            out.extend_from_slice(b"> ");
            out.extend_from_slice(line.bytes());
            out.push(b'\n');
        };
        let stop = |_: &io::Error| ControlFlow::Break(());
        let copy = of(b"a\r\n\nlast").subscribe().copy_lines_to(LineOptions::new(), write, Vec::new(), stop);
        let copied = copy.wait().await.unwrap().value;
        assert_eq!(copied.writer, b"> a\n> \n> last\n");
        assert_eq!(copied.written, 14);
    });
}

// T54, T55: the line itself, and a place to go on from; all others see everything.
#[test]
fn a_line_is_waited_for_and_reading_goes_on_behind_it() {
    run(async {
        let (mut writer, shared) = stream();
        let other = shared.subscribe().collect(&Capture::default());
        let mut lines = shared.subscribe().lines(LineOptions::new());
        writer.write_all(b"one\nport 4711\nthree\nfo").await.unwrap();
        let found = within(lines.wait_for_line(|line| line.text().starts_with("port"))).await.unwrap();
        assert_eq!((&*found.text(), found.end()), ("port 4711", LineEnd::Lf));
        assert_eq!(within(lines.next()).await.unwrap().text(), "three");
        // Not found in time: what was looked at is gone, the rest is still there.
        tokio::time::timeout(Duration::from_millis(20), lines.wait_for_line(|_| true)).await.unwrap_err();
        writer.write_all(b"ur\nfive\nrest").await.unwrap();
        assert_eq!(within(lines.wait_for_line(|_| true)).await.unwrap().text(), "four");
        drop(writer);
        let mut bytes = Vec::new();
        let mut subscriber = lines.into_subscriber();
        while let Some(event) = within(subscriber.next()).await {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            bytes.extend_from_slice(&chunk);
        }
        assert_eq!(bytes, b"five\nrest");
        assert_eq!(other.wait().await.unwrap().value.bytes(), b"one\nport 4711\nthree\nfour\nfive\nrest");
        // The end of the stream is an answer, too.
        let mut late = shared.subscribe().lines(LineOptions::new());
        assert!(within(late.wait_for_line(|line| line.text() == "no such line")).await.is_none());
        assert_eq!(late.end(), Some(OutputEnd::Eof));
    });
}

// T55: what was written before is waited for like what comes.
#[test]
fn a_line_that_was_there_before_is_found() {
    run(async {
        let (mut writer, shared) = stream();
        shared.start().unwrap();
        writer.write_all(b"ready\nmore\n").await.unwrap();
        while shared.total() < 11 {
            tokio::task::yield_now().await;
        }
        let mut lines = shared.subscribe_with(Replay::All, WhenFull::DropOldest).lines(LineOptions::new());
        assert!(within(lines.wait_for_line(|line| line.text() == "ready")).await.is_some());
    });
}

// T54: and one that only waits delays nobody, even if it is not polled.
#[test]
fn a_prompt_without_an_end_is_found() {
    run(async {
        let (mut writer, shared) = stream();
        let mut lines = shared.subscribe().lines(LineOptions::new());
        writer.write_all(b"welcome\nlog").await.unwrap();
        let asked = lines.wait_for_prompt(|text| text.ends_with(b"login: "));
        let write = async {
            tokio::task::yield_now().await;
            writer.write_all(b"in: ").await.unwrap();
        };
        let (found, ()) = within(async { tokio::join!(asked, write) }).await;
        let found = found.unwrap();
        assert_eq!((found.bytes(), found.end()), (&b"login: "[..], LineEnd::Prompt));
        writer.write_all(b"moo\n").await.unwrap();
        assert_eq!(within(lines.next()).await.unwrap().text(), "moo");
        drop(writer);
        assert!(within(lines.wait_for_prompt(|_| true)).await.is_none());
    });
}

#[test]
fn a_wait_that_is_not_polled_delays_nobody() {
    run(async {
        let (mut writer, shared) = stream();
        let mut lines = shared.subscribe_with(Replay::All, WhenFull::DropOldest).lines(LineOptions::new());
        let never_polled = lines.wait_for_line(|_| true);
        let other = shared.subscribe().collect(&Capture::none());
        writer.write_all(&[b'\n'; 5 << 20]).await.unwrap();
        drop(writer);
        assert_eq!(within(other.wait()).await.unwrap().value.total(), 5 << 20);
        assert_eq!(within(never_polled).await.unwrap().missing(), 4 << 20);
    });
}

// T57, T58, T59, T61, T63, T64: what a line is, through the whole pipeline.
#[test]
fn lines_are_what_they_should_be() {
    run(async {
        let lines = async |bytes: &[u8], options: LineOptions| {
            let lines = of(bytes).subscribe().collect_lines(options, KeepLines::all());
            let lines = lines.wait().await.unwrap().value;
            lines.into_lines().map(|line| (line.text().into_owned(), line.end())).collect::<Vec<_>>()
        };
        let line = |text: &str, end| (text.to_owned(), end);
        let new = LineOptions::new;
        assert_eq!(
            lines(b"a\n\nb\0c\r\nd\re\n\xff", new()).await,
            [
                line("a", LineEnd::Lf),
                line("", LineEnd::Lf),
                line("b\0c", LineEnd::CrLf),
                line("d\re", LineEnd::Lf),
                line("\u{fffd}", LineEnd::EndOfOutput),
            ]
        );
        assert_eq!(
            lines(b"10%\r20%\rdone\n", new().endings(Endings::Cr)).await,
            [line("10%", LineEnd::Cr), line("20%", LineEnd::Cr), line("done", LineEnd::Lf)]
        );
        assert_eq!(
            lines("aaaébb\n".as_bytes(), new().max_len(4)).await,
            [line("aaa", LineEnd::Split), line("ébb", LineEnd::Lf)]
        );
        let cut = of(b"abcdefgh\nij\n").subscribe();
        let mut cut = cut.lines(new().max_len(4).too_long(TooLong::DropRest));
        let first = cut.next().await.unwrap();
        assert_eq!((&*first.text(), first.dropped(), first.is_whole()), ("abcd", 4, false));
        assert_eq!(cut.next().await.unwrap().text(), "ij");
    });
}

// T60
#[test]
fn lines_do_not_depend_on_chunks() {
    run(async {
        let text = "zero\none\r\ntwo täten\n\nlast without end".as_bytes();
        let expected = ["zero", "one", "two täten", "", "last without end"];
        for size in 1..text.len() {
            let options = ShareOptions::new().chunk_size(size);
            let shared = SharedOutput::new(text, &options);
            let lines = shared.subscribe().collect_lines(LineOptions::new(), KeepLines::all());
            let lines = lines.wait().await.unwrap().value;
            assert!(lines.iter().map(|line| line.text().into_owned()).eq(expected));
        }
    });
}

// T65: what follows a gap is marked, and nothing is glued over it.
#[test]
fn lines_around_a_gap_are_marked() {
    run(async {
        let (mut writer, reader) = tokio::io::duplex(1024);
        let shared = SharedOutput::new(reader, &ShareOptions::new().capacity(20).replay(0));
        let mut lines = shared.subscribe_with(Replay::None, WhenFull::DropOldest).lines(LineOptions::new());
        writer.write_all(b"whole\nbegun").await.unwrap();
        assert_eq!(within(lines.next()).await.unwrap().text(), "whole");
        for number in 0..100 {
            writer.write_all(format!("line {number:04}\n").as_bytes()).await.unwrap();
        }
        drop(writer);
        shared.ended().await;
        let begun = within(lines.next()).await.unwrap().into_owned();
        assert_eq!((&*begun.text(), begun.end(), begun.is_whole()), ("begun", LineEnd::Gap, false));
        let behind = lines.next().await.unwrap().into_owned();
        assert_eq!((&*behind.text(), behind.missing(), behind.is_whole()), ("line 0098", 980, false));
        let whole = lines.next().await.unwrap();
        assert_eq!((&*whole.text(), whole.is_whole()), ("line 0099", true));
    });
}

#[test]
fn lines_have_times_if_asked() {
    run(async {
        let mut plain = of(b"moo\n").subscribe().lines(LineOptions::new());
        assert!(plain.next().await.unwrap().at().is_none());
        let mut timed = of(b"moo\n").subscribe().lines(LineOptions::new()).with_times();
        assert!(timed.next().await.unwrap().at().is_some());
    });
}

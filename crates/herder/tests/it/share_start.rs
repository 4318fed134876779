//! Streams that wait for a start: until then everybody may come, and nobody is hung up if there is none.

use std::time::Duration;

use herder::output::{
    Collected, Consumed, Event, LineOptions, OutputEnd, ShareOptions, SharedOutput, Stopped,
};
use herder::{Capture, Command, Stdio};
use tokio::io::AsyncWriteExt;

use crate::support::{fixture, multi_thread, run, within};

fn piped(steps: &[&str]) -> Command {
    let mut command = fixture(steps);
    command.stdout(Stdio::piped());
    command
}

/// Late ones get nothing of what was read before.
fn waiting() -> ShareOptions {
    ShareOptions::new().replay(0).wait_for_start()
}

/// Gives a reader every opportunity to begin.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// All that came, of which nothing is missing.
fn whole(consumed: &Consumed<Collected>) -> &[u8] {
    assert_eq!((consumed.missed, consumed.value.dropped()), (0, 0));
    consumed.value.bytes()
}

#[test]
fn all_who_come_before_the_start_get_every_byte() {
    let expected: Vec<u8> = (0..100 * 1024).map(|index: usize| (index % 251) as u8).collect();
    multi_thread().block_on(async {
        for repeat in 0..200 {
            let mut child = piped(&["bytes:100K"]).spawn().unwrap();
            let stdout = child.stdout.take().unwrap().share_with(&waiting());
            let mut readers = Vec::new();
            for _ in 0..8 {
                readers.push(stdout.subscribe().collect(&Capture::unlimited()));
                // Others run meanwhile: a reader that does not wait would read.
                settle().await;
            }
            stdout.start().unwrap();
            for reader in readers {
                let consumed = within(reader.wait()).await.unwrap();
                assert!(whole(&consumed) == expected, "repeat {repeat}: {}", consumed.value.total());
            }
            assert!(within(child.wait()).await.unwrap().success());
        }
    });
}

#[test]
fn nothing_is_read_before_the_start_and_one_start_is_enough() {
    run(async {
        let (mut writer, reader) = tokio::io::duplex(64);
        let shared = SharedOutput::new(reader, &waiting());
        writer.write_all(&[b'x'; 64]).await.unwrap();
        let mut one = shared.subscribe();
        assert_eq!(one.try_next(), None);
        settle().await;
        let mut other = shared.subscribe();
        settle().await;
        assert_eq!((shared.total(), shared.end()), (0, None));
        // The reader is there, in its runtime; it may be started from anywhere.
        let clone = shared.clone();
        std::thread::spawn(move || clone.start().unwrap()).join().unwrap();
        shared.start().unwrap();
        drop(writer);
        for subscriber in [&mut one, &mut other] {
            assert_eq!(within(subscriber.next()).await, Some(Event::Chunk(vec![b'x'; 64].into())));
            assert_eq!(within(subscriber.next()).await, None);
        }
        assert_eq!(shared.end(), Some(OutputEnd::Eof));
    });
}

#[test]
fn what_is_never_started_is_closed_with_all_that_could_do_so() {
    run(async {
        for subscribed in [false, true] {
            let (mut writer, reader) = tokio::io::duplex(64);
            let shared = SharedOutput::new(reader, &waiting());
            let subscriber = subscribed.then(|| shared.subscribe());
            settle().await;
            drop(shared);
            settle().await;
            assert_eq!(writer.write_all(b"moo").await.is_ok(), subscribed);
            drop(subscriber);
            settle().await;
            assert!(writer.write_all(b"nobody").await.is_err());
        }
    });
}

#[test]
fn a_child_that_has_exited_waits_for_its_start_no_longer_than_its_grace() {
    run(async {
        let options = waiting().drain_grace(Duration::from_millis(200));
        let mut child = piped(&["println:moo", "exit:3"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share_with(&options);
        let readers = [(); 3].map(|()| stdout.subscribe().collect(&Capture::default()));
        for reader in readers {
            let consumed = within(reader.wait()).await.unwrap();
            assert_eq!(whole(&consumed), b"moo\n");
            assert_eq!(consumed.stopped, Stopped::End(OutputEnd::Eof));
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
        // A descendant that holds the stream makes it no longer.
        let mut command = piped(&["spawn-setsid:[sleep:20s]", "println:last"]);
        command.leak(herder::contain::Leak::Ignore);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share_with(&options);
        let consumed = within(stdout.subscribe().collect(&Capture::default()).wait()).await.unwrap();
        assert_eq!(whole(&consumed), b"last\n");
        assert_eq!(consumed.stopped, Stopped::End(OutputEnd::StillHeld));
    });
}

#[test]
fn a_start_after_the_exit_is_not_too_late() {
    run(async {
        let mut child = piped(&["println:moo"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share_with(&waiting().drain_grace(Duration::MAX));
        let mut lines = [(); 2].map(|()| stdout.subscribe().lines(LineOptions::new()));
        child.wait().await.unwrap();
        settle().await;
        assert_eq!(stdout.total(), 0);
        stdout.start().unwrap();
        for lines in &mut lines {
            assert_eq!(within(lines.next()).await.unwrap().text(), "moo");
            assert!(within(lines.next()).await.is_none());
        }
    });
}

#[test]
fn the_join_starts_what_waits() {
    run(async {
        for subscribed in [false, true] {
            // More than a pipe holds.
            let mut child = piped(&["bytes:200K"]).spawn().unwrap();
            let options = waiting().capture(Capture::default());
            let stdout = child.stdout.take().unwrap().share_with(&options);
            let reader = subscribed.then(|| stdout.subscribe().collect(&Capture::default()));
            let report = within(child.wait_with_output()).await.unwrap();
            assert_eq!((report.stdout.len(), stdout.end()), (200 * 1024, Some(OutputEnd::Eof)));
            if let Some(reader) = reader {
                assert_eq!(whole(&within(reader.wait()).await.unwrap()), report.stdout);
            }
        }
    });
}

#[test]
fn a_child_that_is_dropped_takes_a_stream_that_waits_along() {
    run(async {
        let mut child = piped(&["println:moo", "hang"]).spawn().unwrap();
        let options = waiting().drain_grace(Duration::from_millis(200));
        let reader = child.stdout.take().unwrap().share_with(&options).subscribe();
        let reader = reader.collect(&Capture::default());
        drop(child);
        let consumed = within(reader.wait()).await.unwrap();
        assert!(matches!(consumed.stopped, Stopped::End(_)));
    });
}

//! Standard input from bytes and readers: never a deadlock, whatever the child does with it.

use std::time::{Duration, Instant};

use herder::error::SpawnErrorKind;
use herder::{Capture, Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{fixture, line, run, within};

const MIB: u64 = 1 << 20;

#[test]
fn bytes_are_fed_by_every_way_to_run() {
    run(async {
        let mut command = fixture(&["stdin-count"]);
        command.stdin(Stdio::bytes(vec![0; 300_000]));
        assert_eq!(command.read().await.unwrap(), "300000");
        // Again: bytes are not used up.
        assert_eq!(command.output().await.unwrap().stdout, b"300000\n");
        command.stdout(Stdio::piped());
        assert_eq!(command.run().await.unwrap().stdout, b"300000\n");
        let child = command.spawn().unwrap();
        assert!(child.stdin.is_none());
        assert_eq!(child.wait_with_output().await.unwrap().stdout, b"300000\n");
        // Fed by a task although nobody joins.
        let mut child = command.spawn_async().await.unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "300000");
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn many_mebibytes_through_cat() {
    run(async {
        let size = usize::try_from(if cfg!(windows) { 16 } else { 100 } * MIB).unwrap();
        let input: bytes::Bytes = (0..size).map(|index| (index % 253) as u8).collect::<Vec<_>>().into();
        let mut command = fixture(&["cat"]);
        command.stdin(Stdio::bytes(input.clone())).capture(Capture::unlimited());
        assert!(command.output().await.unwrap().stdout == input);
        let reader = std::io::Cursor::new(input.clone());
        command.stdin(Stdio::reader(reader));
        assert!(command.output().await.unwrap().stdout == input);
    });
}

#[test]
fn a_child_that_never_reads_does_no_harm() {
    run(async {
        for stdin in [Stdio::bytes(vec![0; 10 << 20]), Stdio::reader(tokio::io::repeat(7))] {
            let mut command = fixture(&["print:out", "exit:3"]);
            command.stdin(stdin);
            let report = command.output().await.unwrap();
            assert_eq!((report.status.code(), &*report.stdout), (Some(3), &b"out"[..]));
            assert_eq!(report.stdin_error(), None);
        }
    });
}

/// The fixture can't close a stream on Windows.
#[cfg(unix)]
#[test]
fn a_child_that_closes_its_input_early_does_no_harm() {
    run(async {
        for stdin in [Stdio::bytes(vec![b'\n'; 10 << 20]), Stdio::reader(tokio::io::repeat(b'\n'))] {
            let mut command = fixture(&["read-stdin-line", "close-stdin", "bytes:1M"]);
            command.stdin(stdin);
            let report = command.output().await.unwrap();
            assert!(report.success());
            assert_eq!(report.stdout_report().total(), MIB + 6);
            assert_eq!(report.stdin_error(), None);
        }
    });
}

#[test]
fn a_reader_is_good_for_one_child() {
    run(async {
        let mut command = fixture(&["stdin-count"]);
        command.stdin(Stdio::reader(&b"moo"[..]));
        let copy = command.clone();
        assert_eq!(command.read().await.unwrap(), "3");
        for command in [&command, &copy] {
            let error = command.spawn().unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::InvalidInput);
            assert!(error.to_string().contains("reader"), "{error}");
        }
    });
}

#[test]
fn the_error_of_a_reader_is_told_and_its_end_is_the_end_of_input() {
    run(async {
        let reader = tokio_test_reader("moo");
        let mut command = fixture(&["stdin-count"]);
        command.stdin(Stdio::reader(reader));
        let report = command.output().await.unwrap();
        assert_eq!(report.stdout, b"3\n");
        assert_eq!(report.stdin_error(), Some("the disk is gone"));
    });
}

/// Gives the text, then an error.
fn tokio_test_reader(text: &'static str) -> impl tokio::io::AsyncRead + Send + 'static {
    struct Broken;
    impl tokio::io::AsyncRead for Broken {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Err(std::io::Error::other("the disk is gone")))
        }
    }
    text.as_bytes().chain(Broken)
}

#[test]
fn a_reader_that_never_ends_is_given_up_when_the_child_exits() {
    run(async {
        // Its other side is kept open and silent.
        let (reader, _silent) = tokio::io::duplex(64);
        let mut command = fixture(&["print:out"]);
        command.stdin(Stdio::reader(reader));
        let start = Instant::now();
        let report = command.output().await.unwrap();
        assert_eq!(report.stdout, b"out");
        assert!(start.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn the_reader_is_let_go_when_the_run_is_over_or_cancelled() {
    run(async {
        for cancel in [false, true] {
            let (reader, mut other) = tokio::io::duplex(64);
            let steps: &[&str] = if cancel { &["hang"] } else { &[] };
            let mut command = fixture(steps);
            command.stdin(Stdio::reader(reader)).stdout(Stdio::piped());
            let child = command.spawn().unwrap();
            drop(command);
            if cancel {
                let join = child.wait_with_output();
                assert!(tokio::time::timeout(Duration::from_millis(20), join).await.is_err());
            } else {
                assert!(child.wait_with_output().await.unwrap().success());
            }
            // Nobody holds the reader any more, so that nothing can be written to it.
            let write = within(async {
                loop {
                    if let Err(error) = other.write_all(&[0; 64]).await {
                        return error;
                    }
                }
            });
            assert_eq!(write.await.kind(), std::io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn the_reader_is_let_go_when_the_child_is_dropped() {
    run(async {
        let (reader, mut other) = tokio::io::duplex(64);
        let mut command = fixture(&["hang"]);
        command.stdin(Stdio::reader(reader));
        let child = command.spawn().unwrap();
        drop(command);
        drop(child);
        let error = within(async {
            loop {
                if let Err(error) = other.write_all(&[0; 64]).await {
                    return error;
                }
            }
        });
        assert_eq!(error.await.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

/// Windows has no signal that could be ignored.
#[cfg(unix)]
#[test]
fn a_write_that_waits_ends_when_the_input_is_closed_by_a_termination() {
    for runtime in [crate::support::current_thread(), crate::support::multi_thread()] {
        runtime.block_on(within(async {
            let mut command = fixture(&["ignore:TERM", "mark:up", "hang"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            line(child.stdout.as_mut().unwrap()).await;
            let mut stdin = child.stdin.take().unwrap();
            let writer = tokio::spawn(async move { stdin.write_all(&vec![0; 1 << 20]).await });
            tokio::task::yield_now().await;
            let policy = herder::Termination::new().close_stdin(Duration::from_millis(20));
            child.terminate(&policy).await.unwrap();
            let error = writer.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        }));
    }
}

#[test]
fn feeding_outside_of_a_runtime_is_a_typed_error() {
    let mut command = Command::new(test_child::path());
    command.stdin(Stdio::bytes("moo"));
    let error = command.spawn().unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::NoRuntime);
    // A reader is not used up by that.
    command.stdin(Stdio::reader(&b"moo"[..])).args(["stdin-count"]);
    assert_eq!(command.spawn().unwrap_err().kind(), SpawnErrorKind::NoRuntime);
    assert_eq!(run(async { command.read().await.unwrap() }), "3");
}

//! The file that has all of a shared stream.

use std::io::ErrorKind;
use std::time::Duration;

use herder::output::{LineOptions, OutputEnd, Redact, Replay, ShareOptions, WhenFull};
use herder::{Capture, Cause, Command, Stdio};

use crate::support::{fixture, run, within};

fn piped(steps: &[&str]) -> Command {
    let mut command = fixture(steps);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_file_has_everything_whatever_subscribers_miss() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        let mut command = piped(&["bytes:20M", "ebytes:3M", "print:end"]);
        command.capture(Capture::default().spill_to(&theirs));
        let mut child = command.spawn().unwrap();
        // One with a capture of its own, and one with that of the command.
        let options = ShareOptions::new().capture(Capture::tail(100).spill_to(&ours));
        let stdout = child.stdout.take().unwrap().share_with(&options);
        let stderr = child.stderr.take().unwrap().share();
        let slow = stdout.subscribe_with(Replay::All, WhenFull::DropOldest);
        let report = within(child.wait_with_output()).await.unwrap();
        drop((slow, stderr));
        for (stream, path, size) in [
            (report.stdout_report(), folder.path().join("ours.stdout"), (20 << 20) + 3),
            (report.stderr_report(), folder.path().join("theirs.stderr"), 3 << 20),
        ] {
            let spill = stream.spill().unwrap();
            assert_eq!(spill.path(), path);
            assert_eq!((spill.written(), spill.error_kind()), (size, None));
            let content = std::fs::read(path).unwrap();
            assert_eq!((content.len() as u64, stream.total()), (size, size));
            let mut pattern = content.iter().take(3 << 20).enumerate();
            assert!(pattern.all(|(index, byte)| usize::from(*byte) == index % 251));
        }
        assert_eq!(report.stdout.len(), 100);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    });
}

#[test]
fn a_file_that_can_not_be_made_is_told_and_costs_no_output() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(folder.path().join("log.stdout"), "precious").unwrap();
        let mut child = piped(&["println:out", "eprintln:err"]).spawn().unwrap();
        let options = ShareOptions::new().capture(Capture::default().spill_to(&path));
        let shared = child.stdout.take().unwrap().share_with(&options);
        let report = within(child.wait_with_output()).await.unwrap();
        drop(shared);
        let spill = report.stdout_report().spill().unwrap();
        assert_eq!((spill.written(), spill.error_kind()), (0, Some(ErrorKind::AlreadyExists)));
        assert_eq!((&*report.stdout, &*report.stderr), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(std::fs::read(folder.path().join("log.stdout")).unwrap(), b"precious");
    });
}

#[test]
fn the_file_has_no_secrets_and_all_that_was_read_before_a_limit() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut command = piped(&["println:a hunter2 b", "print:hun", "hang"]);
        command.redact(Redact::new().literal("hunter2")).timeout(Duration::from_millis(300));
        command.capture(Capture::default().spill_to(folder.path().join("log")));
        let mut child = command.spawn().unwrap();
        let mut lines = child.stdout.take().unwrap().share().subscribe().lines(LineOptions::new());
        let report = within(child.wait_with_output()).await.unwrap();
        assert_eq!((report.cause(), report.stdout_report().end()), (Cause::TimedOut, &OutputEnd::Eof));
        assert_eq!(lines.next().await.unwrap().text(), "a [redacted] b");
        let content = std::fs::read_to_string(folder.path().join("log.stdout")).unwrap();
        assert_eq!(content, "a [redacted] b\nhun");
        // Of a stream that was not shared it is as ever.
        assert_eq!(std::fs::read(folder.path().join("log.stderr")).unwrap(), b"");
    });
}

// As the child must come to its end while nobody reads, it takes a pipe with room for the rest, as Linux's has.
#[cfg(unix)]
#[test]
fn a_disk_that_is_slow_is_waited_for_after_the_exit_too() {
    // The one thread that could write has something else to do.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || held.recv().is_ok());
        let folder = tempfile::tempdir().unwrap();
        // More than waits for the disk at most, and less than that and a pipe.
        let size = (1 << 20) + (100 << 10);
        let mut child = piped(&[&format!("bytes:{size}")]).spawn().unwrap();
        let options = ShareOptions::new().capture(Capture::tail(10).spill_to(folder.path().join("log")));
        let shared = child.stdout.take().unwrap().share_with(&options);
        let handle = child.handle();
        let run = tokio::spawn(child.wait_with_output());
        within(handle.wait()).await.unwrap();
        assert_eq!(shared.end(), None);
        // Longer than anything else that holds a stream would be waited for.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!run.is_finished());
        release.send(()).unwrap();
        let report = within(run).await.unwrap().unwrap();
        assert!(busy.await.unwrap());
        let stdout = report.stdout_report();
        assert_eq!((stdout.end(), stdout.total()), (&OutputEnd::Eof, size));
        assert_eq!(stdout.spill().unwrap().written(), size);
    });
}

//! What is captured, what is counted, and how the end of output is told.

use std::time::{Duration, Instant};

use herder::output::OutputEnd;
use herder::report::RunErrorKind;
use herder::{Capture, Cause, Command};

use crate::support::{fixture, run};

const MIB: u64 = 1 << 20;

#[test]
fn status_and_both_streams() {
    run(async {
        let report = fixture(&["print:out", "eprint:err", "exit:3"]).output().await.unwrap();
        assert_eq!((&*report.stdout, &*report.stderr), (&b"out"[..], &b"err"[..]));
        assert_eq!((report.status.code(), report.cause(), report.success()), (Some(3), Cause::Exited, false));
        assert_eq!(*report.stdout_report().end(), OutputEnd::Eof);
        assert_eq!((report.stdout_report().total(), report.stdout_report().dropped()), (3, 0));
        let output = std::process::Output::from(report);
        assert_eq!((output.status.code(), &*output.stderr), (Some(3), &b"err"[..]));
    });
}

#[test]
fn a_background_child_that_holds_the_pipe_is_not_waited_for() {
    run(async {
        let start = Instant::now();
        let script = ["spawn:sleep:20s", "println:hi", "exit:3"];
        let report = fixture(&script).output().await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        assert_eq!((report.status.code(), &*report.stdout), (Some(3), &b"hi\n"[..]));
        assert_eq!(*report.stdout_report().end(), OutputEnd::StillHeld);
        assert_eq!(report.cause(), Cause::Exited);
    });
}

#[test]
fn a_descendant_that_keeps_writing_is_not_waited_for_either() {
    run(async {
        for step in ["spawn-setsid:bytes:10000M", "spawn-setsid:tick:100000:10ms"] {
            let start = Instant::now();
            let mut command = fixture(&[step, "print:hi", "exit:3"]);
            // Out of reach of the kill: it ends by itself when nobody reads.
            command.drain_grace(Duration::from_millis(50));
            let report = command.output().await.unwrap();
            assert!(start.elapsed() < Duration::from_secs(10), "{step}: {:?}", start.elapsed());
            assert_eq!(report.status.code(), Some(3));
            assert_eq!(*report.stdout_report().end(), OutputEnd::StillHeld);
        }
    });
}

#[test]
fn three_million_lines_with_limits_add_up() {
    run(async {
        let mut command = fixture(&["lines:3000000"]);
        command.capture(Capture::head_and_tail(1000, 2000));
        let report = command.output().await.unwrap();
        let stream = report.stdout_report();
        let expected: u64 = (1..=7u32)
            .map(|digits| {
                let (low, high) = (10u64.pow(digits - 1), (10u64.pow(digits) - 1).min(3_000_000));
                (high - low + 1) * u64::from(digits + 1)
            })
            .sum();
        assert_eq!(stream.total(), expected);
        assert_eq!(stream.dropped(), expected - 3000);
        assert_eq!(report.stdout.len(), 3000);
        assert_eq!(stream.gap_at(), Some(1000));
        assert!(stream.is_truncated());
        assert!(report.stdout.starts_with(b"1\n2\n3\n"));
        assert!(report.stdout.ends_with(b"\n2999999\n3000000\n"));
        let mark = format!("[... {} bytes omitted ...]", expected - 3000);
        assert!(report.stdout_lossy().contains(&mark));
    });
}

#[test]
fn a_hundred_mebibytes_on_both_streams_at_once() {
    run(async {
        let report = fixture(&["both:100M"]).output().await.unwrap();
        assert!(report.success());
        for (bytes, stream) in
            [(&report.stdout, report.stdout_report()), (&report.stderr, report.stderr_report())]
        {
            assert_eq!((stream.total(), stream.dropped()), (100 * MIB, 84 * MIB));
            assert_eq!(bytes.len() as u64, 16 * MIB);
            let gap = stream.gap_at().unwrap();
            let at = |index: usize| if index < gap { index } else { index + (84 << 20) };
            assert!(bytes.iter().enumerate().all(|(index, byte)| usize::from(*byte) == at(index) % 251));
        }
    });
}

#[test]
fn a_capture_of_nothing_still_counts() {
    run(async {
        let report = fixture(&["bytes:1M"]).capture(Capture::none()).output().await.unwrap();
        assert_eq!(report.stdout, b"");
        assert_eq!((report.stdout_report().total(), report.stdout_report().dropped()), (MIB, MIB));
    });
}

#[test]
fn the_spill_has_everything() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut command = fixture(&["both:20M", "eprint:end"]);
        command.capture(Capture::tail(100).spill_to(&path));
        let report = command.output().await.unwrap();
        for (stream, suffix, size) in [
            (report.stdout_report(), "log.stdout", 20 * MIB),
            (report.stderr_report(), "log.stderr", 20 * MIB + 3),
        ] {
            let spill = stream.spill().unwrap();
            assert_eq!(spill.path(), dir.path().join(suffix));
            assert_eq!((spill.written(), spill.error_kind()), (size, None));
            let content = std::fs::read(spill.path()).unwrap();
            assert_eq!(content.len() as u64, size);
            let pattern = content.iter().take(20 << 20).enumerate();
            assert!(pattern.into_iter().all(|(index, byte)| usize::from(*byte) == index % 251));
            assert_eq!(stream.total() - stream.dropped(), 100);
        }
    });
}

#[test]
fn a_spill_that_can_not_be_made_starts_nothing() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (log, trace) = (dir.path().join("log"), dir.path().join("trace"));
        std::fs::write(dir.path().join("log.stdout"), "precious").unwrap();
        let mut command = fixture(&[&format!("touch:{}", trace.display())]);
        command.capture(Capture::default().spill_to(log));
        let error = command.output().await.unwrap_err();
        let error = error.as_spawn_error().unwrap();
        assert_eq!(error.kind(), herder::error::SpawnErrorKind::Spill);
        assert!(error.to_string().contains("log.stdout"), "{error}");
        assert!(!trace.exists());
    });
}

#[test]
fn a_spill_of_a_program_that_can_not_be_started_is_not_left_behind() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("no-such-program-at-all");
        command.capture(Capture::default().spill_to(dir.path().join("log")));
        for _ in 0..2 {
            let error = command.output().await.unwrap_err();
            let kind = error.as_spawn_error().unwrap().kind();
            assert_eq!(kind, herder::error::SpawnErrorKind::ProgramNotFound);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    });
}

#[test]
fn read_gives_text_without_its_last_line_end() {
    run(async {
        assert_eq!(fixture(&["println: a\n b "]).read().await.unwrap(), " a\n b ");
        assert_eq!(fixture(&["print:x\r\n\r\n"]).read().await.unwrap(), "x");
        assert_eq!(fixture(&[]).read().await.unwrap(), "");
    });
}

#[test]
fn read_requires_success_and_shows_the_end_of_standard_error() {
    run(async {
        let mut steps: Vec<String> = (1..=50).map(|line| format!("eprintln:line {line}")).collect();
        steps.extend(["print:out".into(), "exit:3".into()]);
        let mut command = fixture(&[]);
        command.args(&steps);
        let error = command.read().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Unsuccessful);
        let text = error.to_string();
        assert!(text.contains("test-child") && text.contains('3'), "{text}");
        assert!(text.ends_with("line 49\nline 50") && !text.contains("line 40\n"), "{text}");
        assert!(text.len() < 4096);
        let report = error.into_report().unwrap();
        assert_eq!((report.status.code(), &*report.stdout), (Some(3), &b"out"[..]));
        let error = report.checked().unwrap_err();
        assert_eq!(error.report().unwrap().status.code(), Some(3));
    });
}

#[test]
fn read_refuses_output_that_is_not_all_there_or_no_text() {
    run(async {
        let mut command = fixture(&["bytes:1000"]);
        command.capture(Capture::head(999));
        let error = command.read().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::Truncated);
        assert!(error.to_string().contains("1 of 1000 bytes"), "{error}");
        assert_eq!(error.report().unwrap().stdout.len(), 999);

        let error = fixture(&["bytes:200"]).read().await.unwrap_err();
        assert_eq!(error.kind(), RunErrorKind::NotText);
        assert_eq!(error.report().unwrap().stdout.len(), 200);
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::InvalidData);
    });
}

/// The fixture can't close a stream on Windows.
#[cfg(unix)]
#[test]
fn a_child_that_closes_its_output_early_is_waited_for() {
    run(async {
        let mut command = fixture(&["print:a", "close-stdout", "close-stderr", "sleep:100ms", "exit:4"]);
        let report = command.stdin(herder::Stdio::null()).output().await.unwrap();
        assert_eq!((report.status.code(), &*report.stdout), (Some(4), &b"a"[..]));
        assert!(report.elapsed() >= Duration::from_millis(100));
    });
}

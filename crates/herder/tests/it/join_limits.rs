//! The limits of a run: what they end, and what they keep.

#[cfg(unix)]
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

#[cfg(unix)]
use herder::terminate::Step;
use herder::{Cause, Stdio};
#[cfg(unix)]
use herder::{Signal, Termination};

use crate::support::{fixture, line, run};

const LONG: Duration = Duration::from_secs(50);
const SHORT: Duration = Duration::from_millis(200);

#[cfg(unix)]
#[test]
fn a_timeout_ends_the_child_and_keeps_what_it_said() {
    run(async {
        let mut command = fixture(&["print:half", "eprint:why", "hang"]);
        command.timeout(SHORT);
        let start = Instant::now();
        let report = command.output().await.unwrap();
        assert!(start.elapsed() >= SHORT && start.elapsed() < Duration::from_secs(10));
        assert_eq!((report.cause(), report.status.signal()), (Cause::TimedOut, Some(15)));
        assert_eq!((&*report.stdout, &*report.stderr), (&b"half"[..], &b"why"[..]));
        assert_eq!(report.attempts()[0].step(), Step::Signal(Signal::TERM));
        assert!(!report.success());
        let error = report.checked().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("timed out") && text.ends_with("why"), "{text}");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
    });
}

#[cfg(unix)]
#[test]
fn a_child_that_ignores_the_request_is_killed_at_a_limit() {
    run(async {
        let mut command = fixture(&["ignore:TERM", "print:half", "hang"]);
        command.timeout(SHORT).termination(Termination::new().signal(Signal::TERM, SHORT));
        let report = command.output().await.unwrap();
        assert_eq!((report.cause(), report.status.signal()), (Cause::TimedOut, Some(9)));
        assert_eq!(report.stdout, b"half");
        let steps: Vec<_> = report.attempts().iter().map(herder::terminate::Attempt::step).collect();
        assert_eq!(steps, [Step::Signal(Signal::TERM), Step::Kill]);
    });
}

#[cfg(unix)]
#[test]
fn a_child_that_ends_well_after_the_request_has_timed_out_all_the_same() {
    run(async {
        let mut command = fixture(&["on:TERM:[print:bye,exit:0]", "mark:up", "hang"]);
        let report = command.timeout(Duration::from_secs(1)).output().await.unwrap();
        assert_eq!((report.cause(), report.status.code()), (Cause::TimedOut, Some(0)));
        assert_eq!(report.stdout, b"up\ncaught SIGTERM\nbye");
        assert!(report.checked().is_err());
    });
}

/// Longer than a start takes. (Under Wine that may be half a second.)
const SILENCE: Duration = Duration::from_millis(if cfg!(windows) { 3000 } else { 500 });

#[test]
fn silence_is_a_limit_and_output_moves_it() {
    run(async {
        let mut command = fixture(&["tick:8:100ms", "hang"]);
        command.idle_timeout(SILENCE);
        let start = Instant::now();
        let report = command.output().await.unwrap();
        assert_eq!(report.cause(), Cause::Idle);
        assert_eq!(report.stdout, b"1\n2\n3\n4\n5\n6\n7\n8\n");
        assert!(start.elapsed() >= Duration::from_millis(800) + SILENCE, "{:?}", start.elapsed());
        // One that talks on is not ended.
        let mut command = fixture(&["tick:8:100ms"]);
        let report = command.idle_timeout(Duration::from_secs(20)).output().await.unwrap();
        assert_eq!(report.cause(), Cause::Exited);
        // Without a captured stream it limits the run.
        let mut command = fixture(&["hang"]);
        command.stdout(Stdio::null()).idle_timeout(SHORT);
        assert_eq!(command.run().await.unwrap().cause(), Cause::Idle);
    });
}

#[test]
fn limits_hold_for_every_way_to_run() {
    run(async {
        let mut command = fixture(&["hang"]);
        command.timeout(SHORT);
        let status = command.status().await.unwrap();
        assert!(!status.success());
        #[cfg(unix)]
        assert_eq!(status.signal(), Some(15));
        let error = command.read().await.unwrap_err();
        assert_eq!(error.report().unwrap().cause(), Cause::TimedOut);
        // From the start, which was before.
        let child = command.spawn().unwrap();
        tokio::time::sleep(SHORT).await;
        let start = Instant::now();
        assert_eq!(child.wait_with_output().await.unwrap().cause(), Cause::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(10));
        command.timeout(Duration::ZERO);
        assert_eq!(command.output().await.unwrap().cause(), Cause::TimedOut);
        command.timeout(Duration::MAX).idle_timeout(Duration::MAX).args(["--"]);
        let mut command = fixture(&["print:x"]);
        command.timeout(Duration::MAX).idle_timeout(Duration::MAX);
        assert_eq!(command.read().await.unwrap(), "x");
    });
}

#[test]
fn a_kill_by_a_handle_keeps_what_was_said() {
    run(async {
        let mut command = fixture(&["print:half", "eprintln:up", "hang"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        line(child.stderr.as_mut().unwrap()).await;
        let handle = child.handle();
        let (report, killed) = tokio::join!(child.wait_with_output(), handle.kill());
        killed.unwrap();
        let report = report.unwrap();
        assert_eq!((report.cause(), &*report.stdout), (Cause::Killed, &b"half"[..]));
    });
}

#[test]
fn a_writer_that_takes_nothing_is_bounded_by_the_limit() {
    run(async {
        let (mut tee, _other) = tokio::io::duplex(64);
        let mut command = fixture(&["bytes:10M"]);
        command.stdout(Stdio::piped()).timeout(SHORT).drain_grace(Duration::from_millis(20));
        let child = command.spawn().unwrap();
        let start = Instant::now();
        let report = child.wait_with_tee(Some(&mut tee), None).await.unwrap();
        assert_eq!(report.cause(), Cause::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(10));
        // And with a child that ends by itself before it.
        let (mut tee, _other) = tokio::io::duplex(64);
        let mut command = fixture(&["bytes:1K"]);
        command.stdout(Stdio::piped()).timeout(Duration::from_secs(1));
        let child = command.spawn().unwrap();
        let start = Instant::now();
        let report = child.wait_with_tee(Some(&mut tee), None).await.unwrap();
        assert_eq!((report.cause(), report.stdout.len()), (Cause::Exited, 1 << 10));
        assert!(start.elapsed() < LONG);
    });
}

#[test]
fn the_time_of_a_test_runtime_may_be_paused() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut command = fixture(&["print:x", "sleep:300ms"]);
        command.timeout(Duration::from_secs(30)).idle_timeout(Duration::from_secs(20));
        let report = command.output().await.unwrap();
        assert_eq!((report.cause(), &*report.stdout), (Cause::Exited, &b"x"[..]));
    });
}

#[test]
fn the_longest_grace_is_no_overflow() {
    run(async {
        let mut command = fixture(&["print:x"]);
        let report = command.drain_grace(Duration::MAX).timeout(Duration::MAX).output().await.unwrap();
        assert_eq!(report.stdout, b"x");
    });
}

//! The ladder on real processes.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder::terminate::Step;
use herder::{Cause, Command, Signal, Stdio, Termination};
use tokio::sync::Notify;

use crate::support::{eventually, fixture, line, run, state, within};

const LONG: Duration = Duration::from_secs(50);
const SHORT: Duration = Duration::from_millis(50);

fn steps(report: &herder::Report) -> Vec<Step> {
    report.attempts().iter().map(herder::terminate::Attempt::step).collect()
}

/// Started, and its first line is there.
async fn up(command: &mut Command) -> herder::Child {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
    child
}

#[test]
fn a_child_that_obeys_is_not_asked_again() {
    run(async {
        let mut child = up(&mut fixture(&["on:TERM:exit:7", "mark:up", "hang"])).await;
        let start = Instant::now();
        let policy = Termination::new().signal(Signal::TERM, LONG).signal(Signal::INT, LONG);
        assert_eq!(child.terminate(&policy).await.unwrap().code(), Some(7));
        assert!(start.elapsed() < Duration::from_secs(10));
        let report = child.wait_with_output().await.unwrap();
        assert_eq!(steps(&report), [Step::Signal(Signal::TERM)]);
        assert_eq!((report.cause(), &*report.stdout), (Cause::Terminated, &b"caught SIGTERM\n"[..]));
    });
}

#[test]
fn one_that_does_not_is_killed_and_the_steps_are_told_in_order() {
    run(async {
        let mut child = up(&mut fixture(&["ignore:TERM+INT", "mark:up", "print:kept", "hang"])).await;
        let policy = Termination::new().signal(Signal::INT, SHORT).signal(Signal::TERM, SHORT);
        let start = Instant::now();
        assert_eq!(child.terminate(&policy).await.unwrap().signal(), Some(9));
        assert!(start.elapsed() >= 2 * SHORT);
        let report = child.wait_with_output().await.unwrap();
        let expected = [Step::Signal(Signal::INT), Step::Signal(Signal::TERM), Step::Kill];
        assert_eq!(steps(&report), expected);
        assert!(report.attempts().iter().all(herder::terminate::Attempt::succeeded));
        assert!(report.attempts().is_sorted_by_key(herder::terminate::Attempt::after));
        assert!(report.attempts()[2].after() >= 2 * SHORT);
        // What it had said is kept.
        assert_eq!(report.stdout, b"kept");
    });
}

#[test]
fn closing_the_input_is_the_first_rung() {
    run(async {
        let mut command = fixture(&["mark:up", "eof-wait", "mark:bye", "exit:6"]);
        let mut child = up(command.stdin(Stdio::piped())).await;
        let policy = Termination::new().close_stdin(LONG).signal(Signal::TERM, LONG);
        // Wherever our end of it is.
        let stdin = child.stdin.take().unwrap();
        assert_eq!(child.terminate(&policy).await.unwrap().code(), Some(6));
        drop(stdin);
        let report = child.wait_with_output().await.unwrap();
        assert_eq!(steps(&report), [Step::CloseStdin]);
        assert_eq!(report.stdout, b"bye\n");
    });
}

#[test]
fn closing_an_input_that_is_no_pipe_is_a_step_that_fails_and_is_not_waited_for() {
    run(async {
        for stdin in [Stdio::null(), Stdio::piped()] {
            let mut command = fixture(&["mark:up", "hang"]);
            let mut child = up(command.stdin(stdin)).await;
            drop(child.stdin.take());
            let policy = Termination::new().close_stdin(LONG).signal(Signal::TERM, LONG);
            let start = Instant::now();
            assert_eq!(child.terminate(&policy).await.unwrap().signal(), Some(15));
            assert!(start.elapsed() < Duration::from_secs(10));
            let report = child.wait_with_output().await.unwrap();
            assert_eq!(steps(&report), [Step::CloseStdin, Step::Signal(Signal::TERM)]);
            assert!(!report.attempts()[0].succeeded());
        }
    });
}

#[test]
fn a_limit_closes_an_input_that_is_being_fed() {
    run(async {
        let (reader, _silent) = tokio::io::duplex(64);
        let mut command = fixture(&["eof-wait", "exit:6"]);
        command.stdin(Stdio::reader(reader)).timeout(SHORT);
        command.termination(Termination::new().close_stdin(LONG));
        let report = command.output().await.unwrap();
        assert_eq!((report.cause(), report.status.code()), (Cause::TimedOut, Some(6)));
        assert_eq!(steps(&report), [Step::CloseStdin]);
    });
}

#[test]
fn hurry_takes_the_next_step_at_once() {
    run(async {
        let child = up(&mut fixture(&["ignore:TERM+INT", "mark:up", "hang"])).await;
        let handle = child.handle();
        let hurry = Arc::new(Notify::new());
        let policy = Termination::new().signal(Signal::TERM, LONG).signal(Signal::INT, LONG);
        let other = Arc::clone(&hurry);
        let ending = tokio::spawn(async move { handle.terminate_or_hurry(&policy, &other).await.unwrap() });
        let start = Instant::now();
        let report = tokio::spawn(child.wait_with_output());
        while !ending.is_finished() {
            hurry.notify_one();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(ending.await.unwrap().signal(), Some(9));
        let report = report.await.unwrap().unwrap();
        assert_eq!(steps(&report).last(), Some(&Step::Kill));
        assert_eq!((steps(&report).len(), report.cause()), (3, Cause::Terminated));
    });
}

#[test]
fn killing_at_once_is_a_policy_too() {
    run(async {
        let mut child = fixture(&["ignore:TERM", "hang"]).spawn().unwrap();
        assert_eq!(child.terminate(&Termination::kill()).await.unwrap().signal(), Some(9));
        let report = child.wait_with_output().await.unwrap();
        assert_eq!(steps(&report), [Step::Kill]);
    });
}

#[test]
fn a_stopped_child_can_be_ended() {
    run(async {
        let mut child = fixture(&["stop-self"]).spawn().unwrap();
        let pid = child.id().unwrap();
        eventually("it stops", || state(pid) == Some('T'));
        let policy = Termination::new().signal(Signal::TERM, SHORT);
        assert!(child.terminate(&policy).await.unwrap().signal().is_some());
    });
}

#[test]
fn a_cancelled_termination_takes_no_further_step() {
    run(async {
        let mut child = up(&mut fixture(&["ignore:TERM", "mark:up", "hang"])).await;
        let policy = Termination::new().signal(Signal::TERM, LONG);
        assert!(tokio::time::timeout(SHORT, child.terminate(&policy)).await.is_err());
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().await.unwrap();
        assert_eq!(steps(&child.wait_with_output().await.unwrap()), [Step::Signal(Signal::TERM)]);
    });
}

#[test]
fn a_stopped_child_is_continued_so_that_it_can_handle_the_request() {
    run(async {
        let mut command = fixture(&["on:TERM:[mark:cleanup,exit:9]", "mark:up", "stop-self", "hang"]);
        command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        let pid = child.id().unwrap();
        eventually("it stops", || state(pid) == Some('T'));
        let policy = Termination::new().signal(Signal::TERM, Duration::from_secs(20));
        assert_eq!(within(child.terminate(&policy)).await.unwrap().code(), Some(9));
    });
}

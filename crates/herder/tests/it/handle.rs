//! The handle: everything that may be done to a child while others wait for it.

use std::time::Duration;

#[cfg(unix)]
use herder::contain::Strength;
#[cfg(unix)]
use herder::{Cause, Containment, Stdio};
use herder::{Signal, Termination};

#[cfg(unix)]
use crate::support::{eventually, is_dead, line, run};
use crate::support::{fixture, multi_thread, was_killed, within};

#[test]
fn kill_while_another_task_waits() {
    multi_thread().block_on(within(async {
        let mut child = fixture(&["hang"]).spawn().unwrap();
        let handle = child.handle();
        let waiter = tokio::spawn(async move { child.wait().await.unwrap() });
        tokio::task::yield_now().await;
        handle.kill().await.unwrap();
        assert!(was_killed(waiter.await.unwrap()));
        assert_eq!(handle.id(), None);
    }));
}

#[cfg(unix)]
#[test]
fn a_child_that_has_ended_is_left_alone_without_an_error() {
    run(async {
        let mut child = fixture(&["exit:4"]).spawn().unwrap();
        let pid = child.id().unwrap();
        eventually("it ends", || is_dead(pid));
        // Not reaped yet, and then reaped.
        for _ in 0..2 {
            child.signal(Signal::TERM).unwrap();
            child.handle().signal_child(Signal::TERM).unwrap();
            child.start_kill().unwrap();
            child.kill().await.unwrap();
            assert_eq!(child.terminate(&Termination::default()).await.unwrap().code(), Some(4));
        }
        assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(4));
    });
}

#[cfg(unix)]
#[test]
fn the_cause_is_told_by_what_happened_first() {
    run(async {
        // It had ended by itself before anything was done.
        for terminate in [false, true] {
            // One of a keeper has ended for us a moment after it is dead.
            let mut child = fixture(&["exit:4"]).containment(Containment::Group).spawn().unwrap();
            let pid = child.id().unwrap();
            eventually("it ends", || is_dead(pid));
            if terminate {
                child.terminate(&Termination::default()).await.unwrap();
            } else {
                child.kill().await.unwrap();
            }
            let report = child.wait_with_output().await.unwrap();
            assert_eq!(report.cause(), Cause::Exited);
            assert_eq!(report.attempts(), []);
        }
        let mut child = fixture(&["hang"]).spawn().unwrap();
        child.start_kill().unwrap();
        assert_eq!(child.wait_with_output().await.unwrap().cause(), Cause::Killed);

        let child = fixture(&["kill-self:TERM"]).spawn().unwrap();
        assert_eq!(child.wait_with_output().await.unwrap().cause(), Cause::Signaled);

        let mut command = fixture(&["on:TERM:exit:0", "mark:up", "hang"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        line(child.stdout.as_mut().unwrap()).await;
        assert!(child.terminate(&Termination::default()).await.unwrap().success());
        let report = child.wait_with_output().await.unwrap();
        assert_eq!((report.cause(), report.success()), (Cause::Terminated, false));
    });
}

#[cfg(unix)]
#[test]
fn a_signal_reaches_the_whole_group_or_the_child_alone() {
    run(async {
        let script = "spawn:on:TERM:mark:grandchild,mark:up,hang";
        let mut command = fixture(&[script, "on:TERM:mark:child", "mark:up", "hang"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.strength() >= Strength::Group);
        let mut stdout = child.stdout.take().unwrap();
        assert_eq!((line(&mut stdout).await, line(&mut stdout).await), ("up".into(), "up".into()));
        child.handle().signal_child(Signal::TERM).unwrap();
        assert_eq!(line(&mut stdout).await, "caught SIGTERM");
        assert_eq!(line(&mut stdout).await, "child");
        child.signal(Signal::TERM).unwrap();
        let mut lines = Vec::new();
        for _ in 0..4 {
            lines.push(line(&mut stdout).await);
        }
        lines.sort();
        assert_eq!(lines, ["caught SIGTERM", "caught SIGTERM", "child", "grandchild"]);
        child.kill().await.unwrap();
    });
}

#[test]
fn a_handle_does_not_keep_the_child_alive_and_learns_its_end() {
    multi_thread().block_on(within(async {
        let child = fixture(&["hang"]).spawn().unwrap();
        let handle = child.handle();
        let other = handle.clone();
        let waiter = tokio::spawn(async move { other.wait().await.unwrap() });
        tokio::task::yield_now().await;
        drop(child);
        assert!(was_killed(waiter.await.unwrap()));
        assert!(was_killed(handle.wait().await.unwrap()));
        assert!(was_killed(handle.try_wait().unwrap().unwrap()));
        handle.kill().await.unwrap();
    }));
}

/// Steps of a child that does not end when it is asked. (On Windows nobody asks one without a console.)
const DEAF: &[&str] = if cfg!(windows) { &["hang"] } else { &["ignore:TERM", "hang"] };

#[test]
fn many_end_it_at_once() {
    multi_thread().block_on(within(async {
        for _ in 0..20 {
            let mut child = fixture(DEAF).spawn().unwrap();
            let policy = Termination::new().signal(Signal::TERM, Duration::from_millis(5));
            let tasks: Vec<_> = (0..6)
                .map(|task| {
                    let (handle, policy) = (child.handle(), policy.clone());
                    tokio::spawn(async move {
                        if task % 2 == 0 {
                            handle.terminate(&policy).await.unwrap();
                        } else {
                            handle.kill().await.unwrap();
                        }
                    })
                })
                .collect();
            assert!(!child.wait().await.unwrap().success());
            for task in tasks {
                task.await.unwrap();
            }
        }
    }));
}

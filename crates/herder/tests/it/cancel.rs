//! Every public future, dropped at each of its awaits: the child is owned or ended.

use std::time::Duration;

use herder::{Capture, Command, Signal, Stdio, Termination};

use crate::support::{Leash, cancelled, fixture, line, run};

/// As many polls as none of the futures needs.
const POLLS: usize = 6;

/// A family that ends on demand only.
fn stubborn() -> (Command, Leash) {
    let mut command = fixture(&["ignore:TERM", "spawn:hang", "both:200K", "hang"]);
    command.stdin(Stdio::bytes(vec![0; 200_000])).stdout(Stdio::piped()).stderr(Stdio::piped());
    let leash = Leash::tie(&mut command);
    (command, leash)
}

#[test]
fn runs_that_are_dropped_leave_nothing() {
    run(async {
        for polls in 1..=POLLS {
            let (mut command, leash) = stubborn();
            assert!(cancelled(polls, command.output()).await.is_none());
            assert!(cancelled(polls, command.run()).await.is_none());
            assert!(cancelled(polls, command.read()).await.is_none());
            assert!(cancelled(polls, command.status()).await.is_none());
            drop(cancelled(polls, command.spawn_async()).await);
            // The limit is reached, and the ladder walked in part. A child that was asked too early ends.
            command.timeout(Duration::from_millis(1)).termination(Termination::graceful());
            drop(cancelled(polls, command.output()).await);
            drop(command);
            leash.wait_free();
        }
    });
}

#[test]
fn a_join_that_is_dropped_leaves_nothing() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        for polls in 1..=POLLS {
            let (mut command, leash) = stubborn();
            command.capture(Capture::head(10).spill_to(dir.path().join(format!("log{polls}"))));
            let child = command.spawn().unwrap();
            let (mut tee, _other) = tokio::io::duplex(16);
            assert!(cancelled(polls, child.wait_with_tee(Some(&mut tee), None)).await.is_none());
            drop(command);
            leash.wait_free();
        }
    });
}

#[test]
fn futures_of_a_child_that_is_still_owned_leave_it_so() {
    run(async {
        for polls in 1..=POLLS {
            let mut command = fixture(&["ignore:TERM", "mark:up", "hang"]);
            let leash = Leash::tie(&mut command);
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            drop(command);
            line(child.stdout.as_mut().unwrap()).await;
            let handle = child.handle();
            let patient = Termination::new().signal(Signal::TERM, Duration::from_secs(60));
            assert!(cancelled(polls, child.wait()).await.is_none());
            assert!(cancelled(polls, handle.wait()).await.is_none());
            assert!(cancelled(polls, child.terminate(&patient)).await.is_none());
            assert!(cancelled(polls, handle.terminate(&patient)).await.is_none());
            assert_eq!(child.try_wait().unwrap(), None);
            // The kill is sent at the first poll, whatever becomes of the wait.
            drop(cancelled(polls, handle.kill()).await);
            leash.wait_free();
            child.wait().await.unwrap();
        }
    });
}

#[test]
fn short_runs_at_every_poll() {
    run(async {
        let mut done = false;
        for polls in 1..200 {
            let mut command = fixture(&["cat", "eprint:x"]);
            command.stdin(Stdio::bytes(vec![0; 300_000]));
            let leash = Leash::tie(&mut command);
            done |= tokio::time::timeout(Duration::from_secs(5), polled(polls, command.output()))
                .await
                .is_ok_and(|over| over);
            drop(command);
            leash.wait_free();
            if done {
                return;
            }
        }
        assert!(done, "no run came to its end");
    });
}

/// Polls so often; whether it was over by then.
async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> bool {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        let over = future.as_mut().poll(context).is_ready();
        left -= 1;
        if over || left == 0 { std::task::Poll::Ready(over) } else { std::task::Poll::Pending }
    })
    .await
}

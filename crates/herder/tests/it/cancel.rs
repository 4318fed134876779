//! Every public future, dropped at each of its awaits: the child is owned or ended, and nothing is left.
//!
//! That no process, no zombie and no descriptor is left is seen by [`alone`] at the end of each test.

use std::pin::pin;
use std::time::Duration;

use herder::{Capture, Child, Command, Signal, Stdio, Termination};
use tokio::sync::Notify;

use crate::support::alone::alone;
#[cfg(unix)]
use crate::support::line;
use crate::support::{Leash, cancelled, fixture, multi_thread, run, within};

/// A start takes fifty times as long under Wine.
const REPEATS: usize = if cfg!(windows) { 24 } else { 500 };

/// As many polls as none of the futures needs for a child that hangs.
const POLLS: usize = 6;

/// Drops what `body` does with a command after ever other polls: one that hangs, one that is fed and ends, one that
/// ends at once, and one that can't be started.
fn repeated(body: impl AsyncFn(&Command, usize)) {
    let mut commands = [fixture(&["hang"]), fixture(&["cat"]), fixture(&[]), Command::new("no-such-program")];
    for command in &mut commands {
        command.stdin(Stdio::bytes(vec![0; 100_000])).stdout(Stdio::piped());
        command.termination(Termination::new().signal(Signal::CONT, Duration::from_millis(1)));
    }
    let leashes: Vec<_> = commands.iter_mut().map(Leash::tie).collect();
    run(async {
        for repeat in 0..REPEATS {
            body(&commands[repeat % 4], 1 + repeat / 4 % POLLS).await;
        }
    });
    drop(commands);
    for leash in leashes {
        leash.wait_free();
    }
}

/// Drops what `body` does with a child, which must still be good after that.
fn repeated_with_child(body: impl AsyncFn(&mut Child, usize)) {
    repeated(async |command, polls| {
        let Ok(mut child) = command.spawn_async().await else { return };
        body(&mut child, polls).await;
        if polls.is_multiple_of(2) {
            child.kill().await.unwrap();
            let status = child.try_wait().unwrap();
            assert_eq!(child.wait().await.ok(), status);
            assert!(child.id().is_none());
        }
    });
}

fn patient() -> Termination {
    Termination::new().close_stdin(Duration::from_millis(1)).signal(Signal::CONT, Duration::from_secs(60))
}

#[test]
fn spawn_async() {
    alone(|| repeated(async |command, polls| drop(cancelled(polls, command.spawn_async()).await)));
}

#[test]
fn status() {
    alone(|| repeated(async |command, polls| drop(cancelled(polls, command.status()).await)));
}

#[test]
fn output() {
    alone(|| repeated(async |command, polls| drop(cancelled(polls, command.output()).await)));
}

#[test]
fn output_at_its_limit() {
    alone(|| {
        repeated(async |command, polls| {
            let mut command = command.clone();
            command.timeout(Duration::from_micros(500)).idle_timeout(Duration::from_micros(400));
            drop(cancelled(polls, command.output()).await);
        });
    });
}

#[test]
fn run_and_read() {
    alone(|| {
        repeated(async |command, polls| {
            drop(cancelled(polls, command.run()).await);
            drop(cancelled(polls, command.read()).await);
        });
    });
}

#[test]
fn child_wait() {
    alone(|| repeated_with_child(async |child, polls| drop(cancelled(polls, child.wait()).await)));
}

#[test]
fn child_kill() {
    alone(|| repeated_with_child(async |child, polls| drop(cancelled(polls, child.kill()).await)));
}

#[test]
fn child_terminate() {
    alone(|| {
        repeated_with_child(async |child, polls| drop(cancelled(polls, child.terminate(&patient())).await));
    });
}

#[test]
fn handle_wait_and_kill() {
    alone(|| {
        repeated_with_child(async |child, polls| {
            let (one, other) = (child.handle(), child.handle());
            drop(cancelled(polls, one.wait()).await);
            drop(cancelled(polls, other.kill()).await);
        });
    });
}

#[test]
fn handle_terminate() {
    alone(|| {
        repeated_with_child(async |child, polls| {
            let (handle, hurry) = (child.handle(), Notify::new());
            drop(cancelled(polls, handle.terminate(&patient())).await);
            hurry.notify_one();
            drop(cancelled(polls, handle.terminate_or_hurry(&patient(), &hurry)).await);
        });
    });
}

#[test]
fn wait_with_output() {
    alone(|| {
        repeated(async |command, polls| {
            let Ok(child) = command.spawn() else { return };
            drop(cancelled(polls, child.wait_with_output()).await);
        });
    });
}

#[test]
fn wait_with_tee() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let number = std::cell::Cell::new(0);
        repeated(async |command, polls| {
            number.set(number.get() + 1);
            let mut command = command.clone();
            command.capture(Capture::head(10).spill_to(dir.path().join(format!("log{}", number.get()))));
            let Ok(child) = command.spawn() else { return };
            // Nobody reads it: after 16 bytes the join waits for its writer.
            let (mut tee, _other) = tokio::io::duplex(16);
            drop(cancelled(polls, child.wait_with_tee(Some(&mut tee), None)).await);
        });
    });
}

#[test]
fn tasks_that_are_aborted_by_another_thread() {
    alone(|| {
        let mut command = fixture(&["spawn:cat", "cat"]);
        command.stdin(Stdio::bytes(vec![0; 100_000]));
        let leash = Leash::tie(&mut command);
        multi_thread().block_on(within(async {
            for repeat in 0..REPEATS {
                let command = command.clone();
                let task = tokio::spawn(async move { command.output().await.is_ok() });
                // At any point of its way, from before the spawn to after the end.
                tokio::time::sleep(Duration::from_micros(20 * (repeat as u64 % 200))).await;
                task.abort();
                assert!(task.await.unwrap_or(true));
            }
        }));
        drop(command);
        leash.wait_free();
    });
}

#[cfg(unix)]
#[test]
fn a_family_that_does_not_want_to_end() {
    run(async {
        for polls in 1..=POLLS {
            let mut command = fixture(&["ignore:TERM", "spawn:hang", "both:200K", "hang"]);
            command.stdin(Stdio::bytes(vec![0; 200_000])).stdout(Stdio::piped()).stderr(Stdio::piped());
            let leash = Leash::tie(&mut command);
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

#[cfg(unix)]
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
fn a_short_run_at_every_poll_up_to_its_end() {
    run(async {
        for polls in 1..200 {
            let mut command = fixture(&["cat", "eprint:x"]);
            command.stdin(Stdio::bytes(vec![0; 300_000]));
            let leash = Leash::tie(&mut command);
            let over = within(Box::pin(polled(polls, command.output()))).await;
            drop(command);
            leash.wait_free();
            if over {
                return;
            }
        }
        panic!("no run came to its end");
    });
}

/// Polls so often, whatever it waits for; whether it was over by then.
async fn polled<T>(polls: usize, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        let over = future.as_mut().poll(context).is_ready();
        left -= 1;
        if over || left == 0 { std::task::Poll::Ready(over) } else { std::task::Poll::Pending }
    })
    .await
}

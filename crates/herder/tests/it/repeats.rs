//! What goes wrong once in hundreds of times: the same, 500 times.
//!
//! That no process, no zombie and no descriptor is left is seen by [`alone`] at the end of each test.

use std::os::unix::process::ExitStatusExt;

use herder::{Child, Command, Stdio};
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, LocalSet};

use crate::support::alone::alone;
use crate::support::{Leash, current_thread, fixture, multi_thread, park_on, run, within};

const REPEATS: usize = 500;

/// As many at once where they are let run at the same time.
const AT_ONCE: usize = 20;

/// A child with three pipes that runs until it is ended, on a leash.
fn lasting() -> (Command, Leash) {
    let mut command = fixture(&["spawn:hang", "cat", "hang"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let leash = Leash::tie(&mut command);
    (command, leash)
}

/// Starts a child, and lets it come more or less far.
async fn started(command: &Command, repeat: usize) -> Child {
    let mut child = if repeat.is_multiple_of(2) {
        command.spawn().unwrap()
    } else {
        command.spawn_async().await.unwrap()
    };
    match repeat % 3 {
        // Known to the reactor of this runtime.
        1 => assert!(crate::support::cancelled(2, child.handle().wait()).await.is_none()),
        2 => assert_eq!(child.try_wait().unwrap(), None),
        _ => {}
    }
    child
}

#[test]
fn drop_while_running_in_a_current_thread_runtime() {
    alone(|| {
        let (command, leash) = lasting();
        run(async {
            for repeat in 0..REPEATS {
                drop(started(&command, repeat).await);
            }
        });
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn drop_while_running_in_a_multi_thread_runtime() {
    alone(|| {
        let (command, leash) = lasting();
        multi_thread().block_on(within(async {
            for batch in 0..REPEATS / AT_ONCE {
                let mut tasks = JoinSet::new();
                for repeat in 0..AT_ONCE {
                    let command = command.clone();
                    tasks.spawn(async move { drop(started(&command, batch + repeat).await) });
                }
                while let Some(task) = tasks.join_next().await {
                    task.unwrap();
                }
            }
        }));
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn drop_while_running_in_a_local_set() {
    alone(|| {
        let (command, leash) = lasting();
        run(async {
            for batch in 0..REPEATS / AT_ONCE {
                let set = LocalSet::new();
                for repeat in 0..AT_ONCE {
                    let command = command.clone();
                    set.spawn_local(async move {
                        let mut child = started(&command, batch + repeat).await;
                        if repeat.is_multiple_of(2) {
                            // Dropped with the set, in the middle of it.
                            child.handle().wait().await.unwrap();
                        }
                        drop(child.stdin.take());
                    });
                }
                set.run_until(tokio::task::yield_now()).await;
            }
        });
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn drop_after_the_runtime_is_gone() {
    alone(|| {
        let (command, leash) = lasting();
        let make: [fn() -> Runtime; 2] = [current_thread, multi_thread];
        for repeat in 0..REPEATS {
            let runtime = make[usize::from(repeat.is_multiple_of(10))]();
            let child = runtime.block_on(started(&command, repeat));
            match repeat % 4 {
                0 => drop(runtime),
                1 => runtime.shutdown_background(),
                // A task that waits goes down with its runtime, and takes the child along.
                2 => {
                    let handle = child.handle();
                    runtime.spawn(async move { handle.wait().await });
                    drop(runtime);
                }
                _ => {
                    let mut child = child;
                    runtime.spawn(async move { child.wait().await });
                    drop(runtime);
                    continue;
                }
            }
            drop(child);
        }
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn kill_during_the_wait_of_another_task() {
    alone(|| {
        let (mut command, leash) = lasting();
        command.stdin(Stdio::null());
        multi_thread().block_on(within(async {
            for repeat in 0..REPEATS {
                let mut child = started(&command, repeat).await;
                let (handle, other) = (child.handle(), child.handle());
                let waiter = tokio::spawn(async move { child.wait().await.unwrap() });
                let second = tokio::spawn(async move { other.wait().await.unwrap() });
                if repeat.is_multiple_of(2) {
                    tokio::task::yield_now().await;
                }
                handle.kill().await.unwrap();
                assert_eq!(waiter.await.unwrap().signal(), Some(9));
                assert_eq!(second.await.unwrap().signal(), Some(9));
                assert_eq!(handle.id(), None);
            }
        }));
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn a_kill_against_an_exit() {
    alone(|| {
        multi_thread().block_on(within(async {
            let command = Command::new("true");
            for _ in 0..REPEATS {
                let mut child = command.spawn_async().await.unwrap();
                let handle = child.handle();
                let killer = tokio::spawn(async move { handle.kill().await.unwrap() });
                let status = child.wait().await.unwrap();
                killer.await.unwrap();
                // One of the two, and nothing else.
                assert!(status.success() || status.signal() == Some(9), "{status}");
            }
        }));
    });
}

#[test]
fn spawn_outside_of_any_runtime() {
    alone(|| {
        let (lasting, leash) = lasting();
        let short = Command::new("true");
        for repeat in 0..REPEATS {
            let mut child = if repeat.is_multiple_of(2) {
                lasting.spawn().unwrap()
            } else {
                park_on(lasting.spawn_async()).unwrap()
            };
            match repeat % 5 {
                0 => assert!(park_on(short.spawn().unwrap().wait()).unwrap().success()),
                1 => park_on(child.kill()).unwrap(),
                2 => assert!(park_on(child.wait_with_output()).is_err()),
                3 => assert_eq!(child.try_wait().unwrap(), None),
                _ => drop(child),
            }
        }
        drop(lasting);
        leash.wait_free();
    });
}

#[test]
fn short_children_lose_no_byte_and_no_status() {
    alone(|| {
        multi_thread().block_on(within(async {
            let mut tasks = JoinSet::new();
            for task in 0..4 {
                tasks.spawn(async move {
                    for repeat in 0..REPEATS / 4 {
                        let code = (task * 50 + repeat) % 256;
                        let mut command = fixture(&["cat", &format!("exit:{code}")]);
                        let bytes = vec![code as u8; repeat * 1500];
                        let report = command.stdin(Stdio::bytes(bytes.clone())).output().await.unwrap();
                        assert_eq!(report.status.code(), Some(code as i32));
                        assert!(report.stdout == bytes, "{repeat}: {:?}", report.stdout_report());
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.unwrap();
            }
        }));
    });
}

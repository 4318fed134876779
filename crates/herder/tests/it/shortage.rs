//! No descriptors left, at each step that wants one.

use herder::error::{SpawnError, SpawnErrorKind};
use herder::{Child, Command, Report, RunError, Stdio};

use crate::support::alone::{Shortage, alone, children};
use crate::support::{Leash, eventually, fixture, is_gone, park_on, run};

/// More descriptors than a spawn with three pipes takes, with all that may be made on the way.
const ENOUGH: u32 = 24;

fn is_shortage(error: &SpawnError) -> bool {
    error.kind() == SpawnErrorKind::OutOfResources && error.io_kind() != std::io::ErrorKind::Other
}

fn piped(steps: &[&str]) -> Command {
    let mut command = fixture(steps);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `attempt` with ever more descriptors to be had. It tells whether it worked, and must in the end.
fn at_each_step(mut attempt: impl FnMut(u32) -> bool) {
    // Whatever is made once, for the whole program, is made with what is left then.
    let mut outcomes = Vec::new();
    for left in (0..=ENOUGH).chain(0..=ENOUGH) {
        let shortage = Shortage::of_fds(left);
        outcomes.push(attempt(left));
        shortage.end();
        eventually("no child is left", || children().is_empty());
    }
    assert!(!outcomes[0], "three pipes without a descriptor");
    assert!(outcomes[usize::try_from(ENOUGH).unwrap()] && outcomes.ends_with(&[true]), "{outcomes:?}");
}

fn ended_at_once(child: Result<Child, SpawnError>) -> bool {
    match child {
        Ok(child) => {
            let pid = child.id().unwrap();
            drop(child);
            eventually("it is reaped", || is_gone(pid));
            true
        }
        Err(error) => {
            assert!(is_shortage(&error), "{error:?}");
            false
        }
    }
}

fn complete(report: Result<Report, RunError>) -> bool {
    match report {
        Ok(report) => {
            // Started, it is not lost, and neither is what it says.
            assert_eq!((report.status.code(), &*report.stdout), (Some(7), &b"3\n"[..]), "{report:?}");
            true
        }
        Err(error) => {
            assert!(error.as_spawn_error().is_some_and(is_shortage), "{error:?}");
            false
        }
    }
}

#[test]
fn at_each_step_of_a_spawn() {
    alone(|| {
        let command = piped(&["hang"]);
        run(async { at_each_step(|_| ended_at_once(command.spawn())) });
        at_each_step(|_| ended_at_once(command.spawn()));
        at_each_step(|_| ended_at_once(park_on(command.spawn_async())));
    });
}

#[test]
fn at_each_step_of_a_run() {
    alone(|| {
        let runtime = crate::support::current_thread();
        let mut command = fixture(&["stdin-count", "exit:7"]);
        command.stdin(Stdio::bytes("moo"));
        let leash = Leash::tie(&mut command);
        at_each_step(|_| complete(runtime.block_on(crate::support::within(command.output()))));
        drop(command);
        leash.wait_free();
    });
}

#[test]
fn at_each_step_of_a_wait() {
    alone(|| {
        let runtime = crate::support::multi_thread();
        let command = piped(&["stdin-count", "exit:7"]);
        at_each_step(|_| {
            runtime.block_on(crate::support::within(async {
                match command.spawn_async().await {
                    Ok(mut child) => {
                        assert_eq!(child.wait().await.unwrap().code(), Some(7));
                        complete(child.wait_with_output().await.map(|mut report| {
                            // Its input was closed by the wait.
                            assert_eq!(report.stdout, b"0\n");
                            report.stdout = b"3\n".to_vec();
                            report
                        }))
                    }
                    Err(error) => ended_at_once(Err(error)),
                }
            }))
        });
    });
}

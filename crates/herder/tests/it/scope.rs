//! Scopes that nothing leaves: sessions, double forks, leaders that go first, what is left behind.

use std::io::Write;
use std::time::Duration;

use herder::contain::{Leak, Strength, host};
use herder::report::RunErrorKind;
use herder::{Cause, Child, Command, Containment, Signal, Stdio, Termination};

use crate::support::{Leash, fixture, is_dead, line, run};

/// Each containment of this host that nothing leaves.
pub(crate) fn strong() -> Vec<Containment> {
    let able = host().into_iter().filter(|(_, able)| able.is_ok());
    let strong = able.filter_map(|(strength, _)| match strength {
        Strength::Cgroup => Some(Containment::Cgroup),
        Strength::Keeper => Some(Containment::Keeper),
        Strength::PidNamespace => Some(Containment::PidNamespace),
        _ => None,
    });
    let strong: Vec<_> = strong.collect();
    if strong.is_empty() {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "not shown: this host has nothing stronger than process groups: {:?}", host())
            .unwrap();
    }
    strong
}

/// A family that has left in every way; each member says so.
const FAMILY: [&str; 5] = [
    "spawn:[setpgid,mark:up,hang]",
    "spawn-setsid:[ignore:TERM+HUP+INT,mark:up,hang]",
    "spawn-detached:[spawn-setsid:[mark:up,hang],mark:up,hang]",
    "spawn:[mark:up,stop-self]",
    "hang",
];

async fn family(containment: Containment, change: impl FnOnce(&mut Command)) -> (Child, Leash) {
    let mut command = fixture(&FAMILY);
    command.stdout(Stdio::piped()).containment(containment);
    change(&mut command);
    let leash = Leash::tie(&mut command);
    let mut child = command.spawn().unwrap();
    drop(command);
    for _ in 0..5 {
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
    }
    (child, leash)
}

#[test]
fn every_way_to_end_the_child_ends_everything_it_started() {
    run(async {
        for containment in strong() {
            for way in ["kill", "start_kill", "terminate", "timeout", "drop", "cancel", "panic"] {
                let (mut child, leash) = family(containment, |command| {
                    command.timeout(Duration::from_secs(1));
                    command.termination(Termination::new().signal(Signal::TERM, Duration::from_millis(50)));
                })
                .await;
                match way {
                    "kill" => child.kill().await.unwrap(),
                    "start_kill" => child.start_kill().unwrap(),
                    "terminate" => {
                        let policy = Termination::new().signal(Signal::TERM, Duration::from_millis(50));
                        assert!(!child.terminate(&policy).await.unwrap().success());
                    }
                    "timeout" => {
                        let report = child.wait_with_output().await.unwrap();
                        assert_eq!((report.cause(), report.scope_empty()), (Cause::TimedOut, Some(true)));
                    }
                    "cancel" => drop(crate::support::cancelled(3, child.wait_with_output()).await),
                    "panic" => {
                        let holder = tokio::spawn(async move {
                            let _child = child;
                            std::panic::resume_unwind(Box::new("on purpose"));
                        });
                        assert!(holder.await.unwrap_err().is_panic());
                    }
                    _ => drop(child),
                }
                leash.wait_free();
            }
        }
    });
}

#[test]
fn a_leader_that_goes_while_its_worker_stays_does_not_end_the_ladder() {
    run(async {
        for containment in strong() {
            let mut command = fixture(&["spawn-setsid:[ignore:TERM,mark:up,hang]", "hang"]);
            command.stdout(Stdio::piped()).containment(containment);
            let leash = Leash::tie(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            let policy = Termination::new().signal(Signal::TERM, Duration::from_millis(100));
            let handle = child.handle();
            let (report, _) = tokio::join!(child.wait_with_output(), handle.terminate(&policy));
            let report = report.unwrap();
            assert_eq!(report.cause(), Cause::Terminated);
            let steps: Vec<String> = report.attempts().iter().map(ToString::to_string).collect();
            assert_eq!(steps.len(), 2, "{steps:?}");
            leash.wait_free();
        }
    });
}

fn leaver() -> Command {
    let mut command = fixture(&["spawn-setsid:[close-stdout,hang]", "spawned", "exit:0"]);
    command.stdout(Stdio::piped());
    command
}

#[test]
fn what_is_left_behind_is_named_and_ended_or_kept_as_asked() {
    run(async {
        for containment in strong() {
            for leak in [Leak::Kill, Leak::Fail, Leak::Report, Leak::Ignore] {
                let mut command = fixture(&["spawn-setsid:[close-stdout,close-stderr,hang]", "exit:0"]);
                command.containment(containment).leak(leak);
                let leash = Leash::tie(&mut command);
                let report = command.output().await.unwrap();
                drop(command);
                let names: Vec<_> = report.survivors().iter().map(|one| one.command.clone()).collect();
                let pids: Vec<_> = report.survivors().iter().map(|one| one.pid).collect();
                match leak {
                    Leak::Ignore => assert!(names.is_empty()),
                    _ => assert_eq!(names, ["test-child"]),
                }
                let empty = report.scope_empty();
                match leak {
                    Leak::Kill => assert!(report.checked().is_ok()),
                    Leak::Fail => {
                        let error = report.checked().unwrap_err();
                        assert_eq!(error.kind(), RunErrorKind::Leaked);
                        assert!(error.to_string().contains(&format!("test-child ({})", pids[0])), "{error}");
                    }
                    _ => assert!(report.checked().is_ok()),
                }
                if matches!(leak, Leak::Kill | Leak::Fail) {
                    assert_eq!(empty, Some(true));
                    leash.wait_free();
                } else {
                    assert_ne!(empty, Some(true));
                    for pid in pids {
                        assert!(!is_dead(pid), "{leak:?}");
                        nix::sys::signal::kill(
                            nix::unistd::Pid::from_raw(pid.cast_signed()),
                            nix::sys::signal::Signal::SIGKILL,
                        )
                        .unwrap();
                    }
                    if leak == Leak::Report {
                        leash.wait_free();
                    }
                }
            }
        }
    });
}

#[test]
fn descendants_that_end_within_the_grace_are_no_leak() {
    run(async {
        for containment in strong() {
            let mut command = fixture(&["spawn-setsid:[close-stdout,close-stderr,sleep:50ms]", "exit:0"]);
            command.containment(containment).leak(Leak::Fail).leak_grace(Duration::from_secs(20));
            let report = command.output().await.unwrap();
            assert_eq!((report.survivors().len(), report.scope_empty()), (0, Some(true)));
            assert!(report.checked().is_ok());
        }
    });
}

#[test]
fn waiting_for_the_child_alone_ends_what_it_left_behind_too() {
    run(async {
        for containment in strong() {
            let mut command = leaver();
            command.containment(containment);
            let leash = Leash::tie(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            // It says its number, be it one that only means it inside.
            line(child.stdout.as_mut().unwrap()).await;
            assert!(child.wait().await.unwrap().success());
            leash.wait_free();
        }
    });
}

#[test]
fn a_detached_child_is_let_go_with_what_it_started() {
    run(async {
        for containment in strong() {
            let (mut child, leash) = family(containment, |_| ()).await;
            let pid = child.id().unwrap();
            child.detach();
            drop(child);
            assert!(!is_dead(pid));
            let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            // The others are still there, and end with this program.
            drop(leash);
        }
    });
}

#[test]
fn what_is_asked_for_by_name_and_not_to_be_had_is_an_error_that_says_why() {
    run(async {
        for (strength, able) in host() {
            let containment = match strength {
                Strength::Cgroup => Containment::Cgroup,
                Strength::Keeper => Containment::Keeper,
                Strength::PidNamespace => Containment::PidNamespace,
                _ => continue,
            };
            let result = fixture(&[]).containment(containment).status().await;
            match able {
                Ok(()) => assert!(result.unwrap().success()),
                Err(refusal) => {
                    let error = result.unwrap_err();
                    assert!(error.to_string().contains(&refusal.reason), "{error}");
                    let kind = error.as_spawn_error().unwrap().kind();
                    assert_eq!(kind, herder::error::SpawnErrorKind::Containment);
                }
            }
        }
    });
}

#[test]
fn the_strength_in_force_is_told_with_the_reasons() {
    run(async {
        let mut child = fixture(&["eof-wait"]).stdin(Stdio::piped()).spawn().unwrap();
        let chosen: Vec<_> = host().into_iter().filter(|(strength, _)| !strength.is_opt_in()).collect();
        let best = chosen.iter().find(|(_, able)| able.is_ok()).unwrap().0;
        assert_eq!(child.strength(), best);
        assert_eq!(child.refusals().len(), chosen.iter().filter(|(strength, _)| *strength > best).count());
        assert!(child.wait().await.unwrap().success());
        let outlives = fixture(&[]).die_with_owner(false).spawn().unwrap();
        assert_eq!((outlives.strength(), outlives.refusals().len()), (Strength::Group, 2));
    });
}

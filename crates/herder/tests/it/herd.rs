//! Herds: many children, one hand.

use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

use herder::contain::Strength;
#[cfg(unix)]
use herder::error::SpawnErrorKind;
use herder::{Command, Containment, Herd, Signal, Stdio, Termination};

use crate::support::{Leash, eventually, fixture, line, run, strong, within};

/// Every containment of this host that a herd can have.
fn kinds() -> Vec<Containment> {
    // A group of Windows holds nobody.
    let group = (!cfg!(windows)).then_some(Containment::Group);
    strong().into_iter().chain(group).collect()
}

fn herd(containment: Containment) -> Herd {
    Herd::contained("test", containment).unwrap()
}

fn talker(steps: &[&str]) -> Command {
    let mut command = fixture(steps);
    command.stdout(Stdio::piped());
    command
}

/// One that nobody can ask to end.
const DEAF: &str =
    if cfg!(windows) { "spawn-detached:[mark:up,hang]" } else { "spawn-detached:[ignore:TERM,mark:up,hang]" };

#[test]
fn a_herd_is_ended_as_a_whole_in_every_way() {
    run(async {
        for containment in kinds() {
            for way in ["kill", "start_kill", "drop", "terminate"] {
                let herd = herd(containment);
                let mut command = talker(&["spawn:[mark:up,hang]", "mark:up", "hang"]);
                if herd.strength() > Strength::Group {
                    command = talker(&[DEAF, "mark:up", "hang"]);
                }
                let leash = Leash::tie(&mut command);
                let mut children =
                    vec![herd.spawn(&command).unwrap(), herd.spawn_async(&command).await.unwrap()];
                drop(command);
                for child in &mut children {
                    for _ in 0..2 {
                        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
                    }
                }
                assert_eq!(herd.children().len(), 2);
                match way {
                    "kill" => {
                        within(herd.kill()).await.unwrap();
                        assert_eq!((herd.children().len(), herd.members().unwrap().len()), (0, 0));
                    }
                    "start_kill" => herd.start_kill().unwrap(),
                    "terminate" => {
                        let policy = Termination::new().signal(Signal::TERM, Duration::from_millis(100));
                        let steps = within(herd.terminate(&policy)).await.unwrap();
                        assert_eq!(steps.len(), if herd.strength() > Strength::Group { 2 } else { 1 });
                    }
                    _ => drop(herd),
                }
                for child in &mut children {
                    assert!(!within(child.wait()).await.unwrap().success());
                }
                leash.wait_free();
            }
        }
    });
}

#[test]
fn dropping_a_member_ends_it_and_no_other() {
    run(async {
        for containment in kinds() {
            let herd = herd(containment);
            let mut first = herd.spawn(&talker(&["mark:up", "hang"])).unwrap();
            let mut second = herd.spawn(&talker(&["mark:up", "hang"])).unwrap();
            assert_eq!(line(first.stdout.as_mut().unwrap()).await, "up");
            assert_eq!(line(second.stdout.as_mut().unwrap()).await, "up");
            let handle = first.handle();
            drop(first);
            assert!(!within(handle.wait()).await.unwrap().success());
            assert_eq!(second.try_wait().unwrap(), None);
            within(herd.kill()).await.unwrap();
        }
    });
}

#[test]
fn members_are_all_that_were_started() {
    run(async {
        for containment in strong() {
            let herd = herd(containment);
            let family = ["spawn-setsid:[mark:up,hang]", "spawn-detached:[mark:up,hang]", "mark:up", "hang"];
            let mut child = herd.spawn(&talker(&family)).unwrap();
            for _ in 0..3 {
                assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            }
            let members = herd.members().unwrap();
            assert_eq!(members.len(), 3, "{members:?}");
            assert!(members.iter().all(|member| member.command.starts_with("test-child")), "{members:?}");
            assert!(members.iter().any(|member| Some(member.pid) == child.id()));
            let stats = herd.stats().unwrap();
            assert_eq!(stats.processes, 3);
            within(herd.kill()).await.unwrap();
            assert!(herd.members().unwrap().is_empty());
        }
    });
}

#[cfg(unix)]
#[test]
fn a_suspended_herd_refuses_a_spawn_at_once_and_goes_on_when_it_is_resumed() {
    run(async {
        for containment in kinds() {
            let herd = herd(containment);
            let mut ticker = herd.spawn(&talker(&["mark:up", "tick:100000:1ms"])).unwrap();
            assert_eq!(line(ticker.stdout.as_mut().unwrap()).await, "up");
            herd.suspend().unwrap();
            let start = Instant::now();
            let refused = herd.spawn(&fixture(&[])).unwrap_err();
            assert_eq!(refused.kind(), SpawnErrorKind::Containment, "{refused}");
            let refused = within(herd.spawn_async(&fixture(&[]))).await.unwrap_err();
            assert_eq!(refused.kind(), SpawnErrorKind::Containment, "{refused}");
            assert!(start.elapsed() < Duration::from_secs(2));
            herd.resume().unwrap();
            assert!(within(herd.member(&fixture(&[])).status()).await.unwrap().success());
            assert!(
                within(async { line(ticker.stdout.as_mut().unwrap()).await }).await.parse::<u32>().is_ok()
            );
            // Frozen processes can be killed.
            herd.suspend().unwrap();
            within(herd.kill()).await.unwrap();
        }
    });
}

#[test]
fn an_empty_herd_is_waited_for() {
    run(async {
        for containment in kinds() {
            let herd = herd(containment);
            within(herd.wait_empty()).await;
            let mut command = talker(&["eof-wait", "exit:3"]);
            let mut child = herd.spawn(command.stdin(Stdio::piped())).unwrap();
            let mut wait = std::pin::pin!(herd.wait_empty());
            assert!(tokio::time::timeout(Duration::from_millis(20), wait.as_mut()).await.is_err());
            drop(child.stdin.take());
            within(wait).await;
            assert_eq!(child.wait().await.unwrap().code(), Some(3));
        }
    });
}

#[cfg(unix)]
#[test]
fn a_signal_reaches_every_member() {
    run(async {
        for containment in kinds() {
            let herd = herd(containment);
            let steps = ["on:USR1:[mark:got,exit:4]", "mark:up", "hang"];
            let mut children: Vec<_> = (0..5).map(|_| herd.spawn(&talker(&steps)).unwrap()).collect();
            for child in &mut children {
                assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            }
            herd.signal(Signal::USR1).unwrap();
            for child in &mut children {
                assert_eq!(within(child.wait()).await.unwrap().code(), Some(4));
            }
        }
    });
}

#[cfg(unix)]
#[test]
fn a_child_from_elsewhere_is_adopted_where_that_can_be() {
    run(async {
        let stranger = || {
            let mut command = talker(&["mark:up", "read-stdin-line", "spawn-setsid:[mark:new,hang]", "hang"]);
            command.stdin(Stdio::piped()).containment(Containment::Group);
            command
        };
        for containment in strong() {
            let herd = herd(containment);
            let mut command = stranger();
            let leash = Leash::tie(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            if herd.strength() != Strength::Cgroup {
                herd.adopt(&child).unwrap_err();
                continue;
            }
            herd.adopt(&child).unwrap();
            tokio::io::AsyncWriteExt::write_all(child.stdin.as_mut().unwrap(), b"go\n").await.unwrap();
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "read go");
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "new");
            within(herd.kill()).await.unwrap();
            assert!(!child.wait().await.unwrap().success());
            leash.wait_free();
            herd.adopt(&child).unwrap_err();
        }
        let mut child = stranger().spawn().unwrap();
        herd(Containment::Group).adopt(&child).unwrap_err();
        child.kill().await.unwrap();
    });
}

#[test]
fn a_hundred_dropped_children_are_all_ended() {
    run(async {
        for containment in strong() {
            let children: Vec<_> = (0..100)
                .map(|_| {
                    let mut command = fixture(&["hang"]);
                    command.containment(containment).spawn().unwrap()
                })
                .collect();
            let handles: Vec<_> = children.iter().map(herder::Child::handle).collect();
            drop(children);
            eventually("all are gone", || handles.iter().all(|handle| handle.try_wait().unwrap().is_some()));
        }
    });
}

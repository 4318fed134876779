//! What a kill reaches beyond the child.

use std::time::Duration;

#[cfg(unix)]
use herder::contain::Leak;
use herder::contain::Strength;
use herder::{Containment, Signal, Stdio, Termination};
#[cfg(unix)]
use tokio::io::AsyncReadExt;

use crate::support::{Leash, fixture, line, run};
#[cfg(unix)]
use crate::support::{is_dead, within};

#[test]
fn every_way_to_end_the_child_ends_its_group() {
    run(async {
        for way in ["kill", "terminate", "timeout", "drop", "cancel"] {
            let mut command = fixture(&["spawn:[spawn:[mark:up,hang],mark:up,hang]", "mark:up", "hang"]);
            command.stdout(Stdio::piped()).timeout(Duration::from_secs(2));
            command.termination(Termination::new().signal(Signal::TERM, Duration::from_secs(5)));
            let leash = Leash::tie(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            for _ in 0..3 {
                assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            }
            match way {
                "kill" => child.kill().await.unwrap(),
                "terminate" => drop(child.terminate(&Termination::graceful()).await.unwrap()),
                "timeout" => drop(child.wait_with_output().await.unwrap()),
                "cancel" => drop(crate::support::cancelled(3, child.wait_with_output()).await),
                _ => drop(child),
            }
            leash.wait_free();
        }
    });
}

#[cfg(unix)]
#[test]
fn a_kill_wins_against_a_group_that_keeps_forking() {
    run(async {
        for _ in 0..10 {
            let mut command = herder::Command::new("sh");
            command.args(["-c", "echo up; while :; do (sleep 60 &) ; (sleep 60 &) ; done"]);
            command.stdout(Stdio::piped()).stderr(Stdio::null());
            let leash = Leash::tie(&mut command);
            let mut child = command.spawn().unwrap();
            drop(command);
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            child.kill().await.unwrap();
            leash.wait_free();
        }
    });
}

#[cfg(unix)]
#[test]
fn a_descendant_in_its_own_session_is_out_of_reach_and_that_is_told() {
    run(async {
        let mut command = fixture(&["spawn-setsid:mark:up,eof-wait,mark:bye", "spawned", "hang"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).containment(Containment::Group);
        let mut child = command.spawn().unwrap();
        // Not more is promised: see `Strength`.
        assert_eq!(child.strength(), Strength::Group);
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut lines = [line(&mut stdout).await, line(&mut stdout).await];
        lines.sort();
        let grandchild: u32 = lines[0].parse().unwrap();
        child.kill().await.unwrap();
        assert!(!is_dead(grandchild));
        drop(stdin);
        let mut text = String::new();
        within(stdout.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "bye\n");
    });
}

#[test]
fn without_containment_only_the_child_is_reached() {
    run(async {
        let mut command = fixture(&["spawn:mark:up,eof-wait,mark:bye", "mark:up", "hang"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).containment(Containment::None);
        let mut child = command.spawn().unwrap();
        assert_eq!(child.strength(), Strength::Child);
        let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        line(&mut stdout).await;
        line(&mut stdout).await;
        child.kill().await.unwrap();
        drop(stdin);
        assert_eq!(line(&mut stdout).await, "bye");
    });
}

#[cfg(unix)]
#[test]
fn a_child_that_leads_a_session_takes_its_group_along() {
    run(async {
        use herder::os::unix::CommandExt;
        let mut command = fixture(&["spawn:mark:up,hang", "mark:up", "hang"]);
        command.stdout(Stdio::piped()).setsid().containment(Containment::Group);
        let leash = Leash::tie(&mut command);
        let mut child = command.spawn().unwrap();
        drop(command);
        line(child.stdout.as_mut().unwrap()).await;
        line(child.stdout.as_mut().unwrap()).await;
        assert_eq!(child.strength(), Strength::Group);
        child.kill().await.unwrap();
        leash.wait_free();
    });
}

#[cfg(unix)]
#[test]
fn a_group_is_seen_to_be_empty_or_not() {
    run(async {
        let quiet = "[ignore:TERM,close-stdout,close-stderr,hang]";
        for (leak, end, empty) in [
            (Leak::Kill, "exit:0", Some(true)),
            (Leak::Report, "exit:0", Some(false)),
            (Leak::Ignore, "exit:0", None),
            // What lives on does so when the child ends by itself.
            (Leak::Report, "hang", Some(true)),
            (Leak::Ignore, "hang", Some(true)),
        ] {
            let mut command = fixture(&[&format!("spawn:{quiet}"), "spawned", end]);
            command.containment(Containment::Group).leak(leak);
            command.termination(Termination::new().signal(Signal::TERM, Duration::from_secs(60)));
            if end == "hang" {
                command.timeout(Duration::from_millis(500));
            }
            let leash = Leash::tie(&mut command);
            let report = command.output().await.unwrap();
            drop(command);
            assert_eq!((report.strength(), report.scope_empty()), (Strength::Group, empty), "{leak:?} {end}");
            if empty != Some(true) {
                let text = report.stdout_lossy();
                let pid = nix::unistd::Pid::from_raw(text.trim().parse().unwrap());
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
            leash.wait_free();
        }
    });
}

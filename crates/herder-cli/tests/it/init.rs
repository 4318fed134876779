//! `herder init`, as PID 1 of a namespace where that can be had, and as any other process.

use std::fs;
use std::time::{Duration, Instant};

use herder::{Command, Signal};

use crate::support::{Running, eventually, output, state, stderr, stdout};

/// Where `init` runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Somewhere,
}

/// Where it can run here.
async fn places() -> Vec<Place> {
    let first = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output().await;
    if first.is_ok_and(|report| report.success()) {
        vec![Place::First, Place::Somewhere]
    } else {
        eprintln!("SKIPPED: INIT AS PID 1 NEEDS unshare AND THE RIGHT TO MAKE A PID NAMESPACE");
        vec![Place::Somewhere]
    }
}

fn init(place: Place, options: &[&str], command: &[&str]) -> Command {
    let herder = env!("CARGO_BIN_EXE_herder");
    let mut init = match place {
        Place::First => Command::new("unshare"),
        Place::Somewhere => Command::new(herder),
    };
    if place == Place::First {
        init.args(["--pid", "--fork", "--mount-proc", herder]);
    }
    init.arg("init").args(options).arg("--").args(command);
    init.timeout(crate::support::LONG).containment(herder::Containment::Group);
    init
}

fn script<'a>(steps: &[&'a str]) -> Vec<&'a str> {
    [&[test_child::path().to_str().unwrap()], steps].concat()
}

/// The children of a process, by the numbers that they have here.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.collect::<String>().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// The number of `init` here.
fn init_of(place: Place, running: &Running) -> u32 {
    match place {
        Place::First => children(running.pid())[0],
        Place::Somewhere => running.pid(),
    }
}

fn send(pid: u32, signal: i32) {
    let line = format!("kill -{signal} {pid}");
    let sent = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { Command::new("sh").args(["-c", &line]).output().await.unwrap().success() })
    });
    assert!(sent.join().unwrap(), "{pid} can't be signalled");
}

#[tokio::test]
async fn it_ends_as_the_command_ends() {
    for place in places().await {
        for (command, code) in [
            (&script(&["exit:3"])[..], 3),
            (&script(&["kill-self:KILL"]), 137),
            (&["/no/such/program"], 127),
            (&["/etc/passwd"], 126),
        ] {
            let report = output(&init(place, &[], command)).await;
            assert_eq!(report.status.code(), Some(code), "{place:?} {command:?}: {}", stderr(&report));
        }
    }
    let own = output(&init(Place::Somewhere, &[], &["echo", "-k", "--help"])).await;
    assert_eq!(stdout(&own), "-k --help\n");
    if places().await.contains(&Place::First) {
        let report = output(&init(Place::First, &[], &["sh", "-c", "echo $PPID"])).await;
        assert_eq!(stdout(&report), "1\n");
    }
}

#[tokio::test]
async fn signals_are_passed_on() {
    let listed = ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "ALRM", "CONT"];
    for place in places().await {
        for name in listed {
            let signal: Signal = name.parse().unwrap();
            let on = format!("on:{name}:exit:7");
            let mut running = Running::start(&mut init(place, &[], &script(&[&on, "mark:up", "hang"]))).await;
            running.out.until("up").await;
            send(init_of(place, &running), signal.as_raw());
            let end = running.end().await;
            assert_eq!((end.code, end.rest), (Some(7), format!("caught SIG{name}\n")), "{place:?} {name}");
        }
        // And one of the real-time signals; bash knows them.
        let line = "trap 'exit 9' RTMIN+3; echo up; while :; do sleep 0.05; done";
        let mut running = Running::start(&mut init(place, &["-g", "0"], &["bash", "-c", line])).await;
        running.out.until("up").await;
        send(init_of(place, &running), 37);
        assert_eq!(running.end().await.code, Some(9), "{place:?}");
    }
}

#[tokio::test]
#[cfg_attr(herder_portable, ignore = "its keeper is one of the orphans, and stays")]
async fn orphans_are_reaped_while_the_command_runs() {
    for place in places().await {
        let line =
            "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'exit 1' &); done; echo up; exec sleep 1000";
        let mut running = Running::start(&mut init(place, &[], &["sh", "-c", line])).await;
        running.out.until("up").await;
        let init = init_of(place, &running);
        eventually("there is only the command", || children(init).len() == 1).await;
        // It is none of those that have ended, and becomes what it executes.
        eventually("the command sleeps", || state(children(init)[0]) == Some('S')).await;
        send(init, Signal::TERM.as_raw());
        assert_eq!(running.end().await.code, Some(143));
    }
}

#[tokio::test]
async fn what_is_left_is_asked_then_killed() {
    for place in places().await {
        let folder = tempfile::tempdir().unwrap();
        let [asked, deaf] = ["asked", "deaf"].map(|name| folder.path().join(name).display().to_string());
        let steps = [
            &format!("spawn-detached:on:TERM:[mark:asked,exit:0],touch:{asked},hang"),
            &format!("spawn-setsid:ignore:TERM,touch:{deaf},hang"),
            &format!("wait-file:{asked}"),
            &format!("wait-file:{deaf}"),
            "exit:4",
        ];
        let begin = Instant::now();
        let running = Running::start(&mut init(place, &["-g", "300ms"], &script(&steps))).await;
        // They hold the output, so they are gone when it has ended.
        let end = running.end().await;
        assert_eq!((end.code, end.rest.as_str()), (Some(4), "caught SIGTERM\nasked\n"), "{place:?}");
        assert!(begin.elapsed() > Duration::from_millis(300), "{place:?}");
    }
}

#[tokio::test]
async fn once_more_kills_what_is_left() {
    for place in places().await {
        let folder = tempfile::tempdir().unwrap();
        let deaf = folder.path().join("deaf").display().to_string();
        let left = format!("spawn-setsid:on:TERM:mark:asked,touch:{deaf},hang");
        let command = script(&[&left, &format!("wait-file:{deaf}")])
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>();
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let mut running = Running::start(&mut init(place, &["-g", "1h"], &command)).await;
        running.out.until("asked").await;
        send(init_of(place, &running), Signal::TERM.as_raw());
        assert_eq!(running.end().await.code, Some(0), "{place:?}");
    }
}

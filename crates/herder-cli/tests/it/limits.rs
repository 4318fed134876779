//! Limits and how they end the program, with everything that it started.

use std::time::{Duration, Instant};

use herder::Stdio;

use crate::support::{Running, SOON, herder, output, script, stderr, stdout};
#[cfg(unix)]
use crate::support::{eventually, state};

#[cfg(unix)]
#[tokio::test]
async fn the_ladder_asks_and_then_kills() {
    let options = ["-t", "300ms", "-k", "100ms"];
    let report = output(&script(&options, &["on:TERM:mark:asked", "mark:up", "hang"])).await;
    assert_eq!(stdout(&report), "up\ncaught SIGTERM\nasked\n");
    assert_eq!(report.status.code(), Some(124));
    assert!(
        stderr(&report).contains("did not end within 300ms; stopped it (SIGTERM, kill)"),
        "{}",
        stderr(&report)
    );
}

#[cfg(unix)]
#[tokio::test]
async fn the_first_signal_and_the_whole_ladder_can_be_chosen() {
    let steps = ["on:INT:mark:int", "on:USR1:[mark:usr1,exit:3]", "mark:up", "hang"];
    let report = output(&script(&["-t", "300ms", "-s", "USR1", "--preserve-status"], &steps)).await;
    assert_eq!((stdout(&report).as_str(), report.status.code()), ("up\ncaught SIGUSR1\nusr1\n", Some(3)));
    let ladder = "INT:100ms,USR1:5s";
    let report = output(&script(&["-t", "300ms", "--stop", ladder, "--preserve-status"], &steps)).await;
    let told = "up\ncaught SIGINT\nint\ncaught SIGUSR1\nusr1\n";
    assert_eq!((stdout(&report).as_str(), report.status.code()), (told, Some(3)));
    let report = output(&script(&["-t", "300ms", "--stop", "kill", "--preserve-status"], &steps)).await;
    assert_eq!(report.status.code(), Some(137));
}

#[tokio::test]
async fn standard_input_can_be_closed_to_end_it() {
    let mut command = script(&["-t", "300ms", "--stop", "stdin:20s"], &["eof-wait", "mark:eof", "exit:5"]);
    // An input that stays open, as from a terminal.
    let (reader, _writer) = std::io::pipe().unwrap();
    let report = output(command.arg("--").stdin(reader)).await;
    assert_eq!((stdout(&report).as_str(), report.status.code()), ("eof\n", Some(124)));
}

#[tokio::test]
async fn descendants_go_too() {
    let command = &mut script(&["-q", "-t", SOON], &["spawn:mark:grandchild,hang", "mark:child", "hang"]);
    let running = Running::start(command).await;
    // The output ends, so nobody who had it is left.
    let end = running.end().await;
    assert_eq!(end.code, Some(124));
    assert!(end.rest.contains("grandchild\n") && end.rest.contains("child\n"), "{end:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn descendants_that_have_left_the_group_are_asked_and_then_killed() {
    let left = "spawn-setsid:on:TERM:mark:asked,mark:left,hang";
    for (options, asked) in [(&["-k", "300ms"][..], true), (&["-s", "KILL"], false)] {
        let options = [&["-q", "-t", "500ms"], options].concat();
        let running = Running::start(&mut script(&options, &[left, "mark:up", "hang"])).await;
        // They hold the output of herder, so they are gone when it ends.
        let end = running.end().await;
        assert_eq!(end.code, Some(124));
        assert!(end.rest.contains("left\n") && end.rest.contains("asked\n") == asked, "{end:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn orphans_that_end_do_not_stay_as_zombies() {
    let mut running = Running::start(&mut script(&[], &["spawn-detached:pid", "mark:up", "hang"])).await;
    let orphan: u32 = loop {
        // Either may come first.
        if let Ok(pid) = running.out.next().await.parse() {
            break pid;
        }
    };
    eventually("the orphan is gone", || state(orphan).is_none()).await;
    running.child.signal(herder::Signal::TERM).unwrap();
    assert_eq!(running.end().await.code, Some(143));
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_left_when_the_program_has_ended_is_killed() {
    let running =
        Running::start(&mut script(&[], &["spawn:mark:left,hang", "wait-file:/dev/null", "exit:3"])).await;
    assert_eq!(running.end().await.code, Some(3));
}

#[tokio::test]
async fn output_moves_the_idle_limit() {
    // A start may take half a second under Wine.
    let silence = if cfg!(windows) { "3s" } else { "500ms" };
    let report = output(&script(&["--idle", silence], &["tick:8:100ms"])).await;
    assert_eq!((stdout(&report).as_str(), report.status.code()), ("1\n2\n3\n4\n5\n6\n7\n8\n", Some(0)));
    let report = output(&script(&["--idle", silence], &["tick:2:1ms", "hang"])).await;
    assert_eq!((stdout(&report).as_str(), report.status.code()), ("1\n2\n", Some(124)));
    assert!(stderr(&report).contains(&format!("wrote nothing for {silence}")), "{}", stderr(&report));
}

#[tokio::test]
async fn zero_is_no_limit() {
    let report = output(&script(&["-t", "0", "--idle", "0"], &["sleep:50ms", "exit:4"])).await;
    assert_eq!(report.status.code(), Some(4));
}

#[tokio::test]
async fn quiet_says_nothing_about_limits() {
    let report = output(&script(&["-q", "-t", "50ms"], &["hang"])).await;
    assert_eq!((stderr(&report).as_str(), report.status.code()), ("", Some(124)));
    let report = output(&herder(["run", "-q", "no-such-program"])).await;
    assert!(stderr(&report).starts_with("herder: can't start"), "{}", stderr(&report));
}

#[tokio::test]
async fn a_limit_does_not_wait_for_a_reader_that_does_not_read() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = script(&["-q", "-t", "300ms", "--idle", "1h"], &["bytes:10M", "hang"]);
    command.stdin(Stdio::null()).stdout(Stdio::from(writer)).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command.spawn_async().await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(124));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    drop(reader);
}

//! Signals to `herder` without a terminal: it runs as a service or a job of a script would.

use std::time::{Duration, Instant};

use herder::{Signal, Stdio};

use crate::support::{End, LONG, Running, eventually, herder, script, state};

async fn up(options: &[&str], steps: &[&str]) -> Running {
    let mut running = Running::start(&mut script(options, steps)).await;
    running.out.until("up").await;
    running
}

fn ended(code: i32, rest: &str) -> End {
    End { code: Some(code), rest: rest.into() }
}

#[tokio::test]
async fn the_program_gets_the_very_signal_and_its_end_is_ours() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let running = up(&[], &["mark:up", "hang"]).await;
        running.child.signal(signal).unwrap();
        assert_eq!(running.end().await, ended(code, ""), "{signal}");
    }
    for (signal, name) in [(Signal::INT, "INT"), (Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let running = up(&[], &[&format!("on:{name}:exit:7"), "mark:up", "hang"]).await;
        running.child.signal(signal).unwrap();
        assert_eq!(running.end().await, ended(7, &format!("caught SIG{name}\n")));
    }
}

#[tokio::test]
async fn a_program_that_does_not_listen_is_terminated_then_killed() {
    let steps = ["on:INT:mark:int", "on:TERM:mark:term", "mark:up", "hang"];
    let running = up(&["-k", "200ms"], &steps).await;
    running.child.signal(Signal::INT).unwrap();
    assert_eq!(running.end().await, ended(137, "caught SIGINT\nint\ncaught SIGTERM\nterm\n"));
}

#[tokio::test]
async fn what_stops_the_program_was_said_then_it_is_done() {
    let running = up(&["-s", "USR1"], &["on:USR1:exit:9", "mark:up", "hang"]).await;
    running.child.signal(Signal::INT).unwrap();
    assert_eq!(running.end().await, ended(9, "caught SIGUSR1\n"));
}

#[tokio::test]
async fn a_second_signal_hurries_and_a_third_kills() {
    let steps = ["on:INT:mark:int", "on:TERM:mark:term", "mark:up", "hang"];
    let mut running = up(&["-k", "1h"], &steps).await;
    running.child.signal(Signal::INT).unwrap();
    running.out.until("int").await;
    running.child.signal(Signal::INT).unwrap();
    running.out.until("term").await;
    running.child.signal(Signal::TERM).unwrap();
    assert_eq!(running.end().await, ended(137, ""));

    let steps = ["on:TERM:mark:term", "on:USR1:mark:one", "on:USR2:mark:two", "mark:up", "hang"];
    let mut running = up(&["--stop", "TERM:1h,USR1:1h,USR2:1h"], &steps).await;
    running.child.signal(Signal::TERM).unwrap();
    running.out.until("term").await;
    running.child.signal(Signal::TERM).unwrap();
    running.out.until("one").await;
    running.child.signal(Signal::TERM).unwrap();
    assert_eq!(running.end().await, ended(137, ""));
}

#[tokio::test]
async fn descendants_get_it_too() {
    let steps = ["spawn:mark:grandchild,hang", "mark:up", "hang"];
    let mut running = up(&[], &steps).await;
    running.child.signal(Signal::TERM).unwrap();
    let end = {
        let status = tokio::time::timeout(LONG, running.child.wait()).await.unwrap().unwrap();
        status.code()
    };
    assert_eq!(end, Some(143));
    // Nobody holds the output.
    running.end().await;
}

#[tokio::test]
async fn other_signals_are_passed_on() {
    for (signal, name) in [(Signal::QUIT, "QUIT"), (Signal::USR1, "USR1"), (Signal::USR2, "USR2")] {
        let running = up(&[], &[&format!("on:{name}:exit:8"), "mark:up", "hang"]).await;
        running.child.signal(signal).unwrap();
        assert_eq!(running.end().await, ended(8, &format!("caught SIG{name}\n")));
    }
}

#[tokio::test]
async fn a_stop_is_passed_on_and_ends_with_a_continue() {
    let ignores = &["ignore:TSTP", "pid", "mark:up", "hang"][..];
    for (steps, stopped) in [(&["pid", "mark:up", "hang"][..], 'T'), (ignores, 'S')] {
        let mut running = Running::start(&mut script(&[], steps)).await;
        let program: u32 = running.out.next().await.parse().unwrap();
        running.out.until("up").await;
        let herder = running.pid();
        running.child.signal(Signal::TSTP).unwrap();
        let both = || state(program) == Some(stopped) && state(herder) == Some('T');
        eventually("both are stopped, unless the program does not care", both).await;
        running.child.signal(Signal::CONT).unwrap();
        eventually("both go on", || state(program) == Some('S') && state(herder) == Some('S')).await;
        running.child.signal(Signal::TERM).unwrap();
        assert_eq!(running.end().await, ended(143, ""));
    }
}

#[tokio::test]
async fn nohup_stays_nohup() {
    let line = format!(
        "trap '' HUP; exec {} run {} pid mark:up hang",
        env!("CARGO_BIN_EXE_herder"),
        test_child::path().display()
    );
    let mut running = Running::start(herder::Command::new("sh").args(["-c", &line])).await;
    let program: u32 = running.out.next().await.parse().unwrap();
    running.out.until("up").await;
    running.child.signal(Signal::HUP).unwrap();
    // It would have come before this one.
    running.child.signal(Signal::USR1).unwrap();
    assert_eq!(running.end().await.code, Some(138));
    assert_eq!(state(program), None);
}

#[tokio::test]
async fn when_herder_is_killed_the_program_is_killed() {
    let mut running = up(&[], &["mark:up", "hang"]).await;
    running.child.start_kill().unwrap();
    assert_eq!(running.end().await, End { code: None, rest: String::new() });
}

/// Whenever it comes, before or after the handlers, before or after the start of the program: it ends both.
#[tokio::test]
async fn a_signal_at_any_time_ends_both() {
    for micros in (0..100).map(|round| round * 100) {
        let running = Running::start(&mut script(&[], &["hang"])).await;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_micros(micros) {
            std::hint::spin_loop();
        }
        running.child.signal(Signal::TERM).unwrap();
        let code = running.end().await.code;
        // Before the handlers there is nothing to clean up, and it just dies.
        assert!(code == Some(143) || code.is_none(), "{code:?} after {micros} us");
    }
}

#[tokio::test]
async fn a_signal_ends_a_wait_for_a_reader_that_does_not_read() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = script(&["-q", "--idle", "1h"], &["pid", "bytes:10M", "hang"]);
    command.stdin(Stdio::null()).stdout(Stdio::from(writer));
    let mut child = command.spawn_async().await.unwrap();
    let mut byte = [0];
    let mut reader = tokio::task::spawn_blocking(move || {
        std::io::Read::read_exact(&mut &reader, &mut byte).unwrap();
        reader
    })
    .await
    .unwrap();
    child.signal(Signal::TERM).unwrap();
    assert_eq!(tokio::time::timeout(LONG, child.wait()).await.unwrap().unwrap().code(), Some(143));
    std::io::Read::read_exact(&mut reader, &mut byte).unwrap();
}

#[tokio::test]
async fn a_signal_that_is_waiting_at_the_start_is_not_lost() {
    // Blocked until herder has listened, it would be pending; here it is herder itself that is slow to start.
    let mut running =
        Running::start(&mut herder(["run", "--idle", "1h", "sh", "-c", "kill -TERM $PPID; sleep 1000"]))
            .await;
    let status = tokio::time::timeout(LONG, running.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(143));
}

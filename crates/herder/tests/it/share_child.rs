//! Shared streams of real children: their end, their place in the report, and what a child is held up by.

use std::time::{Duration, Instant};

use herder::output::{Event, LineOptions, Origin, OutputEnd, Replay, ShareOptions, Unread, WhenFull, merge};
use herder::{Capture, Cause, Command, Stdio};

use crate::support::{fixture, run, within};

fn piped(steps: &[&str]) -> Command {
    let mut command = fixture(steps);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A shell that leaves a writer behind, out of our reach, which holds its streams.
fn leaves_a_holder() -> Command {
    let mut command = piped(&["spawn-setsid:[mark:born,sleep:20s]", "println:last", "exit:3"]);
    command.leak(herder::contain::Leak::Ignore);
    command
}

#[test]
fn a_grandchild_that_holds_the_pipe_hangs_no_consumer() {
    run(async {
        let mut child = leaves_a_holder().spawn().unwrap();
        let start = Instant::now();
        let stdout = child.stdout.take().unwrap().share();
        let collect = stdout.subscribe().collect(&Capture::default());
        let collected = within(collect.wait()).await.unwrap();
        assert_eq!(collected.stopped, herder::output::Stopped::End(OutputEnd::StillHeld));
        assert!(collected.value.to_text_lossy().contains("last\n"));
        assert_eq!(stdout.end(), Some(OutputEnd::StillHeld));
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
        assert!(start.elapsed() < Duration::from_secs(10));
    });
}

// T68, T72, T73: status and output are both there, whatever holds the pipe.
#[test]
fn the_report_has_what_was_read_of_a_shared_stream() {
    run(async {
        let mut child = leaves_a_holder().spawn().unwrap();
        let options = ShareOptions::new().capture(Capture::default());
        let mut stdout = child.stdout.take().unwrap().share_with(&options).subscribe();
        let report = within(child.wait_with_output()).await.unwrap();
        assert_eq!((report.status.code(), report.cause()), (Some(3), Cause::Exited));
        assert!(report.stdout_lossy().contains("last\n"), "{}", report.stdout_lossy());
        assert_eq!(*report.stdout_report().end(), OutputEnd::StillHeld);
        let mut bytes = Vec::new();
        while let Some(event) = stdout.next().await {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            bytes.extend_from_slice(&chunk);
        }
        assert_eq!(bytes, report.stdout);
    });
}

// T70, T71: whatever ends the run, what was read is in the report, and consumers have it.
#[test]
fn a_limit_that_ends_the_run_loses_no_output() {
    run(async {
        for idle in [false, true] {
            let mut command = piped(&["println:early", "eprintln:complaint", "hang"]);
            // Longer than a start takes.
            let limit = Duration::from_millis(if cfg!(windows) { 3000 } else { 300 });
            if idle {
                command.idle_timeout(limit)
            } else {
                command.timeout(limit)
            };
            let mut child = command.spawn().unwrap();
            let options = ShareOptions::new().capture(Capture::default());
            let lines = child.stdout.take().unwrap().share_with(&options).subscribe();
            let collect = lines.collect(&Capture::default());
            let report = within(child.wait_with_output()).await.unwrap();
            assert_eq!(report.cause(), if idle { Cause::Idle } else { Cause::TimedOut });
            assert_eq!((&*report.stdout, &*report.stderr), (&b"early\n"[..], &b"complaint\n"[..]));
            assert_eq!(*report.stdout_report().end(), OutputEnd::Eof);
            assert_eq!(within(collect.wait()).await.unwrap().value.bytes(), b"early\n");
        }
    });
}

#[test]
fn output_on_a_shared_stream_is_no_idleness() {
    run(async {
        let mut command = piped(&["tick:20:100ms"]);
        command.idle_timeout(Duration::from_secs(1));
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share();
        let report = within(child.wait_with_output()).await.unwrap();
        assert_eq!((report.cause(), report.stdout_report().total()), (Cause::Exited, stdout.total()));
        // Not captured: counted.
        assert_eq!(report.stdout_report().dropped(), stdout.total());
    });
}

#[test]
fn a_kill_ends_the_stream_and_keeps_what_was_read() {
    run(async {
        let mut child = piped(&["println:ready", "hang"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share();
        let mut lines = stdout.subscribe().lines(LineOptions::new());
        assert_eq!(within(lines.next()).await.unwrap().text(), "ready");
        child.kill().await.unwrap();
        assert!(within(lines.next()).await.is_none());
        assert_eq!(lines.end(), Some(OutputEnd::Eof));
        let mut late = stdout.subscribe();
        assert_eq!(late.next().await, Some(Event::Chunk("ready\n".into())));
    });
}

// T15
#[test]
fn a_subscriber_that_blocks_holds_up_the_child() {
    run(async {
        let mut child = piped(&["bytes:10M", "eprintln:done"]).spawn().unwrap();
        let options = ShareOptions::new().capacity(64 * 1024);
        let mut slow = child.stdout.take().unwrap().share_with(&options).subscribe();
        let mut done = child.stderr.take().unwrap().share().subscribe();
        tokio::time::timeout(Duration::from_millis(200), done.next()).await.unwrap_err();
        let mut total = 0;
        while let Some(event) = within(slow.next()).await {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            total += chunk.len();
        }
        assert_eq!(total, 10 << 20);
        assert_eq!(within(done.next()).await, Some(Event::Chunk("done\n".into())));
    });
}

// T17
#[test]
fn a_subscriber_that_drops_does_not() {
    run(async {
        for when_full in [WhenFull::DropNewest, WhenFull::DropOldest] {
            let mut child = piped(&["bytes:10M", "eprintln:done"]).spawn().unwrap();
            let stdout = child.stdout.take().unwrap().share();
            let mut slow = stdout.subscribe_with(Replay::All, when_full);
            assert!(within(child.wait()).await.unwrap().success());
            within(stdout.ended()).await;
            let (mut total, mut missing) = (0, 0);
            while let Some(event) = within(slow.next()).await {
                match event {
                    Event::Chunk(chunk) => total += chunk.len() as u64,
                    Event::Gap(bytes) => missing += bytes,
                }
            }
            assert_eq!(total + missing, 10 << 20);
            assert_eq!(total, 1 << 20);
        }
    });
}

// T16
#[test]
fn a_child_is_not_stopped_because_somebody_has_read_enough() {
    run(async {
        let mut child = piped(&["println:ready", "bytes:10M", "exit:3"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share();
        let mut lines = stdout.subscribe().lines(LineOptions::new());
        lines.wait_for_line(|line| line.text() == "ready").await.unwrap();
        drop(lines);
        drop(stdout);
        assert_eq!(within(child.wait()).await.unwrap().code(), Some(3));
    });
}

// T69
#[test]
fn what_was_written_before_anybody_subscribed_is_not_lost() {
    run(async {
        let mut child = piped(&["println:early", "exit:0"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share_with(&ShareOptions::new().replay(0));
        child.wait().await.unwrap();
        let mut late = stdout.subscribe();
        assert_eq!(within(late.next()).await, Some(Event::Chunk("early\n".into())));
        assert_eq!(within(late.next()).await, None);
    });
}

#[test]
fn a_subscriber_that_is_never_polled_does_not_hang_the_join() {
    run(async {
        // More than may be read ahead, and less than that and the pipe hold together: the child can exit.
        let mut child = piped(&["bytes:90K", "exit:3"]).spawn().unwrap();
        let options = ShareOptions::new().capacity(64 * 1024).capture(Capture::default());
        let forgotten = child.stdout.take().unwrap().share_with(&options).subscribe();
        let report = within(child.wait_with_output()).await.unwrap();
        assert_eq!(report.status.code(), Some(3));
        assert_eq!(*report.stdout_report().end(), OutputEnd::NotTaken);
        assert!(report.stdout_report().total() <= 64 * 1024);
        drop(forgotten);
    });
}

#[test]
fn a_stream_that_blocks_unread_ends_with_its_child_s_join() {
    run(async {
        let mut child = piped(&["println:moo"]).spawn().unwrap();
        let options = ShareOptions::new().unread(Unread::Block);
        let _stdout = child.stdout.take().unwrap().share_with(&options);
        let report = within(child.wait_with_output()).await.unwrap();
        assert_eq!(*report.stdout_report().end(), OutputEnd::NotTaken);
    });
}

#[test]
fn without_any_grace_everything_that_the_child_wrote_is_still_read() {
    run(async {
        for _ in 0..100 {
            let mut child = piped(&["println:one", "println:two"]).spawn().unwrap();
            let options = ShareOptions::new().drain_grace(Duration::ZERO);
            let collect = child.stdout.take().unwrap().share_with(&options).subscribe();
            let collected = within(collect.collect(&Capture::default()).wait()).await.unwrap();
            assert_eq!(collected.value.bytes(), b"one\ntwo\n");
        }
    });
}

#[test]
fn with_endless_grace_the_end_of_file_is_waited_for() {
    run(async {
        let mut command = piped(&["spawn-setsid:[sleep:1500ms,println:late]", "exit:3"]);
        command.leak(herder::contain::Leak::Ignore);
        let mut child = command.spawn().unwrap();
        let options = ShareOptions::new().drain_grace(Duration::MAX);
        let stdout = child.stdout.take().unwrap().share_with(&options);
        let collected = within(stdout.subscribe().collect(&Capture::default()).wait()).await.unwrap();
        assert_eq!((collected.value.bytes(), stdout.end()), (&b"late\n"[..], Some(OutputEnd::Eof)));
    });
}

#[test]
fn a_grandchild_that_never_stops_writing_hangs_no_consumer() {
    run(async {
        for step in ["spawn-setsid:bytes:10000M", "spawn-setsid:tick:100000:5ms"] {
            let mut command = piped(&[step, "print:hi", "exit:3"]);
            // Out of reach of the kill: it ends by itself when nobody reads.
            command.leak(herder::contain::Leak::Ignore);
            let mut child = command.spawn().unwrap();
            let options = ShareOptions::new().drain_grace(Duration::from_millis(50));
            let stdout = child.stdout.take().unwrap().share_with(&options);
            let collected = within(stdout.subscribe().collect(&Capture::none()).wait()).await.unwrap();
            assert_eq!(stdout.end(), Some(OutputEnd::StillHeld), "{step}");
            // Nothing that was read is lost on the way.
            assert_eq!(collected.value.total(), stdout.total());
        }
    });
}

// T14: no pipe and no task at all, and the child's output is the null device.
#[cfg(unix)]
#[test]
fn output_that_nobody_wants_goes_nowhere() {
    run(async {
        let mut command = fixture(&["fds"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        assert!(child.stdout.is_none() && child.stderr.is_none());
        let report = child.wait_with_output().await.unwrap();
        assert_eq!(*report.stdout_report().end(), OutputEnd::NotCaptured);
        let seen =
            Command::new("readlink").arg("/proc/self/fd/2").stderr(Stdio::null()).read().await.unwrap();
        assert_eq!(seen, "/dev/null");
    });
}

#[test]
fn both_streams_come_as_one_with_their_origins() {
    run(async {
        let mut child = piped(&["both:1M"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share().subscribe();
        let stderr = child.stderr.take().unwrap().share().subscribe();
        let mut both = merge(stdout, stderr);
        let mut totals = [0, 0];
        while let Some((origin, event)) = within(both.next()).await {
            let Event::Chunk(chunk) = event else { panic!("{event:?}") };
            totals[usize::from(origin == Origin::Stderr)] += chunk.len();
        }
        assert_eq!(totals, [1 << 20, 1 << 20]);
    });
}

#[test]
fn one_busy_stream_does_not_keep_the_other_from_being_read() {
    run(async {
        let mut child =
            piped(&["spawn:[write-until-epipe]", "sleep:100ms", "eprintln:me too", "hang"]).spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share().subscribe();
        let stderr = child.stderr.take().unwrap().share().subscribe();
        let mut both = merge(stdout, stderr);
        loop {
            let (origin, event) = within(both.next()).await.unwrap();
            if origin == Origin::Stderr {
                assert_eq!(event, Event::Chunk("me too\n".into()));
                break;
            }
        }
    });
}

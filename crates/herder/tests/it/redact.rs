//! Secrets in the output: replaced before anything keeps, writes, shows or shares them.

use std::time::Duration;

use herder::output::{Event, OutputEnd, Redact, Replay, WhenFull};
use herder::{Capture, Cause, Command, Stdio};

use crate::support::{fixture, run, within};

const SHOWN: &[u8] = b"pass=[redacted] end\n";

/// Writes a secret in two pieces, so that no read has it whole.
fn tells_a_secret() -> Command {
    let mut command = fixture(&["print:pass=hun", "sleep:20ms", "println:ter2 end", "eprint:hunter2"]);
    command.redact(Redact::new().literal("hunter2")).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn the_report_the_file_and_the_tee_have_no_secret() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut command = tells_a_secret();
        command.capture(Capture::default().spill_to(dir.path().join("log")));
        let mut tee = Vec::new();
        let child = command.spawn().unwrap();
        let report = child.wait_with_tee(Some(&mut tee), None).await.unwrap();
        assert_eq!((&*report.stdout, &*report.stderr), (SHOWN, &b"[redacted]"[..]));
        assert_eq!(tee, SHOWN);
        assert_eq!(std::fs::read(dir.path().join("log.stdout")).unwrap(), SHOWN);
        assert_eq!(std::fs::read(dir.path().join("log.stderr")).unwrap(), b"[redacted]");
        for stream in [report.stdout_report(), report.stderr_report()] {
            assert_eq!((stream.redactions(), stream.end()), (1, &OutputEnd::Eof));
        }
        assert_eq!(report.stdout_report().total(), SHOWN.len() as u64);
    });
}

#[test]
fn a_shared_stream_has_no_secret() {
    run(async {
        let mut child = tells_a_secret().spawn().unwrap();
        let stdout = child.stdout.take().unwrap().share();
        let mut early = stdout.subscribe();
        let report = within(child.wait_with_output()).await.unwrap();
        let mut late = stdout.subscribe_with(Replay::All, WhenFull::Block);
        for subscriber in [&mut early, &mut late] {
            let mut bytes = Vec::new();
            while let Some(event) = subscriber.next().await {
                let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                bytes.extend_from_slice(&chunk);
            }
            assert_eq!(bytes, SHOWN);
        }
        assert_eq!(report.stdout_report().redactions(), 1);
    });
}

#[test]
fn what_is_held_back_is_not_lost_when_reading_is_given_up() {
    run(async {
        // Less than half of the secret: it is shown when it is clear that no more comes.
        for (text, shown) in [("end=hun", "end=hun"), ("end=hunter", "end=[redacted]")] {
            let print = format!("print:{text}");
            let redact = Redact::new().literal("hunter2");
            let mut command = fixture(&["spawn-setsid:sleep:20s", &print]);
            command.redact(redact.clone()).leak(herder::contain::Leak::Ignore);
            command.stdout(Stdio::piped());
            let mut tee = Vec::new();
            let report = command.spawn().unwrap().wait_with_tee(Some(&mut tee), None).await.unwrap();
            assert_eq!(*report.stdout_report().end(), OutputEnd::StillHeld);
            assert!(report.stdout_lossy().ends_with(shown), "{}", report.stdout_lossy());
            assert_eq!(tee, report.stdout);

            let dir = tempfile::tempdir().unwrap();
            let said = dir.path().join("said");
            let mut command = fixture(&[&print, &format!("touch:{}", said.display()), "hang"]);
            command.redact(redact).stdout(Stdio::piped());
            let child = command.spawn().unwrap();
            let handle = child.handle();
            let kill = async {
                while !said.exists() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                handle.start_kill().unwrap();
            };
            let (report, ()) = tokio::join!(child.wait_with_output(), kill);
            let report = report.unwrap();
            assert_eq!((report.cause(), report.stdout_lossy()), (Cause::Killed, shown.to_owned()));
        }
    });
}

#[test]
fn a_secret_of_the_command_is_in_no_debug() {
    let mut command = Command::new("echo");
    command.redact(Redact::new().literal("hunter2"));
    let shown = format!("{command:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[cfg(feature = "redact")]
#[test]
fn patterns_go_line_by_line() {
    run(async {
        let mut command = fixture(&["print:token=ab", "sleep:20ms", "println:cd x", "println:ok"]);
        command.redact(Redact::new().pattern(r"token=\S+").unwrap());
        let report = command.output().await.unwrap();
        assert_eq!(report.stdout, b"[redacted] x\nok\n");
    });
}

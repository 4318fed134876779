//! Whatever ends a run, what was read until then is in the report, and subscribers have it.

use std::time::Duration;

use herder::output::{LineOptions, OutputEnd, Replay, ShareOptions, SharedOutput, WhenFull};
use herder::{Capture, Cause, Child, ChildHandle, Command, Signal, Stdio, Termination};
use tokio::sync::oneshot;

use crate::support::{fixture, run, within};

/// What makes an end of a child that has said all that it has to say.
type End = fn(ChildHandle);

/// Ends a run, shared or not, once its output was written, and gives its cause.
async fn cause_of(shared: bool, steps: &[&str], limit: fn(&mut Command), end: End) -> Cause {
    let said = ["bytes:100K", "eprint:complaint", "touch:said"];
    let folder = tempfile::tempdir().unwrap();
    let mut command = fixture(&[&said, steps].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(folder.path());
    limit(&mut command);
    let mut child = command.spawn().unwrap();
    let streams = if shared { share(&mut child) } else { Vec::new() };
    let (handle, path) = (child.handle(), folder.path().join("said"));
    let (over, mut is_over) = oneshot::channel::<()>();
    let ending = tokio::spawn(async move {
        while !path.exists() && is_over.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        end(handle);
    });
    let report = within(child.wait_with_output()).await.unwrap();
    drop(over);
    ending.await.unwrap();
    let context = format!("shared: {shared}, {steps:?}, {}", report.cause());
    assert_eq!((report.stdout.len(), &*report.stderr), (100 << 10, &b"complaint"[..]), "{context}");
    assert!(report.stdout.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 251), "{context}");
    for report in [report.stdout_report(), report.stderr_report()] {
        assert_eq!((report.end(), report.dropped()), (&OutputEnd::Eof, 0), "{context}");
    }
    for stream in streams {
        // The one that blocks had it all, and one that comes late has what is kept.
        let mut late = stream.subscribe_with(Replay::Bytes(9), WhenFull::Block).lines(LineOptions::new());
        assert!(late.next().await.is_some_and(|line| line.is_whole()), "{context}");
    }
    report.cause()
}

fn share(child: &mut Child) -> Vec<SharedOutput> {
    let options = ShareOptions::new().capture(Capture::default());
    let stdout = child.stdout.take().unwrap().share_with(&options);
    vec![stdout, child.stderr.take().unwrap().share_with(&options)]
}

#[test]
fn whatever_ends_a_run_its_output_is_in_the_report() {
    run(async {
        let nothing: End = |_| {};
        let no_limit = |_: &mut Command| {};
        for shared in [false, true] {
            let cause = async |steps: &[&str], limit: fn(&mut Command), end| {
                Box::pin(cause_of(shared, steps, limit, end)).await
            };
            assert_eq!(cause(&["exit:3"], no_limit, nothing).await, Cause::Exited);
            let timeout = |command: &mut Command| {
                command.timeout(Duration::from_secs(2));
            };
            assert_eq!(cause(&["hang"], timeout, nothing).await, Cause::TimedOut);
            let idle = |command: &mut Command| {
                command.idle_timeout(Duration::from_secs(2));
            };
            assert_eq!(cause(&["hang"], idle, nothing).await, Cause::Idle);
            let kill: End = |handle| handle.start_kill().unwrap();
            assert_eq!(cause(&["hang"], no_limit, kill).await, Cause::Killed);
            let terminate: End = |handle| {
                let ask = async move { handle.terminate(&Termination::default()).await };
                drop(tokio::spawn(ask));
            };
            assert_eq!(cause(&["hang"], no_limit, terminate).await, Cause::Terminated);
            let signal: End = |handle| handle.signal(Signal::HUP).unwrap();
            assert_eq!(cause(&["hang"], no_limit, signal).await, Cause::Signaled);
        }
    });
}

/// Reading fails where there is nothing to wait with.
#[test]
fn what_was_read_before_an_error_is_in_the_report() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        for shared in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut command = fixture(&["print:early", "touch:said", "hang"]);
            command.stdout(Stdio::piped()).current_dir(folder.path()).timeout(Duration::from_secs(2));
            let mut child = command.spawn().unwrap();
            while !folder.path().join("said").exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let options = ShareOptions::new().capture(Capture::default());
            let stream = shared.then(|| child.stdout.take().unwrap().share_with(&options));
            let report = within(child.wait_with_output()).await.unwrap();
            drop(stream);
            let end = report.stdout_report().end();
            assert!(matches!(end, OutputEnd::Failed { .. }), "shared: {shared}, {end}");
            assert_eq!(report.stdout_lossy(), "early", "shared: {shared}");
        }
    });
}

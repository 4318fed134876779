//! A handle that waits while a run is seen through takes nothing away from it; and limits that can't be had.

use std::time::Duration;

use herder::contain::{Force, Leak, Limit, host_limits};
use herder::error::SpawnErrorKind;
use herder::{Containment, Stdio};

use crate::support::{fixture, run, strong};

#[test]
fn a_handle_that_waits_does_not_end_what_has_its_grace() {
    for containment in strong() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let [begin, go] = ["begin", "go"].map(|name| folder.path().join(name).display().to_string());
            let left = format!("spawn-setsid:touch:{begin},wait-file:{go},sleep:200ms,mark:done");
            let begun = format!("wait-file:{begin}");
            let mut command = fixture(&[&left, &begun, &format!("touch:{go}")]);
            command.containment(containment).leak(Leak::Fail).leak_grace(Duration::from_secs(20));
            // What comes late is read: the grace is for both.
            command.stdout(Stdio::piped()).drain_grace(Duration::from_secs(20));
            let child = command.spawn().unwrap();
            let handle = child.handle();
            let waiter = tokio::spawn(async move { handle.wait().await.unwrap() });
            let report = child.wait_with_output().await.unwrap();
            assert_eq!(report.survivors(), [], "{containment:?}");
            assert_eq!((report.stdout_lossy().as_str(), report.scope_empty()), ("done\n", Some(true)));
            assert!(report.checked().is_ok() && waiter.await.unwrap().success());
        });
    }
}

#[test]
fn each_limit_is_in_force_or_told_why_not() {
    run(async {
        for (limit, can) in host_limits() {
            let mut command = fixture(&["exit:0"]);
            command.limit(limit);
            let report = command.output().await.unwrap();
            assert_eq!(report.limits().len(), 1);
            assert_eq!(report.limits(), [(limit, can.clone())]);
            let required = command.require_limits(true).output().await;
            assert_eq!(required.is_ok(), can.is_whole(), "{limit}");
        }
        let mut command = fixture(&["exit:0"]);
        command.containment(Containment::Group).limit(Limit::Processes(7));
        let report = command.output().await.unwrap();
        assert!(matches!(&report.limits()[0].1, Force::No(why) if why.contains("none was asked for")));
        let error = command.require_limits(true).spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Containment);
        assert!(error.to_string().contains("7 processes"), "{error}");
    });
}

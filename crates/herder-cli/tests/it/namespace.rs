//! `--scope pidns`: what a program sees there, that nothing leaves it, and that a refusal says why.

use std::fs;
use std::time::{Duration, Instant};

use herder::Signal;
use serde_json::Value;

use crate::support::{Running, eventually, herder, output, script, stderr, stdout};

/// Whether there are PID namespaces for us.
async fn is_there() -> bool {
    let report = output(&script(&["--scope", "pidns"], &["exit:3"])).await;
    if report.status.code() != Some(3) {
        eprintln!("SKIPPED: no PID namespace can be had: {}", stderr(&report));
    }
    report.status.code() == Some(3)
}

/// Processes that run with a variable of that value, whatever their numbers are for themselves.
fn marked(mark: &str) -> Vec<u32> {
    let has_it = |pid: &u32| {
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == format!("MARK={mark}").as_bytes())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_it).collect()
}

#[tokio::test]
async fn nothing_leaves_it() {
    if !is_there().await {
        return;
    }
    let away = ["spawn:mark:up,hang", "spawn-setsid:[ignore:TERM+HUP+INT,mark:up,hang]"];
    let steps = [&away[..], &["spawn-detached:mark:up,hang", "mark:up", "hang"]].concat();
    for event in [None, Some(Signal::TERM), Some(Signal::KILL)] {
        let mark = format!("{}-{event:?}", std::process::id());
        let limit = if event.is_some() { "1h" } else { "1s" };
        let options = ["-q", "-t", limit, "-k", "50ms", "--scope", "pidns", "--require-scope", "pidns"];
        let mut running = Running::start(script(&options, &steps).env("MARK", &mark)).await;
        for _ in 0..4 {
            assert_eq!(running.out.next().await, "up");
        }
        assert!(marked(&mark).len() >= 5, "herder and its four");
        if let Some(signal) = event {
            running.child.signal(signal).unwrap();
        }
        let begin = Instant::now();
        eventually("nobody is left", || marked(&mark).is_empty()).await;
        let took = begin.elapsed();
        assert!(event.is_none() || took < Duration::from_secs(1), "{event:?}: {took:?}");
        let code = running.end().await.code;
        assert_eq!(
            code,
            [Some(124), Some(143), None][event.map_or(0, |it| 1 + usize::from(it == Signal::KILL))]
        );
    }
}

#[tokio::test]
async fn pids_are_told_as_seen_from_here() {
    if !is_there().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [json, begin] = ["json", "begin"].map(|name| folder.path().join(name));
    let left = format!("spawn-detached:touch:{},hang", begin.display());
    let begun = format!("wait-file:{}", begin.display());
    let options = ["--scope", "pidns", "--leak", "fail", "--json", json.to_str().unwrap()];
    let end = output(&script(&options, &[&left, &begun, "pid"])).await;
    assert_eq!(end.status.code(), Some(125), "{}", stderr(&end));
    let report: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(report["scope"]["strength"], "pidns", "{report}");
    assert_ne!(report["pid"].to_string(), stdout(&end).trim(), "{report}");
    let left = report["survivors"].as_array().unwrap();
    assert_eq!((left.len(), &left[0]["command"]), (1, &"test-child".into()), "{report}");
    // Born after the program, from the same numbers.
    assert!(left[0]["pid"].as_u64().unwrap() > 20 && report["scope_empty"] == true, "{report}");
}

#[tokio::test]
#[cfg_attr(herder_portable, ignore = "there are no namespaces to be turned off")]
async fn what_can_not_be_is_refused_with_a_reason() {
    let refused = output(script(&["--scope", "pidns"], &["exit:0"]).env("HERDER_DISABLE", "pidns")).await;
    assert_eq!(refused.status.code(), Some(125));
    assert!(stderr(&refused).contains("HERDER_DISABLE turns PID namespaces off"), "{}", stderr(&refused));
    for options in [["--scope", "pidns", "--leak", "report"], ["--scope", "auto", "--require-scope", "pidns"]]
    {
        let refused = output(&script(&options, &["exit:0"])).await;
        assert_eq!(refused.status.code(), Some(125));
        assert!(stderr(&refused).contains("pidns"), "{}", stderr(&refused));
    }
    let doctor = output(herder(["doctor"]).env("HERDER_DISABLE", "pidns")).await;
    let said = stdout(&doctor).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("pidns no: HERDER_DISABLE turns PID namespaces off"), "{said}");
}

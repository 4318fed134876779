//! What `doctor` finds.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{herder, is_root, output, stderr, stdout};

/// The findings as JSON, and what is said about a scope in it.
async fn findings(disabled: &str) -> Value {
    let report = output(herder(["doctor", "--json"]).env("HERDER_DISABLE", disabled)).await;
    assert_eq!((report.status.code(), stderr(&report).as_str()), (Some(0), ""));
    serde_json::from_str(&stdout(&report)).unwrap()
}

fn scope<'a>(findings: &'a Value, strength: &str) -> &'a Value {
    let scopes = findings["scopes"].as_array().unwrap();
    scopes.iter().find(|scope| scope["strength"] == strength).unwrap()
}

#[tokio::test]
async fn it_says_what_is_so() {
    let all = findings("").await;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!((&all["v"], &all["kernel"]), (&1.into(), &release.trim_end().into()));
    let order: Vec<_> = all["scopes"].as_array().unwrap().iter().map(|scope| &scope["strength"]).collect();
    assert_eq!(order, ["pidns", "cgroup", "keeper", "group", "child"]);
    for weak in ["group", "child"] {
        assert_eq!(scope(&all, weak)["can"], true);
    }
    // What it says of scopes is what `run` finds.
    for strong in ["cgroup", "pidns"] {
        let run = output(&herder(["run", "--scope", strong, "true"])).await;
        assert_eq!(scope(&all, strong)["can"], run.success(), "{all}");
    }
    for limit in all["limits"].as_array().unwrap() {
        let (name, amount) = match limit["limit"].as_str().unwrap() {
            "memory" => ("--memory", "1G"),
            "pids" => ("--pids", "1000"),
            _ => ("--cpu", "100"),
        };
        let run = output(&herder(["run", name, amount, "--require-limits", "true"])).await;
        assert_eq!(limit["can"], run.success(), "{all}: {}", stderr(&run));
    }
    if let Some(mount) = all["cgroup_mount"].as_str() {
        assert!(fs::metadata(mount).unwrap().is_dir());
        assert!(fs::metadata(format!("{mount}/cgroup.procs")).is_ok());
    }
    assert!(all["facts"]["pidfd"].is_boolean());
}

#[tokio::test]
#[cfg_attr(herder_portable, ignore = "the rungs that are turned off are those of Linux")]
async fn it_says_why_not() {
    let all = findings("cgroup,clone3").await;
    let cgroup = scope(&all, "cgroup");
    assert_eq!(cgroup["can"], false);
    assert!(cgroup["reason"].as_str().unwrap().contains("HERDER_DISABLE turns cgroups off"), "{all}");
    assert_eq!(all["facts"]["clone3"], false);
    for limit in all["limits"].as_array().unwrap() {
        assert_eq!(limit["can"], false);
        assert!(limit["reason"].as_str().unwrap().contains("HERDER_DISABLE turns cgroups off"), "{all}");
    }
    let report = output(herder(["doctor"]).env("HERDER_DISABLE", "cgroup")).await;
    let text = stdout(&report);
    assert_eq!(report.status.code(), Some(0));
    assert!(text.contains("cgroup        no: HERDER_DISABLE turns cgroups off"), "{text}");
    assert!(text.contains("group         yes: "), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

#[tokio::test]
#[cfg_attr(herder_portable, ignore = "there is nothing that would help")]
async fn an_ordinary_user_is_told_what_would_help() {
    if !is_root() {
        eprintln!("SKIPPED: only root can become somebody else");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("herder");
    fs::copy(env!("CARGO_BIN_EXE_herder"), &copy).unwrap();
    let options = ["run", "--scope", "group", "--uid", "nobody", copy.to_str().unwrap(), "doctor", "--json"];
    let report = output(&herder(options)).await;
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
    let all = serde_json::from_str(&stdout(&report)).unwrap();
    let cgroup = scope(&all, "cgroup");
    assert_eq!(cgroup["can"], false, "{all}");
    let reason = cgroup["reason"].as_str().unwrap();
    assert!(reason.contains(": ") && reason.contains("; "), "what was tried, and what would help: {reason}");
}

//! What holds the program, and what becomes of those that it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herder::Signal;
use serde_json::Value;

use crate::support::{Running, SOON, eventually, is_root, output, script, state, stderr, stdout};

/// The program's descendants that try to get away: their pids are printed, one a line.
const AWAY: [&str; 3] = ["spawn:pid,hang", "spawn-setsid:pid,hang", "spawn-detached:pid,hang"];

/// Whether a process runs. (In a container nobody may reap the orphans of a herder that was killed.)
fn runs(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// `--scope` can be a cgroup here.
async fn has_cgroup() -> bool {
    let report = output(&script(&["--scope", "cgroup"], &["exit:0"])).await;
    if !report.success() {
        eprintln!("SKIPPED: no cgroup can be had: {}", stderr(&report));
    }
    report.success()
}

/// The directories of scopes, below all mounted hierarchies, whose owner was `pid`.
fn houses(pid: u32) -> Vec<PathBuf> {
    fn walk(folder: &Path, prefix: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(prefix) {
                    found.push(entry.path());
                }
                walk(&entry.path(), prefix, found);
            }
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut found = Vec::new();
    for mount in mounts.lines().filter(|line| line.contains(" - cgroup2 ")) {
        walk(Path::new(mount.split(' ').nth(4).unwrap()), &format!("herder-{pid}-"), &mut found);
    }
    found
}

/// Starts the program with descendants that try to get away; gives all their pids.
async fn family(options: &[&str]) -> (Running, Vec<u32>) {
    let steps: Vec<_> = AWAY.into_iter().chain(["pid", "hang"]).collect();
    let mut running = Running::start(&mut script(options, &steps)).await;
    let mut pids = Vec::new();
    while pids.len() < AWAY.len() + 1 {
        pids.push(running.out.next().await.parse().unwrap());
    }
    (running, pids)
}

#[tokio::test]
async fn nothing_survives_a_limit_or_a_signal() {
    let keeper = (!cfg!(herder_portable)).then_some("keeper");
    for scope in ["auto", "group"].into_iter().chain(keeper) {
        for event in [None, Some(Signal::INT), Some(Signal::TERM), Some(Signal::HUP)] {
            let limit = if event.is_some() { "1h" } else { "1s" };
            let (running, pids) = family(&["-q", "-t", limit, "--scope", scope]).await;
            let herder = running.pid();
            if let Some(signal) = event {
                running.child.signal(signal).unwrap();
            }
            let end = running.end().await;
            let wanted = event.map_or(124, |signal| 128 + signal.as_raw());
            assert_eq!(end.code, Some(wanted), "{scope} {event:?}");
            assert!(!pids.iter().any(|pid| runs(*pid)), "{scope} {event:?}");
            within_a_second("no directory is left", || houses(herder).is_empty()).await;
        }
    }
}

async fn within_a_second(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    eventually(what, holds).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{what} after {:?} only", begin.elapsed());
}

#[tokio::test]
async fn nothing_survives_a_kill_of_herder() {
    if !has_cgroup().await {
        return;
    }
    for _ in 0..10 {
        let (mut running, pids) = family(&[]).await;
        let herder = running.pid();
        assert_eq!(houses(herder).len(), 1);
        running.child.start_kill().unwrap();
        within_a_second("nobody is left", || !pids.iter().any(|pid| runs(*pid))).await;
        within_a_second("no directory is left", || houses(herder).is_empty()).await;
        assert_eq!(running.end().await.code, None);
    }
}

#[tokio::test]
async fn nothing_that_a_keeper_holds_survives_a_kill_of_herder() {
    let report = output(&script(&["--scope", "keeper"], &["exit:3"])).await;
    if report.status.code() != Some(3) {
        return eprintln!("SKIPPED: no keeper can be had: {}", stderr(&report));
    }
    for _ in 0..5 {
        let (mut running, pids) = family(&["--scope", "keeper", "--require-scope", "keeper"]).await;
        running.child.start_kill().unwrap();
        within_a_second("nobody is left", || !pids.iter().any(|pid| runs(*pid))).await;
        assert_eq!(running.end().await.code, None);
    }
    let report = output(&script(&["--scope", "keeper", "--leak", "report"], &["exit:3"])).await;
    assert_eq!(report.status.code(), Some(125));
    assert!(stderr(&report).contains("--leak"), "{}", stderr(&report));
}

#[tokio::test]
async fn what_is_left_at_the_end_of_the_program_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for disabled in ["", "cgroup"] {
        let begin = folder.path().join(format!("begin{disabled}"));
        let left = format!("spawn-detached:pid,touch:{},hang", begin.display());
        let begun = format!("wait-file:{}", begin.display());
        let mut command = script(&[], &[&left, &begun, "exit:3"]);
        let running = Running::start(command.env("HERDER_DISABLE", disabled)).await;
        let end = running.end().await;
        assert_eq!(end.code, Some(3));
        assert!(!runs(end.rest.trim().parse().unwrap()), "{disabled:?}");
    }
}

/// A run that leaves somebody: how it ends, its report, what it says, and who that was.
async fn leaves(options: &[&str], disabled: &str) -> (Option<i32>, Value, String, u32) {
    let folder = tempfile::tempdir().unwrap();
    let [begin, json] = ["begin", "json"].map(|name| folder.path().join(name));
    let left = format!("spawn-detached:pid,close-stdout,close-stderr,touch:{},hang", begin.display());
    let begun = format!("wait-file:{}", begin.display());
    let options = [options, &["--json", json.to_str().unwrap()]].concat();
    let mut command = script(&options, &[&left, &begun]);
    let report = output(command.env("HERDER_DISABLE", disabled)).await;
    let json = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    (report.status.code(), json, stderr(&report), stdout(&report).trim().parse().unwrap())
}

#[tokio::test]
async fn who_is_left_can_be_told_and_left_alone() {
    for disabled in ["", "cgroup"] {
        let (code, json, told, pid) = leaves(&["--leak", "report"], disabled).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains(&format!("test-child has left {pid} (")) && !told.contains("killed"), "{told}");
        assert_eq!(json["survivors"][0]["pid"], pid, "{json}");
        // It is not only there for the moment: herder has gone, and so has its keeper.
        eventually("herder's directory is gone", || houses_gone(&json)).await;
        assert!(runs(pid), "{disabled:?}: {told}");
        end(pid);

        let (code, json, told, pid) = leaves(&["--leak", "fail"], disabled).await;
        assert_eq!(code, Some(125), "{told}");
        assert!(told.contains(&format!("{pid} (")) && told.contains("killed"), "{told}");
        assert_eq!((&json["survivors"][0]["pid"], &json["exit_code"]), (&pid.into(), &125.into()));
        assert!(!runs(pid), "{disabled:?}");

        let (code, _, told, pid) = leaves(&["--leak", "ignore"], disabled).await;
        assert_eq!((code, told.as_str()), (Some(0), ""));
        assert!(runs(pid), "{disabled:?}");
        end(pid);
    }
}

/// What the library itself has started to watch over the program is an orphan, too, with the engine for other systems.
#[tokio::test]
async fn the_keeper_is_not_taken_for_somebody_who_was_left() {
    for options in [["--scope", "group"], ["--scope", "auto"]] {
        for leak in ["report", "fail"] {
            let report = output(&script(&[&options[..], &["--leak", leak]].concat(), &["exit:0"])).await;
            assert_eq!((report.status.code(), stderr(&report).as_str()), (Some(0), ""), "{options:?} {leak}");
        }
    }
    let stopped = output(&script(&["-t", SOON, "-k", "10s", "--scope", "group", "-q"], &["hang"])).await;
    // It was not asked to end, and so it was not waited for.
    assert_eq!((stopped.status.code(), stderr(&stopped).as_str()), (Some(124), ""));
}

/// Nobody has a scope whose owner was the parent of the program.
fn houses_gone(json: &Value) -> bool {
    // The number of herder itself is not in its report; that of the program follows it closely.
    let program = u32::try_from(json["pid"].as_u64().unwrap()).unwrap();
    (program.saturating_sub(10)..program).all(|pid| houses(pid).is_empty() || state(pid).is_some())
}

/// Ends one that was left alone, which is a child of nobody here.
fn end(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn those_that_end_in_time_are_not_left() {
    for disabled in ["", "cgroup"] {
        let folder = tempfile::tempdir().unwrap();
        let [begin, go] = ["begin", "go"].map(|name| folder.path().join(name).display().to_string());
        let left = format!("spawn-detached:touch:{begin},wait-file:{go},mark:done");
        let go = format!("touch:{go}");
        let steps = [&left, &format!("wait-file:{begin}"), &go];
        let steps: Vec<_> = steps.into_iter().map(String::as_str).collect();
        let mut command = script(&["--leak", "fail", "--leak-grace", "20s"], &steps);
        let begin = Instant::now();
        let report = output(command.env("HERDER_DISABLE", disabled)).await;
        assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(0), "done\n"), "{disabled:?}");
        assert!(begin.elapsed() < Duration::from_secs(15));
    }
}

#[tokio::test]
#[cfg_attr(herder_portable, ignore = "the rungs that are turned off are those of Linux")]
async fn the_report_says_what_held_it_and_why_not_more() {
    let json = |options: &'static [&'static str], disabled: &'static str| async move {
        let mut command = script(&[options, &["--json", "-"]].concat(), &["exit:0"]);
        let report = output(command.env("HERDER_DISABLE", disabled)).await;
        serde_json::from_str::<Value>(&stdout(&report)).unwrap()
    };
    let scope = json(&[], "cgroup").await;
    assert_eq!(scope["scope"]["strength"], "group");
    let refusal = &scope["scope"]["refusals"][0];
    assert_eq!(refusal["strength"], "cgroup");
    assert!(refusal["reason"].as_str().unwrap().contains("HERDER_DISABLE"), "{scope}");
    assert_eq!(json(&["--scope", "group"], "").await["scope"]["strength"], "group");
    assert_eq!(json(&["--scope", "none"], "").await["scope"]["strength"], "child");
    if has_cgroup().await {
        let scope = json(&[], "").await;
        assert_eq!(scope["scope"], serde_json::json!({"strength": "cgroup", "refusals": []}));
        assert_eq!((&scope["survivors"], &scope["scope_empty"]), (&serde_json::json!([]), &true.into()));
    }
}

#[tokio::test]
#[cfg_attr(herder_portable, ignore = "the rungs that are turned off are those of Linux")]
async fn what_is_required_and_can_not_be_had_runs_nothing() {
    let disabled = |options: &[&str]| {
        let mut command = script(options, &["mark:ran"]);
        command.env("HERDER_DISABLE", "cgroup");
        command
    };
    for options in [&["--require-scope", "cgroup"][..], &["--scope", "cgroup"]] {
        let report = output(&disabled(options)).await;
        assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(125), ""), "{options:?}");
        assert!(stderr(&report).contains("HERDER_DISABLE turns cgroups off"), "{}", stderr(&report));
    }
    assert!(output(&disabled(&["--require-scope", "group"])).await.success());
    let report = output(&script(&["--scope", "none", "--require-scope", "group"], &["mark:ran"])).await;
    assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(125), ""));
    assert!(stderr(&report).contains("child alone"), "{}", stderr(&report));
}

#[tokio::test]
async fn another_user_is_held_too() {
    if !is_root() || !has_cgroup().await {
        eprintln!("SKIPPED: only root can become somebody else");
        return;
    }
    let line = "setsid sleep 1000 >&- 2>&- & echo $!";
    let options = ["run", "--uid", "nobody", "--require-scope", "cgroup", "sh", "-c", line];
    let report = output(&crate::support::herder(options)).await;
    assert!(report.success(), "{}", stderr(&report));
    assert!(!runs(stdout(&report).trim().parse().unwrap()));
}

#[tokio::test]
async fn a_limit_is_in_force_or_it_is_said_why_not() {
    for disabled in ["", "cgroup"] {
        for (options, name, value) in [
            (["--memory", "64M"], "memory", 67_108_864.0),
            (["--pids", "20"], "pids", 20.0),
            (["--cpu", "1.5"], "cpu", 1.5),
        ] {
            let mut command = script(&[&options[..], &["--json", "-"]].concat(), &["exit:0"]);
            let report = output(command.env("HERDER_DISABLE", disabled)).await;
            let json: Value = serde_json::from_str(&stdout(&report)).unwrap();
            let limit = &json["limits"][0];
            assert_eq!((&limit["limit"], limit["value"].as_f64()), (&name.into(), Some(value)), "{json}");
            let mut command = script(&[&options[..], &["--require-limits"]].concat(), &["mark:ran"]);
            let required = output(command.env("HERDER_DISABLE", disabled)).await;
            if limit["reach"] == "tree" {
                assert_eq!((&limit["reason"], &limit["applied"]), (&Value::Null, &true.into()));
                assert_eq!(stderr(&report), "");
                assert!(required.success());
                continue;
            }
            let reason = limit["reason"].as_str().unwrap();
            eprintln!("NOT SHOWN: {name}: {reason}");
            let by_process = if name == "memory" { "each_process".into() } else { Value::Null };
            assert_eq!((&limit["reach"], &limit["applied"]), (&by_process, &(name == "memory").into()));
            assert!(report.success() && stderr(&report).contains(reason), "{}", stderr(&report));
            assert_eq!((required.status.code(), stdout(&required).as_str()), (Some(125), ""));
            assert!(stderr(&required).contains(reason), "{}", stderr(&required));
        }
    }
}

#[tokio::test]
async fn a_limit_of_processes_refuses_one_more() {
    // Eight at once, but for the shell itself.
    let line = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done 2>/dev/null; echo started";
    let report =
        output(&crate::support::herder(["run", "--pids", "4", "--require-limits", "bash", "-c", line])).await;
    if report.status.code() == Some(125) {
        eprintln!("SKIPPED: no limit of processes can be had: {}", stderr(&report));
        return;
    }
    assert!(!report.success() && !stdout(&report).contains("started"), "{}", stderr(&report));
}

#[tokio::test]
async fn a_program_that_takes_too_much_memory_is_said_to() {
    let options = ["--memory", "32M", "--require-limits", "--json", "-"];
    let report = output(&script(&options, &["memory:256M", "exit:0"])).await;
    if report.status.code() == Some(125) {
        eprintln!("SKIPPED: no limit of memory can be had: {}", stderr(&report));
        return;
    }
    let json: Value = serde_json::from_str(&stdout(&report)).unwrap();
    assert_eq!((&json["cause"], &json["exit_code"]), (&"out_of_memory".into(), &137.into()), "{json}");
    assert!(json["oom_kills"].as_u64() >= Some(1), "{json}");
    assert!(stderr(&report).contains("limit of memory"), "{}", stderr(&report));
}

#[tokio::test]
async fn who_was_there_before_the_program_is_spared() {
    for disabled in ["", "cgroup"] {
        // The shell becomes herder, with a child that it had.
        let herder = env!("CARGO_BIN_EXE_herder");
        let line = format!("sleep 1000 >&- 2>&- & echo $!; exec {herder} run --leak fail -t 5s true");
        let mut shell = herder::Command::new("sh");
        shell.args(["-c", &line]).env("HERDER_DISABLE", disabled).containment(herder::Containment::Group);
        let report = output(shell.leak(herder::contain::Leak::Ignore)).await;
        assert!(report.success(), "{disabled:?}: {}", stderr(&report));
        let before = stdout(&report).trim().parse().unwrap();
        assert!(runs(before), "{disabled:?}");
        end(before);
    }
}

//! The report.

use serde_json::Value;

use crate::support::{herder, output, script, stderr, stdout};

async fn report(options: &[&str], steps: &[&str]) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = [options, &["-q", "--json", file.path().to_str().unwrap()]].concat();
    output(&script(&options, steps)).await;
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert!(text.ends_with("}\n") && text.lines().count() == 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

const FIELDS: &[&str] = &[
    "v",
    "name",
    "program",
    "pid",
    "cause",
    "code",
    "signal",
    "signal_name",
    "core_dumped",
    "exit_code",
    "started",
    "elapsed_ms",
    "drained_ms",
    "usage",
    "stdout",
    "stderr",
    "tee",
    "ready",
    "attempts",
    "scope",
    "survivors",
    "scope_empty",
    "limits",
    "oom_kills",
    "error",
];

#[tokio::test]
async fn an_ordinary_end() {
    let json = report(&[], &["spin:30ms", "exit:3"]).await;
    let mut fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let mut wanted = FIELDS.to_vec();
    wanted.sort_unstable();
    assert_eq!(fields, wanted);
    assert_eq!(json["v"], 1);
    assert_eq!(json["name"], format!("test-child{}", std::env::consts::EXE_SUFFIX));
    assert_eq!(json["program"], test_child::path().to_str().unwrap());
    assert_eq!(json["cause"], "exited");
    assert_eq!((&json["code"], &json["exit_code"]), (&3.into(), &3.into()));
    for field in ["signal", "signal_name", "stdout", "stderr", "error"] {
        assert_eq!(json[field], Value::Null, "{field}");
    }
    assert!(json["pid"].as_u64().unwrap() > 0);
    assert!(json["elapsed_ms"].as_f64().unwrap() >= 30.0);
    let started = json["started"].as_str().unwrap();
    assert!(started.len() == "2026-11-21T12:00:00.000Z".len() && started.ends_with('Z'), "{started}");
    if cfg!(windows) {
        // Wine tells little of a process that has ended; the library's tests show what there is.
        return;
    }
    assert!(json["usage"]["user_ms"].as_f64().unwrap() + json["usage"]["system_ms"].as_f64().unwrap() > 0.0);
    assert!(json["usage"]["max_rss_bytes"].as_u64().unwrap() > 100_000);
}

#[cfg(unix)]
#[tokio::test]
async fn a_limit_and_what_was_tried() {
    let json = report(&["-t", "200ms", "-k", "100ms", "--name", "job"], &["ignore:TERM", "hang"]).await;
    assert_eq!(json["name"], "job");
    assert_eq!((&json["cause"], &json["exit_code"]), (&"timed_out".into(), &124.into()));
    assert_eq!((&json["signal"], &json["signal_name"]), (&9.into(), &"SIGKILL".into()));
    let steps: Vec<_> = json["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["step"]).collect();
    assert_eq!(steps, ["SIGTERM", "kill"]);
    assert!(json["attempts"][1]["after_ms"].as_f64().unwrap() >= 100.0);
    assert_eq!(json["attempts"][0]["error"], Value::Null);
    assert_eq!(report(&["--idle", "100ms"], &["hang"]).await["cause"], "idle");
}

#[tokio::test]
async fn streams_that_passed_through_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let path = path.to_str().unwrap();
    let json = report(&["--head", "10", "--tail", "5", "--spill", path], &["bytes:100", "eprint:ab"]).await;
    assert_eq!((&json["stdout"]["bytes"], &json["stdout"]["dropped"]), (&100.into(), &85.into()));
    assert_eq!((&json["stderr"]["bytes"], &json["stderr"]["dropped"]), (&2.into(), &0.into()));
    assert_eq!(json["stdout"]["end"], "eof");
    assert_eq!(json["stdout"]["spill"]["path"], format!("{path}.stdout"));
    assert_eq!(json["stdout"]["spill"]["written"], 100);
    let json = report(&["--idle", "20s"], &["bytes:1M"]).await;
    assert_eq!((&json["stdout"]["bytes"], &json["stdout"]["dropped"]), (&1_048_576.into(), &0.into()));
    assert_eq!(json["stdout"]["spill"], Value::Null);
}

#[tokio::test]
async fn a_program_that_could_not_be_started() {
    let report = output(&herder(["run", "--json", "-", "no-such-program", "hunter2"])).await;
    let json: Value = serde_json::from_str(&stdout(&report)).unwrap();
    assert_eq!((&json["cause"], &json["exit_code"]), (&"not_started".into(), &127.into()));
    assert_eq!(json["error"]["kind"], "program_not_found");
    let message = json["error"]["message"].as_str().unwrap();
    assert!(stderr(&report).contains(message) && message.contains("no-such-program"), "{message}");
    assert_eq!((&json["pid"], &json["usage"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn it_names_no_argument_and_no_value() {
    let secret = ["--", "hunter2"];
    let json = report(&["-e", "TOKEN=hunter2"], &[&["mark:hunter2"], &secret[..]].concat()).await;
    assert!(!json.to_string().contains("hunter2"), "{json}");
}

#[tokio::test]
async fn it_goes_to_standard_output() {
    let report = output(&script(&["--json", "-"], &["mark:own"])).await;
    let text = stdout(&report);
    let (own, json) = text.split_once('\n').unwrap();
    assert_eq!(own, "own");
    assert_eq!(serde_json::from_str::<Value>(json).unwrap()["cause"], "exited");
}

#[cfg(unix)]
#[tokio::test]
async fn it_goes_to_a_descriptor() {
    use std::io::Read;

    use herder::Stdio;
    use herder::os::unix::CommandExt;

    use crate::support::Running;

    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = script(&["--json", "fd:3"], &["mark:up", "hang"]);
    let mut running = Running::start(command.stderr(Stdio::null()).fd(3, writer)).await;
    drop(command);
    running.out.until("up").await;
    running.child.signal(herder::Signal::TERM).unwrap();
    assert_eq!(running.end().await.code, Some(143));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["cause"], &json["signal_name"]), (&"terminated".into(), &"SIGTERM".into()));
}

#[cfg(unix)]
#[tokio::test]
async fn one_that_can_not_be_written_makes_a_success_a_failure() {
    for (steps, code) in [("exit:0", 125), ("exit:3", 3)] {
        let report = output(&script(&["--json", "/dev/full"], &[steps])).await;
        assert_eq!(report.status.code(), Some(code));
        assert!(stderr(&report).contains("can't write the report to /dev/full"), "{}", stderr(&report));
    }
}

//! What is another thing on Windows than elsewhere.

use std::fs;

use serde_json::Value;

use crate::support::{Running, fixture, herder, output, script, stderr, stdout};

async fn json(options: &[&str], steps: &[&str]) -> (Option<u32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report");
    let report = output(&script(&[options, &["-q", "--json", path.to_str().unwrap()]].concat(), steps)).await;
    let json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    (report.status.code().map(i32::cast_unsigned), json)
}

#[tokio::test]
async fn codes_have_32_bits() {
    for code in [0, 3, 256, 259, 0xC000_0005_u32] {
        let (own, report) = json(&[], &[&format!("exit:{code}")]).await;
        assert_eq!(
            (own, &report["exit_code"], &report["cause"]),
            (Some(code), &code.into(), &"exited".into())
        );
        assert_eq!(report["signal"], Value::Null);
    }
}

#[tokio::test]
async fn a_limit_ends_the_whole_job() {
    for limit in ["-t", "--idle"] {
        let options = [limit, "500ms", "-s", "KILL"];
        let (code, report) = json(&options, &["spawn:hang", "spawn-detached:hang", "hang"]).await;
        assert_eq!((code, &report["exit_code"]), (Some(124), &124.into()));
        assert_eq!((&report["code"], &report["scope"]["strength"]), (&137.into(), &"job".into()));
        assert_eq!(report["scope_empty"], true);
        let (code, _) = json(&[&options[..], &["--preserve-status"]].concat(), &["hang"]).await;
        assert_eq!(code, Some(137));
    }
}

/// Without a console nobody can be asked, and it is not waited for the whole time that was to be left.
#[tokio::test]
async fn a_limit_that_can_not_ask_kills() {
    let (code, report) = json(&["-t", "300ms", "-k", "1h", "--scope", "none"], &["hang"]).await;
    assert_eq!((code, &report["scope"]["strength"]), (Some(124), &"child".into()));
    let steps: Vec<_> =
        report["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["step"]).collect();
    assert_eq!(steps, ["SIGTERM", "kill"], "{report}");
    assert!(report["attempts"][0]["error"].as_str().unwrap().contains("group"), "{report}");
}

#[tokio::test]
async fn what_is_left_is_named_and_ended() {
    let (code, report) = json(&["--leak", "fail"], &["spawn:hang", "exit:0"]).await;
    assert_eq!((code, report["survivors"].as_array().unwrap().len()), (Some(125), 1));
    assert!(report["survivors"][0]["command"].as_str().unwrap().contains("test-child"), "{report}");
    let running = Running::start(&mut script(&[], &["spawn:mark:left,hang", "exit:3"])).await;
    // Everybody who held the output is gone.
    assert_eq!(running.end().await.code, Some(3));
}

/// However it ends.
#[tokio::test]
async fn all_of_it_dies_with_herder() {
    let mut running = Running::start(&mut script(&[], &["spawn:mark:left,hang", "hang"])).await;
    running.out.until("left").await;
    running.child.start_kill().unwrap();
    assert_eq!(running.end().await.code, Some(137));
}

#[tokio::test]
async fn what_windows_does_not_have_is_refused() {
    for (options, what) in [
        (&["--uid", "0"][..], "--uid is not for Windows"),
        (&["--gid", "0"], "--gid is not for Windows"),
        (&["--nice", "5"], "--nice is not for Windows"),
        (&["--scope", "cgroup"], "--scope cgroup is not for Windows"),
        (&["--scope", "keeper"], "--scope keeper is not for Windows"),
        (&["--scope", "pidns"], "--scope pidns is not for Windows"),
        (&["--scope", "group"], "--scope group is not for Windows"),
        (&["--require-scope", "cgroup"], "write job"),
        (&["--leak", "report"], "--leak report"),
        (&["--leak", "ignore"], "--scope none"),
        (&["--json", "fd:3"], "name a file"),
    ] {
        let report = output(&script(options, &["print:ran"])).await;
        assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(125), ""), "{options:?}");
        let said = stderr(&report);
        assert!(said.starts_with("herder: ") && said.contains(what), "{said}");
    }
    let report = output(&herder(["init", fixture(), "print:ran"])).await;
    assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(125), ""));
    assert!(stderr(&report).contains("init is not for Windows"), "{}", stderr(&report));
    for options in [["--scope", "job"], ["--require-scope", "job"], ["--require-scope", "group"]] {
        assert_eq!(stdout(&output(&script(&options, &["print:ran"])).await), "ran", "{options:?}");
    }
    let report = output(&script(&["--scope", "none", "--leak", "ignore"], &["print:ran"])).await;
    assert_eq!(stdout(&report), "ran");
}

#[tokio::test]
async fn not_executable_is_126_and_not_found_127() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.exe");
    fs::write(&text, "no program").unwrap();
    let code = async |program: &str| output(&herder(["run", program])).await.status.code();
    assert_eq!(code(text.to_str().unwrap()).await, Some(126));
    assert_eq!(code(folder.path().to_str().unwrap()).await, Some(126));
    assert_eq!(code("no-such-program").await, Some(127));
    assert_eq!(code(r".\no\such\program").await, Some(127));
}

#[tokio::test]
async fn environment_and_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let mut command = script(
        &["-C", path, "-e", "A=1=2", "-e", "\u{e4}=\u{1f600}", "-u", "GONE"],
        &["cwd", "env:A", "env:\u{e4}", "env:gone", "env:KEPT"],
    );
    command.env("GONE", "here").env("KEPT", "here");
    let text = stdout(&output(&command).await);
    let (cwd, rest) = text.split_once('\n').unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap().to_lowercase();
    assert!(cwd.to_lowercase().ends_with(&name), "{cwd}");
    assert_eq!(rest, "A=1=2\n\u{e4}=\\xf0\\x9f\\x98\\x80\ngone unset\nKEPT=here\n");
    let report =
        output(&script(&["--env-clear", "-e", "ONLY=this"], &["env:ONLY", "env:PATH", "env:SystemRoot"]))
            .await;
    let text = stdout(&report);
    assert!(
        text.starts_with("ONLY=this\n") && text.contains("SystemRoot=") && !text.contains("KEPT"),
        "{text}"
    );
}

#[tokio::test]
async fn doctor_says_what_is_so() {
    let report = output(&herder(["doctor", "--json"])).await;
    assert_eq!((report.status.code(), stderr(&report).as_str()), (Some(0), ""));
    let all: Value = serde_json::from_str(&stdout(&report)).unwrap();
    assert_eq!(all["v"], 1);
    let kernel = all["kernel"].as_str().unwrap();
    assert!(kernel.starts_with(|digit: char| digit.is_ascii_digit()) && kernel.contains('.'), "{kernel}");
    let scopes: Vec<_> = all["scopes"].as_array().unwrap().iter().map(|scope| &scope["strength"]).collect();
    assert_eq!(scopes, ["job", "child"]);
    assert_eq!(all["scopes"][0]["can"], true);
    // What it says of limits is what `run` finds.
    for limit in all["limits"].as_array().unwrap() {
        let (name, amount) = match limit["limit"].as_str().unwrap() {
            "memory" => ("--memory", "1G"),
            "pids" => ("--pids", "1000"),
            _ => ("--cpu", "100"),
        };
        let run = output(&script(&[name, amount, "--require-limits"], &["exit:0"])).await;
        assert_eq!(limit["can"], run.success(), "{all}: {}", stderr(&run));
    }
    let text = stdout(&output(&herder(["doctor"])).await);
    assert!(text.contains(&format!("on Windows {kernel}")) && text.contains("job           yes: "), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

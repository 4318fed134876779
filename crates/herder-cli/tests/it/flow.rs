//! What happens to the output on its way: the file, names and times, secrets, one stream of two, and who waits for a
//! line.

use std::fs;

use herder::{Capture, Stdio};
#[cfg(unix)]
use herder::{Command, Signal};
use serde_json::Value;

#[cfg(unix)]
use crate::support::{LONG, eventually};
use crate::support::{Running, SOON, output, script, stderr, stdout};

fn json(path: &std::path::Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn the_file_has_both_streams_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let [log, report] = ["log", "report"].map(|name| folder.path().join(name));
    let options = ["--tee", log.to_str().unwrap(), "--json", report.to_str().unwrap()];
    let steps = ["lines:100000", "eprint:a", "sleep:10ms", "eprintln:b", "print:end"];
    let all: String = (1..=100_000).map(|line| format!("{line}\n")).collect();
    let shown = output(script(&options, &steps).capture(Capture::unlimited())).await;
    assert_eq!((shown.status.code(), stderr(&shown).as_str()), (Some(0), "ab\n"));
    assert!(stdout(&shown) == format!("{all}end"));
    let file = fs::read_to_string(&log).unwrap();
    // The order of the two streams is not known, that of each of them is.
    let (err, out): (Vec<_>, Vec<_>) = file.lines().partition(|line| *line == "ab");
    assert_eq!(err, ["ab"]);
    assert!(out == format!("{all}end").lines().collect::<Vec<_>>());
    let json = json(&report);
    assert_eq!((&json["tee"]["error"], &json["tee"]["rotations"]), (&Value::Null, &0.into()));
    assert_eq!(json["tee"]["path"], log.to_str().unwrap());
    assert_eq!(json["tee"]["written"], fs::metadata(&log).unwrap().len());
}

#[tokio::test]
async fn the_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    for text in ["println:one", "println:two"] {
        output(&script(&["--tee", log.to_str().unwrap()], &[text])).await;
    }
    assert_eq!(fs::read_to_string(log).unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn the_file_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let [log, report] = ["log", "report"].map(|name| folder.path().join(name));
    let options = ["--tee", log.to_str().unwrap(), "--rotate", "10K,3", "--json", report.to_str().unwrap()];
    let shown = output(script(&options, &["lines:100000"]).capture(Capture::unlimited())).await;
    let names = ["log.2", "log.1", "log"].map(|name| folder.path().join(name));
    let files = names.map(|name| fs::read_to_string(name).unwrap());
    assert!(files.iter().all(|file| file.len() <= 10 * 1024 && file.ends_with('\n')), "{files:?}");
    assert!(files[..2].iter().all(|file| file.len() > 8 * 1024), "{files:?}");
    assert!(stdout(&shown).ends_with(&files.concat()));
    assert!(!folder.path().join("log.3").exists());
    assert!(json(&report)["tee"]["rotations"].as_u64().unwrap() > 50);
}

#[tokio::test]
async fn names_and_times_stand_before_each_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let options = ["--prefix", "--timestamps", "--name", "web", "--tee", log.to_str().unwrap()];
    let report = output(&script(&options, &["println:one", "eprintln:two", "print:end"])).await;
    // 2001-09-09T01:46:40.123Z
    let without_times = |text: String| -> Vec<String> {
        let line = |line: &str| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
            rest.to_owned()
        };
        text.lines().map(line).collect()
    };
    let mut file = without_times(fs::read_to_string(log).unwrap());
    assert_eq!(without_times(stdout(&report)), ["web stdout | one", "web stdout | end"]);
    assert_eq!(without_times(stderr(&report)), ["web stderr | two"]);
    file.sort();
    assert_eq!(file, ["web stderr | two", "web stdout | end", "web stdout | one"]);
}

#[tokio::test]
async fn secrets_are_replaced_wherever_output_goes() {
    let folder = tempfile::tempdir().unwrap();
    let [log, out, report] = ["log", "out", "report"].map(|name| folder.path().join(name));
    let common = ["--redact", r"token=\S+", "--redact", "[0-9]{4}-[0-9]{4}", "--ready-line", "token"];
    let files = [
        "--tee",
        log.to_str().unwrap(),
        "--spill",
        out.to_str().unwrap(),
        "--json",
        report.to_str().unwrap(),
    ];
    let options = [&common[..], &files, &["--tail", "100"]].concat();
    let steps =
        ["print:a tok", "sleep:10ms", "println:en=hunter2 b", "eprintln:card 1234-5678", "print:token=x"];
    let shown = output(&script(&options, &steps)).await;
    assert_eq!(stdout(&shown), "a [redacted] b\n[redacted]");
    assert!(stderr(&shown).starts_with("card [redacted]\n"), "{}", stderr(&shown));
    for file in [&log, &out.with_extension("stdout"), &out.with_extension("stderr"), &report] {
        let text = fs::read_to_string(file).unwrap();
        assert!(!text.contains("token") && !text.contains("1234"), "{}: {text}", file.display());
        assert!(file == &report || text.contains("[redacted]"), "{}: {text}", file.display());
    }
    let json = json(&report);
    assert_eq!((&json["stdout"]["redactions"], &json["stderr"]["redactions"]), (&2.into(), &1.into()));
    // Who waits for a line does not see the secrets either.
    assert_eq!((&json["ready"], shown.status.code()), (&Value::Null, Some(125)));
}

#[tokio::test]
async fn merged_streams_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let steps = ["println:a", "eprintln:b", "print:c", "eprintln:d", "println:e"];
    let report = output(&script(&["--merge"], &steps)).await;
    assert_eq!((stdout(&report).as_str(), report.stderr.as_slice()), ("a\nb\ncd\ne\n", &b""[..]));
    let options = ["--merge", "--prefix", "--name", "web", "--tee", log.to_str().unwrap()];
    let report = output(&script(&options, &steps)).await;
    let lines = "web | a\nweb | b\nweb | cd\nweb | e\n";
    assert_eq!((stdout(&report).as_str(), report.stderr.as_slice()), (lines, &b""[..]));
    assert_eq!(fs::read_to_string(log).unwrap(), lines);
}

#[cfg(unix)]
#[tokio::test]
async fn merged_streams_are_inherited_where_nobody_looks() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = script(&["--merge"], &["fds"]);
    command.stdin(Stdio::null()).stdout(file.reopen().unwrap()).status().await.unwrap();
    let fds = fs::read_to_string(file.path()).unwrap();
    let path = file.path().to_str().unwrap();
    for number in ["1", "2"] {
        assert!(fds.lines().any(|line| line.starts_with(number) && line.contains(path)), "{fds}");
    }
}

#[tokio::test]
async fn a_prompt_is_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let [log, go] = ["log", "go"].map(|name| folder.path().join(name));
    let options = ["--tee", log.to_str().unwrap(), "--ready-line", "welcome"];
    let wait = format!("wait-file:{}", go.display());
    let mut running =
        Running::start(&mut script(&options, &["print:Name: ", &wait, "println:welcome"])).await;
    running.out.until_text("Name: ").await;
    fs::write(&go, "").unwrap();
    let end = running.end().await;
    assert_eq!((end.code, end.rest.as_str()), (Some(0), "Name: welcome\n"));
    assert_eq!(fs::read_to_string(log).unwrap(), "Name: welcome\n");
}

#[tokio::test]
async fn a_line_says_that_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let [go, report] = ["go", "report"].map(|name| folder.path().join(name));
    let options =
        ["--ready-line", "^listening on [0-9]+$", "--name", "web", "--json", report.to_str().unwrap()];
    let wait = format!("wait-file:{}", go.display());
    let steps = ["println:not listening on 1", "eprintln:listening on 80", &wait, "exit:3"];
    let mut command = script(&options, &steps);
    // What herder says comes where the program's own errors come.
    let mut running = Running::start(command.stderr(Stdio::to_stdout())).await;
    while !running.out.next().await.starts_with("herder: web is ready after ") {}
    fs::write(&go, "").unwrap();
    assert_eq!(running.end().await.code, Some(3));
    let json = json(&report);
    assert_eq!(
        (&json["ready"]["line"], &json["ready"]["stream"]),
        (&"listening on 80".into(), &"stderr".into())
    );
    assert!(json["ready"]["after_ms"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn an_end_before_it_was_ready_is_no_success() {
    for (steps, code) in [(&["println:x"][..], 125), (&["exit:3"], 3), (&["hang"], 124)] {
        let report = output(&script(&["--ready-line", "^ready$", "-t", SOON, "--name", "web"], steps)).await;
        assert_eq!(report.status.code(), Some(code), "{steps:?}");
        assert!(stderr(&report).contains("web ended before it was ready"), "{}", stderr(&report));
    }
    let report = output(&script(&["--ready-line", "^ready$"], &["print:ready"])).await;
    assert_eq!(report.status.code(), Some(0));
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_leaves_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let herder = env!("CARGO_BIN_EXE_herder");
    let log = folder.path().join("log");
    for options in
        [&format!("--tee {} --rotate 1K,2", log.display()), "--prefix", "--redact x", "--merge --timestamps"]
    {
        let line = format!("{herder} run {options} yes | head -n 1 | wc -l; echo ${{PIPESTATUS[0]}}");
        let report = output(Command::new("bash").args(["-c", &line]).timeout(LONG)).await;
        assert_eq!((stdout(&report).as_str(), stderr(&report).as_str()), ("1\n141\n", ""), "{options}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_can_not_be_written_to_is_told() {
    let report = output(&script(&["--tee", "/dev/full"], &["println:shown"])).await;
    assert_eq!((stdout(&report).as_str(), report.status.code()), ("shown\n", Some(125)));
    assert!(stderr(&report).contains("/dev/full is not complete: No space left"), "{}", stderr(&report));
    let report = output(&script(&["--tee", "/no/such/log"], &["println:shown"])).await;
    assert_eq!((report.stdout.as_slice(), report.status.code()), (&b""[..], Some(125)));
    assert!(stderr(&report).contains("--tee: can't write to /no/such/log"), "{}", stderr(&report));
}

/// A pipe that nobody empties, say.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_takes_nothing_does_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().await.unwrap().success());
    let reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let mut command = script(&["--tee", fifo.to_str().unwrap()], &["bytes:10M", "hang"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn_async().await.unwrap();
    let handle = child.handle();
    let full = async {
        eventually("the pipe is full", || rustix::io::ioctl_fionread(&reader).unwrap() > 60_000).await;
        handle.signal(Signal::TERM).unwrap();
    };
    let (report, ()) = tokio::join!(child.wait_with_output(), full);
    let report = report.unwrap();
    assert_eq!(report.status.code(), Some(143));
    let said = stderr(&report);
    assert!(said.contains("is not complete: it takes no more") && said.lines().count() == 1, "{said}");
}

#[tokio::test]
async fn a_file_that_can_not_be_rotated_grows_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::create_dir(folder.path().join("log.1")).unwrap();
    let report =
        output(&script(&["--tee", log.to_str().unwrap(), "--rotate", "1K,2"], &["lines:1000"])).await;
    assert_eq!(report.status.code(), Some(0));
    assert!(stderr(&report).contains("could not be rotated and has grown on"), "{}", stderr(&report));
    assert_eq!(fs::read_to_string(log).unwrap(), stdout(&report));
}

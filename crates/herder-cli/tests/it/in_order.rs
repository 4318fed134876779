//! Both streams as one in the exact order of their writes, each with its name.

#[cfg(not(target_os = "linux"))]
use crate::support::{output, script, stderr, stdout};

const EXACT: &str = "--merge=exact";

/// In the middle of their lines, too.
const STEPS: [&str; 5] = ["println:a", "eprintln:b", "print:c", "eprintln:d", "println:e"];

#[cfg(not(target_os = "linux"))]
#[tokio::test]
async fn where_nothing_tells_the_order_it_is_refused() {
    let report = output(&script(&[EXACT], &STEPS)).await;
    assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(125), ""));
    assert!(stderr(&report).contains("only Linux tells"), "{}", stderr(&report));
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use herder::Signal;
    use serde_json::Value;

    use super::{EXACT, STEPS};
    use crate::support::{Running, SOON, eventually, herder, output, script, state, stderr, stdout};

    fn report_in(path: &Path) -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn each_line_has_the_name_of_its_stream_and_its_place() {
        let report = output(&script(&[EXACT, "--prefix", "--name", "web"], &["alternate:2000"])).await;
        let stream = |number: usize| if number % 2 == 1 { "stdout" } else { "stderr" };
        let expected: String =
            (1..=2000).map(|number| format!("web {} | {number}\n", stream(number))).collect();
        assert_eq!(stderr(&report), "");
        assert!(stdout(&report) == expected, "{}", stdout(&report));
    }

    #[tokio::test]
    async fn what_is_shown_is_in_the_file_and_in_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let [log, json] = ["log", "json"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
        for (options, shown) in [
            (&[][..], "a\nb\ncd\ne\n"),
            (&["--prefix"], "web stdout | a\nweb stderr | b\nweb stderr | d\nweb stdout | ce\n"),
            (&["--redact", "[bd]"], "a\n[redacted]\n[redacted]\nce\n"),
        ] {
            drop(fs::remove_file(&log));
            let common = [EXACT, "--name", "web", "--tee", &log, "--json", &json];
            let report = output(&script(&[&common[..], options].concat(), &STEPS)).await;
            assert_eq!((stdout(&report).as_str(), stderr(&report).as_str()), (shown, ""), "{options:?}");
            assert_eq!(fs::read_to_string(&log).unwrap(), shown, "{options:?}");
            let json = report_in(json.as_ref());
            let redactions = if options.contains(&"--redact") { 2 } else { 0 };
            let streams = [&json["stdout"], &json["stderr"]];
            let bytes = if redactions > 0 { [5, 22] } else { [5, 4] };
            assert_eq!(streams.map(|stream| stream["bytes"].clone()), bytes.map(Value::from), "{options:?}");
            assert_eq!(
                (&json["stderr"]["redactions"], &json["stdout"]["redactions"]),
                (&redactions.into(), &0.into())
            );
            assert!(streams.into_iter().all(|stream| stream["end"] == "eof"), "{json}");
        }
    }

    /// A line is as old as the write that ended it, however late it is read.
    #[tokio::test]
    async fn the_times_are_those_of_the_writes() {
        let folder = tempfile::tempdir().unwrap();
        let [go, written] = ["go", "written"].map(|name| folder.path().join(name));
        let steps = [
            "println:begin",
            &format!("wait-file:{}", go.display()),
            "println:end",
            &format!("touch:{}", written.display()),
            "hang",
        ];
        let mut running = Running::start(&mut script(&["-q", EXACT, "--timestamps"], &steps)).await;
        assert!(running.out.next().await.ends_with(" begin"));
        let handle = running.child.handle();
        handle.signal_child(Signal::STOP).unwrap();
        let pid = running.pid();
        eventually("herder is stopped", || state(pid) == Some('T')).await;
        fs::write(&go, "").unwrap();
        eventually("the line is written", || written.exists()).await;
        // The times have milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let read_after = SystemTime::now();
        handle.signal_child(Signal::CONT).unwrap();
        let line = running.out.next().await;
        let time = humantime::parse_rfc3339(line.strip_suffix(" end").unwrap()).unwrap();
        assert!(time < read_after, "{line}");
        handle.signal_child(Signal::TERM).unwrap();
        assert_eq!(running.end().await.code, Some(143));
    }

    #[tokio::test]
    async fn a_line_of_either_stream_says_that_it_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("json");
        let options = [EXACT, "--ready-line", "^b$", "--json", json.to_str().unwrap(), "-q"];
        let report = output(&script(&options, &STEPS)).await;
        assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
        let json = report_in(json.as_ref());
        assert_eq!(json["ready"]["stream"], "stderr");
    }

    #[tokio::test]
    async fn limits_and_readers_that_leave_end_it() {
        let report = output(&script(&["-q", EXACT, "-t", SOON], &["println:a", "eprint:b", "hang"])).await;
        assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(124), "a\nb"));
        // There is no SIGPIPE: yes(1) finds an error.
        let herder_path = env!("CARGO_BIN_EXE_herder");
        let line = format!("{herder_path} run {EXACT} yes 2>/dev/null | head -n 1; echo ${{PIPESTATUS[0]}}");
        let report = output(&herder(["run", "bash", "-c", &line])).await;
        assert_eq!(stdout(&report), "y\n1\n", "{}", stderr(&report));
    }

    /// Someone the program has left behind holds both streams.
    #[tokio::test]
    async fn who_still_holds_the_streams_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("json");
        let options = [EXACT, "--name", "web", "--leak", "ignore", "--json", json.to_str().unwrap()];
        let report = output(&script(&options, &["println:a", "spawn:sleep:20s"])).await;
        assert_eq!((report.status.code(), stdout(&report).as_str()), (Some(0), "a\n"), "{}", stderr(&report));
        assert!(stderr(&report).contains("still holds its stdout"), "{}", stderr(&report));
        let json = report_in(json.as_ref());
        assert_eq!(json["stderr"]["end"], "still_held");
    }
}

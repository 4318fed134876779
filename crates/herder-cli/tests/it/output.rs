//! Output on its way through `herder`.

use std::fs;

use herder::Capture;
#[cfg(unix)]
use herder::{Command, Stdio};

#[cfg(unix)]
use crate::support::{LONG, eventually, is_root, state};
use crate::support::{Running, output, script, stderr, stdout};

const MIB: usize = 1 << 20;

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[tokio::test]
async fn it_is_passed_on_byte_for_byte() {
    for options in [&[][..], &["--idle", "20s"]] {
        let report = output(script(options, &["both:4M"]).capture(Capture::unlimited())).await;
        assert_eq!(report.status.code(), Some(0));
        assert!(report.stdout == pattern(4 * MIB), "{options:?}: {} bytes", report.stdout.len());
        assert!(report.stderr == pattern(4 * MIB), "{options:?}: {} bytes", report.stderr.len());
    }
}

#[tokio::test]
async fn it_is_passed_on_live() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go");
    for options in [&[][..], &["--idle", "20s"], &["--head", "1K", "--tail", "1K"]] {
        let wait = format!("wait-file:{}", file.display());
        let mut running = Running::start(&mut script(options, &["mark:first", &wait, "mark:last"])).await;
        running.out.until("first").await;
        fs::write(&file, "").unwrap();
        assert_eq!(running.end().await.rest, "last\n", "{options:?}");
        fs::remove_file(&file).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn without_need_the_stream_itself_is_inherited() {
    let target = |report: &str| report.lines().find(|line| line.starts_with('1')).map(str::to_owned);
    let file = tempfile::NamedTempFile::new().unwrap();
    let run = |options: &'static [&'static str]| {
        let mut command = script(options, &["fds"]);
        command.stdin(Stdio::null()).stdout(file.reopen().unwrap());
        command
    };
    run(&["-t", "20s"]).status().await.unwrap();
    let direct = fs::read_to_string(file.path()).unwrap();
    assert!(target(&direct).unwrap().contains(file.path().to_str().unwrap()), "{direct}");
    run(&["--idle", "20s"]).status().await.unwrap();
    let piped = fs::read_to_string(file.path()).unwrap();
    assert!(target(&piped).unwrap().contains("pipe:"), "{piped}");
}

#[tokio::test]
async fn head_and_tail_show_the_ends_and_count_the_rest() {
    let all: String = (1..=100_000).map(|line| format!("{line}\n")).collect();
    let report = output(&script(&["--head", "100", "--tail", "1K"], &["lines:100000"])).await;
    let omitted = all.len() - 100 - 1024;
    let head = &all[..100];
    let open = if head.ends_with('\n') { "" } else { "\n" };
    let wanted = format!("{head}{open}[... {omitted} bytes omitted ...]\n{}", &all[all.len() - 1024..]);
    assert_eq!(stdout(&report), wanted);
    assert_eq!(report.stderr, b"");
    // What fits is whole.
    for options in [["--head", "1M"], ["--tail", "1M"]] {
        let report = output(&script(&options, &["lines:100000"])).await;
        assert!(stdout(&report) == all, "{options:?}");
    }
    let report = output(&script(&["--tail", "5"], &["print:0123456789", "eprint:ab"])).await;
    assert_eq!(stdout(&report), "[... 5 bytes omitted ...]\n56789");
    assert_eq!(stderr(&report), "ab");
}

#[tokio::test]
async fn spills_have_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let options = ["--tail", "10", "--spill", path.to_str().unwrap()];
    let report = output(&script(&options, &["both:3M"])).await;
    assert_eq!(report.status.code(), Some(0));
    for stream in ["stdout", "stderr"] {
        let spilled = fs::read(folder.path().join(format!("out.{stream}"))).unwrap();
        assert!(spilled == pattern(3 * MIB), "{stream}: {} bytes", spilled.len());
    }
    let report = output(&script(&options, &["touch:/no/such/dir/ran"])).await;
    assert_eq!(report.status.code(), Some(125));
    assert!(stderr(&report).contains("out.stdout is there already"), "{}", stderr(&report));
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_for_spills_that_is_closed_to_us_is_told_before_the_start() {
    if is_root() {
        eprintln!("SKIPPED: nothing is closed to root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let touch = format!("touch:{}", ran.display());
    let report = output(&script(&["--spill", "/etc/out"], &[&touch])).await;
    assert_eq!(report.status.code(), Some(125));
    assert!(stderr(&report).contains("can't make files in /etc"), "{}", stderr(&report));
    assert!(!ran.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_descendant_that_holds_the_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let [begin, end] = ["begin", "end"].map(|name| folder.path().join(name));
    let left = format!("spawn-setsid:touch:{},wait-file:{}", begin.display(), end.display());
    let begun = format!("wait-file:{}", begin.display());
    // It holds the pipe of herder, not that of the test.
    let report = output(&script(
        &["--idle", "20s", "--leak", "ignore"],
        &[&left, &begun, "spawned", "mark:done", "exit:3"],
    ))
    .await;
    let text = stdout(&report);
    let (pid, rest) = text.split_once('\n').unwrap();
    assert_eq!((rest, report.status.code()), ("done\n", Some(3)));
    assert!(stderr(&report).contains("still holds its stdout"), "{}", stderr(&report));
    let pid = pid.parse().unwrap();
    assert!(state(pid).is_some_and(|state| state != 'Z'), "it has left the group, and lives");
    fs::write(end, "").unwrap();
    eventually("it is gone", || state(pid).is_none_or(|state| state == 'Z')).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_leaves_ends_the_program() {
    let herder = env!("CARGO_BIN_EXE_herder");
    let cases = [
        ("", "head -n 1", "y\n141\n"),
        ("--idle 20s", "head -n 1", "y\n141\n"),
        ("--head 10", "head -n 1", "y\n141\n"),
        ("--head 10 --tail 10", "head -n 1", "y\n141\n"),
        // Nothing is shown before the end, and there is no end.
        ("--tail 10", "true", "141\n"),
    ];
    for (options, reader, wanted) in cases {
        let line = format!("{herder} run {options} yes | {reader}; echo ${{PIPESTATUS[0]}}");
        let report = output(Command::new("bash").args(["-c", &line]).timeout(LONG)).await;
        assert_eq!((stdout(&report).as_str(), stderr(&report).as_str()), (wanted, ""), "{options}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn output_that_can_not_be_delivered_is_a_failure() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for options in [&["--head", "10"][..], &["--idle", "20s"]] {
        let report = script(options, &["print:hello"]).stdout(full()).output().await.unwrap();
        assert_eq!(report.status.code(), Some(125), "{options:?}");
        assert!(stderr(&report).contains("can't pass on the stdout"), "{}", stderr(&report));
    }
}

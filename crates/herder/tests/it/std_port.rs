//! What the process tests of `std` look at.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;

use herder::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{fixture, run, was_killed};

#[test]
fn exit_reported_right() {
    run(async {
        assert_eq!(fixture(&["exit:1"]).status().await.unwrap().code(), Some(1));
        assert!(fixture(&[]).status().await.unwrap().success());
    });
}

#[test]
fn signal_reported_right() {
    run(async {
        let mut child = fixture(&["eof-wait"]).stdin(Stdio::piped()).spawn().unwrap();
        child.start_kill().unwrap();
        assert!(was_killed(child.wait().await.unwrap()));
    });
}

#[test]
fn stdin_and_stdout_work() {
    run(async {
        let mut command = fixture(&["cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"foobar\n").await.unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
        assert!(child.wait().await.unwrap().success());
        assert_eq!(out, "foobar\n");
    });
}

#[test]
fn set_current_dir_works() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let mut command = fixture(&["touch:here"]);
        assert_eq!(command.get_current_dir(), None);
        command.current_dir(folder.path());
        assert_eq!(command.get_current_dir(), Some(folder.path()));
        assert!(command.status().await.unwrap().success());
        assert!(folder.path().join("here").exists());
    });
}

#[test]
fn process_output_fail_to_start() {
    run(async {
        let error = std::io::Error::from(Command::new("/no-binary-by-this-name").output().await.unwrap_err());
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn process_output_output_and_error() {
    run(async {
        let report = fixture(&["eprint:no", "exit:1"]).output().await.unwrap();
        assert_eq!((report.status.code(), report.stdout.len()), (Some(1), 0));
        assert!(!report.stderr.is_empty());
        let report = fixture(&["println:hello"]).output().await.unwrap();
        assert_eq!((&*report.stdout, report.stderr.len()), (&b"hello\n"[..], 0));
    });
}

#[test]
fn finish_twice() {
    run(async {
        let mut child = fixture(&["exit:1"]).spawn().unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(1));
        assert_eq!(child.wait().await.unwrap().code(), Some(1));
    });
}

#[test]
fn wait_with_output_once() {
    run(async {
        let child = fixture(&["println:hello"]).stdout(Stdio::piped()).spawn().unwrap();
        let report = child.wait_with_output().await.unwrap();
        assert!(report.status.success());
        assert_eq!((&*report.stdout, &*report.stderr), (&b"hello\n"[..], &b""[..]));
    });
}

#[test]
fn variables_are_inherited_set_removed_and_cleared() {
    run(async {
        let ours: HashMap<_, _> = std::env::vars().collect();
        let text = fixture(&["env-all"]).read().await.unwrap();
        // Those that the fixture shows as they are.
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        for (key, value) in ours.iter().filter(|(key, value)| plain(key) && plain(value)) {
            assert!(text.lines().any(|line| line == format!("{key}={value}")), "{key}");
        }
        let mut command = fixture(&["env:RUN_TEST_NEW_ENV", "env:PATH"]);
        command.env("RUN_TEST_NEW_ENV", "123").env_remove("PATH");
        assert_eq!(command.read().await.unwrap(), "RUN_TEST_NEW_ENV=123\nPATH unset");
        command.env_clear().env("A", "1").env("A", "2").envs([("B", ""), ("C", "a=b")]).env_remove("D");
        let text = command.read().await.unwrap();
        assert_eq!(text, "RUN_TEST_NEW_ENV unset\nPATH unset");
    });
}

/// Windows has some that are always there.
#[cfg(unix)]
#[test]
fn a_cleared_environment_has_what_was_set() {
    run(async {
        let mut command = fixture(&["env-all"]);
        command.env_clear().env("A", "1").env("A", "2").envs([("B", ""), ("C", "a=b")]).env_remove("D");
        assert_eq!(command.read().await.unwrap(), "A=2\nB=\nC=a=b");
    });
}

#[test]
fn settings_can_be_asked_for() {
    let mut command = Command::new("prog");
    command.args(["a", "b"]).env("KEY", "value").env_remove("GONE");
    assert_eq!(command.get_program(), OsStr::new("prog"));
    assert_eq!(command.get_args().collect::<Vec<_>>(), [OsStr::new("a"), OsStr::new("b")]);
    assert_eq!(command.get_args().len(), 2);
    let edits: Vec<_> = command.get_envs().collect();
    assert_eq!(edits, [(OsStr::new("GONE"), None), (OsStr::new("KEY"), Some(OsStr::new("value")))]);
}

#[test]
fn interior_nuls_are_errors() {
    run(async {
        for command in [
            &Command::new("has\0nul"),
            Command::new("true").arg("has\0nul"),
            Command::new("true").args(["fine", "has\0nul"]),
            Command::new("true").current_dir("has\0nul"),
            Command::new("true").env("has\0nul", "value"),
            Command::new("true").env("key", "has\0nul"),
            #[cfg(unix)]
            Command::new("true").arg0("has\0nul"),
            Command::new("true").env("", "value"),
            Command::new("true").env("a=b", "value"),
        ] {
            let error = std::io::Error::from(command.spawn().unwrap_err());
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        // One that can't exist may be removed.
        assert!(fixture(&[]).env_remove("a=b").env_remove("a\0b").status().await.unwrap().success());
    });
}

#[test]
fn try_wait_does_not_block_and_then_tells() {
    run(async {
        let mut child = fixture(&["cat"]).stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(child.try_wait().unwrap(), None);
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        assert!(was_killed(child.try_wait().unwrap().unwrap()));
        assert!(was_killed(child.try_wait().unwrap().unwrap()));
    });
}

#[cfg(unix)]
#[test]
fn arguments_pass_unchanged() {
    run(async {
        use std::os::unix::ffi::OsStrExt;
        let odd = ["", " ", "a b", "\"", "'", "\\", "$HOME", "*", "-n", "--", "ä", "a\tb"];
        let mut command = Command::new("printf");
        command.arg("%s\\0").args(odd).arg(OsStr::from_bytes(b"\xff\xfe"));
        let report = command.output().await.unwrap();
        let mut expected: Vec<u8> = odd.iter().flat_map(|arg| [arg.as_bytes(), b"\0"].concat()).collect();
        expected.extend(b"\xff\xfe\0");
        assert_eq!(report.stdout, expected);
    });
}

#[test]
fn debug_shows_the_program_and_no_more_than_counts() {
    let mut command = Command::new("prog");
    command.args(["--password", "hunter2"]).env("TOKEN", "hunter2").current_dir("/tmp");
    let text = format!("{command:?}");
    assert!(text.contains("prog") && text.contains("TOKEN") && text.contains("/tmp"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("password"), "{text}");
}

#[test]
fn a_child_that_has_ended_may_be_killed() {
    run(async {
        let mut child = fixture(&[]).spawn().unwrap();
        child.wait().await.unwrap();
        child.start_kill().unwrap();
    });
}

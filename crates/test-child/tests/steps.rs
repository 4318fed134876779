//! The fixture does what its help says. (That this test exists also makes `cargo test --workspace` build the
//! program.)

#![cfg(unix)]
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "std's processes are what the fixture is checked with")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};

fn command(script: &[&str]) -> Command {
    assert_eq!(test_child::path(), env!("CARGO_BIN_EXE_test-child"));
    let mut command = Command::new(test_child::path());
    command.args(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end with nothing on stdin.
fn run(script: &[&str]) -> Output {
    command(script).output().unwrap()
}

fn stdout(script: &[&str]) -> String {
    let output = run(script);
    assert!(output.status.success(), "{script:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn fed(script: &[&str], input: &[u8]) -> Output {
    let mut child = command(script).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// Starts, and returns when the first line is there.
fn started(script: &[&str]) -> (Child, String, BufReader<std::process::ChildStdout>) {
    let mut child = command(script).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let first = next(&mut lines);
    (child, first, lines)
}

fn next(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

fn pattern(count: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(count).collect()
}

#[test]
fn text_goes_where_it_is_sent() {
    let output = run(&["print:hel", "print:lo", "eprint:oops", "mark:", "eprintln:!", "flush", "exit:3"]);
    assert_eq!(output.stdout, b"hello\n");
    assert_eq!(output.stderr, b"oops!\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn patterns_and_lines_are_exact() {
    assert_eq!(run(&["bytes:300000"]).stdout, pattern(300_000));
    assert_eq!(run(&["ebytes:7"]).stderr, pattern(7));
    let both = run(&["both:1M"]);
    assert_eq!(both.stdout, pattern(1 << 20));
    assert_eq!(both.stderr, pattern(1 << 20));
    let expected: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(stdout(&["lines:30000"]), expected);
    assert_eq!(stdout(&["lines:0", "tick:2:1ms"]), "1\n2\n");
}

#[test]
fn input_is_taken_exactly() {
    let output = fed(&["read-stdin-line", "read-stdin-line", "cat"], b"one\n\nthree\nfour");
    assert_eq!(output.stdout, b"read one\nread \nthree\nfour");
    assert_eq!(fed(&["read-stdin-line", "read-stdin-line"], b"half").stdout, b"read half\neof\n");
    assert_eq!(fed(&["stdin-count"], &[7; 100_000]).stdout, b"100000\n");
    let echoed = fed(&["echo-stdin"], b"abc");
    assert_eq!((echoed.stdout, echoed.stderr), (b"abc".to_vec(), b"echoed 3\n".to_vec()));
    assert_eq!(fed(&["eof-wait", "print:end"], b"abc").stdout, b"end");
    assert_eq!(fed(&["read-fd:0", "write-fd:1:x"], b"abc").stdout, b"abcx");
}

#[test]
fn closed_streams_are_closed() {
    let (mut child, first, mut lines) =
        started(&["mark:a", "close-stdout", "close-stderr", "eof-wait", "exit:5"]);
    assert_eq!(first, "a");
    assert_eq!(lines.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert_eq!(child.stderr.take().unwrap().read_to_end(&mut Vec::new()).unwrap(), 0);
    assert!(child.try_wait().unwrap().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert_eq!(run(&["close-stdin", "read-stdin-line"]).status.code(), Some(74));
}

#[test]
fn a_gone_reader_is_counted() {
    let (mut child, first, lines) = started(&["mark:a", "write-until-epipe", "exit:6"]);
    assert_eq!(first, "a");
    drop(lines);
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.starts_with("epipe after ") && told.ends_with(" bytes\n"), "{told}");
    assert_eq!(child.wait().unwrap().code(), Some(6));
}

#[test]
fn ignored_signals_are_ignored_and_inherited() {
    let (mut child, first, mut lines) = started(&[
        "ignore:TERM",
        "ignore:INT+HUP",
        "mark:ready",
        "spawn:sigmask",
        "wait-children",
        "eof-wait",
        "exit:4",
    ]);
    assert_eq!(first, "ready");
    for sent in [nix::sys::signal::SIGTERM, nix::sys::signal::SIGINT, nix::sys::signal::SIGHUP] {
        signal(child.id(), sent);
    }
    assert_eq!(next(&mut lines), "SigBlk 0000000000000000");
    let ignored = u64::from_str_radix(next(&mut lines).strip_prefix("SigIgn ").unwrap(), 16).unwrap();
    assert_eq!(ignored & 0x4003, 0x4003, "{ignored:x}");
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn ignore_keeps_the_rest_of_the_script() {
    assert_eq!(stdout(&["ignore:TERM", "args", "pid", "--", "a b", "", "c'd"]).lines().count(), 4);
    let output = run(&["pid", "block:USR1", "ignore:TERM", "pid", "sigmask"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[2], "SigBlk 0000000000000200");
}

#[test]
fn handlers_catch_mark_and_run() {
    let (mut child, first, mut lines) =
        started(&["catch:HUP", "on:USR1:mark:one", "on:TERM:[mark:two,exit:7]", "mark:ready", "hang"]);
    assert_eq!(first, "ready");
    signal(child.id(), nix::sys::signal::SIGHUP);
    for _ in 0..2 {
        signal(child.id(), nix::sys::signal::SIGUSR1);
        assert_eq!([next(&mut lines), next(&mut lines)], ["caught SIGUSR1", "one"]);
    }
    signal(child.id(), nix::sys::signal::SIGTERM);
    assert_eq!([next(&mut lines), next(&mut lines)], ["caught SIGTERM", "two"]);
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn ends_are_what_they_say() {
    assert_eq!(run(&["exit:255"]).status.code(), Some(255));
    assert_eq!(run(&["exit-after-main:9", "print:never"]).status.code(), Some(9));
    assert_eq!(run(&[]).status.code(), Some(0));
    assert_eq!(run(&["abort"]).status.signal(), Some(6));
    assert_eq!(run(&["segv"]).status.signal(), Some(11));
    assert_eq!(run(&["kill-self:KILL"]).status.signal(), Some(9));
    assert_eq!(run(&["kill-self:TERM"]).status.signal(), Some(15));
    let (mut child, _, _lines) = started(&["mark:a", "stop-self", "exit:2"]);
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let flags = nix::sys::wait::WaitPidFlag::WUNTRACED;
    let stopped = nix::sys::wait::waitpid(pid, Some(flags)).unwrap();
    assert!(matches!(stopped, nix::sys::wait::WaitStatus::Stopped(..)), "{stopped:?}");
    signal(child.id(), nix::sys::signal::SIGCONT);
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn wrong_scripts_and_failed_steps() {
    let output = run(&["print:never", "frobnicate"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0));
    assert!(String::from_utf8(output.stderr).unwrap().contains("frobnicate"));
    let output = run(&["read-fd:999"]);
    assert_eq!(output.status.code(), Some(74));
    assert!(stdout(&["--help"]).contains("spawn-detached"));
}

#[test]
fn questions_are_answered() {
    let mut child = command(&["pid", "ppid", "uid", "umask", "nice", "eof-wait"]).spawn().unwrap();
    let pid = child.id();
    drop(child.stdin.take());
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], pid.to_string());
    assert_eq!(lines[1], std::process::id().to_string());
    let uid = nix::unistd::getuid().to_string();
    assert_eq!(lines[2], [uid.as_str(); 4].join(" "));
    assert_eq!(lines[3].len(), 4);
    lines[4].parse::<i32>().unwrap();
    assert_eq!(stdout(&["args", "--", "a b", "", "\n\\\u{e9}"]), "a b\n\n\\n\\\\\\xc3\\xa9\n");
    let output =
        command(&["env:HERE", "env:GONE", "env-all"]).env_clear().env("HERE", "a=b").output().unwrap();
    assert_eq!(output.stdout, b"HERE=a=b\nGONE unset\nHERE=a=b\n");
    let output = command(&["cwd", "tty", "pdeathsig"]).current_dir("/").output().unwrap();
    assert_eq!(output.stdout, b"/\nfalse false false\nnone\n");
    for query in
        ["pgid", "sid", "gid", "groups", "affinity", "rlimit:NOFILE", "status:Threads", "argv0", "foreground"]
    {
        assert_eq!(stdout(&[query]).lines().count(), 1, "{query}");
    }
    let fds = stdout(&["fds"]);
    let numbers: Vec<_> = fds.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(numbers[..3], ["0", "1", "2"], "{fds}");
}

#[test]
fn grandchildren_of_each_birth() {
    let text = stdout(&["pid", "pgid", "spawn:ppid,pgid", "wait-children", "mark:end"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!([lines[0], lines[1]], [lines[2], lines[3]].map(|line| line));
    assert_eq!(lines[4], "end");

    let text = stdout(&["spawn-setsid:pid,sid,pgid", "wait-children", "spawned"]);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.iter().all(|line| *line == lines[0]) && lines.len() == 4, "{text}");

    // An orphan in the session of the process between, which is gone.
    let (mut child, first, mut rest) = started(&["pid", "spawn-detached:pid,ppid,sid,eof-wait", "exit:0"]);
    let [pid, ppid, sid] = [next(&mut rest), next(&mut rest), next(&mut rest)];
    assert_ne!(pid, first);
    assert_ne!(ppid, first);
    assert_ne!(sid, pid);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(child.stdin.take());
    assert_eq!(rest.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn groups_and_sessions_of_our_own() {
    let text = stdout(&["setpgid", "pid", "pgid"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], lines[1]);
    let text = stdout(&["setsid", "pid", "sid"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], lines[1]);
}

#[test]
fn files_are_waited_for() {
    let path = std::env::temp_dir().join(format!("test-child-{}", std::process::id()));
    let path = path.to_str().unwrap();
    let (mut child, _, mut lines) = started(&["mark:a", &format!("wait-file:{path}"), "mark:b"]);
    assert_eq!(stdout(&[&format!("touch:{path}"), "sleep:1ms", "spin:1ms", "memory:1M"]), "");
    assert_eq!(next(&mut lines), "b");
    assert!(child.wait().unwrap().success());
    std::fs::remove_file(path).unwrap();
}

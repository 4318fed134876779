//! What the program is given.

use std::io::{Seek, Write};

use herder::Stdio;
#[cfg(unix)]
use herder::os::unix::CommandExt;

#[cfg(unix)]
use crate::support::is_root;
use crate::support::{fixture, herder, output, script, stdout};

#[tokio::test]
async fn arguments_arrive_as_they_are() {
    let words = ["-t", "5", "--help", "--", "a b", "*", "\u{e9}\"'&|", ""];
    let report = output(herder(["run", "-q", fixture(), "args", "--"]).args(words)).await;
    assert_eq!(stdout(&report), "-t\n5\n--help\n--\na b\n*\n\\xc3\\xa9\"'&|\n\n");
    let report = output(&herder(["run", "--", fixture(), "args", "--", "--quiet"])).await;
    assert_eq!(stdout(&report), "--quiet\n");
}

#[cfg(unix)]
#[tokio::test]
async fn environment_and_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let path = path.to_str().unwrap();
    let mut command = script(
        &["-C", path, "-e", "A=1=2", "-e", "B=", "-u", "GONE", "--nice", "5"],
        &["cwd", "env:A", "env:B", "env:GONE", "env:KEPT", "nice"],
    );
    command.env("GONE", "here").env("KEPT", "here");
    let wanted = format!("{path}\nA=1=2\nB=\nGONE unset\nKEPT=here\n5\n");
    assert_eq!(stdout(&output(&command).await), wanted);
    let report = output(&script(&["--env-clear", "-e", "ONLY=this"], &["env-all"])).await;
    assert_eq!(stdout(&report), "ONLY=this\n");
}

#[tokio::test]
async fn standard_input_is_inherited_or_null_or_a_file() {
    let input = || Stdio::bytes("moo\n");
    let read = ["read-stdin-line"];
    assert_eq!(stdout(&output(script(&[], &read).stdin(input())).await), "read moo\n");
    assert_eq!(stdout(&output(script(&["--stdin", "inherit"], &read).stdin(input())).await), "read moo\n");
    assert_eq!(stdout(&output(script(&["--stdin", "null"], &read).stdin(input())).await), "eof\n");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"file\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(stdout(&output(script(&["--stdin", path], &read).stdin(input())).await), "read file\n");
    // Through the pipe that a step `stdin` needs.
    let steps = ["--stop", "stdin:1s"];
    assert_eq!(stdout(&output(script(&steps, &["cat"]).stdin(input())).await), "moo\n");
    let report = output(script(&[&steps[..], &["--stdin", path]].concat(), &["cat"]).stdin(input())).await;
    assert_eq!(stdout(&report), "file\n");
}

#[tokio::test]
async fn what_the_program_does_not_read_is_left_for_the_next() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"one\ntwo\n").unwrap();
    file.rewind().unwrap();
    let shared = file.try_clone().unwrap();
    assert_eq!(stdout(&output(script(&[], &["read-stdin-line"]).stdin(file)).await), "read one\n");
    assert_eq!(stdout(&output(script(&[], &["read-stdin-line"]).stdin(shared)).await), "read two\n");
}

/// The numbers that `fds` of the fixture lists.
#[cfg(unix)]
fn numbers(listing: &str) -> Vec<&str> {
    listing.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[cfg(unix)]
#[tokio::test]
async fn descriptors_are_passed_and_none_of_ours_is() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"seventh").unwrap();
    let mut command = script(&[], &["read-fd:7"]);
    assert_eq!(stdout(&output(command.fd(7, file.try_clone().unwrap())).await), "seventh");

    for options in [&[][..], &["--idle", "20s"], &["-t", "20s", "--tail", "1M"], &["--stop", "stdin:1s"]] {
        let mut command = script(options, &["fds"]);
        command.fd(7, file.try_clone().unwrap());
        let report = output(&command).await;
        let listing = stdout(&report);
        assert_eq!(numbers(&listing), ["0", "1", "2", "7"], "{options:?}: {listing}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_descriptor_of_the_report_is_not_passed() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let file = tempfile::tempfile().unwrap();
    let mut command = script(&["--json", "fd:9"], &["fds"]);
    command.fd(9, writer).fd(7, file);
    let report = output(&command).await;
    let listing = stdout(&report);
    assert_eq!(numbers(&listing), ["0", "1", "2", "7"], "{listing}");
}

#[cfg(unix)]
#[tokio::test]
#[cfg_attr(herder_portable, ignore = "its keeper ends the program with us, and no signal of the kernel")]
async fn the_program_leads_its_own_group_and_has_no_signal_blocked() {
    let report = output(&script(&[], &["pid", "pgid", "pdeathsig"])).await;
    let text = stdout(&report);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], lines[1]);
    assert!(lines[2].contains("KILL") || lines[2] == "9", "{text}");
    let report = output(&herder(["run", "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])).await;
    assert_eq!(stdout(&report), format!("SigBlk:\t0000000000000000\nSigIgn:\t{:016x}\n", ignored_here()));
}

/// The signals that are ignored here, as a mask, and so there; but for SIGPIPE, which every Rust program ignores.
#[cfg(unix)]
fn ignored_here() -> u64 {
    const PIPE: u64 = 1 << 12;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    u64::from_str_radix(mask, 16).unwrap() & !PIPE
}

#[cfg(unix)]
#[tokio::test]
#[cfg_attr(herder_portable, ignore = "one of the two signals that the C library keeps for itself is set")]
async fn ignored_signals_stay_ignored() {
    let herder = env!("CARGO_BIN_EXE_herder");
    let line = format!("trap '' HUP INT; exec {herder} run grep ^SigIgn /proc/self/status");
    let report = output(herder::Command::new("sh").args(["-c", &line])).await;
    assert_eq!(stdout(&report), format!("SigIgn:\t{:016x}\n", ignored_here() | 3));
}

#[cfg(unix)]
#[tokio::test]
async fn another_user_and_group() {
    if !is_root() {
        eprintln!("SKIPPED: only root can become somebody else");
        return;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let nobody = passwd.lines().find(|line| line.starts_with("nobody:")).expect("a user nobody");
    let ids: Vec<_> = nobody.split(':').skip(2).take(2).collect();
    let text = |options: &'static [&'static str]| async move {
        let report = output(herder(["run"]).args(options).args(["sh", "-c", "id -u; id -g; id -G"])).await;
        stdout(&report).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(text(&["--uid", "nobody"]).await, [ids[0], ids[1], ids[1]]);
    assert_eq!(text(&["--uid", "4711", "--gid", "4712"]).await, ["4711", "4712", "4712"]);
}

//! The engine on real processes, without a runtime.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use herder_sys::{Group, LaunchError, Signal, SpawnRequest, SpawnStep, Spawned, Strings, facts, spawn};

const LIMIT: Duration = Duration::from_secs(10);

fn strings(words: &[&str]) -> Strings {
    let mut strings = Strings::new();
    for word in words {
        strings.push(&[OsStr::new(word)]).unwrap();
    }
    strings
}

fn sh(script: &str) -> SpawnRequest {
    SpawnRequest::new(strings(&["/bin/sh"]), strings(&["sh", "-c", script]))
}

fn launched(request: SpawnRequest) -> Spawned {
    let spawned = spawn(request).unwrap();
    spawned.launch.wait(LIMIT).expect("in time").unwrap();
    spawned
}

fn failure(request: SpawnRequest) -> LaunchError {
    let spawned = spawn(request).unwrap();
    let failure = spawned.launch.wait(LIMIT).expect("in time").unwrap_err();
    spawned.process.wait_exited().unwrap();
    assert_eq!(spawned.process.reap().unwrap().unwrap().status.code(), Some(127));
    failure
}

fn code(request: SpawnRequest) -> Option<i32> {
    let spawned = launched(request);
    spawned.process.wait_exited().unwrap();
    spawned.process.reap().unwrap().unwrap().status.code()
}

#[test]
fn exit_codes_arrive() {
    println!("{:?}", facts());
    for expected in [0, 1, 3, 255] {
        assert_eq!(code(sh(&format!("exit {expected}"))), Some(expected));
    }
}

#[test]
fn a_missing_program_is_an_error_of_exec() {
    let error = failure(SpawnRequest::new(strings(&["/nowhere/at/all"]), strings(&["x"])));
    assert_eq!((error.step, error.errno), (SpawnStep::Exec, libc::ENOENT));
}

#[test]
fn a_missing_directory_is_an_error_of_chdir() {
    let mut request = sh("exit 0");
    request.cwd = Some("/nowhere/at/all".into());
    let error = failure(request);
    assert_eq!((error.step, error.errno), (SpawnStep::Chdir, libc::ENOENT));
}

#[test]
fn the_first_candidate_that_runs_is_run() {
    let request = SpawnRequest::new(
        strings(&["/nowhere/sh", "/etc/passwd", "/bin/sh", "/bin/false"]),
        strings(&["sh", "-c", "exit 4"]),
    );
    assert_eq!(code(request), Some(4));
}

#[test]
fn a_group_is_killed_as_a_whole() {
    let mut request = sh("sleep 1000 & wait");
    request.group = Group::New;
    let spawned = launched(request);
    assert!(!spawned.process.has_exited().unwrap());
    spawned.process.signal_group(Signal::KILL).unwrap();
    spawned.process.wait_exited().unwrap();
    assert_eq!(spawned.process.reap().unwrap().unwrap().status.signal(), Some(libc::SIGKILL));
}

#[test]
fn dropped_children_are_ended_and_reaped() {
    let pids: Vec<i32> = (0..50)
        .map(|_| {
            let spawned = spawn(sh("exec sleep 1000")).unwrap();
            spawned.process.pid()
        })
        .collect();
    for pid in pids {
        let mut tries = 0;
        // SAFETY: a question about a pid.
        while unsafe { libc::kill(pid, 0) } == 0 {
            tries += 1;
            assert!(tries < 10_000, "still there");
            std::thread::yield_now();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

//! Limits of scopes, seen in force: where the kernel's controllers can be had.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use herder_sys::{Limit, Scope, SpawnStep, spawn};

use crate::support::scopes::{folder_of, inside, kill_all, launched_in, scope};
use crate::support::{sh, sleeper, status};

/// A scope with this limit in force, or `None`, with a line that says why not.
fn limited(limit: Limit) -> Option<Scope> {
    let scope = scope()?;
    match scope.limit(limit) {
        Ok(()) => Some(scope),
        Err(refusal) => {
            println!("SKIPPED: {limit}: {refusal}");
            None
        }
    }
}

/// What the kernel says about the limits of the cgroup that somebody is in.
fn setting(pid: i32, file: &str) -> String {
    let path: PathBuf = folder_of(pid).join(file);
    fs::read_to_string(path).unwrap().trim_end().to_owned()
}

#[test]
fn one_process_too_many_is_refused_by_name() {
    let Some(scope) = limited(Limit::Processes(2)) else { return };
    let members = [launched_in(&scope, sleeper()), launched_in(&scope, sleeper())];
    assert_eq!(setting(members[0].pid(), "pids.max"), "2");
    let error = spawn(inside(&scope, sleeper())).unwrap_err();
    assert_eq!((error.step, error.errno), (SpawnStep::Scope, libc::EAGAIN));
    // Only there.
    let other = Scope::new(scope.mechanism()).unwrap();
    assert_eq!(status(&launched_in(&other, sh("exit 3"))).code(), Some(3));
    // Nor for ever: room is made, or given.
    let [first, second] = members;
    drop(first);
    // A zombie is no member any more, and is counted until it is reaped (pids_release() in the kernel's pids.c).
    let one_left = || setting(second.pid(), "pids.current") == "1";
    crate::support::until("there is room", one_left);
    assert_eq!(status(&launched_in(&scope, sh("exit 4"))).code(), Some(4));
    // A member's own is refused as well, until the limit is another.
    let fork = || sh("(exit 0) & exit 5");
    assert_ne!(status(&launched_in(&scope, fork())).code(), Some(5));
    scope.limit(Limit::Processes(3)).unwrap();
    assert_eq!(status(&launched_in(&scope, fork())).code(), Some(5));
    kill_all(&scope);
    assert!(!status(&second).success());
}

#[test]
fn who_takes_too_much_memory_is_killed_and_counted() {
    let Some(scope) = limited(Limit::Memory(16 << 20)) else { return };
    if fs::metadata("/proc/swaps")
        .is_ok_and(|_| fs::read_to_string("/proc/swaps").unwrap().lines().count() > 1)
    {
        println!("SKIPPED: this host swaps, which is not limited");
        return;
    }
    let small = launched_in(&scope, sh("exit 0"));
    assert!(status(&small).success());
    assert_eq!((scope.oom_kills(), scope.stats().unwrap().oom_kills), (Some(0), Some(0)));
    // A variable that doubles: 2 to the 26th bytes are 64 MiB.
    let greedy = "x=1234567890123456; for i in $(seq 22); do x=$x$x; done; exit 0";
    let child = launched_in(&scope, sh(greedy));
    assert_eq!(setting(child.pid(), "memory.max"), (16 << 20).to_string());
    assert_eq!(status(&child).signal(), Some(libc::SIGKILL));
    assert!(scope.oom_kills() >= Some(1), "{:?}", scope.oom_kills());
    assert!(scope.stats().unwrap().memory.is_some());
}

#[test]
fn a_share_of_the_processors_is_the_kernels_to_keep() {
    let Some(scope) = limited(Limit::Cpu(250)) else { return };
    let child = launched_in(&scope, sleeper());
    assert_eq!(setting(child.pid(), "cpu.max"), "25000 100000");
    scope.limit(Limit::Cpu(1500)).unwrap();
    assert_eq!(setting(child.pid(), "cpu.max"), "150000 100000");
}

#[test]
fn a_scope_without_the_controller_tells_no_kills() {
    let Some(scope) = scope() else { return };
    let child = launched_in(&scope, sleeper());
    let is_there = folder_of(child.pid()).join("memory.events").exists();
    assert_eq!(scope.oom_kills().is_some(), is_there);
}

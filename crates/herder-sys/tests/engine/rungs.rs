//! Every rung of the ladder, forced by `HERDER_DISABLE`.

use std::os::unix::process::ExitStatusExt;

use herder_sys::{Group, Signal, SpawnStep, facts, spawn};

use crate::support::{
    LIMIT, alone_with, code, failure, launched, os, output, sh, sleeper, status, strings, until,
};

const WAYS: [&str; 7] = [
    "",
    "clone3",
    "clone_pidfd",
    "clone3,clone_pidfd",
    "pidfd",
    "shared_memory",
    "close_range,pidfd,shared_memory",
];

/// The promises that must hold on every rung. Also used by the sandboxes.
pub(crate) fn promises() {
    for expected in [0, 3, 255] {
        assert_eq!(code(sh(&format!("exit {expected}"))), Some(expected));
    }
    let mut missing = sleeper();
    missing.candidates = strings(&["/nowhere/at/all"]);
    let error = failure(missing);
    assert_eq!((error.step, error.errno), (SpawnStep::Exec, libc::ENOENT));
    let mut lost = sh("exit 0");
    lost.cwd = Some("/nowhere/at/all".into());
    assert_eq!(failure(lost).step, SpawnStep::Chdir);

    let spawned = launched(sleeper());
    assert!(!spawned.process.has_exited().unwrap());
    assert!(spawned.process.reap().unwrap().is_none());
    spawned.process.signal(Signal::TERM).unwrap();
    assert_eq!(status(&spawned.process).signal(), Some(libc::SIGTERM));

    let mut group = sh("sleep 1000 & wait");
    group.group = Group::New;
    let spawned = launched(group);
    spawned.process.signal_group(Signal::KILL).unwrap();
    assert_eq!(status(&spawned.process).signal(), Some(libc::SIGKILL));

    let mask = output(sh("grep SigBlk /proc/self/status"));
    assert_eq!(mask.split_whitespace().last(), Some("0000000000000000"));

    let mut latched = sh("exit 6");
    latched.latch = true;
    let spawned = launched(latched);
    assert!(spawned.launch.latch().is_some());
    assert_eq!(status(&spawned.process).code(), Some(6));

    // The C library knows one answer of a sandbox to clone3 only: with another, no thread can be had, and dropped
    // children wait for the next spawn.
    let threads = std::thread::Builder::new().spawn(|| ()).is_ok();
    let is_gone = |pid| {
        let retried = threads || code(sh("exit 0")) == Some(0);
        retried && os::state(pid).is_none()
    };
    let pid = spawn(sleeper()).unwrap().process.pid();
    until("the dropped child is reaped", || is_gone(pid));
    let pid = launched(sleeper()).process.pid();
    until("the dropped child is reaped", || is_gone(pid));
    assert_eq!(os::children(), [0; 0], "strays or zombies");
}

#[test]
fn every_rung_keeps_the_promises() {
    for way in WAYS {
        alone_with(&[("HERDER_DISABLE", way)], || {
            promises_on_this_rung();
        });
    }
}

fn promises_on_this_rung() {
    let way = std::env::var("HERDER_DISABLE").unwrap_or_default();
    let off = |name: &str| way.split(',').any(|word| word == name);
    let found = *facts();
    assert!(!(off("clone3") && found.clone3));
    assert!(!(off("clone_pidfd") && found.clone_pidfd));
    assert!(!(off("pidfd") && (found.pidfd || found.clone_pidfd)));
    assert!(!(off("shared_memory") && found.shared_memory));
    assert!(!(off("close_range") && found.close_range));
    let spawned = spawn(sh("exit 0")).expect("born");
    assert_eq!(spawned.process.pidfd().is_some(), found.clone_pidfd || found.pidfd);
    spawned.launch.wait(LIMIT).expect("in time").expect("executed");
    status(&spawned.process);
    promises();
}

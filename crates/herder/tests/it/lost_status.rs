//! A child whose status somebody else took, or holds back: each test in a process of its own.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use herder::contain::Strength;
use herder::error::WaitError;
use herder::report::RunErrorKind;
use herder::{Cause, Command, Signal, Stdio, Termination};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::alone::{alone, alone_by, children};
use crate::support::{Leash, eventually, fixture, is_dead, is_gone, line, run, state};

/// Whether the kernel tells the status of a child that somebody else reaped: Linux 6.15, with pidfds.
fn is_recoverable() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    herder_sys::facts().pidfd && version >= (6, 15)
}

/// The same for one that is reaped as soon as it has exited: the pidfd must be as old as the child.
fn is_recoverable_at_once() -> bool {
    let facts = herder_sys::facts();
    is_recoverable() && facts.clone_pidfd && facts.shared_memory
}

/// What a wait gives for a child that somebody else reaped.
fn is_right(status: Result<ExitStatus, WaitError>, expected: i32, recoverable: bool) {
    match status {
        Ok(status) => assert_eq!(status.into_raw(), expected),
        Err(error) => {
            assert!(!recoverable && error.is_status_lost(), "{error:?}");
            assert!(error.to_string().contains("learn how it ended"), "{error}");
        }
    }
}

#[test]
fn sigchld_is_ignored() {
    // The kernel then reaps all children by itself.
    alone_by(&["env", "--ignore-signal=CHLD"], || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        assert_ne!(u64::from_str_radix(ignored, 16).unwrap() & (1 << 16), 0, "{ignored}");
        run(async {
            for _ in 0..20 {
                is_right(
                    fixture(&["exit:5"]).spawn().unwrap().wait().await,
                    5 << 8,
                    is_recoverable_at_once(),
                );
                match fixture(&["print:x", "exit:5"]).output().await {
                    Ok(report) => {
                        assert_eq!((report.status.code(), report.cause()), (Some(5), Cause::Exited));
                        assert_eq!(&*report.stdout, b"x");
                        // Who reaps it has it: the kernel, which tells nobody, or a keeper.
                        assert_eq!(report.usage().is_some(), report.strength() == Strength::Keeper);
                    }
                    Err(error) => {
                        assert!(error.kind() == RunErrorKind::Wait && !is_recoverable_at_once(), "{error:?}");
                    }
                }
                let mut child = fixture(&["hang"]).spawn_async().await.unwrap();
                let pid = child.id().unwrap();
                child.start_kill().unwrap();
                is_right(child.wait().await, 9, is_recoverable_at_once());
                assert!(is_gone(pid) && child.id().is_none());
                let mut child = fixture(&["hang"]).spawn().unwrap();
                is_right(child.terminate(&Termination::default()).await, 15, is_recoverable_at_once());
                let child = fixture(&["hang"]).spawn().unwrap();
                let pid = child.id().unwrap();
                drop(child);
                eventually("it is gone", || is_gone(pid));
                Command::new("no-such-program").spawn().unwrap_err();
            }
        });
    });
}

#[test]
fn the_status_is_stolen_before_anybody_looks() {
    alone(|| {
        run(async {
            for way in 0..4 {
                let mut child = fixture(&["exit:5"]).spawn().unwrap();
                let pid = child.id().unwrap();
                if child.strength() == Strength::Keeper {
                    // It is not ours, and so nobody can steal it.
                    assert_eq!(waitpid(Pid::from_raw(pid.cast_signed()), None), Err(nix::Error::ECHILD));
                    assert_eq!(child.wait().await.unwrap().code(), Some(5));
                    continue;
                }
                let stolen = waitpid(Pid::from_raw(pid.cast_signed()), None).unwrap();
                assert!(matches!(stolen, WaitStatus::Exited(_, 5)));
                // Its number may be another's now: nobody is signalled, and that is no error.
                child.signal(Signal::TERM).unwrap();
                child.start_kill().unwrap();
                match way {
                    0 => is_right(child.wait().await, 5 << 8, is_recoverable()),
                    1 => is_right(child.try_wait().map(Option::unwrap), 5 << 8, is_recoverable()),
                    2 => is_right(child.terminate(&Termination::default()).await, 5 << 8, is_recoverable()),
                    _ => drop(child),
                }
            }
        });
    });
}

#[test]
fn a_thief_that_waits_for_any_child() {
    alone(|| {
        // What is left of a group is reached although its leader is gone, where the kernel can do that.
        let steps: &[&str] = if is_recoverable_at_once() { &["spawn:hang"] } else { &[] };
        let mut command = fixture(steps);
        command.args(["print:x", "exit:5"]).drain_grace(Duration::from_millis(5));
        let leash = Leash::tie(&mut command);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _stop = Stop(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
            run(async {
                for _ in 0..100 {
                    match command.output().await {
                        Ok(report) => {
                            assert_eq!((report.status.code(), &*report.stdout), (Some(5), &b"x"[..]));
                        }
                        Err(error) => {
                            let kind = error.kind();
                            assert!(kind == RunErrorKind::Wait && !is_recoverable_at_once(), "{error:?}");
                        }
                    }
                    is_right(
                        fixture(&["exit:5"]).spawn_async().await.unwrap().wait().await,
                        5 << 8,
                        is_recoverable_at_once(),
                    );
                    drop(fixture(&["hang"]).spawn().unwrap());
                }
            });
            eventually("no child is left", || children().is_empty());
        });
        drop(command);
        leash.wait_free();
    });
}

/// However it ends: the thief must not keep a failed test from ending.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Says to a copy whom to hold.
const TRACE: &str = "HERDER_TEST_TRACE";

#[cfg(target_os = "linux")]
fn seize(pid: Pid) -> bool {
    nix::sys::ptrace::seize(pid, nix::sys::ptrace::Options::empty()).is_ok()
}

/// Elsewhere a debugger would have to stop it.
#[cfg(not(target_os = "linux"))]
fn seize(_: Pid) -> bool {
    false
}

#[test]
fn a_dead_child_that_a_debugger_holds_is_waited_for_without_a_busy_loop() {
    alone(|| {
        if let Some(pid) = std::env::var_os(TRACE) {
            let pid = Pid::from_raw(pid.to_str().unwrap().parse().unwrap());
            println!("\n{}", if seize(pid) { "seized" } else { "refused" });
            std::io::stdin().read_line(&mut String::new()).unwrap();
            return;
        }
        run(async {
            for drops in [false, true] {
                let mut child = fixture(&["hang"]).spawn().unwrap();
                let pid = child.id().unwrap();
                let mut debugger = Command::new(std::env::current_exe().unwrap());
                debugger.args(std::env::args_os().skip(1)).env(TRACE, pid.to_string());
                let mut debugger = debugger.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                let stdout = debugger.stdout.as_mut().unwrap();
                let said = loop {
                    match line(stdout).await {
                        said if said == "seized" || said == "refused" => break said,
                        _ => {}
                    }
                };
                if said == "refused" {
                    eprintln!("not shown: no process may be traced here");
                    return;
                }
                child.start_kill().unwrap();
                eventually("it is dead", || is_dead(pid));
                let before = process_time();
                let mut held = Some(child);
                if drops {
                    drop(held.take());
                    tokio::time::sleep(Duration::from_millis(300)).await;
                } else {
                    let wait = held.as_mut().unwrap().wait();
                    assert!(tokio::time::timeout(Duration::from_millis(300), wait).await.is_err());
                }
                let spent = process_time() - before;
                assert!(spent < Duration::from_millis(100), "{spent:?}");
                assert_eq!(state(pid), Some('Z'));
                drop(debugger.stdin.take());
                match held {
                    Some(mut child) => assert_eq!(child.wait().await.unwrap().signal(), Some(9)),
                    None => eventually("it is reaped", || is_gone(pid)),
                }
                assert!(debugger.wait().await.unwrap().success());
            }
        });
    });
}

/// The time that all our threads have spent on processors.
fn process_time() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap().into()
}

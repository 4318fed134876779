//! The same five hundred times: nothing is left over.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use herder_sys::{Signal, SpawnRequest, spawn, spawn_on_thread};

use crate::support::{LIMIT, alone, launched, os, sh, sleeper, status, until};

const TIMES: usize = 500;

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("procfs").lines().count()
}

/// Runs `body` with everything warm before, and looks for what it left.
fn leaves_nothing(body: impl Fn(usize)) {
    (0..20).for_each(&body);
    until("all are gone", || os::children().is_empty());
    let (fds, maps) = (os::open_fds(), mappings());
    (0..TIMES).for_each(&body);
    until("all are gone", || os::children().is_empty());
    let left: BTreeMap<_, _> = os::open_fds().into_iter().filter(|(fd, _)| !fds.contains_key(fd)).collect();
    assert!(left.is_empty(), "{left:?}");
    // A stack is two mappings; 32 idle ones are kept. Arenas of the C library's come and go.
    assert!(mappings() < maps + 100, "{maps} and then {}", mappings());
}

fn variant(index: usize, mut request: SpawnRequest) -> SpawnRequest {
    request.latch = index % 2 == 1;
    request.group = if index % 4 > 1 { herder_sys::Group::New } else { herder_sys::Group::Inherit };
    request
}

#[test]
fn spawned_and_dropped_at_once() {
    alone(|| {
        leaves_nothing(|index| {
            let spawned = spawn(variant(index, sleeper())).unwrap();
            if index % 3 == 0 {
                drop(spawned.launch);
                drop(spawned.process);
            }
        });
    });
}

#[test]
fn spawned_by_the_permanent_thread_for_nobody() {
    alone(|| {
        leaves_nothing(|index| {
            let (sender, receiver) = channel();
            spawn_on_thread(variant(index, sleeper()), move |spawned| drop(sender.send(spawned))).unwrap();
            if index % 2 == 0 {
                drop(receiver);
            } else {
                drop(receiver.recv_timeout(LIMIT).unwrap().unwrap());
            }
        });
        let (sender, receiver) = channel();
        spawn_on_thread(sh("exit 0"), move |spawned| sender.send(spawned.unwrap()).unwrap()).unwrap();
        status(&receiver.recv_timeout(LIMIT).unwrap().process);
        until("all are gone", || os::children().is_empty());
    });
}

#[test]
fn killed_by_one_thread_while_others_wait() {
    alone(|| {
        leaves_nothing(|index| {
            let spawned = spawn(variant(index, sleeper())).unwrap();
            let handle = spawned.process.handle();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    let handle = handle.clone();
                    scope.spawn(move || {
                        handle.wait_exited().unwrap();
                        let exit = handle.reap().unwrap().expect("it has exited");
                        assert_eq!(
                            std::os::unix::process::ExitStatusExt::signal(&exit.status),
                            Some(libc::SIGKILL)
                        );
                    });
                }
                scope.spawn(|| handle.kill_all().unwrap());
                scope.spawn(|| handle.signal(Signal::KILL).unwrap());
            });
        });
    });
}

#[test]
fn launches_that_outlive_their_child_and_the_other_way_round() {
    alone(|| {
        leaves_nothing(|index| {
            let spawned = spawn(variant(index, sh("exit 3"))).unwrap();
            if index % 2 == 0 {
                // Carried to another thread while the child reads its memory.
                let launch = spawned.launch;
                let waited = std::thread::spawn(move || launch.wait(LIMIT)).join().unwrap();
                assert_eq!(waited, Some(Ok(())));
                assert_eq!(status(&spawned.process).code(), Some(3));
            } else {
                drop(spawned.launch);
                assert_eq!(status(&spawned.process).code(), Some(3));
            }
        });
    });
}

#[test]
fn from_threads_that_end_at_once() {
    alone(|| {
        leaves_nothing(|index| {
            let request = variant(index, sh("exit 5"));
            // The child has the thread-local storage of a thread that may be gone before its execve.
            let spawned = std::thread::spawn(|| spawn(request)).join().unwrap().unwrap();
            spawned.launch.wait(LIMIT).unwrap().unwrap();
            assert_eq!(status(&spawned.process).code(), Some(5));
        });
        status(&launched(sh("exit 0")).process);
    });
}

#[test]
fn many_at_once_from_several_threads() {
    alone(|| {
        leaves_nothing(|index| {
            if index % 20 != 0 {
                return;
            }
            std::thread::scope(|scope| {
                for worker in 0..4 {
                    scope.spawn(move || {
                        let request = || variant(worker, sh("exit 6"));
                        let all: Vec<_> = (0..10).map(|_| spawn(request()).unwrap()).collect();
                        for spawned in all {
                            spawned.launch.wait(LIMIT).unwrap().unwrap();
                            assert_eq!(status(&spawned.process).code(), Some(6));
                        }
                    });
                }
            });
        });
    });
}

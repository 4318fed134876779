//! Children that are stopped, frozen or held before their `execve`.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use herder_sys::{PreExec, Signal, SpawnRequest, SpawnStep, pipe, spawn};

use crate::busy_text::BusyProgram;
use crate::support::{LIMIT, alone, os, sh, sleeper, status, until};

/// Long enough for a child that runs, short enough for a test.
const MOMENT: Duration = Duration::from_millis(50);

/// A request that is held by a hook until the other end is closed.
fn held() -> (SpawnRequest, std::os::fd::OwnedFd) {
    let gate = pipe(true).expect("a pipe");
    let (theirs, ours) = (gate.theirs, gate.ours.as_raw_fd());
    let hook = move || {
        // The copy of the end that we wait for the closing of.
        os::close(ours);
        let mut byte = 0u8;
        // SAFETY: one byte of a live local.
        unsafe { libc::read(theirs.as_raw_fd(), (&raw mut byte).cast(), 1) };
        Ok(())
    };
    let mut request = sh("exit 5");
    // SAFETY: close and read are async-signal-safe.
    request.pre_exec = vec![unsafe { PreExec::new(hook) }];
    (request, gate.ours)
}

#[test]
fn a_child_that_is_held_is_told_in_time_and_ended_by_a_drop() {
    alone(|| {
        for _ in 0..20 {
            let before = os::open_fds();
            let (request, gate) = held();
            let spawned = spawn(request).unwrap();
            let start = Instant::now();
            assert_eq!(spawned.launch.wait(MOMENT), None);
            assert!(start.elapsed() >= MOMENT && start.elapsed() < LIMIT / 2);
            assert_eq!(spawned.launch.outcome(), None);
            let start = Instant::now();
            drop(spawned);
            assert!(start.elapsed() < LIMIT / 2, "a drop does not wait");
            until("it is gone", || os::children().is_empty());
            drop(gate);
            let mut after = os::open_fds();
            after.retain(|fd, what| before.contains_key(fd) || !what.starts_with("anon_inode:[event"));
            assert_eq!(after, before);
        }
    });
}

#[test]
fn a_child_that_is_let_go_runs() {
    let (request, gate) = held();
    let spawned = spawn(request).unwrap();
    assert_eq!(spawned.launch.wait(Duration::ZERO), None);
    drop(gate);
    spawned.launch.wait(LIMIT).unwrap().unwrap();
    assert_eq!(status(&spawned.process).code(), Some(5));
}

#[test]
fn a_child_that_is_stopped_at_birth_stalls_nobody() {
    alone(|| {
        let mut stalled = 0;
        for round in 0..200 {
            let mut request = sleeper();
            request.latch = round % 2 == 0;
            let spawned = spawn(request).unwrap();
            spawned.process.signal(Signal::STOP).unwrap();
            let pid = spawned.process.pid();
            until("it is stopped", || os::state(pid) == Some('T'));
            let start = Instant::now();
            let outcome = spawned.launch.wait(Duration::from_millis(1));
            assert!(start.elapsed() < LIMIT / 2);
            stalled += i32::from(outcome.is_none());
            if round % 3 == 0 {
                spawned.process.signal(Signal::CONT).unwrap();
                spawned.launch.wait(LIMIT).unwrap().unwrap();
                assert!(os::lives(pid));
            }
            // Whichever goes first.
            if round % 5 == 0 {
                drop(spawned.launch);
                drop(spawned.process);
            } else {
                drop(spawned.process);
                drop(spawned.launch);
            }
            until("it is gone", || os::state(pid).is_none());
        }
        println!("{stalled} of 200 were stopped before their execve");
    });
}

#[test]
fn a_child_that_is_stopped_while_it_retries_is_told_and_ended() {
    alone(|| {
        let before = os::open_fds().len();
        for _ in 0..10 {
            let busy = BusyProgram::new();
            let spawned = spawn(busy.request()).unwrap();
            let pid = spawned.process.pid();
            spawned.process.signal(Signal::STOP).unwrap();
            until("it is stopped", || matches!(os::state(pid), Some('T' | 'Z')));
            match spawned.launch.wait(MOMENT) {
                None => assert_eq!(os::state(pid), Some('T')),
                Some(outcome) => {
                    assert_eq!(outcome.unwrap_err().step, SpawnStep::Exec, "it was slow to stop");
                }
            }
            drop(spawned);
            until("it is gone", || os::state(pid).is_none());
        }
        assert!(os::open_fds().len() <= before + 2, "the reaper's two at most");
    });
}

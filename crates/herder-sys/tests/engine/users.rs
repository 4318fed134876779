//! Children under other users, as root only: who they are, and what that does to us.

use std::thread;

use herder_sys::{SpawnRequest, SpawnStep, facts, spawn};

use crate::support::{
    LIMIT, alone, code, everywhere, failure, launched, os, output, sh, sleeper, status, strings, until,
};

const NOBODY: u32 = 65534;

fn as_nobody(mut request: SpawnRequest) -> SpawnRequest {
    request.uid = Some(NOBODY);
    request.gid = Some(NOBODY);
    request
}

#[test]
fn ids_and_groups_are_as_asked_for() {
    everywhere(|| {
        if !os::is_root() {
            return;
        }
        let ids = |mut request: SpawnRequest| {
            request.candidates = strings(&["/bin/grep", "/usr/bin/grep"]);
            request.argv = strings(&["grep", "-E", "^(Uid|Gid|Groups):", "/proc/self/status"]);
            output(request).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let all = "65534 65534 65534 65534";
        assert_eq!(ids(as_nobody(sh(""))), format!("Uid: {all} Gid: {all} Groups:"));
        let mut some = as_nobody(sh(""));
        some.groups = Some(vec![7, 9]);
        assert_eq!(ids(some), format!("Uid: {all} Gid: {all} Groups: 7 9"));
        let mut group_only = sh("");
        group_only.gid = Some(12);
        assert!(ids(group_only).starts_with("Uid: 0 0 0 0 Gid: 12 12 12 12"));
    });
}

#[test]
fn concurrent_children_of_other_users_leave_us_dumpable() {
    alone(|| {
        if !os::is_root() {
            return;
        }
        assert_eq!(os::dumpable(), 1);
        thread::scope(|scope| {
            for worker in 0..8 {
                scope.spawn(move || {
                    for round in 0..25 {
                        match (worker + round) % 4 {
                            0 => assert_eq!(code(as_nobody(sh("exit 2"))), Some(2)),
                            // Killed somewhere on its way.
                            1 => drop(spawn(as_nobody(sh("exit 2"))).expect("born")),
                            2 => {
                                let mut request = as_nobody(sh(""));
                                request.candidates = strings(&["/nowhere"]);
                                assert_eq!(failure(request).step, SpawnStep::Exec);
                            }
                            _ => {
                                // The launch goes first, the child goes on.
                                let spawned = spawn(as_nobody(sh("exit 3"))).expect("born");
                                drop(spawned.launch);
                                assert_eq!(status(&spawned.process).code(), Some(3));
                            }
                        }
                    }
                });
            }
        });
        until("the flag is back", || os::dumpable() == 1);
        until("all are gone", || os::children().is_empty());
        assert_eq!(os::dumpable(), 1);
    });
}

#[test]
fn the_flag_comes_back_though_nobody_looks_at_the_launch() {
    alone(|| {
        if !os::is_root() {
            return;
        }
        let kept = spawn(as_nobody(sleeper())).unwrap();
        until("the flag is back", || os::dumpable() == 1);
        let mut released = spawn(as_nobody(sleeper())).unwrap();
        released.process.set_release(true);
        let pid = released.process.pid();
        drop(released);
        until("the flag is back", || os::dumpable() == 1);
        os::kill(pid, libc::SIGKILL);
        drop(kept);
    });
}

#[test]
fn a_program_that_is_not_dumpable_stays_so() {
    alone(|| {
        if !os::is_root() {
            return;
        }
        // SAFETY: numbers only.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }, 0);
        assert_eq!(code(as_nobody(sh("exit 2"))), Some(2));
        assert_eq!(os::dumpable(), 0);
    });
}

/// A child under another user that has our memory must not be open to that user.
#[test]
fn until_its_execve_a_child_of_another_user_can_not_be_traced_by_that_user() {
    alone(|| {
        if !os::is_root() || !facts().shared_memory {
            return;
        }
        let busy = crate::busy_text::BusyProgram::new();
        let spawned = spawn(as_nobody(busy.request())).unwrap();
        let pid = spawned.process.pid();
        let uid_line = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        until("the child is nobody", || {
            uid_line().contains("Uid:\t65534") || spawned.launch.outcome().is_some()
        });
        let spy = os::fork();
        if spy == 0 {
            os::drop_root();
            os::exit_now(i32::from(std::fs::File::open(format!("/proc/{pid}/mem")).is_ok()));
        }
        let opened = os::wait(spy);
        // The retries take 63 ms; where the spy was late, it saw a child that was gone.
        assert_eq!(opened, 0, "our memory was open to the other user");
        let outcome = spawned.launch.wait(LIMIT).unwrap().unwrap_err();
        assert_eq!((outcome.step, outcome.errno), (SpawnStep::Exec, libc::ETXTBSY));
        assert_eq!(os::dumpable(), 1);
        drop(launched(sleeper()));
    });
}

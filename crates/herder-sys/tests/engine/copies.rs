//! Forked copies of ourselves, and children whose first thread leaves.

use std::sync::mpsc::channel;

use herder_sys::{FdSource, Group, SpawnRequest, Strings, pipe, spawn, spawn_on_thread};

use crate::support::{LIMIT, alone, code, launched, os, sh, sleeper, status, strings, until};

fn by_thread(request: SpawnRequest) -> herder_sys::Spawned {
    let (sender, receiver) = channel();
    spawn_on_thread(request, move |spawned| drop(sender.send(spawned))).expect("a thread");
    receiver.recv_timeout(LIMIT).expect("in time").expect("born")
}

#[test]
fn a_forked_copy_of_us_spawns_and_reaps_with_threads_of_its_own() {
    alone(|| {
        // Both threads run, and one child is left to the reaper, one is ours.
        let mut ours = sleeper();
        ours.group = Group::New;
        let ours = launched(ours);
        let mut left = by_thread(sleeper());
        left.process.set_release(true);
        let left_pid = left.process.pid();
        drop(left);
        for _ in 0..3 {
            let copy = os::fork();
            if copy == 0 {
                let works = std::panic::catch_unwind(|| {
                    assert_eq!(code(sh("exit 2")), Some(2));
                    let spawned = by_thread(sh("exit 4"));
                    assert_eq!(status(&spawned.process).code(), Some(4));
                    let dropped = spawn(sleeper()).unwrap().process.pid();
                    until("the copy reaps", || os::state(dropped).is_none());
                });
                os::exit_now(i32::from(works.is_err()));
            }
            assert_eq!(os::wait(copy), 0);
        }
        assert!(os::lives(ours.process.pid()) && os::lives(left_pid), "they are not the copies' to end");
        os::kill(left_pid, libc::SIGKILL);
        until("ours is reaped", || os::state(left_pid).is_none());
    });
}

extern "C" fn leave(_: libc::c_int) {
    // SAFETY: ends the thread that the signal was sent to, which holds nothing that others need.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Not a test by itself: the program that the next test starts.
#[test]
fn a_program_whose_first_thread_leaves() {
    if std::env::var_os("HERDER_TEST_LEAVER").is_none() {
        return;
    }
    let me = std::process::id() as i32;
    let stays = std::thread::spawn(|| {
        drop(std::io::read_to_string(std::io::stdin()));
        os::exit_now(11);
    });
    os::set_action(libc::SIGUSR1, leave as *const () as libc::sighandler_t, 0);
    // SAFETY: numbers only. The first thread has the number of the process.
    unsafe { libc::syscall(libc::SYS_tgkill, me, me, libc::SIGUSR1) };
    drop(stays.join());
}

#[test]
fn a_child_whose_first_thread_has_left_has_not_exited() {
    let mut candidates = Strings::new();
    candidates.push(&[std::env::current_exe().unwrap().as_os_str()]).unwrap();
    let name = "copies::a_program_whose_first_thread_leaves";
    let argv = strings(&["engine", name, "--exact", "--nocapture", "--test-threads=1"]);
    let mut request = SpawnRequest::new(candidates, argv);
    let mut env = strings(&["HERDER_TEST_LEAVER=1"]);
    for (key, value) in std::env::vars_os() {
        env.push(&[&key, "=".as_ref(), &value]).unwrap();
    }
    request.env = Some(env.into());
    let stdin = pipe(true).unwrap();
    request.fds = vec![(0, FdSource::Fd(stdin.theirs.into())), (1, FdSource::Null)];
    let spawned = launched(request);
    until("its first thread has left", || os::state(spawned.process.pid()) == Some('Z'));
    assert!(!spawned.process.has_exited().unwrap());
    assert!(spawned.process.reap().unwrap().is_none());
    drop(stdin.ours);
    assert_eq!(status(&spawned.process).code(), Some(11));
}

//! What every spawn does.

use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc::channel;

use herder_sys::{Group, Signal, SpawnRequest, SpawnStep, facts, spawn_on_thread};

use crate::support::{
    LIMIT, alone, born, code, everywhere, failure, launched, os, output, sh, sleeper, status, strings, until,
};

#[test]
fn exit_codes_arrive() {
    everywhere(|| {
        println!("{:?}", facts());
        for expected in [0, 1, 3, 255] {
            assert_eq!(code(sh(&format!("exit {expected}"))), Some(expected));
        }
    });
}

#[test]
fn a_missing_program_is_an_error_of_exec() {
    everywhere(|| {
        let error = failure(SpawnRequest::new(strings(&["/nowhere/at/all"]), strings(&["x"])));
        assert_eq!((error.step, error.errno), (SpawnStep::Exec, libc::ENOENT));
    });
}

#[test]
fn a_missing_directory_is_an_error_of_chdir() {
    everywhere(|| {
        let mut request = sh("exit 0");
        request.cwd = Some("/nowhere/at/all".into());
        let error = failure(request);
        assert_eq!((error.step, error.errno), (SpawnStep::Chdir, libc::ENOENT));
    });
}

#[test]
fn the_first_candidate_that_runs_is_run() {
    everywhere(|| {
        let request = SpawnRequest::new(
            strings(&["/nowhere/sh", "/etc/passwd", "/bin/sh", "/bin/false"]),
            strings(&["sh", "-c", "exit 4"]),
        );
        assert_eq!(code(request), Some(4));
    });
}

#[test]
fn a_group_is_killed_as_a_whole() {
    everywhere(|| {
        let mut request = sh("sleep 1000 & wait");
        request.group = Group::New;
        let spawned = launched(request);
        assert!(!spawned.process.has_exited().unwrap());
        spawned.process.signal_group(Signal::KILL).unwrap();
        assert_eq!(status(&spawned.process).signal(), Some(libc::SIGKILL));
    });
}

#[test]
fn dropped_children_are_ended_and_reaped() {
    everywhere(|| {
        let pids: Vec<i32> = (0..50).map(|_| born(sleeper()).unwrap().process.pid()).collect();
        for pid in pids {
            until("the child is gone", || !os::exists(pid));
        }
    });
}

#[test]
fn a_released_child_goes_on_and_is_reaped_when_it_ends() {
    everywhere(|| {
        let mut spawned = launched(sleeper());
        let pid = spawned.process.pid();
        spawned.process.set_release(true);
        drop(spawned);
        assert!(os::lives(pid));
        os::kill(pid, libc::SIGTERM);
        until("the child is reaped", || os::state(pid).is_none());
    });
}

#[test]
fn survivors_are_killed_when_the_leader_is_reaped_unless_they_are_kept() {
    everywhere(|| {
        for keep in [false, true] {
            let mut request = sh("sleep 1000 >/dev/null & echo $!");
            request.group = Group::New;
            // The sleep must not hold the pipe that `output` reads.
            let ends = herder_sys::pipe(false).unwrap();
            request.fds.push((1, herder_sys::FdSource::Fd(ends.theirs.into())));
            let spawned = launched(request);
            spawned.process.set_keep_survivors(keep);
            herder_sys::set_nonblocking(&ends.ours, false).unwrap();
            let survivor: i32 =
                std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap().trim().parse().unwrap();
            assert!(status(&spawned.process).success());
            if keep {
                assert!(os::lives(survivor));
                os::kill(survivor, libc::SIGKILL);
            } else {
                until("the survivor is gone", || !os::lives(survivor));
            }
        }
    });
}

#[test]
fn a_reaped_child_gives_the_same_answer_for_ever_and_takes_no_signal() {
    everywhere(|| {
        let spawned = launched(sh("exit 9"));
        let handle = spawned.process.handle();
        assert_eq!(status(&spawned.process).code(), Some(9));
        drop(spawned);
        assert_eq!(handle.reap().unwrap().unwrap().status.code(), Some(9));
        assert!(handle.has_exited().unwrap());
        handle.wait_exited().unwrap();
        handle.signal(Signal::KILL).unwrap();
        handle.signal_group(Signal::KILL).unwrap();
        handle.kill_all().unwrap();
    });
}

#[test]
fn deaths_by_signal_and_what_was_used_are_told() {
    everywhere(|| {
        let spawned = launched(sh("kill -TERM $$"));
        spawned.process.wait_exited().unwrap();
        let exit = spawned.process.reap().unwrap().unwrap();
        assert_eq!(exit.status.signal(), Some(libc::SIGTERM));
        assert!(exit.usage.unwrap().max_rss > 64 * 1024, "{exit:?}");
    });
}

#[test]
fn a_request_from_the_permanent_thread_keeps_the_askers_mask() {
    let mut request = sh("grep SigBlk /proc/self/status");
    request.inherit_signal_mask = true;
    let here = output(request);
    let ends = herder_sys::pipe(false).unwrap();
    let mut request = sh("grep SigBlk /proc/self/status");
    request.inherit_signal_mask = true;
    request.fds.push((1, herder_sys::FdSource::Fd(ends.theirs.into())));
    let (sender, receiver) = channel();
    spawn_on_thread(request, move |spawned| sender.send(spawned).unwrap()).unwrap();
    let spawned = receiver.recv_timeout(LIMIT).unwrap().unwrap();
    assert!(status(&spawned.process).success());
    herder_sys::set_nonblocking(&ends.ours, false).unwrap();
    assert_eq!(std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap(), here);
}

/// The mask of the thread of ours that makes children.
fn mask_of_the_permanent_thread() -> u64 {
    let (sender, receiver) = channel();
    let done = move |spawned| sender.send((os::mask(), spawned)).unwrap();
    spawn_on_thread(sh("exit 0"), done).unwrap();
    let (mask, spawned) = receiver.recv_timeout(LIMIT).unwrap();
    assert!(status(&spawned.unwrap().process).success());
    mask
}

#[test]
fn the_permanent_thread_blocks_all_signals_but_not_that_of_an_exit() {
    let mask = mask_of_the_permanent_thread();
    assert_eq!([libc::SIGINT, libc::SIGTERM, libc::SIGUSR1].map(|signal| mask >> (signal - 1) & 1), [1; 3]);
    assert_eq!(mask >> (libc::SIGCHLD - 1) & 1, 0);
}

#[test]
fn a_program_that_blocks_the_signal_of_an_exit_still_gets_it() {
    alone(|| {
        os::set_mask(1 << (libc::SIGCHLD - 1));
        assert_eq!(mask_of_the_permanent_thread() >> (libc::SIGCHLD - 1) & 1, 1);
    });
}

#[test]
fn a_panic_in_an_answer_does_not_end_the_permanent_thread() {
    let (sender, receiver) = channel();
    spawn_on_thread(sh("exit 0"), |_| panic!("on purpose")).unwrap();
    spawn_on_thread(sh("exit 5"), move |spawned| sender.send(spawned).unwrap()).unwrap();
    let spawned = receiver.recv_timeout(LIMIT).unwrap().unwrap();
    assert_eq!(status(&spawned.process).code(), Some(5));
}

#[test]
fn several_threads_wait_for_one_launch() {
    everywhere(|| {
        for _ in 0..50 {
            let spawned = born(sh("exit 0")).unwrap();
            let start = std::time::Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..6 {
                    scope.spawn(|| spawned.launch.wait(LIMIT).unwrap().unwrap());
                }
            });
            assert!(start.elapsed() < LIMIT / 2);
            status(&spawned.process);
        }
    });
}

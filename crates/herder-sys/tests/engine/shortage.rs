//! No descriptors left, at each step that wants one.

use herder_sys::{PreExec, SpawnRequest, facts, spawn};

use crate::support::{LIMIT, alone, alone_with, os, sh, sleeper, until};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Latched,
    Forked,
}

fn request(kind: Kind, mut request: SpawnRequest) -> SpawnRequest {
    match kind {
        Kind::Plain => {}
        Kind::Latched => request.latch = true,
        // SAFETY: does nothing.
        Kind::Forked => request.pre_exec = vec![unsafe { PreExec::new(|| Ok(())) }],
    }
    request
}

/// Fills the gaps and lowers the limit, so that just `left` more can be had.
fn leave(left: u64) -> Vec<std::fs::File> {
    let highest = *os::open_fds().keys().max().expect("some are open");
    let mut fillers = Vec::new();
    loop {
        let filler = os::memory_file();
        let number = std::os::fd::AsRawFd::as_raw_fd(&filler);
        fillers.push(filler);
        if number > highest {
            os::limit_fds(number as u64 + 1 + left);
            return fillers;
        }
    }
}

/// Reads nothing, and so needs no descriptors.
fn is_gone(pid: i32) -> bool {
    !os::exists(pid)
}

fn at_each_step(warm: bool) {
    if warm {
        let _ = facts();
    }
    for kind in [Kind::Plain, Kind::Latched, Kind::Forked] {
        for left in 0..=6 {
            let before = os::open_fds();
            let fillers = leave(left);
            match spawn(request(kind, sh("exit 7"))) {
                Err(error) => {
                    assert!(matches!(error.errno, libc::EMFILE | libc::EAGAIN), "{kind:?} {left} {error:?}");
                }
                Ok(spawned) => {
                    let outcome = spawned.launch.wait(LIMIT).expect("in time");
                    spawned.process.wait_exited().expect("waited for");
                    let exit = spawned.process.reap().expect("reaped").expect("it has exited");
                    let expected = if outcome.is_ok() { 7 } else { 127 };
                    assert_eq!(exit.status.code(), Some(expected), "{kind:?} {left}");
                }
            }
            // And one that nobody waits for.
            if let Ok(spawned) = spawn(request(kind, sleeper())) {
                let pid = spawned.process.pid();
                drop(spawned);
                until("the dropped child is reaped", || is_gone(pid));
            }
            os::limit_fds(1024);
            drop(fillers);
            assert_eq!(os::children(), [0; 0], "{kind:?} {left}");
            let mut after = os::open_fds();
            // The reaper may have got its own two meanwhile.
            after.retain(|fd, what| before.contains_key(fd) || !what.starts_with("anon_inode:[event"));
            assert_eq!(after, before, "{kind:?} {left}");
        }
    }
    assert_eq!(crate::support::code(sh("exit 3")), Some(3), "all is well again");
}

#[test]
fn too_many_open_files_at_each_step() {
    alone(|| {
        at_each_step(true);
    });
}

#[test]
fn too_many_open_files_at_the_first_spawn() {
    alone(|| {
        at_each_step(false);
    });
}

#[test]
#[cfg_attr(herder_portable, ignore = "the facts are about Linux")]
fn what_was_missing_at_the_first_spawn_is_not_missed_for_ever() {
    alone_with(&[("HERDER_DISABLE", "")], || {
        let fillers = leave(0);
        let during = *facts();
        os::limit_fds(1024);
        drop(fillers);
        let after = *facts();
        assert!(!during.pidfd && !during.shared_memory, "{during:?}");
        assert!(after.shared_memory && after.close_range, "{after:?}");
        assert_eq!(after, *facts());
    });
}

#[test]
fn the_reaper_works_without_descriptors_and_gets_them_later() {
    alone(|| {
        let first = spawn(sleeper()).unwrap();
        let second = spawn(sleeper()).unwrap();
        let fillers = leave(0);
        let pid = first.process.pid();
        drop(first);
        until("reaped by looking", || is_gone(pid));
        os::limit_fds(1024);
        drop(fillers);
        let pid = second.process.pid();
        drop(second);
        until("reaped as ever", || is_gone(pid));
    });
}

#[test]
fn a_limit_on_processes_is_an_error_and_not_remembered() {
    alone(|| {
        os::drop_root();
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: one structure is written.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &raw mut before) }, 0);
        let limit = |count| {
            let limits = libc::rlimit { rlim_cur: count, ..before };
            // SAFETY: one structure is read.
            unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limits) }
        };
        assert_eq!(limit(0), 0);
        let error = spawn(sh("exit 1")).unwrap_err();
        assert_eq!(error.errno, libc::EAGAIN, "{error:?}");
        assert_eq!(limit(before.rlim_cur), 0);
        assert_eq!(crate::support::code(sh("exit 3")), Some(3));
        if cfg!(not(herder_portable)) && std::env::var_os("HERDER_DISABLE").is_none() {
            assert!(facts().shared_memory);
        }
    });
}

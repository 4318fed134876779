//! Statuses that somebody else took, and dead children that somebody holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use herder_sys::{Group, Process, spawn};

use crate::support::{LIMIT, alone, launched, os, sh, sleeper, slower, until};

/// The status is known, or the error says why not; never a hang.
fn assert_recovered(process: &Process, code: i32) {
    process.wait_exited().expect("waited for");
    match process.reap() {
        Ok(Some(exit)) => assert_eq!(exit.status.code(), Some(code)),
        Ok(None) => panic!("it has exited"),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
            assert!(!has_exit_info() || process.pidfd().is_none(), "this kernel could have told");
            assert!(process.reap().is_err(), "it stays so");
        }
    }
    assert!(process.has_exited().expect("an answer"));
    process.kill_all().expect("nothing to kill is no error");
}

/// Linux 6.15.
fn has_exit_info() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("procfs");
    let mut numbers = release.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

#[test]
fn a_program_that_ignores_sigchld_gets_statuses() {
    alone(|| {
        for (action, flags) in [(libc::SIG_IGN, 0), (libc::SIG_DFL, libc::SA_NOCLDWAIT)] {
            os::set_action(libc::SIGCHLD, action, flags);
            for group in [Group::Inherit, Group::New] {
                let mut request = sh("exit 7");
                request.group = group;
                let spawned = spawn(request).unwrap();
                spawned.launch.wait(LIMIT).unwrap().unwrap();
                assert_recovered(&spawned.process, 7);
                let dropped = spawn(sleeper()).unwrap().process.pid();
                until("it is gone", || !os::exists(dropped));
            }
        }
    });
}

#[test]
fn a_thread_that_waits_for_anybody_steals_no_status() {
    alone(|| {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if os::wait_for_anybody(0).is_none() {
                        std::thread::yield_now();
                    }
                }
            });
            for round in 0..100 {
                let mut request = sh("exit 9");
                request.group = if round % 2 == 0 { Group::New } else { Group::Inherit };
                let spawned = spawn(request).unwrap();
                spawned.launch.wait(LIMIT).unwrap().unwrap();
                assert_recovered(&spawned.process, 9);
                drop(spawn(sleeper()).unwrap());
            }
            over.store(true, Ordering::Relaxed);
        });
        until("all are gone", || os::children().is_empty());
    });
}

/// The most dangerous moment: the child is gone, we don't know yet, and its number is somebody else's.
///
/// Without pidfds the engine can only ask whether the number is one of our children, and the stranger here is one:
/// then a `waitpid(-1)` beside us can't be guarded against, and this is not tested.
#[test]
fn a_reused_number_is_not_killed() {
    alone(|| {
        let reuse = |pid: i32| std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).is_ok();
        for round in 0..200 {
            let mut request = sh("exit 0");
            request.group = Group::New;
            let spawned = launched(request);
            let pid = spawned.process.pid();
            if spawned.process.pidfd().is_none() {
                return;
            }
            assert_eq!(os::wait(pid), 0, "stolen");
            if !reuse(pid) {
                return;
            }
            let stranger = os::fork();
            if stranger == 0 {
                // SAFETY: numbers only.
                unsafe { libc::setpgid(0, 0) };
                loop {
                    // SAFETY: no arguments.
                    unsafe { libc::pause() };
                }
            }
            if stranger == pid {
                // SAFETY: numbers only.
                until("it leads its group", || unsafe { libc::getpgid(pid) } == pid);
                match round % 3 {
                    0 => drop(spawned.process.reap()),
                    1 => drop(spawned.process.kill_all()),
                    _ => drop(spawned.process.signal_group(herder_sys::Signal::KILL)),
                }
                drop(spawned);
                let hit = os::state(pid).is_none_or(|state| state == 'Z');
                os::kill(stranger, libc::SIGKILL);
                os::wait(stranger);
                assert!(!hit, "a stranger was killed");
                if round >= 6 {
                    return;
                }
            } else {
                os::kill(stranger, libc::SIGKILL);
                os::wait(stranger);
            }
        }
    });
}

/// A process that traces `pid` until it is killed. `None`: it may not.
fn tracer(pid: i32) -> Option<i32> {
    let ready = herder_sys::pipe(false).expect("a pipe");
    herder_sys::set_nonblocking(&ready.ours, false).expect("our own");
    let tracer = os::fork();
    if tracer == 0 {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: no memory is touched.
        let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, nothing, nothing) };
        let mut tell = std::fs::File::from(ready.theirs);
        std::io::Write::write_all(&mut tell, &[u8::from(seized == 0)]).expect("a pipe");
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    }
    drop(ready.theirs);
    let mut answer = [0];
    std::io::Read::read_exact(&mut std::fs::File::from(ready.ours), &mut answer).expect("an answer");
    if answer == [1] {
        return Some(tracer);
    }
    os::kill(tracer, libc::SIGKILL);
    os::wait(tracer);
    None
}

#[test]
fn a_dead_child_that_is_traced_costs_nothing_and_is_reaped_when_it_is_let_go() {
    alone(|| {
        let kept = launched(sleeper());
        let dropped = launched(sleeper());
        let pid = dropped.process.pid();
        let tracers = [kept.process.pid(), pid].map(tracer);
        let [Some(first), Some(second)] = tracers else { return };
        kept.process.kill_all().unwrap();
        drop(dropped);
        until("both are dead", || [kept.process.pid(), pid].iter().all(|pid| os::state(*pid) == Some('Z')));
        assert!(!kept.process.has_exited().unwrap());
        assert!(kept.process.reap().unwrap().is_none());
        // Not for order: a time to be idle in.
        let (before, idle) = (os::processor_time(), Duration::from_millis(600));
        std::thread::sleep(idle);
        let used = os::processor_time() - before;
        // An emulated processor takes longer for the same; whoever spins takes all of it.
        let most = idle / 20 * slower().min(5);
        assert!(used < most, "{used:?} of {idle:?}, {most:?} at most");
        for tracer in [first, second] {
            os::kill(tracer, libc::SIGKILL);
            os::wait(tracer);
        }
        kept.process.wait_exited().unwrap();
        assert!(kept.process.reap().unwrap().is_some());
        until("the dropped one is reaped", || os::state(pid).is_none());
    });
}

#[test]
fn a_group_is_empty_when_nobody_runs_in_it() {
    alone(|| {
        os::adopt_orphans();
        for keep in [false, true] {
            let ends = herder_sys::pipe(false).expect("a pipe");
            herder_sys::set_nonblocking(&ends.ours, false).expect("our own");
            let mut request = sh("sleep 1000 >/dev/null & echo $!");
            request.group = Group::New;
            request.fds.push((1, herder_sys::FdSource::Fd(ends.theirs.into())));
            let spawned = launched(request);
            spawned.process.set_keep_survivors(keep);
            let told = std::io::read_to_string(std::fs::File::from(ends.ours)).expect("UTF-8");
            let member: i32 = told.trim().parse().expect("a number");
            spawned.process.wait_exited().expect("waited for");
            assert_eq!(spawned.process.group_is_empty(), None, "the dead child is in it");
            assert!(spawned.process.reap().expect("reaped").is_some());
            if keep {
                assert_eq!(spawned.process.group_is_empty(), Some(false));
                os::kill(member, libc::SIGKILL);
            }
            // It is ours, and we don't reap it yet.
            until("the member is dead", || os::state(member) == Some('Z'));
            // Where there is only kill(2) to ask, it counts.
            assert_eq!(spawned.process.group_is_empty(), Some(!cfg!(herder_portable)));
            os::wait(member);
            assert_eq!(spawned.process.group_is_empty(), Some(true));
        }
        let child = launched(sh("exit 0"));
        super::support::status(&child.process);
        assert_eq!(child.process.group_is_empty(), None, "it leads none");
    });
}

//! Scopes whose children a keeper bears: what a child inherits, what can't be, and keepers that are stopped or killed.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use herder_sys::{
    FdSource, Group, Limit, Mechanism, PreExec, Process, Resource, Scope, Signal, SpawnRequest, SpawnStep,
    pipe, set_nonblocking, spawn,
};

use crate::support::scopes::{actor, inside, kill_all, launched_in, pids, scope_by, until_members};
use crate::support::seccomp::refuse;
use crate::support::{LIMIT, alone, launched, os, sh, sleeper, status, until};

fn scope() -> Option<Scope> {
    scope_by(Mechanism::Keeper)
}

/// Those whose children a keeper bears.
const KEPT: [Mechanism; 2] = [Mechanism::Keeper, Mechanism::PidNamespace];

/// A field of `/proc/PID/stat`, counted from behind the name.
fn field(pid: i32, at: usize) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(at).unwrap().parse().unwrap()
}

fn parent(pid: i32) -> i32 {
    field(pid, 1)
}

/// What a child of the scope writes.
fn said(scope: &Scope, script: &str) -> String {
    let ends = pipe(false).unwrap();
    let mut request = sh(script);
    request.fds.push((1, FdSource::Fd(ends.theirs.into())));
    let child = launched_in(scope, request);
    set_nonblocking(&ends.ours, false).unwrap();
    let text = std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap();
    assert!(status(&child).success());
    text.trim().to_owned()
}

#[test]
fn ends_and_usage_come_back_exactly() {
    for kept in KEPT {
        let Some(scope) = scope_by(kept) else { continue };
        assert_eq!(status(&launched_in(&scope, sh("exit 42"))).code(), Some(42));
        assert_eq!(status(&launched_in(&scope, sh("kill -USR1 $$"))).signal(), Some(libc::SIGUSR1));
        let child = launched_in(&scope, sh("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"));
        child.wait_exited().unwrap();
        let usage = child.reap().unwrap().unwrap().usage.unwrap();
        assert!(usage.user > Duration::from_millis(1) && usage.max_rss > 64 * 1024, "{usage:?}");
        let child = launched_in(&scope, sleeper());
        assert!(!child.has_exited().unwrap() && child.reap().unwrap().is_none());
        child.signal(Signal::TERM).unwrap();
        assert_eq!(status(&child).signal(), Some(libc::SIGTERM));
    }
}

#[test]
fn what_a_child_inherits_is_ours() {
    alone(|| {
        for kept in KEPT {
            let Some(first) = scope_by(kept) else { continue };
            let show = "umask; ulimit -n; ulimit -c; cat /proc/self/oom_score_adj; pwd -P; nice";
            let here = |scope| said(scope, show).lines().map(str::to_owned).collect::<Vec<_>>();
            let direct = crate::support::output(sh(show));
            assert_eq!(said(&first, show), direct.trim());
            os::limit_fds(123);
            // SAFETY: numbers only.
            unsafe { libc::umask(0o027) };
            // SAFETY: numbers only.
            assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 3) }, 0);
            std::fs::write("/proc/self/oom_score_adj", "77").unwrap();
            std::env::set_current_dir("/proc").unwrap();
            let second = scope_by(kept).unwrap();
            let seen = here(&second);
            assert_eq!(
                [&*seen[0], &*seen[1], &*seen[3], &*seen[4], &*seen[5]],
                ["0027", "123", "77", "/proc", "3"]
            );
            // The folder is that of the birth, all else that of the scope's beginning.
            assert_eq!(here(&first)[4], "/proc");
            std::env::set_current_dir("/").unwrap();
            assert_eq!(here(&second)[4], "/");
            // Not our own session: its terminal is out of reach there.
            let child = launched_in(&second, sleeper());
            let session = field(child.pid(), 3);
            // SAFETY: numbers only.
            assert!(session != unsafe { libc::getsid(0) } && field(child.pid(), 2) == child.pid());
        }
    });
}

#[test]
fn a_kill_in_haste_leaves_no_haste_to_those_who_come_later() {
    for kept in KEPT {
        let Some(scope) = scope_by(kept) else { continue };
        let doomed = launched_in(&scope, sleeper());
        kill_all(&scope);
        assert!(!status(&doomed).success());
        let child = launched_in(&scope, sleeper());
        // Scheduling policy and real-time priority, as ours are.
        let of = |pid| [field(pid, 38), field(pid, 37)];
        assert_eq!(of(child.pid()), of(std::process::id() as i32));
    }
}

#[test]
fn what_can_not_be_is_refused() {
    for kept in KEPT {
        let Some(scope) = scope_by(kept) else { continue };
        let refused = |change: &dyn Fn(&mut SpawnRequest)| {
            let mut request = sh("exit 0");
            request.group = Group::New;
            request.scope = Some(scope.clone());
            change(&mut request);
            let error = spawn(request).unwrap_err();
            assert_eq!((error.step, error.errno), (SpawnStep::Scope, libc::EOPNOTSUPP));
        };
        refused(&|request| request.group = Group::Inherit);
        refused(&|request| request.group = Group::Join(1));
        // SAFETY: does nothing.
        refused(&|request| request.pre_exec = vec![unsafe { PreExec::new(|| Ok(())) }]);
        let outside = launched(sleeper()).process;
        let error = scope.adopt(&outside).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("has not born"), "{error}");
        assert_eq!(scope.limit(Limit::Processes(5)).unwrap_err().errno(), libc::EOPNOTSUPP);
        if let Some(cgroup) = scope_by(Mechanism::Cgroup) {
            let kept = launched_in(&scope, sleeper());
            assert_eq!(cgroup.adopt(&kept).unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
        }
    }
}

#[test]
fn long_orders_and_many_children() {
    for kept in KEPT {
        let Some(scope) = scope_by(kept) else { continue };
        let long = "x".repeat(100_000);
        assert_eq!(said(&scope, &format!("a={long}; echo ${{#a}}")), "100000");
        let all: Vec<Process> =
            (0..300).map(|n| launched_in(&scope, sh(&format!("exit {}", n % 256)))).collect();
        for (number, child) in (0..).zip(&all) {
            assert_eq!(status(child).code(), Some(number % 256));
        }
        until("it is empty", || scope.is_empty().unwrap());
        // Each time it is empty, which is news that nobody reads.
        for _ in 0..600 {
            assert!(status(&launched_in(&scope, sh(""))).success());
        }
    }
}

#[test]
fn a_dropped_child_leaves_the_others() {
    for kept in KEPT {
        let Some(scope) = scope_by(kept) else { continue };
        let kept = launched_in(&scope, sleeper());
        let dropped = launched_in(&scope, sleeper());
        let pid = dropped.pid();
        drop(dropped);
        until("it is gone", || !os::exists(pid));
        assert_eq!(pids(&scope), [kept.pid()]);
    }
}

#[test]
fn a_released_scope_lives_on_without_its_handles() {
    alone(|| {
        for kept in KEPT {
            let Some(scope) = scope_by(kept) else { continue };
            let mut child = launched_in(&scope, sh("setsid sleep 1000 & sleep 1000"));
            until_members(&scope, 3);
            let (members, keeper) = (pids(&scope), parent(child.pid()));
            child.set_release(true);
            scope.release();
            drop(child);
            // Not for order: a time in which nothing shall happen.
            std::thread::sleep(Duration::from_millis(50));
            assert!(members.iter().all(|pid| os::lives(*pid)));
            members.iter().for_each(|pid| os::kill(*pid, libc::SIGKILL));
            until("its keeper goes with the last of them", || !os::exists(keeper));
        }
    });
}

#[test]
fn a_keeper_that_was_killed_takes_all_with_it_and_no_status_is_waited_for_in_vain() {
    alone(|| {
        for kept in KEPT {
            for round in 0..20 {
                let Some(scope) = scope_by(kept) else { break };
                let script = "trap '' TERM HUP; (setsid sh -c 'sleep 1000 & sleep 1000' &) ; while :; do sleep 1; done";
                let mut request = sh(script);
                request.die_with_owner = (round % 2 == 0).then_some(Signal::KILL);
                let child = launched_in(&scope, request);
                let done = launched_in(&scope, sh("exit 9"));
                done.wait_exited().unwrap();
                until_members(&scope, 4);
                let members = pids(&scope);
                os::kill(parent(child.pid()), libc::SIGKILL);
                child.wait_exited().unwrap();
                match child.reap() {
                    Ok(exit) => assert_eq!(exit.unwrap().status.signal(), Some(libc::SIGKILL)),
                    // Before Linux 6.15.
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD)),
                }
                assert_eq!(status(&done).code(), Some(9), "it was told before");
                until("the scope is empty", || scope.is_empty().unwrap());
                assert!(members.iter().all(|pid| !os::lives(*pid)), "round {round}");
                let error = spawn(inside(&scope, sleeper())).unwrap_err();
                assert_eq!((error.step, error.errno), (SpawnStep::Scope, libc::ENODEV));
            }
        }
    });
}

#[test]
fn a_nursery_that_was_killed_is_replaced_and_missed_by_nobody() {
    alone(|| {
        let Some(first) = scope() else { return };
        let child = launched_in(&first, sh("setsid sleep 1000 & sleep 1000"));
        until_members(&first, 3);
        let nursery = parent(parent(child.pid()));
        os::kill(nursery, libc::SIGKILL);
        until("it is gone", || !os::lives(nursery));
        let second = scope().unwrap();
        let other = launched_in(&second, sleeper());
        assert_ne!(parent(parent(other.pid())), nursery);
        assert_eq!(status(&launched_in(&first, sh("exit 3"))).code(), Some(3));
        let members = pids(&first);
        kill_all(&first);
        assert!(!status(&child).success() && !members.iter().any(|pid| os::lives(*pid)));
    });
}

/// `PIDFD_SIGNAL_PROCESS_GROUP` is Linux 6.9's.
#[test]
fn a_group_gets_signals_where_the_kernel_knows_no_group_by_a_pidfd() {
    alone(|| {
        refuse(libc::SYS_pidfd_send_signal, Some((3, 1 << 2)), libc::EINVAL);
        let Some(scope) = scope() else { return };
        let leads = || {
            let ends = pipe(false).unwrap();
            let script = "setsid sleep 1000 >/dev/null & sleep 1000 >/dev/null & echo $!; exec >&-; wait";
            let mut request = sh(script);
            request.fds.push((1, FdSource::Fd(ends.theirs.into())));
            let child = launched_in(&scope, request);
            set_nonblocking(&ends.ours, false).unwrap();
            let member: i32 =
                std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap().trim().parse().unwrap();
            let others = || pids(&scope).into_iter().find(|pid| ![child.pid(), member].contains(pid));
            until("the other has its own group", || others().is_some_and(|pid| field(pid, 2) == pid));
            (others().unwrap(), child, member)
        };
        let (other, child, member) = leads();
        child.signal_group(Signal::TERM).unwrap();
        until("the group has it", || !os::lives(member));
        assert!(status(&child).signal() == Some(libc::SIGTERM) && os::lives(other));
        os::kill(other, libc::SIGKILL);
        until("the other is gone", || !os::exists(other));
        let (other, child, member) = leads();
        child.signal(Signal::KILL).unwrap();
        assert!(status(&child).signal() == Some(libc::SIGKILL) && os::lives(other));
        until("its group ends with it", || !os::lives(member));
        kill_all(&scope);
    });
}

#[test]
fn a_stopped_keeper_hangs_nobody() {
    alone(|| {
        for kept in KEPT {
            let Some(scope) = scope_by(kept) else { continue };
            let child = launched_in(&scope, sh("setsid sleep 1000 & sleep 1000"));
            until_members(&scope, 3);
            let (keeper, members) = (parent(child.pid()), pids(&scope));
            os::kill(keeper, libc::SIGSTOP);
            until("it is stopped", || os::state(keeper) == Some('T'));
            assert!(!scope.is_empty().unwrap() && pids(&scope).len() == 3);
            scope.signal(Signal::STOP).unwrap();
            let start = Instant::now();
            let error = spawn(inside(&scope, sleeper())).unwrap_err();
            assert_eq!((error.step, error.errno), (SpawnStep::Stalled, libc::ETIMEDOUT));
            assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
            // The child that was given up is killed as soon as it is born.
            kill_all(&scope);
            assert!(!status(&child).success() && !members.iter().any(|pid| os::lives(*pid)));
            let child = launched_in(&scope, sleeper());
            os::kill(keeper, libc::SIGSTOP);
            let pid = child.pid();
            drop((scope, child));
            until("a drop is enough", || !os::lives(pid) && !os::exists(keeper));
        }
    });
}

#[test]
fn a_child_that_is_dead_for_all_but_its_keeper_is_told_late_and_not_lost() {
    for kept in KEPT {
        let Some(scope) = scope_by(kept) else { continue };
        let child = launched_in(&scope, sleeper());
        let keeper = parent(child.pid());
        os::kill(keeper, libc::SIGSTOP);
        child.signal(Signal::KILL).unwrap();
        until("it is dead", || os::state(child.pid()) == Some('Z'));
        assert!(child.has_exited().unwrap() && child.reap().unwrap().is_none());
        os::kill(keeper, libc::SIGCONT);
        assert_eq!(status(&child).signal(), Some(libc::SIGKILL));
    }
}

#[test]
fn a_forked_copy_of_us_ends_nothing_of_ours_and_has_scopes_of_its_own() {
    alone(|| {
        for kept in KEPT {
            let Some(ours) = scope_by(kept) else { continue };
            let child = launched_in(&ours, sleeper());
            let clone = ours.clone();
            let copy = os::fork();
            if copy == 0 {
                os::alarm(60);
                let mine = scope_by(kept).unwrap();
                let failed = status(&launched_in(&mine, sh("exit 4"))).code() != Some(4);
                drop((mine, ours, clone));
                os::exit_now(i32::from(failed));
            }
            assert_eq!(os::wait(copy), 0);
            assert!(os::lives(child.pid()));
            drop((ours, clone));
            assert!(!status(&child).success());
        }
    });
}

#[test]
fn a_limit_of_processes_is_an_error_of_the_birth() {
    alone(|| {
        if scope().is_none() || !os::is_root() {
            return;
        }
        // A user that nobody else is, so that we know how many processes it has.
        // SAFETY: numbers only.
        assert_eq!(unsafe { libc::setuid(54_321) }, 0);
        let mut request = sh("exit 0");
        request.rlimits = vec![(Resource::Processes, 3, 3)];
        let scope = scope().unwrap();
        assert!(status(&launched_in(&scope, request)).success());
        let bomb = launched_in(&scope, actor("bomb:50"));
        until_members(&scope, 50);
        kill_all(&scope);
        assert!(!status(&bomb).success());
    });
}

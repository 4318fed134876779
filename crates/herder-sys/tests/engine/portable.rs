//! The engine for any Unix: its keeper, its rungs, and what it does not have.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};

use herder_sys::{
    FdSource, Group, MECHANISMS, Mechanism, PreExec, Scope, Signal, SpawnRequest, keeper, mechanism, pipe,
    set_nonblocking, spawn,
};

use crate::support::{LIMIT, alone, os, sh, sleeper, status, until};

/// A shell that leads a group, and tells its number and that of another member of it.
fn family() -> (SpawnRequest, File) {
    let ends = pipe(false).expect("a pipe");
    set_nonblocking(&ends.ours, false).expect("our own");
    let mut request = sh("sleep 1000 & echo $$; echo $!; wait");
    request.group = Group::New;
    request.fds = vec![(1, FdSource::Fd(ends.theirs.into()))];
    (request, ends.ours.into())
}

fn numbers(told: &mut impl BufRead, count: usize) -> Vec<i32> {
    told.lines().take(count).map(|line| line.expect("UTF-8").parse().expect("a number")).collect()
}

/// A copy of us that runs `life` and then stays, with what that gives, and what it tells.
fn owner<T>(life: impl FnOnce(&mut File) -> T) -> (i32, BufReader<File>) {
    let ends = pipe(false).expect("a pipe");
    set_nonblocking(&ends.ours, false).expect("our own");
    let mut tell = File::from(ends.theirs);
    let pid = os::fork();
    if pid == 0 {
        let _kept = life(&mut tell);
        loop {
            std::thread::park();
        }
    }
    drop(tell);
    (pid, BufReader::new(ends.ours.into()))
}

fn keeper_pid() -> i32 {
    match keeper::state() {
        keeper::State::Running { pid } => pid,
        state => panic!("{state:?}"),
    }
}

#[test]
fn a_group_ends_with_its_owner_and_the_reaped_do_not_matter() {
    alone(|| {
        let (owner, mut told) = owner(|tell| {
            let (request, mut own) = family();
            let first = spawn(sleeper()).expect("born");
            first.process.end_with_owner().expect("watched");
            let second = spawn(request).expect("born");
            second.process.end_with_owner().expect("watched");
            // Its line in the list is another's now, and then nobody's.
            first.process.kill_all().expect("killed");
            status(&first.process);
            let third = spawn(sleeper()).expect("born");
            third.process.end_with_owner().expect("watched");
            third.process.kill_all().expect("killed");
            status(&third.process);
            let numbers = numbers(&mut BufReader::new(&mut own), 2);
            writeln!(tell, "{}\n{}\n{}", numbers[0], numbers[1], keeper_pid()).expect("told");
            second
        });
        let pids = numbers(&mut told, 3);
        assert!(pids.iter().all(|pid| os::lives(*pid)), "{pids:?}");
        os::kill(owner, libc::SIGKILL);
        os::wait(owner);
        for pid in pids {
            until("the group is gone, and then the keeper", || !os::lives(pid));
        }
    });
}

#[test]
fn a_keeper_that_was_ended_is_replaced_and_told_the_same() {
    alone(|| {
        let (owner, mut told) = owner(|tell| {
            let first = spawn(sleeper()).expect("born");
            first.process.end_with_owner().expect("watched");
            let old = keeper_pid();
            os::kill(old, libc::SIGKILL);
            until("the old keeper is gone", || !os::lives(old));
            keeper::ensure(None).expect("another one");
            assert_ne!(keeper_pid(), old);
            writeln!(tell, "{}\n{}", first.process.pid(), keeper_pid()).expect("told");
            first
        });
        let pids = numbers(&mut told, 2);
        assert!(pids.iter().all(|pid| os::lives(*pid)), "{pids:?}");
        os::kill(owner, libc::SIGKILL);
        os::wait(owner);
        for pid in pids {
            until("the child is gone, and then the keeper", || !os::lives(pid));
        }
    });
}

#[test]
fn the_keeper_is_nobodys_child_and_no_signal_of_the_terminal_ends_it() {
    alone(|| {
        keeper::ensure(None).expect("a keeper");
        assert_eq!(os::children(), [0; 0]);
        let pid = keeper_pid();
        // SAFETY: a question.
        let session = |pid| unsafe { libc::getsid(pid) };
        assert_ne!(session(pid), session(0));
        for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGTERM] {
            os::kill(pid, signal);
        }
        keeper::ensure(None).expect("a keeper");
        assert_eq!(keeper_pid(), pid);
    });
}

#[test]
fn another_signal_than_a_kill_is_refused() {
    let mut request = sleeper();
    request.die_with_owner = Some(Signal::TERM);
    assert_eq!(spawn(request).unwrap_err().errno, libc::ENOTSUP);
}

#[test]
fn scopes_are_refused_with_the_reason() {
    for wanted in [Mechanism::Cgroup, Mechanism::Keeper] {
        assert!(MECHANISMS.contains(&wanted));
        let refusal = mechanism(wanted).unwrap_err().to_string();
        assert!(refusal.contains("need") && refusal.contains("Linux"), "{refusal}");
        assert_eq!(Scope::new(wanted).unwrap_err().to_string(), refusal);
    }
}

#[test]
fn a_forked_child_is_in_its_group_before_anybody_can_ask() {
    for _ in 0..100 {
        let mut request = sleeper();
        request.group = Group::New;
        // SAFETY: does nothing.
        request.pre_exec = vec![unsafe { PreExec::new(|| Ok(())) }];
        let spawned = spawn(request).expect("born");
        let pid = spawned.process.pid();
        // SAFETY: a question.
        assert_eq!(unsafe { libc::getpgid(pid) }, pid);
        assert_eq!(spawned.launch.wait(LIMIT), Some(Ok(())));
        spawned.process.kill_all().expect("killed");
        assert!(spawned.process.reap().is_ok());
    }
}

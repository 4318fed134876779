//! However an owner ends, what its keepers have born ends with it, and so do they.

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use herder_sys::{Group, Mechanism, Scope, mechanism, tidy_scopes};

use crate::support::scopes::{actor, launched_in, pids, scope_by, until_members};
use crate::support::{alone, os, sh, status, until};

/// The promise.
const SECOND: Duration = Duration::from_secs(1);

struct Owner {
    pid: i32,
    /// Members, then keepers, then the nursery.
    pids: Vec<i32>,
    /// When each of them was started.
    starts: Vec<Option<u64>>,
    _said: BufReader<std::fs::File>,
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A copy of us with two trees, which then does as `end` says.
fn owner(kept: Mechanism, chains: usize, end: impl FnOnce()) -> Owner {
    let ends = herder_sys::pipe(false).unwrap();
    herder_sys::set_nonblocking(&ends.ours, false).unwrap();
    let mut tell = std::fs::File::from(ends.theirs);
    let pid = os::fork();
    if pid == 0 {
        os::alarm(60);
        // SAFETY: numbers only.
        unsafe { libc::setpgid(0, 0) };
        let mut all = Vec::new();
        for session in [false, true] {
            let scope = scope_by(kept).unwrap();
            let mut request = sh("trap '' TERM HUP
                setsid sh -c 'trap \"\" TERM HUP; setsid sleep 1000 & sleep 1000; sleep 1000' &
                (setsid setsid sleep 1000 &)
                sh -c 'kill -STOP $$' &
                while :; do sleep 1000; done");
            request.group = if session { Group::NewSession } else { Group::New };
            let leader = launched_in(&scope, request);
            until_members(&scope, 6);
            let chain =
                (chains > 0 && session).then(|| launched_in(&scope, actor(&format!("chain:{chains}"))));
            let keeper = parent(leader.pid());
            pids(&scope).into_iter().chain([keeper, parent(keeper)]).for_each(|pid| {
                writeln!(tell, "{pid}").unwrap();
            });
            all.push((scope, leader, chain));
        }
        writeln!(tell, "ready").unwrap();
        let _kept = std::mem::ManuallyDrop::new(all);
        end();
        loop {
            std::thread::park();
        }
    }
    drop(tell);
    let mut said = BufReader::new(std::fs::File::from(ends.ours));
    let mut found = Vec::new();
    loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it was ready");
        match line.trim().parse() {
            Ok(pid) => found.push(pid),
            Err(_) => break,
        }
    }
    let starts = found.iter().map(|pid| os::start_of(*pid)).collect();
    Owner { pid, pids: found, starts, _said: said }
}

impl Owner {
    /// How long it takes from the owner's end until nobody is left.
    fn aftermath(&self) -> Duration {
        os::wait(self.pid);
        let start = Instant::now();
        let known = self.pids.iter().zip(&self.starts).filter(|(_, start)| start.is_some());
        let lives = |(pid, start): (&i32, &Option<u64>)| os::lives(*pid) && os::start_of(*pid) == *start;
        until("all are gone", || !known.clone().any(lives));
        start.elapsed()
    }
}

fn ends(kept: Mechanism, name: &str, chains: usize, end: impl FnOnce(), act: impl FnOnce(&Owner)) {
    let owner = owner(kept, chains, end);
    act(&owner);
    let took = owner.aftermath();
    println!("{kept:?}, {name}: {took:?}");
    assert!(took < SECOND, "{kept:?}, {name}: {took:?}");
}

#[test]
fn an_owner_of_kept_scopes_may_end_as_it_likes() {
    alone(|| {
        for kept in [Mechanism::Keeper, Mechanism::PidNamespace] {
            if mechanism(kept).is_err() {
                continue;
            }
            let kill = |owner: &Owner| os::kill(owner.pid, libc::SIGKILL);
            ends(kept, "exit", 0, || os::exit_now(3), |_| {});
            ends(kept, "abort", 0, || std::process::abort(), |_| {});
            ends(kept, "TERM", 0, || {}, |owner| os::kill(owner.pid, libc::SIGTERM));
            ends(kept, "KILL group", 0, || {}, |owner| os::kill(-owner.pid, libc::SIGKILL));
            for _ in 0..10 {
                ends(kept, "KILL", 0, || {}, kill);
            }
            ends(kept, "chains", 2, || {}, kill);
        }
    });
}

#[test]
fn keepers_that_can_not_act_are_helped() {
    alone(|| {
        for kept in [Mechanism::Keeper, Mechanism::PidNamespace] {
            if mechanism(kept).is_err() {
                continue;
            }
            ends(
                kept,
                "stopped keepers",
                0,
                || {},
                |owner| {
                    let keepers = owner.pids.iter().filter(|pid| comm(**pid) == "herder-keeper");
                    keepers.for_each(|pid| os::kill(*pid, libc::SIGSTOP));
                    // The nursery stays awake: who stops that too has the better of it.
                    let nursery = owner.pids.last().unwrap();
                    os::kill(*nursery, libc::SIGCONT);
                    os::kill(owner.pid, libc::SIGKILL);
                },
            );
            ends(
                kept,
                "no nursery",
                0,
                || {},
                |owner| {
                    let nursery = *owner.pids.last().unwrap();
                    os::kill(nursery, libc::SIGKILL);
                    until("it is gone", || !os::lives(nursery));
                    os::kill(owner.pid, libc::SIGKILL);
                },
            );
        }
    });
}

fn comm(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

#[test]
fn an_owner_that_drops_its_scopes_has_no_keepers_left() {
    alone(|| {
        let Some(scope) = scope_by(Mechanism::Keeper) else { return };
        let child = launched_in(&scope, sh("exit 0"));
        assert!(status(&child).success());
        let idle = launched_in(&scope, crate::support::sleeper());
        let keeper = parent(idle.pid());
        drop((scope, idle));
        until("its keeper is gone", || !os::exists(keeper));
    });
}

#[test]
fn the_keeper_of_a_scope_that_was_empty_keeps_the_next_one_if_nobody_could_tell() {
    alone(|| {
        let next = |count: usize| -> Vec<Scope> {
            (0..count).map(|_| Scope::without_stats(Mechanism::Keeper).unwrap()).collect()
        };
        if mechanism(Mechanism::Keeper).is_err() {
            return;
        }
        let keeper = |scope: &Scope| {
            let child = launched_in(scope, crate::support::sleeper());
            let keeper = parent(child.pid());
            os::kill(child.pid(), libc::SIGKILL);
            assert!(!status(&child).success());
            until("it is empty", || scope.is_empty().unwrap());
            keeper
        };
        let first = next(1).remove(0);
        let used = keeper(&first);
        drop(first);
        let again = next(1).remove(0);
        assert_eq!(keeper(&again), used);
        assert_eq!(again.stats().unwrap_err().kind(), std::io::ErrorKind::Unsupported);
        // Others have their own, and those who want to know what was used.
        assert!(keeper(&next(1)[0]) != used && keeper(&scope_by(Mechanism::Keeper).unwrap()) != used);
        // Not while somebody is in it; not if it is frozen.
        let left = launched_in(&again, sh("setsid sleep 1000 & exit 0"));
        until_members(&again, 1);
        assert!(status(&left).success());
        drop(again);
        until("it is gone", || !os::exists(used));
        let frozen = next(1).remove(0);
        let used = keeper(&frozen);
        frozen.set_frozen(true).unwrap();
        drop(frozen);
        until("it is gone", || !os::exists(used));
        // Another mask is another heritage; and there are not many of them.
        let all = next(20);
        let keepers: Vec<_> = all.iter().map(keeper).collect();
        let nursery = parent(keepers[0]);
        drop(all);
        until("the others are gone", || keepers.iter().filter(|pid| os::exists(**pid)).count() == 8);
        // SAFETY: numbers only.
        unsafe { libc::umask(0o77) };
        let other = next(1).remove(0);
        assert!(!keepers.contains(&keeper(&other)));
        until("the rest is gone, too", || !keepers.iter().any(|pid| os::exists(*pid)) && !os::lives(nursery));
        let used = keeper(&other);
        drop(other);
        // Killed or stopped meanwhile, it hinders nobody.
        os::kill(used, libc::SIGSTOP);
        until("it is stopped", || os::state(used) == Some('T'));
        let again = next(1).remove(0);
        assert_eq!(keeper(&again), used);
        drop(again);
        os::kill(used, libc::SIGKILL);
        until("it is gone", || !os::lives(used));
        let last = next(1).remove(0);
        let idle = keeper(&last);
        assert_ne!(idle, used);
        drop(last);
        tidy_scopes().unwrap();
        until("nobody waits any more", || !os::exists(idle));
    });
}

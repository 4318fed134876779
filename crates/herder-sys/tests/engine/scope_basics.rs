//! Born inside, ended together, used again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use herder_sys::{
    Limit, Mechanism, Member, PreExec, Scope, Signal, SpawnStep, mechanism, spawn, tidy_scopes,
};

use crate::support::scopes::{
    ALL, actor, cgroup_of, folder_of, house_of, inside, is_over, kill_all, launched_in, mount, own_folder,
    pids, scope, scope_by, until_members,
};
use crate::support::{LIMIT, alone, launched, os, output, sh, sleeper, status, strings, until};

#[test]
fn a_child_is_inside_from_its_first_instruction() {
    let Some(scope) = scope() else { return };
    let own = cgroup_of(std::process::id() as i32).unwrap();
    let start = format!("0::{}/herder-{}-", own.trim_end_matches('/'), std::process::id());
    for hook in [false, true] {
        let mut request = sh("");
        request.candidates = strings(&["/bin/grep", "/usr/bin/grep"]);
        request.argv = strings(&["grep", "^0::", "/proc/self/cgroup"]);
        if hook {
            // Even what the caller runs before the program is inside.
            let seen = || match fs::read_to_string("/proc/self/cgroup")
                .is_ok_and(|text| text.contains("/herder-"))
            {
                true => Ok(()),
                false => Err(std::io::Error::from_raw_os_error(libc::ENOTTY)),
            };
            // SAFETY: it reads a file; no other thread of this child can hold the allocator's lock for ever.
            request.pre_exec = vec![unsafe { PreExec::new(seen) }];
        }
        let said = output(inside(&scope, request));
        assert!(said.starts_with(&start), "{said} is not in {start}");
    }
    assert!(scope.is_empty().unwrap());
}

#[test]
fn members_are_named_and_counted() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        assert_eq!(scope.mechanism(), mechanism);
        assert!(scope.is_empty().unwrap() && scope.members().unwrap().is_empty());
        let one = launched_in(&scope, sleeper());
        let two = launched_in(&scope, sh("while :; do :; done"));
        let named = || {
            let mut members = scope.members().unwrap();
            members.sort_by_key(|member| member.pid != one.pid());
            members.into_iter().map(|Member { pid, command, .. }| (pid, command)).collect::<Vec<_>>()
        };
        // The kernel lets us go on before it gives the new program its name (begin_new_exec, fs/exec.c).
        let wanted = [(one.pid(), "sleep".to_owned()), (two.pid(), "sh".to_owned())];
        until("both have their names", || named() == wanted);
        until("time is counted", || scope.stats().unwrap().user > Duration::from_millis(20));
        let before = scope.stats().unwrap();
        assert_eq!(before.processes, 2);
        assert!(!scope.is_empty().unwrap());
        kill_all(&scope);
        // Not reaped yet, and not counted any more.
        assert!(scope.members().unwrap().is_empty());
        assert!(scope.stats().unwrap().user >= before.user, "those that are gone count");
        assert!(!status(&one).success() && !status(&two).success());
    }
}

#[test]
fn a_scope_that_is_used_again_begins_at_nothing() {
    alone(|| {
        let Some(first) = scope() else { return };
        let child = launched_in(&first, sh("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"));
        status(&child);
        assert!(first.stats().unwrap().user > Duration::from_millis(1));
        drop(first);
        let again = scope().unwrap();
        let stats = again.stats().unwrap();
        assert!(stats.user < Duration::from_millis(1), "{stats:?}");
    });
}

/// The folder of the scope, and its inode.
fn leaf_of(scope: &Scope) -> (PathBuf, u64) {
    let mut request = sh("");
    request.candidates = strings(&["/bin/grep", "/usr/bin/grep"]);
    request.argv = strings(&["grep", "^0::", "/proc/self/cgroup"]);
    let said = output(inside(scope, request));
    let folder = mount().join(said.trim_end().strip_prefix("0::/").unwrap());
    let inode = fs::metadata(&folder).unwrap().ino();
    (folder, inode)
}

#[test]
fn a_leaf_is_used_again_if_it_is_as_good_as_new() {
    alone(|| {
        let Some(first) = scope() else { return };
        let leaf = leaf_of(&first);
        // While it is held, nobody else gets it.
        let other = scope().unwrap();
        assert_ne!(leaf_of(&other), leaf);
        drop(first);
        let again = scope().unwrap();
        assert_eq!(leaf_of(&again), leaf);
        // With a cgroup in it, it is removed.
        fs::create_dir_all(leaf.0.join("inner/most")).unwrap();
        drop(again);
        until("it is removed", || !leaf.0.exists());
        assert_ne!(leaf_of(&scope().unwrap()).0, leaf.0);
        let leaf = leaf_of(&other);
        let child = launched_in(&other, sleeper());
        drop(other);
        assert!(!status(&child).success());
        until("nobody is left", || is_over(&leaf.0));
        until("nothing is left", || tidy_scopes().unwrap());
        assert_eq!(house_of(std::process::id() as i32, &own_folder()), None);
    });
}

#[test]
fn a_leaf_is_never_used_again_while_somebody_is_in_it() {
    alone(|| {
        for round in 0..100 {
            let Some(first) = scope() else { return };
            // Dead or dying in the moment of the drop, or not.
            let child = launched_in(&first, if round % 2 == 0 { sleeper() } else { sh("exit 0") });
            if round % 3 == 0 {
                first.kill().unwrap();
            }
            drop(first);
            let next = scope().unwrap();
            assert!(next.is_empty().unwrap(), "round {round}");
            assert_eq!(status(&launched_in(&next, sh("exit 3"))).code(), Some(3), "round {round}");
            status(&child);
        }
        until("nothing is left", || tidy_scopes().unwrap());
    });
}

#[test]
fn a_pool_is_bounded() {
    alone(|| {
        let Some(first) = scope() else { return };
        let house = leaf_of(&first).0.parent().unwrap().to_owned();
        let all: Vec<_> = (0..200).map(|_| scope().unwrap()).collect();
        let count =
            || fs::read_dir(&house).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
        assert_eq!(count(), 201);
        drop((first, all));
        assert_eq!(count(), 64);
        assert!(tidy_scopes().unwrap() && !house.exists());
    });
}

#[test]
fn a_scope_that_was_killed_can_be_born_into() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        for round in 0..20 {
            let child = launched_in(&scope, sleeper());
            kill_all(&scope);
            assert!(!status(&child).success());
            assert_eq!(status(&launched_in(&scope, sh("exit 3"))).code(), Some(3), "round {round}");
        }
        let child = launched_in(&scope, sleeper());
        assert_eq!(pids(&scope), [child.pid()]);
        scope.signal(Signal::TERM).unwrap();
        assert!(!status(&child).success());
        assert!(scope.is_empty().unwrap());
    }
}

#[test]
fn a_leaf_that_was_frozen_comes_back_thawed() {
    alone(|| {
        let Some(scope) = scope() else { return };
        let leaf = leaf_of(&scope);
        scope.set_frozen(true).unwrap();
        drop(scope);
        let again = crate::support::scopes::scope().unwrap();
        assert!(!again.is_frozen());
        assert_eq!(leaf_of(&again), leaf);
    });
}

#[test]
fn a_frozen_scope_refuses_a_birth_at_once_and_stands_still() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        let child = launched_in(&scope, sh("while :; do :; done"));
        scope.set_frozen(true).unwrap();
        assert!(scope.is_frozen());
        for hook in [false, true] {
            let mut request = inside(&scope, sh("exit 0"));
            if hook {
                // SAFETY: does nothing.
                request.pre_exec = vec![unsafe { PreExec::new(|| Ok(())) }];
            }
            let start = Instant::now();
            let error = spawn(request).unwrap_err();
            assert_eq!((error.step, error.errno), (SpawnStep::Scope, libc::EBUSY));
            assert!(start.elapsed() < LIMIT / 10);
        }
        until("it stands still", || {
            let before = scope.stats().unwrap().user;
            std::thread::sleep(Duration::from_millis(5));
            scope.stats().unwrap().user == before
        });
        scope.set_frozen(false).unwrap();
        let before = scope.stats().unwrap().user;
        until("it goes on", || scope.stats().unwrap().user > before);
        assert_eq!(status(&launched_in(&scope, sh("exit 4"))).code(), Some(4));
        // Frozen, it can be killed all the same.
        scope.set_frozen(true).unwrap();
        kill_all(&scope);
        assert!(!status(&child).success());
    }
}

#[test]
fn a_signal_reaches_every_member_and_nobody_else() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        let outside = launched(sleeper()).process;
        let script = "trap 'exit 7' TERM; setsid sleep 1000 & wait";
        let children: Vec<_> = (0..5).map(|_| launched_in(&scope, sh(script))).collect();
        // Before that, the copy of the shell that becomes a sleeper may take a signal for the shell.
        let sleeps = |member: &&Member| member.command == "sleep";
        until("all are ready", || scope.members().unwrap().iter().filter(sleeps).count() == 5);
        scope.signal(Signal::TERM).unwrap();
        for child in &children {
            assert_eq!(status(child).code(), Some(7));
        }
        until("sleepers die too", || scope.is_empty().unwrap());
        assert!(os::lives(outside.pid()));
    }
}

#[test]
fn watching_reports_the_end() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        let child = launched_in(&scope, sh("sleep 0.05"));
        let watched = scope.changes().unwrap();
        let is_cgroup = mechanism == Mechanism::Cgroup;
        let events = if is_cgroup { libc::POLLPRI } else { libc::POLLIN };
        until("it is empty, by watching", || {
            if scope.is_empty().unwrap() {
                return true;
            }
            assert!(os::wait_news(&watched, events, 5000), "told in time");
            false
        });
        assert!(status(&child).success());
    }
}

#[test]
fn a_scope_whose_cgroup_was_removed_is_an_error() {
    alone(|| {
        let Some(scope) = scope() else { return };
        let child = launched_in(&scope, sleeper());
        let folder = folder_of(child.pid());
        drop(child);
        until("it is empty", || scope.is_empty().unwrap());
        fs::remove_dir(&folder).unwrap();
        let error = spawn(inside(&scope, sleeper())).unwrap_err();
        assert_eq!(error.step, SpawnStep::Scope);
        assert!(matches!(error.errno, libc::ENODEV | libc::ENOENT), "{error:?}");
        let error = scope.is_empty().unwrap_err().raw_os_error();
        assert!(matches!(error, Some(libc::ENODEV | libc::ENOENT)), "{error:?}");
        drop(scope);
        // A house that somebody removed is made again.
        until("nothing is left", || tidy_scopes().unwrap());
        let scope = crate::support::scopes::scope().unwrap();
        assert_eq!(status(&launched_in(&scope, sh("exit 3"))).code(), Some(3));
    });
}

#[test]
fn limits_are_applied_or_it_says_why_not() {
    let Some(scope) = scope() else { return };
    for limit in [Limit::Memory(64 << 20), Limit::Processes(1), Limit::Cpu(500)] {
        match scope.limit(limit) {
            Ok(()) => println!("{limit:?} is applied"),
            Err(refusal) => {
                println!("{limit:?}: {refusal}");
                assert_ne!(refusal.errno(), 0);
                assert!(refusal.to_string().contains("; "), "it says what would help");
            }
        }
    }
}

#[test]
fn what_is_turned_off_is_refused_with_a_sentence() {
    crate::support::alone_with(&[("HERDER_DISABLE", "cgroup")], || {
        let refusal = mechanism(Mechanism::Cgroup).unwrap_err();
        assert_eq!(refusal.errno(), libc::EOPNOTSUPP);
        assert!(refusal.to_string().starts_with("HERDER_DISABLE turns cgroups off"), "{refusal}");
        let error = Scope::new(Mechanism::Cgroup).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert_eq!(house_of(std::process::id() as i32, &own_folder()), None);
    });
}

#[test]
fn without_clone3_there_is_no_birth_into_a_cgroup() {
    crate::support::alone_with(&[("HERDER_DISABLE", "clone3")], || {
        assert_eq!(mechanism(Mechanism::Cgroup).unwrap_err().errno(), libc::ENOSYS);
    });
}

#[test]
fn a_chain_that_is_told_to_stop_stops_for_signals_that_stay() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        let leader = launched_in(&scope, actor("bomb:20"));
        until_members(&scope, 20);
        scope.signal(Signal::STOP).unwrap();
        until("all are stopped", || pids(&scope).into_iter().all(|pid| os::state(pid) == Some('T')));
        scope.signal(Signal::KILL).unwrap();
        kill_all(&scope);
        drop(leader);
    }
}

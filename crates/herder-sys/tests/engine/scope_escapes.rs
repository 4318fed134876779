//! Members that do what they can to stay, and owners that go first.

use std::fs;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use herder_sys::{Mechanism, Process, Scope, Signal, spawn, tidy_scopes};

use crate::support::scopes::{
    ALL, actor, cgroup_of, folder_of, house_of, inside, is_over, kill_all, launched_in, mount, own_folder,
    pids, run_instead, scope, scope_by, until_members,
};
use crate::support::{LIMIT, alone, alone_with, launched, os, sh, sleeper, status, until};

/// What a tree does, and how many members it has at least.
fn trees() -> Vec<(&'static str, herder_sys::SpawnRequest, usize)> {
    let own = "d=$(sed -n 's/^0:://p' /proc/self/cgroup)";
    let mount = mount().display().to_string();
    let inner =
        format!("{own}; mkdir -p {mount}$d/x/y; echo 0 >{mount}$d/x/y/cgroup.procs; sleep 1000 & sleep 1000");
    vec![
        ("same group", sh("sleep 1000 & sleep 1000"), 3),
        ("setsid", sh("setsid sleep 1000"), 1),
        ("double fork", sh("(setsid sh -c 'sleep 1000 & exit' &) ; sleep 1000"), 2),
        ("daemon, leader gone", sh("(setsid sh -c 'cd /; sleep 1000 >/dev/null 2>&1 &' &)"), 1),
        ("ignores TERM", sh("trap '' TERM HUP INT; while :; do sleep 0.01; done"), 1),
        ("stopped", sh("sleep 1000 & kill -STOP $! $$"), 2),
        ("bomb", actor("bomb:200"), 200),
        ("chains", actor("chain:64"), 10),
        ("cgroups of its own", sh(&inner), 2),
    ]
}

fn every_tree_is_gone(mechanism: Mechanism, rounds: usize) {
    let Some(bystander) = scope_by(mechanism) else { return };
    let outside = [launched(sleeper()).process, launched_in(&bystander, sleeper())];
    for round in 0..rounds {
        for (name, request, least) in trees() {
            if mechanism == Mechanism::Keeper && name == "cgroups of its own" {
                continue;
            }
            let scope = scope_by(mechanism).unwrap();
            let leader = launched_in(&scope, request);
            println!("{name} ...");
            until_members(&scope, least);
            let seen = pids(&scope);
            let took = kill_all(&scope);
            if round == 0 {
                println!("{mechanism:?}, {name}: {} members gone in {took:?}", seen.len());
            }
            assert!(took < Duration::from_secs(10), "{name}: {took:?}");
            status(&leader);
            assert!(pids(&scope).is_empty(), "{name}");
            assert!(scope.is_empty().unwrap(), "{name}");
        }
    }
    assert!(outside.iter().all(|process| os::lives(process.pid())), "somebody else was killed");
    assert_eq!(pids(&bystander), [outside[1].pid()]);
}

#[test]
fn nobody_stays() {
    alone(|| ALL.into_iter().for_each(|mechanism| every_tree_is_gone(mechanism, 2)));
}

#[test]
fn nobody_stays_where_each_is_killed_by_hand() {
    alone_with(&[("HERDER_DISABLE", "cgroup_kill")], || every_tree_is_gone(Mechanism::Cgroup, 1));
}

#[test]
fn a_member_s_own_cgroups_are_killed_and_removed_too() {
    alone(|| {
        let Some(scope) = scope() else { return };
        let child = launched_in(&scope, sleeper());
        let folder = folder_of(child.pid());
        let mut deep = folder.clone();
        // Deeper than a path can be long.
        for _ in 0..40 {
            deep.push("x");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(folder.join("wide")).unwrap();
        fs::write(deep.join("cgroup.procs"), child.pid().to_string()).unwrap();
        assert_eq!(pids(&scope), [child.pid()]);
        scope.signal(Signal::USR1).unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status(&child)), Some(libc::SIGUSR1));
        let child = launched_in(&scope, sleeper());
        drop(scope);
        assert!(!status(&child).success());
        until("it is removed", || !folder.exists());
        until("nothing is left", || tidy_scopes().unwrap());
    });
}

#[test]
fn a_drop_takes_microseconds_and_leaves_nothing() {
    alone(|| ALL.into_iter().for_each(drops_leave_nothing));
}

fn drops_leave_nothing(mechanism: Mechanism) {
    if scope_by(mechanism).is_none() {
        return;
    }
    let all: Vec<(Scope, Process)> = (0..100)
        .map(|_| {
            let scope = scope_by(mechanism).unwrap();
            let leader = launched_in(&scope, sh("sleep 1000 & sleep 1000"));
            (scope, leader)
        })
        .collect();
    let (scopes, leaders): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let members: Vec<i32> = scopes.iter().flat_map(pids).collect();
    let mut times: Vec<Duration> = scopes
        .into_iter()
        .map(|scope| {
            let start = Instant::now();
            drop(scope);
            start.elapsed()
        })
        .collect();
    times.sort();
    println!("{mechanism:?}, drop: median {:?}, worst {:?}", times[50], times[99]);
    // On a machine of its own a tenth of it.
    assert!(times[50] < Duration::from_millis(1), "median {:?}", times[50]);
    for leader in &leaders {
        assert!(!status(leader).success());
    }
    until("all are gone", || !members.iter().any(|pid| os::lives(*pid)));
    until("nothing is left", || tidy_scopes().unwrap());
    assert_eq!(house_of(std::process::id() as i32, &own_folder()), None);
}

#[test]
fn a_drop_while_they_fork_leaves_nothing() {
    alone(|| {
        for _ in 0..100 {
            let Some(scope) = scope() else { return };
            let leader = spawn(inside(&scope, actor("chain:4"))).unwrap();
            let folder = folder_of(leader.process.pid());
            if scope.members().unwrap().len() % 2 == 0 {
                until_members(&scope, 3);
            }
            drop(scope);
            status(&leader.process);
            until("nobody is left", || is_over(&folder));
        }
        until("nothing is left", || tidy_scopes().unwrap());
    });
}

#[test]
fn births_and_kills_at_once_leave_nobody() {
    alone(|| ALL.into_iter().for_each(births_and_kills_at_once));
}

fn births_and_kills_at_once(mechanism: Mechanism) {
    let Some(scope) = scope_by(mechanism) else { return };
    for _ in 0..100 {
        let spawned = std::thread::scope(|threads| {
            let births =
                threads.spawn(|| (0..4).map(|_| spawn(inside(&scope, sleeper()))).collect::<Vec<_>>());
            scope.kill().unwrap();
            births.join().unwrap()
        });
        kill_all(&scope);
        for spawned in spawned {
            assert!(!status(&spawned.unwrap().process).success());
        }
    }
}

/// Runs `life` in a forked copy of us, which writes lines, and gives its pid and these.
fn in_copy(life: impl FnOnce(&mut fs::File)) -> (i32, BufReader<fs::File>) {
    let ends = herder_sys::pipe(false).unwrap();
    herder_sys::set_nonblocking(&ends.ours, false).unwrap();
    let mut tell = fs::File::from(ends.theirs);
    let pid = os::fork();
    if pid == 0 {
        // It waits for the test, which may fail.
        os::alarm(60);
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life(&mut tell))).is_err();
        os::exit_now(i32::from(failed));
    }
    drop(tell);
    (pid, BufReader::new(fs::File::from(ends.ours)))
}

fn line(told: &mut impl BufRead) -> String {
    let mut line = String::new();
    told.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// An owner with a tree, which waits to be killed. Its pid, and that of a child whose parent is gone.
fn owner() -> (i32, i32, BufReader<fs::File>) {
    use std::io::Write;
    let (owner, mut told) = in_copy(|tell| {
        let scope = scope().unwrap();
        let mut leader = launched_in(&scope, sh("setsid sleep 1000 & exit 0"));
        leader.set_release(true);
        status(&leader);
        writeln!(tell, "{}", pids(&scope)[0]).unwrap();
        loop {
            std::thread::park();
        }
    });
    let orphan = line(&mut told).parse().unwrap();
    (owner, orphan, told)
}

#[test]
fn the_house_of_a_dead_owner_is_swept_and_that_of_a_live_one_is_not() {
    alone(|| {
        if herder_sys::mechanism(Mechanism::Cgroup).is_err() {
            return;
        }
        for _ in 0..20 {
            until("nothing of ours is left", || tidy_scopes().unwrap());
            let (dead, orphan, told) = owner();
            let (alive, kept, kept_told) = owner();
            os::kill(dead, libc::SIGKILL);
            assert_eq!(os::wait(dead), libc::SIGKILL);
            // Unless somebody else has swept it: other tests do.
            let house = house_of(dead, &own_folder());
            // A new owner does.
            let mine = scope().unwrap();
            until("the orphan is gone", || !os::lives(orphan));
            until("the house is gone", || house.as_ref().is_none_or(|house| !house.exists()));
            assert!(os::lives(kept));
            assert!(house_of(alive, &own_folder()).is_some_and(|house| house.exists()), "its owner lives");
            assert_eq!(status(&launched_in(&mine, sh("exit 2"))).code(), Some(2));
            drop(mine);
            os::kill(alive, libc::SIGKILL);
            os::wait(alive);
            // The next owner's find is this one's house.
            until("nothing of ours is left", || tidy_scopes().unwrap());
            drop((told, kept_told));
            let _next = scope().unwrap();
            until("the orphan is gone", || !os::lives(kept));
        }
        until("nothing of ours is left", || tidy_scopes().unwrap());
    });
}

#[test]
fn a_locked_house_is_alive_though_its_owner_can_not_be_seen() {
    alone(|| {
        if scope().is_none() {
            return;
        }
        assert!(tidy_scopes().unwrap());
        // As that of a program in another PID namespace.
        let house = own_folder().join("herder-4194305-1");
        fs::create_dir(&house).unwrap();
        let lock = fs::File::open(&house).unwrap();
        lock.lock().unwrap();
        drop(scope().unwrap());
        assert!(house.exists() && tidy_scopes().unwrap());
        drop(lock);
        drop(scope().unwrap());
        until("it is swept", || !house.exists());
        until("nothing of ours is left", || tidy_scopes().unwrap());
    });
}

#[test]
fn a_forked_copy_makes_a_house_of_its_own_and_ends_nothing_of_ours() {
    alone(|| {
        let Some(ours) = scope() else { return };
        let child = launched_in(&ours, sleeper());
        let own = folder_of(child.pid());
        let kept = ours.clone();
        let (copy, _told) = in_copy(|_| {
            let mine = scope().unwrap();
            let folder = folder_of(launched_in(&mine, sleeper()).pid());
            assert_ne!(folder.parent(), own.parent());
            assert!(cgroup_of(std::process::id() as i32).is_some());
            drop((mine, ours.clone()));
            // The last handle in this copy.
            drop(ours);
            until("nothing of it is left", || tidy_scopes().unwrap());
        });
        assert_eq!(os::wait(copy), 0);
        assert!(os::lives(child.pid()), "it is the first owner's");
        assert_eq!(house_of(copy, &own_folder()), None);
        drop(kept);
    });
}

#[test]
fn a_program_that_executes_another_leaves_its_house_to_itself() {
    alone(|| {
        let (copy, mut told) = in_copy(|tell| {
            use std::io::Write;
            let Some(scope) = scope() else { return writeln!(tell, "0").unwrap() };
            let child = launched_in(&scope, sleeper());
            writeln!(tell, "{}", child.pid()).unwrap();
            // Without a drop: the program after us gets nothing but the pid.
            panic!("{}", run_instead("scope:1"));
        });
        let child: i32 = line(&mut told).parse().unwrap();
        assert_eq!(os::wait(copy), 0);
        if child > 0 {
            // The keeper has taken the execve for the end of the owner, or will; who begins anew sweeps what it left.
            until("nothing of ours is left", || tidy_scopes().unwrap());
            let _next = scope().unwrap();
            until("it is swept", || !os::lives(child) && house_of(copy, &own_folder()).is_none());
        }
    });
}

#[test]
fn one_house_though_all_threads_begin_at_once() {
    alone(|| {
        let start = Instant::now();
        std::thread::scope(|threads| {
            for _ in 0..64 {
                threads.spawn(|| {
                    let Some(scope) = scope() else { return };
                    assert_eq!(status(&launched_in(&scope, sh("exit 2"))).code(), Some(2));
                });
            }
        });
        assert!(start.elapsed() < LIMIT);
        until("nothing is left", || tidy_scopes().unwrap());
        assert_eq!(house_of(std::process::id() as i32, &own_folder()), None);
    });
}

//! Scopes that are PID namespaces: what is seen from inside and from outside, whose end they are, and who has none.

use std::os::unix::process::ExitStatusExt;

use herder_sys::{FdSource, Mechanism, Scope, Signal, SpawnStep, mechanism, pipe, set_nonblocking, spawn};

use crate::support::scopes::{actor, inside, kill_all, launched_in, pids, scope_by, until_members};
use crate::support::seccomp::refuse;
use crate::support::{alone, alone_with, launched, os, sh, sleeper, status, until};

/// A user that is nobody else.
const USER: u32 = 54_321;

fn scope() -> Option<Scope> {
    scope_by(Mechanism::PidNamespace)
}

/// What a child of the scope writes.
fn said(scope: &Scope, script: &str) -> String {
    said_in(scope, script, None)
}

fn said_in(scope: &Scope, script: &str, dir: Option<&str>) -> String {
    let ends = pipe(false).unwrap();
    let mut request = sh(script);
    request.fds.push((1, FdSource::Fd(ends.theirs.into())));
    request.cwd = dir.map(Into::into);
    let child = launched_in(scope, request);
    set_nonblocking(&ends.ours, false).unwrap();
    let text = std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap();
    assert!(status(&child).success(), "{text}");
    text.trim().to_owned()
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Becomes an ordinary user, if root.
fn give_up_root() {
    if os::is_root() {
        // SAFETY: no groups are read.
        assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
        // SAFETY: numbers only.
        assert_eq!(unsafe { libc::setgid(USER) }, 0);
        // SAFETY: numbers only.
        assert_eq!(unsafe { libc::setuid(USER) }, 0);
    }
}

#[test]
fn those_inside_see_themselves_alone_and_we_see_them_by_our_numbers() {
    let Some(scope) = scope() else { return };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let own = said(&scope, "echo $$");
    assert_ne!(own, "1");
    if said(&scope, "cat /proc/1/comm") == "herder-keeper" {
        // The script, and what it starts, are the only ones beside the first process, which is not the script.
        let seen = said(&scope, "echo $$; cd /proc; set -- [0-9]*; echo $*; read -r a <self/stat; echo $a");
        let lines: Vec<_> = seen.lines().collect();
        let [own, all, stat] = lines[..] else { panic!("{seen}") };
        assert_eq!(all, format!("1 {own}"));
        assert!(stat.starts_with(&format!("{own} ")), "{seen}");
    } else {
        assert!(!os::is_root(), "root may always mount one");
        println!("skipped: parts of /proc are hidden from us, and so there is no other");
    }
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts, "nothing is mounted here");

    let child = launched_in(&scope, sleeper());
    let state = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
    let numbers = state.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    let numbers: Vec<i32> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(numbers.len() > 1 && numbers[numbers.len() - 2] == child.pid(), "{numbers:?}");
    assert_eq!(pids(&scope), [child.pid()]);
    // A number of ours means nobody inside.
    assert!(said(&scope, &format!("kill -0 {} 2>/dev/null || echo nobody", std::process::id())) == "nobody");
    child.signal(Signal::TERM).unwrap();
    assert_eq!(status(&child).signal(), Some(libc::SIGTERM));
    // However short they live, each has its number.
    for _ in 0..200 {
        let child = launched_in(&scope, sh("exit 7"));
        assert!(child.pid() > 1);
        assert_eq!(status(&child).code(), Some(7));
    }
}

#[test]
fn the_working_directory_is_ours_and_has_its_path() {
    alone(|| {
        let Some(scope) = scope() else { return };
        std::env::set_current_dir("/usr").unwrap();
        assert_eq!(said(&scope, "/bin/pwd"), "/usr");
        assert_eq!(said_in(&scope, "/bin/pwd", Some("../dev")), "/dev");
        assert_eq!(said_in(&scope, "/bin/pwd", Some("/")), "/");
        let mut request = inside(&scope, sh(""));
        request.cwd = Some("none".into());
        let outcome = spawn(request).unwrap().launch.wait(crate::support::LIMIT).unwrap();
        assert_eq!(outcome.unwrap_err().step, SpawnStep::Chdir);
    });
}

#[test]
fn an_ordinary_user_is_itself_inside_and_can_be_nobody_else() {
    alone(|| {
        give_up_root();
        let Some(scope) = scope() else { return };
        // SAFETY: no arguments.
        let user = unsafe { libc::getuid() };
        // SAFETY: no arguments.
        let group = unsafe { libc::getgid() };
        let seen = said(&scope, "id -u; id -g; cat /proc/self/uid_map");
        let seen: Vec<_> = seen.split_whitespace().collect();
        let [user, group] = [user, group].map(|id| id.to_string());
        assert_eq!(seen, [&*user, &*group, &*user, &*user, "1"]);
        // No more rights than outside.
        assert!(said(&scope, "grep CapEff /proc/self/status").ends_with("0000000000000000"));
        let mut request = inside(&scope, sh("exit 0"));
        request.uid = Some(USER + 1);
        let outcome = spawn(request).unwrap().launch.wait(crate::support::LIMIT).unwrap();
        let error = outcome.unwrap_err();
        assert_eq!((error.step, error.errno), (SpawnStep::Uid, libc::EINVAL));
    });
}

#[test]
fn root_drops_its_rights_inside_as_elsewhere() {
    if !os::is_root() {
        return;
    }
    let Some(scope) = scope() else { return };
    let ends = pipe(false).unwrap();
    let mut request = sh("id -u; id -g; id -G");
    request.fds.push((1, FdSource::Fd(ends.theirs.into())));
    (request.uid, request.gid) = (Some(USER), Some(USER));
    let child = launched_in(&scope, request);
    set_nonblocking(&ends.ours, false).unwrap();
    let text = std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["54321"; 3]);
    assert!(status(&child).success());
}

#[test]
fn a_kill_is_one_step_however_fast_they_fork() {
    alone(|| {
        give_up_root();
        let Some(scope) = scope() else { return };
        for _ in 0..20 {
            let chains = launched_in(&scope, actor("chain:8"));
            let others = launched_in(&scope, sh("(setsid setsid sleep 1000 &); trap '' TERM; sleep 1000"));
            until_members(&scope, 8);
            kill_all(&scope);
            assert!(!status(&chains).success() && !status(&others).success());
        }
    });
}

#[test]
fn nobody_is_left_when_the_first_process_is_killed_with_all_who_would_help() {
    alone(|| {
        let ends = pipe(false).unwrap();
        set_nonblocking(&ends.ours, false).unwrap();
        let tell = std::fs::File::from(ends.theirs);
        let owner = os::fork();
        if owner == 0 {
            os::alarm(60);
            let Some(scope) = scope() else { os::exit_now(3) };
            let child = launched_in(&scope, sh("trap '' TERM HUP; (setsid setsid sleep 1000 &); sleep 1000"));
            until_members(&scope, 3);
            let first = parent(child.pid());
            let all = [vec![first, parent(first)], pids(&scope)].concat();
            let text: Vec<_> = all.iter().map(ToString::to_string).collect();
            std::io::Write::write_all(&mut &tell, text.join(" ").as_bytes()).unwrap();
            // The first process can't act, and its helper and we are gone.
            os::kill(first, libc::SIGSTOP);
            until("it is stopped", || os::state(first) == Some('T'));
            os::kill(all[1], libc::SIGSTOP);
            os::kill(all[1], libc::SIGKILL);
            os::kill(std::process::id() as i32, libc::SIGKILL);
        }
        drop(tell);
        let text = std::io::read_to_string(std::fs::File::from(ends.ours)).unwrap();
        os::wait(owner);
        for pid in text.split_whitespace() {
            let pid: i32 = pid.parse().unwrap();
            until("it is gone", || !os::lives(pid));
        }
    });
}

#[test]
fn a_sandbox_that_forbids_namespaces_is_told() {
    alone(|| {
        if !herder_sys::facts().pidfd {
            return;
        }
        give_up_root();
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::SIGCHLD;
        refuse(libc::SYS_clone, Some((0, flags.cast_unsigned())), libc::EPERM);
        let refusal = mechanism(Mechanism::PidNamespace).unwrap_err();
        assert_eq!(refusal.errno(), libc::EPERM);
        assert!(refusal.to_string().contains("namespace") && refusal.to_string().contains("; "), "{refusal}");
        let error = Scope::new(Mechanism::PidNamespace).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        // The keeper needs none.
        if let Some(scope) = scope_by(Mechanism::Keeper) {
            assert!(status(&launched_in(&scope, sh("exit 0"))).success());
        }
        assert!(status(&launched(sh("exit 0")).process).success());
    });
}

#[test]
fn they_can_be_turned_off() {
    alone_with(&[("HERDER_DISABLE", "pidns")], || {
        let refusal = mechanism(Mechanism::PidNamespace).unwrap_err();
        assert!(refusal.to_string().starts_with("HERDER_DISABLE turns PID namespaces off"), "{refusal}");
    });
}

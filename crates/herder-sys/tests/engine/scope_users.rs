//! Who may have scopes, and children under other users in them. As root only.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use herder_sys::{Mechanism, Scope, SpawnRequest, mechanism, tidy_scopes};

use crate::support::scopes::{
    ALL, folder_of, house_of, inside, kill_all, launched_in, mount, own_folder, pids, scope, scope_by,
    until_members,
};
use crate::support::{alone, alone_with, os, sh, sleeper, status, until};

const NOBODY: u32 = 65534;

fn as_nobody(mut request: SpawnRequest) -> SpawnRequest {
    request.uid = Some(NOBODY);
    request.gid = Some(NOBODY);
    request
}

/// Runs `life` in a copy of us that is in a cgroup of its own, made ready by `prepare`, and no root any more.
fn as_user_in(prepare: impl FnOnce(&Path) -> PathBuf, life: impl FnOnce(&Path)) {
    if !os::is_root() || mechanism(Mechanism::Cgroup).is_err() {
        return println!("skipped: only root can make it ready");
    }
    until("nothing of ours is left", || tidy_scopes().unwrap());
    let base = own_folder().join(format!("given-{}", std::process::id()));
    fs::create_dir(&base).unwrap();
    let place = prepare(&base);
    let copy = os::fork();
    if copy == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            fs::write(place.join("cgroup.procs"), "0").unwrap();
            os::drop_root();
            life(&base);
        }));
        os::exit_now(i32::from(done.is_err()));
    }
    let ended = os::wait(copy);
    let left = house_of(copy, &base).or_else(|| house_of(copy, &place));
    // What it made is ours to remove only if it failed.
    if place != base {
        // Its keeper lives there, a moment longer than it does.
        until("its place is empty", || fs::remove_dir(&place).is_ok());
    }
    until("all is empty", || fs::remove_dir(&base).is_ok());
    assert_eq!((ended, left), (0, None));
}

fn give(folder: &Path, files: &[&str]) {
    chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
    for file in files {
        chown(folder.join(file), Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn works() {
    let scope = Scope::new(Mechanism::Cgroup).unwrap();
    let leader = launched_in(&scope, sh("setsid sleep 1000 & sleep 1000"));
    until_members(&scope, 3);
    let all = pids(&scope);
    kill_all(&scope);
    assert!(!status(&leader).success() && !all.iter().any(|pid| os::lives(*pid)));
    assert_eq!(status(&launched_in(&scope, sh("exit 3"))).code(), Some(3));
    drop(scope);
    until("nothing is left", || tidy_scopes().unwrap());
}

/// As a refusal is found once for each program, what leads to another must be a program of its own: see `alone`.
#[test]
fn an_ordinary_user_may_in_a_cgroup_that_is_given_to_it() {
    alone(|| {
        let prepare = |base: &Path| {
            give(base, &["cgroup.procs", "cgroup.subtree_control"]);
            base.to_owned()
        };
        as_user_in(prepare, |_| works());
    });
}

#[test]
fn beside_us_if_what_is_above_is_delegated() {
    alone(|| {
        let prepare = |base: &Path| {
            give(base, &["cgroup.procs", "cgroup.subtree_control"]);
            os::set_attribute(base, c"user.delegate", b"1");
            let main = base.join("main");
            fs::create_dir(&main).unwrap();
            give(&main, &["cgroup.procs"]);
            main
        };
        as_user_in(prepare, |base| {
            let scope = Scope::new(Mechanism::Cgroup).unwrap();
            let child = launched_in(&scope, sleeper());
            let house = folder_of(child.pid()).parent().unwrap().to_owned();
            assert_eq!(house.parent(), Some(base));
            drop(scope);
            works();
        });
    });
}

#[test]
fn an_ordinary_user_is_refused_elsewhere_and_told_why() {
    alone_with(&[("HERDER_DISABLE", "")], || {
        if !os::is_root() {
            return;
        }
        os::drop_root();
        let refusal = mechanism(Mechanism::Cgroup).unwrap_err();
        println!("{refusal}");
        assert_eq!(refusal.errno(), libc::EACCES);
        let said = refusal.to_string();
        assert!(
            said.contains(mount().to_str().unwrap()) && said.contains("; run it as root or in a"),
            "{said}"
        );
        let error = Scope::new(Mechanism::Cgroup).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::PermissionDenied, said));
        assert!(tidy_scopes().unwrap());
    });
}

#[test]
fn a_folder_alone_is_not_enough() {
    alone_with(&[("HERDER_DISABLE", "")], || {
        if !os::is_root() {
            return;
        }
        // Not by `as_user_in`, as the answer would be kept: we have not asked yet.
        let base = own_folder().join(format!("half-given-{}", std::process::id()));
        fs::create_dir(&base).unwrap();
        give(&base, &[]);
        let copy = os::fork();
        if copy == 0 {
            let done = std::panic::catch_unwind(|| {
                fs::write(base.join("cgroup.procs"), "0").unwrap();
                os::drop_root();
                let refusal = mechanism(Mechanism::Cgroup).unwrap_err();
                println!("{refusal}");
                assert_eq!(refusal.errno(), libc::EACCES);
                assert!(refusal.to_string().starts_with("a child in a cgroup of "), "{refusal}");
            });
            os::exit_now(i32::from(done.is_err()));
        }
        assert_eq!(os::wait(copy), 0);
        // Nothing is left in it.
        fs::remove_dir(&base).unwrap();
    });
}

#[test]
fn children_of_other_users_end_too() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism).filter(|_| os::is_root()) else { continue };
        let script = "trap '' TERM; setsid sleep 1000 & sleep 1000";
        let leader = launched_in(&scope, as_nobody(sh(script)));
        until_members(&scope, 3);
        kill_all(&scope);
        assert!(!status(&leader).success());
    }
}

#[test]
fn a_child_that_moves_itself_out_is_ended_by_whoever_holds_it() {
    let Some(scope) = scope().filter(|_| os::is_root()) else { return };
    let script = format!("echo 0 >{}/cgroup.procs; exec sleep 1000", own_folder().display());
    let child = launched_in(&scope, sh(&script));
    until("it has moved", || folder_of(child.pid()) == own_folder());
    until("the scope is empty", || scope.is_empty().unwrap());
    let pid = child.pid();
    drop((scope, child));
    until("it is gone", || !os::lives(pid));
}

#[test]
fn a_scope_is_kept_by_a_request_alone() {
    for mechanism in ALL {
        let Some(scope) = scope_by(mechanism) else { continue };
        let request = inside(&scope, sh("exit 3"));
        drop(scope);
        let spawned = herder_sys::spawn(request).unwrap();
        // Its last handle went with the request.
        assert!(!status(&spawned.process).success());
    }
}

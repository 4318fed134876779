//! Scopes whose children a keeper bears: births, ends, and what can't be.

use std::os::unix::process::ExitStatusExt;

use herder_sys::{Mechanism, Scope};

use crate::support::scopes::{inside, kill_all, launched_in, pids};
use crate::support::{sh, sleeper, status};

fn scope() -> Scope {
    Scope::new(Mechanism::Keeper).unwrap()
}

#[test]
fn a_child_s_end_comes_back_exactly() {
    let scope = scope();
    assert_eq!(scope.mechanism(), Mechanism::Keeper);
    assert!(scope.is_empty().unwrap() && scope.members().unwrap().is_empty());
    assert_eq!(status(&launched_in(&scope, sh("exit 42"))).code(), Some(42));
    assert_eq!(status(&launched_in(&scope, sh("kill -USR1 $$"))).signal(), Some(libc::SIGUSR1));
    let child = launched_in(&scope, sleeper());
    assert_eq!(pids(&scope), [child.pid()]);
    assert!(!scope.is_empty().unwrap());
    kill_all(&scope);
    assert_eq!(status(&child).signal(), Some(libc::SIGKILL));
    drop(inside(&scope, sleeper()));
}

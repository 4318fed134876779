//! Scopes, which are jobs: nothing leaves them, and they end with their owner.

use std::io::Read;

use herder_sys::{Group, Limit, Mechanism, Scope, Signal, mechanism, spawn, was_ended};

use crate::support::{
    ended, eventually, in_a_console, line, piped, request, skipped_by_wine, start, status, with_variable,
};

fn scope() -> Scope {
    Scope::new(Mechanism::Job).unwrap()
}

#[test]
fn a_job_can_be_had_and_nothing_else() {
    assert!(mechanism(Mechanism::Job).is_ok());
    for other in [Mechanism::Cgroup, Mechanism::Keeper] {
        assert!(mechanism(other).unwrap_err().to_string().contains("job object"));
        assert!(Scope::new(other).is_err());
    }
}

#[test]
fn a_kill_ends_grandchildren_too() {
    for script in ["spawn:mark:ready,hang", "spawn-setsid:mark:ready,hang", "spawn-detached:mark:ready,hang"]
    {
        let scope = scope();
        assert!(scope.is_empty().unwrap());
        let mut asked = request(&[script, "hang"]);
        asked.scope = Some(scope.clone());
        let mut reader = piped(&mut asked);
        let process = start(asked);
        assert_eq!(line(&mut reader), "ready");
        assert!(!scope.is_empty().unwrap());
        let members = scope.members().unwrap();
        assert!(members.len() >= 2, "{members:?}");
        assert!(members.iter().any(|member| member.pid == process.pid()), "{members:?}");
        assert!(members.iter().all(|member| member.command.contains("test-child")), "{members:?}");
        scope.kill().unwrap();
        // Everybody who held the pipe is gone.
        ended(reader);
        assert!(was_ended(status(&process)));
        eventually("the job is empty", || scope.is_empty().unwrap());
    }
}

#[test]
fn the_last_handle_ends_it_and_a_release_does_not() {
    let script = ["spawn:mark:ready,hang", "exit:0"];
    let mut asked = request(&script);
    let only = scope();
    asked.scope = Some(only.clone());
    let mut reader = piped(&mut asked);
    let process = start(asked);
    assert_eq!(line(&mut reader), "ready");
    drop(only);
    ended(reader);
    drop(process);

    let scope = scope();
    let mut asked = request(&["mark:ready", "spawn:read-stdin-line", "wait-children"]);
    asked.scope = Some(scope.clone());
    let (input, mut writer) = std::io::pipe().unwrap();
    let input = std::sync::Arc::new(std::os::windows::io::OwnedHandle::from(input));
    asked.fds = vec![(0, herder_sys::FdSource::Fd(input))];
    let mut reader = piped(&mut asked);
    let mut process = start(asked);
    assert_eq!(line(&mut reader), "ready");
    process.set_release(true);
    scope.release();
    drop(process);
    std::io::Write::write_all(&mut writer, b"still here\n").unwrap();
    assert_eq!(line(&mut reader), "read still here");
}

#[test]
fn an_adopted_child_is_ended_with_it() {
    let scope = scope();
    let process = start(request(&["hang"]));
    scope.adopt(&process).unwrap();
    assert!(!scope.is_empty().unwrap());
    scope.clone().end();
    assert!(was_ended(status(&process)));
}

#[test]
fn a_ctrl_break_is_for_those_who_lead_a_group() {
    if !in_a_console("jobs::a_ctrl_break_is_for_those_who_lead_a_group") {
        return;
    }
    let scope = scope();
    scope.signal(Signal::TERM).unwrap();
    let mut alone = request(&["hang"]);
    alone.scope = Some(scope.clone());
    let process = start(alone);
    assert_eq!(scope.signal(Signal::TERM).unwrap_err().kind(), std::io::ErrorKind::Unsupported);
    process.kill_all().unwrap();
    process.wait_exited().unwrap();
    let mut leader = request(&["mark:ready", "hang"]);
    leader.group = Group::New;
    leader.scope = Some(scope.clone());
    let mut reader = piped(&mut leader);
    let process = start(leader);
    assert_eq!(line(&mut reader), "ready");
    scope.signal(Signal::TERM).unwrap();
    assert!(!status(&process).success());
}

/// Without job lists a child is born suspended, put into its job, and let go.
#[test]
fn without_job_lists_a_child_is_in_its_job_all_the_same() {
    let exe = std::env::current_exe().unwrap();
    let tests =
        ["jobs::a_kill_ends_grandchildren_too", "jobs::the_last_handle_ends_it_and_a_release_does_not"];
    for test in tests {
        let mut asked = crate::support::request_for(&exe, ["--exact", test]);
        asked.env = Some(with_variable("HERDER_DISABLE", "job_list"));
        let mut reader = piped(&mut asked);
        let process = start(asked);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(status(&process).success() && text.contains("1 passed"), "{text}");
    }
}

/// The owner of the job, a copy of this test, is killed; whom it started is gone then.
#[test]
fn a_child_ends_with_its_owner() {
    const OWNER: &str = "HERDER_TEST_OWNER";
    let kind = std::env::var(OWNER).ok();
    if let Some(kind) = kind {
        let script = if kind == "job" { "spawn:mark:ready,hang" } else { "mark:ready" };
        let mut asked = request(&[script, "hang"]);
        asked.die_with_owner = Some(Signal::KILL);
        let scope = (kind == "job").then(scope);
        asked.scope.clone_from(&scope);
        let process = spawn(asked).unwrap();
        process.process.wait_exited().unwrap();
        drop(scope);
        return;
    }
    for kind in ["job", "alone"] {
        let test = "jobs::a_child_ends_with_its_owner";
        let exe = std::env::current_exe().unwrap();
        let mut asked = crate::support::request_for(exe, ["--exact", test, "--nocapture"]);
        asked.env = Some(with_variable(OWNER, kind));
        let mut reader = piped(&mut asked);
        let owner = start(asked);
        while line(&mut reader).trim_end() != "ready" {}
        owner.kill_all().unwrap();
        // Everybody who held the pipe is gone.
        ended(reader);
    }
}

#[test]
fn accounts_and_limits() {
    let scope = scope();
    let mut asked = request(&["spin:300ms"]);
    asked.scope = Some(scope.clone());
    status(&start(asked));
    let stats = scope.stats().unwrap();
    assert_eq!(stats.processes, 0);
    for limit in [Limit::Memory(1 << 40), Limit::Processes(1)] {
        scope.limit(limit).unwrap();
    }
    if skipped_by_wine("it keeps no accounts of a job, and enforces none of its limits") {
        return;
    }
    assert!(stats.user + stats.system >= std::time::Duration::from_millis(100), "{stats:?}");
    scope.limit(Limit::Cpu(1500)).unwrap();
    let mut asked = request(&["spawn:exit:0"]);
    asked.scope = Some(scope.clone());
    assert!(!status(&start(asked)).success());
}

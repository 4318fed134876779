//! Why a host has no scopes of these kinds, found out once by making one.

use std::fs;
use std::io;

use super::super::found::Found;
use super::super::keeper::{lifeline, start};
use super::super::{facts, pidfd};
use super::Kept;
use crate::{Refusal, facts as host};

/// Of those below a keeper.
pub(in super::super) fn refusal() -> Result<(), &'static Refusal> {
    static FOUND: Found = Found::new();
    FOUND.find(|| try_scope(false))
}

/// Of PID namespaces.
pub(in super::super) fn namespace_refusal() -> Result<(), &'static Refusal> {
    static FOUND: Found = Found::new();
    FOUND.find(|| try_scope(true))
}

fn try_scope(is_namespace: bool) -> Result<(), Refusal> {
    let (word, what) = if is_namespace { ("pidns", "PID namespaces") } else { ("keeper", "the keeper") };
    if facts::is_disabled(word) {
        let error = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        return Err(Refusal::of(format!("HERDER_DISABLE turns {what} off"), &error, ""));
    }
    if !host().pidfd {
        let error = io::Error::from_raw_os_error(libc::ENOSYS);
        let help = "it needs Linux 5.4 and a sandbox that allows pidfds";
        return Err(Refusal::of("processes can't be held by descriptors", &error, help));
    }
    let trial = if is_namespace { Kept::namespace(true)? } else { Kept::new(true)? };
    let answer = lifeline::receive(&trial.socket, start::LIMIT);
    let errno = match &answer {
        Ok((_, Some(_))) => return Ok(()),
        Ok((message, None)) => message.pid,
        Err(error) => error.raw_os_error().unwrap_or(libc::ENODEV),
    };
    let error = io::Error::from_raw_os_error(errno);
    if pidfd::is_shortage(&error) {
        return Err(Refusal::of("no process for a scope's keeper is to be had", &error, ""));
    }
    if is_namespace {
        let what = "a PID namespace, or a user namespace to have one in, can't be made";
        return Err(Refusal::of(what, &error, help_of(errno)));
    }
    let help = "it needs /proc, and a kernel that lists children there (CONFIG_PROC_CHILDREN)";
    Err(Refusal::of("the keeper of a scope does not start", &error, help))
}

/// What may stand in the way of a namespace: root needs `CAP_SYS_ADMIN`, all others user namespaces.
fn help_of(errno: i32) -> &'static str {
    let says = |path: &str, word: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == word);
    // namespaces(7); the first is Debian's own, the last Ubuntu's.
    if says("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sysctl kernel.unprivileged_userns_clone=1 allows it to ordinary users"
    } else if says("/proc/sys/user/max_user_namespaces", "0") {
        "sysctl user.max_user_namespaces turns user namespaces off"
    } else if says("/proc/sys/user/max_pid_namespaces", "0") {
        "sysctl user.max_pid_namespaces turns PID namespaces off"
    } else if says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor allows user namespaces to programs with a profile of their own only"
    } else if errno == libc::ENOSPC {
        "as many as the host allows are there (sysctl user.max_user_namespaces, user.max_pid_namespaces)"
    } else if matches!(errno, libc::EINVAL | libc::ENOSYS) {
        "the kernel was built without them, or a sandbox forbids them"
    } else {
        "a sandbox, a security module or a changed root directory may forbid it"
    }
}

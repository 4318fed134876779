//! Scopes for tests, and members that don't want to go.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use herder_sys::{Group, Mechanism, Process, Scope, SpawnRequest, Strings, mechanism};

use super::{LIMIT, launched, os, slower, strings, until};

/// All mechanisms, for what is promised for each.
pub(crate) const ALL: [Mechanism; 3] = [Mechanism::Cgroup, Mechanism::Keeper, Mechanism::PidNamespace];

/// A cgroup of one's own, or `None`, with a line that says so, where the host can't do it.
pub(crate) fn scope() -> Option<Scope> {
    scope_by(Mechanism::Cgroup)
}

pub(crate) fn scope_by(wanted: Mechanism) -> Option<Scope> {
    match mechanism(wanted) {
        Ok(()) => Some(Scope::new(wanted).expect("the host can do it")),
        Err(refusal) => {
            println!("skipped: {refusal}");
            None
        }
    }
}

pub(crate) fn inside(scope: &Scope, mut request: SpawnRequest) -> SpawnRequest {
    request.scope = Some(scope.clone());
    if scope.mechanism() != Mechanism::Cgroup && request.group == Group::Inherit {
        // Ours is not to be had there.
        request.group = Group::New;
    }
    request
}

pub(crate) fn launched_in(scope: &Scope, request: SpawnRequest) -> Process {
    launched(inside(scope, request)).process
}

/// Kills until nobody is left. Gives the time that took.
pub(crate) fn kill_all(scope: &Scope) -> Duration {
    let start = Instant::now();
    while !scope.is_empty().expect("the kernel's word") {
        assert!(start.elapsed() < LIMIT * slower(), "not in time: {:?}", scope.members());
        scope.kill().expect("one round");
        std::thread::sleep(Duration::from_micros(200));
    }
    start.elapsed()
}

pub(crate) fn pids(scope: &Scope) -> Vec<i32> {
    scope.members().expect("the kernel's word").iter().map(|member| member.pid).collect()
}

/// The cgroup v2 of a process, as the kernel names it.
pub(crate) fn cgroup_of(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::").map(str::to_owned))
}

/// Where the hierarchy is mounted.
pub(crate) fn mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("procfs");
    let point = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let point = words.next()?;
        (words.next() == Some("cgroup2")).then(|| PathBuf::from(point))
    });
    point.expect("the mechanism is there")
}

/// The folder of a process's cgroup.
pub(crate) fn folder_of(pid: i32) -> PathBuf {
    let path = cgroup_of(pid).expect("it lives");
    mount().join(path.trim_start_matches('/'))
}

/// The folder of our own cgroup.
pub(crate) fn own_folder() -> PathBuf {
    folder_of(std::process::id() as i32)
}

/// The folder that the program `pid` has its scopes in, as long as the program lives or its tree does.
pub(crate) fn house_of(pid: i32, folder: &Path) -> Option<PathBuf> {
    let start = format!("herder-{pid}-");
    let entries = fs::read_dir(folder).ok()?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.find(|name| name.starts_with(&start)).map(|name| folder.join(name))
}

/// This program anew, in one of the parts of `play`.
pub(crate) fn actor(part: &str) -> SpawnRequest {
    let mut candidates = Strings::new();
    candidates.push(&[std::env::current_exe().expect("our own path").as_os_str()]).expect("no NUL");
    let argv = strings(&["engine", "support::scopes::play", "--exact", "--nocapture", "--test-threads=1"]);
    let mut request = SpawnRequest::new(candidates, argv);
    let mut env = strings(&[&format!("HERDER_TEST_PART={part}")]);
    for (key, value) in std::env::vars_os().filter(|(key, _)| key != "HERDER_TEST_PART") {
        env.push(&[&key, OsStr::new("="), &value]).expect("no NUL");
    }
    request.env = Some(env.into());
    request
}

/// Executes this program in a part of `play`, in place of what it is. Returns only if that fails.
pub(crate) fn run_instead(part: &str) -> std::io::Error {
    use std::os::unix::process::CommandExt;
    std::process::Command::new(std::env::current_exe().expect("our own path"))
        .args(["support::scopes::play", "--exact", "--nocapture", "--test-threads=1"])
        .env("HERDER_TEST_PART", part)
        .exec()
}

/// Not a test by itself: the hostile members. What they make is small, so that their forks are fast.
#[test]
fn play() {
    let Ok(part) = std::env::var("HERDER_TEST_PART") else { return };
    let (part, count) = part.split_once(':').expect("a part and a number");
    let count: usize = count.parse().expect("a number");
    os::alarm(100);
    match part {
        "chain" => {
            for _ in 0..count {
                if os::fork() == 0 {
                    chain();
                }
            }
        }
        "bomb" => {
            for _ in 1..count {
                if os::fork() == 0 {
                    break;
                }
            }
            refuse_to_go();
        }
        "scope" => {
            let scope = scope().expect("it was there before");
            let child = launched_in(&scope, super::sh("exit 3"));
            assert_eq!(super::status(&child).code(), Some(3));
            drop(scope);
            assert!(herder_sys::tidy_scopes().expect("its own house"));
            os::exit_now(0);
        }
        other => panic!("no such part: {other}"),
    }
    refuse_to_go();
}

/// Forks and ends, as fast as it can, in a session of its own each time.
fn chain() -> ! {
    loop {
        // SAFETY: no arguments.
        unsafe { libc::setsid() };
        if os::fork() > 0 {
            os::exit_now(0);
        }
    }
}

fn refuse_to_go() -> ! {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGALRM] {
        os::set_action(signal, libc::SIG_IGN, 0);
    }
    loop {
        // SAFETY: no arguments.
        unsafe { libc::pause() };
    }
}

/// Whether nobody is left in a leaf: it was removed, or waits to be used again.
pub(crate) fn is_over(folder: &Path) -> bool {
    fs::read_to_string(folder.join("cgroup.events")).map_or(true, |text| text.contains("populated 0"))
}

pub(crate) fn until_members(scope: &Scope, least: usize) {
    until("the members are there", || pids(scope).len() >= least);
}

//! What the cells were judged on: the host, and the versions.

use std::fs;
use std::process::Command;

use herder::contain::{Strength, host};

use crate::contenders::Version;

/// One line for each fact.
pub(crate) fn facts() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let user = if nix::unistd::geteuid().is_root() { "root" } else { "an ordinary user" };
    let mut facts = vec![
        format!("Linux {}", read("/proc/sys/kernel/osrelease")),
        format!("{} processors", std::thread::available_parallelism().map_or(0, usize::from)),
        format!("as {user}"),
    ];
    facts.extend(host().into_iter().filter_map(|(strength, able)| match (strength, able) {
        (Strength::Cgroup, Ok(())) => Some("cgroup v2: a group may be made here".to_owned()),
        (Strength::Cgroup, Err(refusal)) => Some(format!("cgroup v2: no: {}", refusal.reason)),
        (Strength::Keeper, Ok(())) => Some("births by the keeper: yes".to_owned()),
        (Strength::Keeper, Err(refusal)) => Some(format!("births by the keeper: no: {}", refusal.reason)),
        _ => None,
    }));
    if let Ok(disabled) = std::env::var("HERDER_DISABLE") {
        facts.push(format!("HERDER_DISABLE={disabled}"));
    }
    facts
}

/// Whether nobody has more than process groups here.
pub(crate) fn groups_only() -> bool {
    let chosen = host().into_iter().filter(|(strength, _)| !strength.is_opt_in());
    chosen.into_iter().all(|(strength, able)| able.is_err() || strength <= Strength::Group)
}

/// The version of a contender. `None`: it is not here.
pub(crate) fn version(of: Version) -> Option<String> {
    match of {
        Version::Ours => Some(env!("CARGO_PKG_VERSION").to_owned()),
        Version::None => Some("-".to_owned()),
        Version::Package(name) => locked(name),
        Version::Rust => says("rustc").map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")),
        Version::Says(program) => says(program),
    }
}

/// The version of a package in the lock file of this build.
fn locked(name: &str) -> Option<String> {
    let mut lines = include_str!("../../../Cargo.lock").lines();
    lines.find(|line| *line == format!("name = \"{name}\""))?;
    Some(lines.next()?.strip_prefix("version = \"")?.trim_end_matches('"').to_owned())
}

/// The first line that a program says of its version.
#[expect(clippy::disallowed_methods, reason = "this is not what is put to the test")]
fn says(program: &str) -> Option<String> {
    let output =
        Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

//! `herder doctor`: what this host can enforce, and why it is not more.

use std::fs;
use std::path::PathBuf;

use herder::contain::{self, Facts, Limit, LimitResult, Refusal, Strength};
use serde::Serialize;

use crate::cgroup;
use crate::report;
use crate::scope::word;

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    v: u32,
    version: &'static str,
    kernel: String,
    cgroup_mount: Option<PathBuf>,
    own_cgroup: Option<PathBuf>,
    scopes: Vec<Scope>,
    limits: Vec<Share>,
    facts: Primitives,
}

#[derive(Debug, Serialize)]
struct Scope {
    strength: &'static str,
    can: bool,
    /// Why not; null if it can.
    reason: Option<String>,
    #[serde(skip)]
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct Share {
    limit: &'static str,
    /// For all that a program starts, together.
    can: bool,
    /// As in the report of a run: `tree`, `each_process` or null.
    reach: Option<&'static str>,
    /// Why it is not for all together; null if it is.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Primitives {
    clone3: bool,
    clone_pidfd: bool,
    pidfd: bool,
    shared_memory: bool,
    close_range: bool,
}

/// Looks, and gives the text to print.
///
/// # Errors
///
/// What keeps us from looking.
pub(crate) fn look(json: bool) -> Result<String, String> {
    let release = "/proc/sys/kernel/osrelease";
    let kernel = fs::read_to_string(release).map_err(|error| format!("can't read {release}: {error}"))?;
    let findings = Findings {
        v: 1,
        version: env!("CARGO_PKG_VERSION"),
        kernel: kernel.trim_end().to_owned(),
        cgroup_mount: cgroup::mount(),
        own_cgroup: cgroup::own(),
        scopes: contain::host().into_iter().map(scope).collect(),
        limits: contain::host_limits().into_iter().map(share).collect(),
        facts: primitives(contain::facts()),
    };
    if json {
        return Ok(serde_json::to_string(&findings).map_err(|error| error.to_string())? + "\n");
    }
    Ok(findings.text())
}

fn scope((strength, can): (Strength, Result<(), Refusal>)) -> Scope {
    let meaning = match strength {
        Strength::Cgroup => "all that a program starts, by the kernel's own account",
        Strength::PidNamespace => {
            "all that a program starts, for good; asked for by name only (--scope pidns)"
        }
        Strength::Keeper => "all that a program starts, found by a helper process",
        Strength::Group => "a program and those that don't leave its process group",
        _ => "a program alone",
    };
    let reason = can.err().map(|refusal| refusal.reason);
    Scope { strength: word(strength), can: reason.is_none(), reason, meaning }
}

fn share((limit, force): LimitResult) -> Share {
    let limit = match limit {
        Limit::Memory(_) => "memory",
        Limit::Processes(_) => "pids",
        Limit::Cpu(_) => "cpu",
        _ => "other",
    };
    let reason = force.reason().map(str::to_owned);
    Share { limit, can: force.is_whole(), reach: report::reach(&force), reason }
}

fn primitives(facts: &Facts) -> Primitives {
    Primitives {
        clone3: facts.clone3,
        clone_pidfd: facts.clone_pidfd,
        pidfd: facts.pidfd,
        shared_memory: facts.shared_memory,
        close_range: facts.close_range,
    }
}

impl Findings {
    /// For people: at most 80 columns, as far as words allow.
    fn text(&self) -> String {
        let mut text =
            format!("herder {} on Linux {}\n\nScopes, the strongest first:\n", self.version, self.kernel);
        for Scope { strength, reason, meaning, .. } in &self.scopes {
            match reason {
                None => row(&mut text, strength, &format!("yes: {meaning}")),
                Some(reason) => row(&mut text, strength, &format!("no: {reason}")),
            }
        }
        text.push_str("\nLimits for all in a scope:\n");
        for Share { limit, can, reach, reason } in &self.limits {
            let reason = reason.as_deref().unwrap_or_default();
            row(
                &mut text,
                limit,
                &match (can, reach) {
                    (true, _) => "yes".to_owned(),
                    (false, Some(_)) => format!("only for each process by itself: {reason}"),
                    (false, None) => format!("no: {reason}"),
                },
            );
        }
        text.push_str("\nControl groups (v2):\n");
        let place = |path: &Option<PathBuf>, none: &str| match path {
            Some(path) => path.display().to_string(),
            None => none.to_owned(),
        };
        row(
            &mut text,
            "mounted at",
            &place(&self.cgroup_mount, "nowhere; mount -t cgroup2 none /sys/fs/cgroup"),
        );
        row(&mut text, "our own", &place(&self.own_cgroup, "not to be seen from here"));
        text.push_str("\nThe kernel's calls:\n");
        let Primitives { clone3, clone_pidfd, pidfd, shared_memory, close_range } = self.facts;
        for (name, has, without) in [
            ("clone3", clone3, "Linux 5.5 has it, and some sandboxes deny it; needed for cgroups"),
            ("CLONE_PIDFD", clone_pidfd, "Linux 5.2 has it"),
            ("pidfd", pidfd, "Linux 5.4 has it; without it a thread waits for each program"),
            ("CLONE_VM", shared_memory, "an emulator makes forks of it, which are slower"),
            ("close_range", close_range, "Linux 5.11 has it; descriptors are closed one by one"),
        ] {
            row(&mut text, name, &if has { "yes".to_owned() } else { format!("no: {without}") });
        }
        text
    }
}

/// Two columns; the second is filled.
fn row(text: &mut String, name: &str, value: &str) {
    const INDENT: usize = 16;
    const WIDTH: usize = 80;
    text.extend(["  ", name, &" ".repeat(INDENT - 2 - name.len())]);
    let mut column = INDENT;
    for word in value.split(' ') {
        if column > INDENT && column + 1 + word.len() > WIDTH {
            text.extend(["\n", &" ".repeat(INDENT)]);
            column = INDENT;
        } else if column > INDENT {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_are_broken_between_words() {
        let mut text = String::new();
        row(&mut text, "cgroup", &["word"; 20].join(" "));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("  cgroup        word word") && lines[0].len() <= 80, "{text}");
        assert!(lines[1].starts_with("                word"), "{text}");
    }
}

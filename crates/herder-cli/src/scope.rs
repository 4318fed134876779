//! What holds the program and all that it starts, and what becomes of those that are left at its end.

use std::time::Duration;

use herder::contain::{self, Leak, Refusal, Strength};
use herder::{Cause, Command, Containment, Report};

use crate::args::{LeakKind, Required, ScopeArgs, ScopeKind};
use crate::message::say;
use crate::platform::{self, Signals};
use crate::resolve::Plan;

/// What was asked for, and what it comes to on this host.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    kind: ScopeKind,
    own_group: bool,
    /// What is to be expected, then what is in force.
    pub(crate) strength: Strength,
    required: Strength,
    pub(crate) leak: LeakKind,
    pub(crate) grace: Duration,
}

/// How a strength is written where it is typed, and in the report.
pub(crate) fn word(strength: Strength) -> &'static str {
    match strength {
        Strength::Job => "job",
        Strength::PidNamespace => "pidns",
        Strength::Cgroup => "cgroup",
        Strength::Keeper => "keeper",
        Strength::Group => "group",
        Strength::Child => "child",
        _ => "other",
    }
}

impl Wanted {
    /// # Errors
    ///
    /// What contradicts itself, or can't be had here although it is required.
    pub(crate) fn new(args: &ScopeArgs, group: bool, shares_terminal: bool) -> Result<Self, String> {
        if group && args.scope == ScopeKind::None {
            return Err("--group and --scope none contradict each other".into());
        }
        platform::check_scope(args)?;
        let own_group = args.scope != ScopeKind::None && !shares_terminal;
        let least = if own_group && platform::GROUPS_HOLD { Strength::Group } else { Strength::Child };
        let lives_on = matches!(args.leak, LeakKind::Report | LeakKind::Ignore);
        let keepable = own_group && !group && !lives_on && !platform::terminal_is_inherited();
        let (strength, refusals) = match args.scope {
            ScopeKind::Auto => strongest(least, keepable),
            // Refused when the program is started, if at all.
            ScopeKind::Cgroup => (Strength::Cgroup, Vec::new()),
            ScopeKind::Keeper => (Strength::Keeper, Vec::new()),
            ScopeKind::Pidns => (Strength::PidNamespace, Vec::new()),
            ScopeKind::Job => (Strength::Job, Vec::new()),
            ScopeKind::Group | ScopeKind::None => (least, Vec::new()),
        };
        let required = match args.require_scope {
            Some(Required::Job) => Strength::Job,
            Some(Required::Pidns) => Strength::PidNamespace,
            Some(Required::Cgroup) => Strength::Cgroup,
            Some(Required::Keeper) => Strength::Keeper,
            Some(Required::Group) => Strength::Group,
            None => Strength::Child,
        };
        if strength < required {
            return Err(too_weak(required, strength, args.scope, &refusals));
        }
        let grace = args.leak_grace.unwrap_or_default();
        Ok(Self { kind: args.scope, own_group, strength, required, leak: args.leak, grace })
    }

    /// Tells the command.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.containment(match self.kind {
            // What could be had a moment ago may be short now: then there is no run.
            ScopeKind::Auto if self.required == Strength::Job => Containment::Job,
            ScopeKind::Auto if self.required == Strength::Cgroup => Containment::Cgroup,
            ScopeKind::Auto if self.required == Strength::Keeper && self.strength == Strength::Keeper => {
                Containment::Keeper
            }
            ScopeKind::Auto => Containment::Auto,
            ScopeKind::Cgroup => Containment::Cgroup,
            ScopeKind::Keeper => Containment::Keeper,
            ScopeKind::Pidns => Containment::PidNamespace,
            ScopeKind::Job => Containment::Job,
            ScopeKind::Group => Containment::Group,
            ScopeKind::None => Containment::None,
        });
        platform::set_group(command, self.own_group, self.strength);
        command.leak(match self.leak {
            // Its kill of a group does not wait.
            LeakKind::Kill if self.counts_orphans() && !self.grace.is_zero() => Leak::Report,
            LeakKind::Kill => Leak::Kill,
            // Where the library does not see them we do, and have to see them before they are killed.
            LeakKind::Fail if self.counts_orphans() => Leak::Report,
            LeakKind::Fail => Leak::Fail,
            LeakKind::Report => Leak::Report,
            LeakKind::Ignore => Leak::Ignore,
        });
        command.leak_grace(self.grace);
    }

    /// Has started beforehand what the library would start with the program, so that it is not taken for one of the
    /// program's.
    pub(crate) fn prepare(&self) {
        // One that was to be held by the keeper may come to be held by its group only.
        if self.kind == ScopeKind::Auto && [Strength::Group, Strength::Keeper].contains(&self.strength) {
            // Why it can't be had is told with the child.
            drop(contain::start_keeper());
        }
    }

    /// Notes what is in force.
    pub(crate) fn found(&mut self, strength: Strength) {
        self.strength = strength;
    }

    /// Whether orphans come to us. Where no scope tells who is left they do; where one does, they are reaped at least:
    /// in many a container nobody else would.
    pub(crate) fn adopts(&self) -> bool {
        platform::ADOPTS && self.kind != ScopeKind::None
    }

    /// Whether it is proved at the end that nobody is left; `None` where our adoption tells who is: it proves nothing of
    /// those that another user runs.
    pub(crate) fn is_empty(&self, report: &Report) -> Option<bool> {
        report.scope_empty().filter(|_| !self.counts_orphans())
    }

    /// Whether nothing but our adoption tells who is left.
    fn counts_orphans(&self) -> bool {
        self.adopts() && self.strength <= Strength::Group
    }
}

/// The strongest that this host can do, and why it is not more.
fn strongest(least: Strength, keepable: bool) -> (Strength, Vec<Refusal>) {
    let mut refusals = Vec::new();
    for (strength, can) in contain::host().into_iter().filter(|(strength, _)| !strength.is_opt_in()) {
        match can {
            // Whether there is a group is for the terminal to say.
            Ok(()) if strength <= Strength::Group => break,
            Ok(()) if strength == Strength::Keeper && !keepable => {
                let reason = "it is not for programs at a terminal, and what is to live on".into();
                refusals.push(Refusal::new(strength, reason));
            }
            Ok(()) => return (strength, refusals),
            Err(refusal) => refusals.push(refusal),
        }
    }
    (least, refusals)
}

fn too_weak(required: Strength, strength: Strength, kind: ScopeKind, refusals: &[Refusal]) -> String {
    let mut text = format!("--require-scope {}: it would be {strength} only", word(required));
    for refusal in refusals.iter().filter(|refusal| refusal.strength >= required) {
        text.extend(["\n  ".to_owned(), refusal.to_string()]);
    }
    match kind {
        _ if required == Strength::PidNamespace => text.push_str("; --scope pidns asks for it"),
        ScopeKind::Auto if required == Strength::Group => {
            text.push_str("; --group gives the program a process group of its own");
        }
        ScopeKind::Auto => {}
        _ => text.push_str("; drop --scope"),
    }
    text
}

/// Somebody who is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) pid: u32,
    pub(crate) command: String,
}

/// When the program has ended: ends what it has left, or lets it go, as was asked for. Gives who was left.
pub(crate) async fn settle(plan: &Plan, report: &Report, signals: &mut Signals) -> Vec<Left> {
    let name = &plan.subject.name;
    let ended = !matches!(report.cause(), Cause::Exited | Cause::Signaled | Cause::OutOfMemory);
    let (left, gone) = if plan.scope.counts_orphans() {
        platform::settle_orphans(plan, report.cause(), ended, signals).await
    } else {
        let left = |member: &contain::Member| Left { pid: member.pid, command: member.command.clone() };
        let gone = report.scope_empty() != Some(false);
        (report.survivors().iter().map(left).collect(), gone)
    };
    if plan.scope.adopts() {
        platform::reap(None);
    }
    let lives_on = !ended && matches!(plan.scope.leak, LeakKind::Report | LeakKind::Ignore);
    if lives_on {
        // By the keeper's hand they would end with us.
        if let Err(error) = platform::let_go() {
            say(&format!("what {name} has left ends now, as it can't be moved to our own cgroup: {error}"));
        }
    } else if !gone {
        say(&format!("something that {name} started can't be ended"));
    }
    if !ended && !left.is_empty() && matches!(plan.scope.leak, LeakKind::Report | LeakKind::Fail) {
        say(&names(name, &left, lives_on));
    }
    left
}

fn names(program: &str, left: &[Left], lives_on: bool) -> String {
    const MOST: usize = 10;
    let mut names: Vec<_> =
        left.iter().take(MOST).map(|left| format!("{} ({})", left.pid, left.command)).collect();
    if left.len() > MOST {
        names.push(format!("and {} more", left.len() - MOST));
    }
    let end = if lives_on { "" } else { "; killed" };
    format!("{program} has left {}{end}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_named_and_not_too_many() {
        let left: Vec<_> = (1..=12).map(|pid| Left { pid, command: "x".into() }).collect();
        assert_eq!(names("make", &left[..2], true), "make has left 1 (x), 2 (x)");
        assert!(names("make", &left, false).ends_with("10 (x), and 2 more; killed"));
    }
}

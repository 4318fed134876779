//! What holds the program and all that it starts, and what becomes of those that are left at its end.

use std::fs;
use std::time::Duration;

use herder::contain::{self, Leak, Refusal, Strength};
use herder::{Cause, Command, Containment, Report};

use crate::args::{LeakKind, Required, ScopeArgs, ScopeKind};
use crate::cgroup;
use crate::leftovers;
use crate::message::say;
use crate::resolve::Plan;
use crate::signals::Signals;
use crate::terminal;

/// What was asked for, and what it comes to on this host.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    kind: ScopeKind,
    own_group: bool,
    /// What is to be expected, then what is in force.
    strength: Strength,
    required: Strength,
    pub(crate) leak: LeakKind,
    grace: Duration,
}

/// How a strength is written where it is typed, and in the report.
pub(crate) fn word(strength: Strength) -> &'static str {
    match strength {
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
        let own_group = args.scope != ScopeKind::None && !shares_terminal;
        let least = if own_group { Strength::Group } else { Strength::Child };
        // What a keeper holds ends with us; and a session of its own is not for those that are given a terminal.
        let lives_on = matches!(args.leak, LeakKind::Report | LeakKind::Ignore);
        if let ScopeKind::Keeper | ScopeKind::Pidns = args.scope
            && lives_on
        {
            let name = if args.scope == ScopeKind::Keeper { "keeper" } else { "pidns" };
            return Err(format!("--scope {name} ends all that is left: --leak can only be kill or fail"));
        }
        let keepable = own_group && !group && !lives_on && !terminal::is_inherited();
        let (strength, refusals) = match args.scope {
            ScopeKind::Auto => strongest(least, keepable),
            // Refused when the program is started, if at all.
            ScopeKind::Cgroup => (Strength::Cgroup, Vec::new()),
            ScopeKind::Keeper => (Strength::Keeper, Vec::new()),
            ScopeKind::Pidns => (Strength::PidNamespace, Vec::new()),
            ScopeKind::Group | ScopeKind::None => (least, Vec::new()),
        };
        let required = match args.require_scope {
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
            ScopeKind::Auto if self.required == Strength::Cgroup => Containment::Cgroup,
            ScopeKind::Auto if self.required == Strength::Keeper && self.strength == Strength::Keeper => {
                Containment::Keeper
            }
            ScopeKind::Auto => Containment::Auto,
            ScopeKind::Cgroup => Containment::Cgroup,
            ScopeKind::Keeper => Containment::Keeper,
            ScopeKind::Pidns => Containment::PidNamespace,
            ScopeKind::Group => Containment::Group,
            ScopeKind::None => Containment::None,
        });
        // The rule for the terminal is our own: the library looks at standard input alone.
        if matches!(self.strength, Strength::Keeper | Strength::PidNamespace) {
            // A group comes with it, and one that is asked for would be one of ours.
        } else if self.own_group {
            command.process_group(0);
        } else if let Some(group) = terminal::own_group() {
            command.process_group(group);
        }
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
        self.kind != ScopeKind::None
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

impl Left {
    /// A process that lives.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (command, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
        (!rest.starts_with(['Z', 'X'])).then(|| Self { pid, command: command.to_owned() })
    }
}

/// When the program has ended: ends what it has left, or lets it go, as was asked for. Gives who was left.
pub(crate) async fn settle(plan: &Plan, report: &Report, signals: &mut Signals) -> Vec<Left> {
    let name = &plan.subject.name;
    let ended = !matches!(report.cause(), Cause::Exited | Cause::Signaled | Cause::OutOfMemory);
    let (left, gone) = if plan.scope.counts_orphans() {
        settle_orphans(plan, report.cause(), ended, signals).await
    } else {
        let left = |member: &contain::Member| Left { pid: member.pid, command: member.command.clone() };
        let gone = report.scope_empty() != Some(false);
        (report.survivors().iter().map(left).collect(), gone)
    };
    if plan.scope.adopts() {
        leftovers::reap(None);
    }
    let lives_on = !ended && matches!(plan.scope.leak, LeakKind::Report | LeakKind::Ignore);
    if lives_on {
        // By the keeper's hand they would end with us.
        if let Err(error) = cgroup::let_go() {
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

/// Without an account of the kernel's: whoever has become our child. Gives whether nobody is left that should not be.
async fn settle_orphans(plan: &Plan, cause: Cause, ended: bool, signals: &mut Signals) -> (Vec<Left>, bool) {
    if ended {
        let grace = if cause == Cause::Killed { Duration::ZERO } else { plan.stop.grace() };
        return (Vec::new(), leftovers::end(grace, signals).await);
    }
    if plan.scope.leak == LeakKind::Ignore {
        return (Vec::new(), true);
    }
    leftovers::leave(plan.scope.grace, signals).await;
    let left = leftovers::found();
    let gone = plan.scope.leak == LeakKind::Report || leftovers::end(Duration::ZERO, signals).await;
    (left, gone)
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

    fn args(scope: ScopeKind, require_scope: Option<Required>) -> ScopeArgs {
        ScopeArgs { scope, require_scope, leak: LeakKind::Kill, leak_grace: None }
    }

    #[test]
    fn what_is_required_is_had_or_refused() {
        let strength = |kind, shares| Wanted::new(&args(kind, None), false, shares).map(|it| it.strength);
        assert_eq!(strength(ScopeKind::Group, false), Ok(Strength::Group));
        assert_eq!(strength(ScopeKind::None, false), Ok(Strength::Child));
        let weak = Wanted::new(&args(ScopeKind::None, Some(Required::Group)), false, false).unwrap_err();
        assert!(weak.contains("--require-scope group") && weak.contains("child alone"), "{weak}");
        assert!(Wanted::new(&args(ScopeKind::Group, Some(Required::Cgroup)), false, false).is_err());
        assert!(Wanted::new(&args(ScopeKind::Group, Some(Required::Group)), false, false).is_ok());
        assert!(Wanted::new(&args(ScopeKind::None, None), true, false).is_err());
        let report = ScopeArgs { leak: LeakKind::Report, ..args(ScopeKind::Keeper, None) };
        assert!(Wanted::new(&report, false, false).unwrap_err().contains("--leak"));
        assert_eq!(strength(ScopeKind::Keeper, false), Ok(Strength::Keeper));
        assert_eq!(strength(ScopeKind::Pidns, false), Ok(Strength::PidNamespace));
        assert!(Wanted::new(&args(ScopeKind::Pidns, Some(Required::Cgroup)), false, false).is_ok());
        let weak = Wanted::new(&args(ScopeKind::Auto, Some(Required::Pidns)), false, false).unwrap_err();
        assert!(weak.contains("--scope pidns"), "{weak}");
    }

    #[test]
    fn leftovers_are_named_and_not_too_many() {
        let left: Vec<_> = (1..=12).map(|pid| Left { pid, command: "x".into() }).collect();
        assert_eq!(names("make", &left[..2], true), "make has left 1 (x), 2 (x)");
        assert!(names("make", &left, false).ends_with("10 (x), and 2 more; killed"));
        assert!(Left::of(std::process::id()).is_some() && Left::of(u32::MAX).is_none());
    }
}

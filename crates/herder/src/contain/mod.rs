//! How far the hand over a child reaches: what is asked for, what this host can do, and what is in force.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use herder_sys::{Group, MECHANISMS, Mechanism, REACHES_GROUPS};

use crate::host;

mod fold;
mod hold;
mod limit;

pub use herder_sys::{Facts, facts};

pub(crate) use fold::Fold;
pub(crate) use hold::{Hold, members};
pub use limit::{Force, Limit, LimitResult, host_limits};
pub(crate) use limit::{apply, apply_one, refuse, stand_in};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Containment {
    /// The strongest that this host can do; [`Strength`] tells which that is, and
    /// [`Child::refusals`](crate::Child::refusals) why it is no stronger one.
    ///
    /// The keeper's children are in a session of their own. So a child that is given a terminal, as one of its standard
    /// streams or by `fd` of [`os`](crate::os)`::unix`, is not its child, and neither is one for which the command names a
    /// process group, or which gets all our descriptors.
    ///
    /// A process group of its own comes on top, unless the child is to use our terminal: one that inherits the
    /// terminal as its standard input, while we are in the foreground, stays in our group, as the terminal stops
    /// readers of any other (and Ctrl-C and Ctrl-Z reach it as they reach us).
    #[default]
    Auto,
    /// A control group (cgroup v2) of its own, or no child at all. Nothing leaves it by `setsid` or double forks.
    Cgroup,
    /// Below our helper process, the keeper, or no child at all. Nothing leaves it by `setsid` or double forks. Any user
    /// may, without any cgroup.
    ///
    /// Such a child is not ours to wait for but by this library; its parent is the keeper, and it is in another session,
    /// without a controlling terminal. It inherits what we had when its scope was made (its own, or its herd's), but for the working directory and the processors,
    /// which are those of its start.
    Keeper,
    /// A job object of its own (Windows), or no child at all. Nothing leaves it.
    Job,
    /// A process group of its own, always, and nothing more. On Windows it can be asked to end, by Ctrl-Break, and that
    /// is all: kills and drops reach the child alone there.
    Group,
    /// Nothing: signals and kills reach the child alone.
    None,
}

impl Containment {
    /// What is left to do for a child that is born into the scope of a herd.
    pub(crate) fn in_herd(self) -> Self {
        match self {
            Self::None => Self::None,
            _ => Self::Group,
        }
    }
}

/// What is in force: how much of what a child starts is reached by signals, kills and drops. Stronger is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Strength {
    /// The child alone.
    Child,
    /// The child and all its descendants but those that left its process group (setpgid(2), setsid(2)). Where
    /// [`Containment::Auto`] chose it, the group ends with our program, too; else only the child does.
    Group,
    /// The child and all its descendants, found by our keeper: verified, but by searching.
    Keeper,
    /// The child and all its descendants, by the kernel's own account. (Root can move a process out.)
    Cgroup,
    /// The child and all its descendants, by the kernel's own account, which none of them leaves (Windows).
    Job,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Child => "child alone",
            Self::Group => "process group",
            Self::Keeper => "keeper",
            Self::Cgroup => "cgroup",
            Self::Job => "job object",
        })
    }
}

/// What happens to descendants that are alive when a child has ended by itself.
///
/// They are seen, and named in the report, where the [`Strength`] is more than that of a process group. With a process
/// group they are killed or left alone unseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leak {
    /// They are killed.
    #[default]
    Kill,
    /// They are killed, and [`Report::checked`](crate::Report::checked) makes an error of them.
    Fail,
    /// They live on, and the report names them. They still end with our program.
    Report,
    /// They live on, and nobody looks. They still end with our program.
    Ignore,
}

impl Leak {
    /// Whether they are killed.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Fail)
    }
}

// The engine's has the kernel's pid, a signed number; this one has it as `std` and Tokio give ids.
/// A process in a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its process id when it was looked at; it may have ended since.
    pub pid: u32,
    /// Its name, of 15 bytes at most (`/proc/PID/comm`). Not its arguments, which may be secrets.
    pub command: String,
}

impl Member {
    pub(crate) fn new(pid: u32, command: impl Into<String>) -> Self {
        Self { pid, command: command.into() }
    }
}

/// Why something stronger than what is in force can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What can't be had.
    pub strength: Strength,
    /// Why, in a sentence.
    pub reason: String,
}

impl Refusal {
    /// Why the group of a child does not end with our program.
    pub(crate) fn of_group(error: &std::io::Error) -> Self {
        let reason = format!("it does not end with our program: {error}");
        Self { strength: Strength::Group, reason }
    }

    /// That `strength` can't be had, and why, for whoever looks at more than this library does.
    #[must_use]
    pub fn new(strength: Strength, reason: String) -> Self {
        Self { strength, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.strength, self.reason)
    }
}

/// What this host can enforce, strongest first: `Ok`, or why not.
///
/// Found out once, by trying, and kept. It may block for some milliseconds the first time.
#[must_use]
pub fn host() -> Vec<(Strength, Result<(), Refusal>)> {
    let asked = MECHANISMS.iter().filter_map(|mechanism| Some((*mechanism, strength_of(*mechanism)?)));
    let asked = asked.map(|(mechanism, strength)| (strength, can(mechanism, strength)));
    let group = REACHES_GROUPS.then_some((Strength::Group, Ok(())));
    asked.chain(group).chain([(Strength::Child, Ok(()))]).collect()
}

/// Makes ready what ends process groups with our program where nothing stronger can be had: our keeper, a process of
/// its own. Otherwise the first child that needs it waits for it, about a millisecond.
///
/// # Errors
///
/// Why there is none: of such a child the group does not end with our program.
///
/// # Platform notes
///
/// Windows: there is never one.
pub fn start_keeper() -> Result<(), Refusal> {
    host::start_keeper().map_err(|error| Refusal::of_group(&error))
}

/// What is in force where a mechanism holds the child; `None` for one that this library does not know.
fn strength_of(mechanism: Mechanism) -> Option<Strength> {
    Some(match mechanism {
        Mechanism::Cgroup => Strength::Cgroup,
        Mechanism::Job => Strength::Job,
        Mechanism::Keeper => Strength::Keeper,
        _ => return None,
    })
}

fn can(mechanism: Mechanism, strength: Strength) -> Result<(), Refusal> {
    /// What was found is found for every child, and said in words once.
    static SAID: Mutex<Vec<(&herder_sys::Refusal, Refusal)>> = Mutex::new(Vec::new());
    herder_sys::mechanism(mechanism).map_err(|found| {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, refusal)) = said.iter().find(|(known, _)| std::ptr::eq(*known, found)) {
            return refusal.clone();
        }
        let refusal = Refusal { strength, reason: found.to_string() };
        said.push((found, refusal.clone()));
        refusal
    })
}

/// Whether it matters what a keeper can do for a child.
pub(crate) fn may_be_kept(containment: Containment) -> bool {
    match containment {
        Containment::Keeper => true,
        Containment::Auto => {
            MECHANISMS.contains(&Mechanism::Keeper) && herder_sys::mechanism(Mechanism::Cgroup).is_err()
        }
        _ => false,
    }
}

/// What a command says that matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) containment: Containment,
    /// What the command says about groups itself.
    pub(crate) group: Group,
    /// The child is to use our terminal.
    pub(crate) terminal: bool,
    pub(crate) dies_with_owner: bool,
    /// Why a keeper can't bear the child.
    pub(crate) unkeepable: Option<&'static str>,
    /// Why a keeper had better not bear the child.
    pub(crate) ill_kept: Option<&'static str>,
}

impl Wish {
    /// For any child, without odd wishes.
    pub(crate) fn plain(containment: Containment) -> Self {
        Self {
            containment,
            group: Group::Inherit,
            terminal: false,
            dies_with_owner: true,
            unkeepable: None,
            ill_kept: None,
        }
    }

    /// What a keeper's child can't be, or, unless that is asked for by name, what none becomes.
    fn keep(&self, group: Group) -> Result<(), &'static str> {
        let by_name = self.containment == Containment::Keeper;
        match (self.unkeepable, self.ill_kept) {
            (Some(reason), _) => Err(reason),
            (_, Some(reason)) if !by_name => Err(reason),
            _ if self.group == Group::New && !by_name => Err(
                "its children have a session of their own, and others may be meant to join the group asked for",
            ),
            _ if matches!(group, Group::Inherit | Group::Join(_)) => {
                Err("its children have a session of their own, and this one is to be in a group of ours")
            }
            _ => Ok(()),
        }
    }
}

/// What this system may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rungs {
    /// Strongest first.
    pub(crate) ladder: &'static [Mechanism],
    /// Whether signals and kills reach a process group as a whole.
    pub(crate) groups: bool,
}

/// What a child is born into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) group: Group,
    pub(crate) mechanism: Option<Mechanism>,
    pub(crate) strength: Strength,
    pub(crate) refusals: Vec<Refusal>,
    /// Whether the keeper is to end its group when our program ends.
    pub(crate) watched: bool,
}

/// Chooses the strongest that is asked for and can be had; an error if what was asked for by name can't be.
pub(crate) fn choose(
    wish: Wish,
    rungs: Rungs,
    can: impl Fn(Mechanism, Strength) -> Result<(), Refusal>,
) -> Result<Choice, Refusal> {
    let own_group = match (wish.group, wish.containment) {
        (Group::Inherit, Containment::None) => Group::Inherit,
        (Group::Inherit, Containment::Group | Containment::Keeper) => Group::New,
        (Group::Inherit, _) if !wish.terminal => Group::New,
        (group, _) => group,
    };
    let fits = |mechanism, strength| {
        let no = |reason: &'static str| Err(Refusal { strength, reason: reason.into() });
        if !wish.dies_with_owner {
            return no("it ends with our program, and the child shall not");
        }
        if mechanism == Mechanism::Keeper {
            wish.keep(own_group).or_else(no)?;
        }
        can(mechanism, strength)
    };
    let mut choice = Choice {
        group: own_group,
        mechanism: None,
        strength: Strength::Child,
        refusals: vec![],
        watched: false,
    };
    // A group that was there before the child is not ours to kill.
    if matches!(own_group, Group::New | Group::NewSession) && rungs.groups {
        choice.strength = Strength::Group;
    }
    let by_name = match wish.containment {
        Containment::Cgroup => Some(Mechanism::Cgroup),
        Containment::Keeper => Some(Mechanism::Keeper),
        Containment::Job => Some(Mechanism::Job),
        Containment::Auto | Containment::Group | Containment::None => None,
    };
    let auto = if wish.containment == Containment::Auto { rungs.ladder } else { &[] };
    for mechanism in by_name.iter().chain(auto).copied() {
        let Some(strength) = strength_of(mechanism) else { continue };
        match fits(mechanism, strength) {
            Ok(()) => {
                (choice.mechanism, choice.strength) = (Some(mechanism), strength);
                break;
            }
            Err(refusal) if by_name.is_some() => return Err(refusal),
            Err(refusal) => choice.refusals.push(refusal),
        }
    }
    // Who asks for a group gets a group; who asks for the strongest gets the keeper on top.
    let strongest = wish.containment == Containment::Auto && wish.dies_with_owner;
    choice.watched = strongest && choice.strength == Strength::Group;
    Ok(choice)
}

/// The choice for a command on this host.
pub(crate) fn choose_here(wish: Wish) -> Result<Choice, Refusal> {
    choose(wish, Rungs { ladder: MECHANISMS, groups: REACHES_GROUPS }, can)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(containment: Containment) -> Wish {
        Wish::plain(containment)
    }

    const UNIX: Rungs = Rungs { ladder: &[Mechanism::Cgroup, Mechanism::Keeper], groups: true };
    const WINDOWS: Rungs = Rungs { ladder: &[Mechanism::Job], groups: false };

    fn all(_: Mechanism, _: Strength) -> Result<(), Refusal> {
        Ok(())
    }

    fn nothing(_: Mechanism, strength: Strength) -> Result<(), Refusal> {
        Err(Refusal { strength, reason: "no".into() })
    }

    fn only(which: Mechanism) -> impl Fn(Mechanism, Strength) -> Result<(), Refusal> {
        move |mechanism, strength| if mechanism == which { Ok(()) } else { nothing(mechanism, strength) }
    }

    fn chosen(
        wish: Wish,
        can: impl Fn(Mechanism, Strength) -> Result<(), Refusal>,
    ) -> (Group, Strength, usize) {
        let choice = choose(wish, UNIX, can).unwrap();
        (choice.group, choice.strength, choice.refusals.len())
    }

    #[test]
    fn the_strongest_that_the_host_can_do() {
        let auto = wish(Containment::Auto);
        assert_eq!(chosen(auto, all), (Group::New, Strength::Cgroup, 0));
        assert_eq!(chosen(auto, only(Mechanism::Keeper)), (Group::New, Strength::Keeper, 1));
        assert_eq!(chosen(auto, nothing), (Group::New, Strength::Group, 2));
    }

    #[test]
    fn what_is_asked_for_by_name_comes_or_is_an_error() {
        assert_eq!(chosen(wish(Containment::Keeper), all), (Group::New, Strength::Keeper, 0));
        assert_eq!(choose(wish(Containment::Keeper), UNIX, nothing).unwrap_err().strength, Strength::Keeper);
        let only_keeper = only(Mechanism::Keeper);
        assert_eq!(
            choose(wish(Containment::Cgroup), UNIX, only_keeper).unwrap_err().strength,
            Strength::Cgroup
        );
        assert_eq!(chosen(wish(Containment::Group), all), (Group::New, Strength::Group, 0));
        assert_eq!(chosen(wish(Containment::None), all), (Group::Inherit, Strength::Child, 0));
    }

    #[test]
    fn the_terminal_keeps_its_reader_in_our_group() {
        let terminal = |containment| Wish { terminal: true, ..wish(containment) };
        assert_eq!(chosen(terminal(Containment::Auto), all), (Group::Inherit, Strength::Cgroup, 0));
        assert_eq!(chosen(terminal(Containment::Auto), nothing), (Group::Inherit, Strength::Child, 2));
        assert_eq!(chosen(terminal(Containment::Group), all), (Group::New, Strength::Group, 0));
    }

    #[test]
    fn a_keeper_s_child_is_in_no_group_of_ours_and_has_no_terminal_unless_it_is_asked_for_by_name() {
        let keeper = only(Mechanism::Keeper);
        let auto = Wish { ill_kept: Some("a terminal"), ..wish(Containment::Auto) };
        assert_eq!(chosen(auto, &keeper), (Group::New, Strength::Group, 2));
        assert_eq!(choose(auto, UNIX, &keeper).unwrap().refusals[1].reason, "a terminal");
        let terminal = Wish { terminal: true, ..auto };
        assert_eq!(chosen(terminal, &keeper), (Group::Inherit, Strength::Child, 2));
        let by_name = Wish { containment: Containment::Keeper, ..terminal };
        assert_eq!(chosen(by_name, &keeper), (Group::New, Strength::Keeper, 0));
        let joined = Wish { group: Group::Join(7), ..wish(Containment::Auto) };
        assert_eq!(chosen(joined, &keeper), (Group::Join(7), Strength::Child, 2));
        assert!(choose(Wish { containment: Containment::Keeper, ..joined }, UNIX, &keeper).is_err());
        assert!(choose(Wish { unkeepable: Some("no"), ..by_name }, UNIX, &keeper).is_err());
        // Others may join a group that is asked for; a session is nobody's to join.
        let group = |group| Wish { group, ..wish(Containment::Auto) };
        assert_eq!(chosen(group(Group::New), &keeper), (Group::New, Strength::Group, 2));
        assert_eq!(chosen(group(Group::NewSession), &keeper), (Group::NewSession, Strength::Keeper, 1));
    }

    #[test]
    fn what_the_command_says_of_groups_wins_and_a_foreign_group_is_not_ours() {
        let group = |group| Wish { group, terminal: true, ..wish(Containment::None) };
        assert_eq!(chosen(group(Group::NewSession), all), (Group::NewSession, Strength::Group, 0));
        assert_eq!(chosen(group(Group::Join(7)), all), (Group::Join(7), Strength::Child, 0));
    }

    #[test]
    fn a_scope_is_not_for_those_that_outlive_us() {
        let outlives = |containment| Wish { dies_with_owner: false, ..wish(containment) };
        assert_eq!(chosen(outlives(Containment::Auto), all), (Group::New, Strength::Group, 2));
        assert!(choose(outlives(Containment::Cgroup), UNIX, all).is_err());
    }

    #[test]
    fn the_keeper_watches_a_group_that_stands_in_for_something_stronger() {
        let watched = |wish, can: fn(Mechanism, Strength) -> Result<(), Refusal>| {
            choose(wish, UNIX, can).unwrap().watched
        };
        assert!(watched(wish(Containment::Auto), nothing));
        assert!(!watched(wish(Containment::Auto), all));
        assert!(!watched(wish(Containment::Group), nothing));
        assert!(!watched(Wish { dies_with_owner: false, ..wish(Containment::Auto) }, nothing));
        assert!(!watched(Wish { terminal: true, ..wish(Containment::Auto) }, nothing));
    }

    #[test]
    fn where_groups_can_not_be_ended_they_are_no_strength() {
        let chosen = |containment, can: fn(Mechanism, Strength) -> Result<(), Refusal>| {
            let choice = choose(wish(containment), WINDOWS, can)?;
            Ok::<_, Refusal>((choice.group, choice.strength, choice.refusals.len()))
        };
        assert_eq!(chosen(Containment::Auto, all), Ok((Group::New, Strength::Job, 0)));
        assert_eq!(chosen(Containment::Auto, nothing), Ok((Group::New, Strength::Child, 1)));
        assert_eq!(chosen(Containment::Group, all), Ok((Group::New, Strength::Child, 0)));
        assert_eq!(chosen(Containment::Job, nothing).map_err(|refusal| refusal.strength), Err(Strength::Job));
        assert!(chosen(Containment::Cgroup, nothing).is_err());
    }

    #[test]
    fn stronger_is_greater() {
        assert!(Strength::Cgroup > Strength::Keeper && Strength::Keeper > Strength::Group);
        assert!(Strength::Group > Strength::Child);
    }
}

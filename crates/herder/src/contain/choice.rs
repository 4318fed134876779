//! What a child is born into: chosen by what is asked for, what this system may have, and what this host can do.

use herder_sys::{Group, MECHANISMS, Mechanism, REACHES_GROUPS};

use super::{Containment, Refusal, Strength, can, strength_of};

/// Whether it matters what a keeper can do for a child.
pub(crate) fn may_be_kept(containment: Containment) -> bool {
    match containment {
        Containment::Keeper | Containment::PidNamespace => true,
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
        let by_name = self.containment != Containment::Auto;
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
struct Rungs {
    /// Strongest first.
    ladder: &'static [Mechanism],
    /// Whether signals and kills reach a process group as a whole.
    groups: bool,
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
fn choose(
    wish: Wish,
    rungs: Rungs,
    can: impl Fn(Mechanism, Strength) -> Result<(), Refusal>,
) -> Result<Choice, Refusal> {
    let own_group = match (wish.group, wish.containment) {
        (Group::Inherit, Containment::None) => Group::Inherit,
        (Group::Inherit, Containment::Group | Containment::Keeper | Containment::PidNamespace) => Group::New,
        (Group::Inherit, _) if !wish.terminal => Group::New,
        (group, _) => group,
    };
    let fits = |mechanism, strength| {
        let no = |reason: &'static str| Err(Refusal { strength, reason: reason.into() });
        if !wish.dies_with_owner {
            return no("it ends with our program, and the child shall not");
        }
        if matches!(mechanism, Mechanism::Keeper | Mechanism::PidNamespace) {
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
        Containment::PidNamespace => Some(Mechanism::PidNamespace),
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
        assert_eq!(chosen(wish(Containment::PidNamespace), all), (Group::New, Strength::PidNamespace, 0));
        let refusal = choose(wish(Containment::PidNamespace), UNIX, nothing).unwrap_err();
        assert_eq!(refusal.strength, Strength::PidNamespace);
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
        let namespace = Wish { containment: Containment::PidNamespace, ..by_name };
        assert_eq!(chosen(namespace, all), (Group::New, Strength::PidNamespace, 0));
        assert!(choose(Wish { unkeepable: Some("no"), ..namespace }, UNIX, all).is_err());
        assert!(choose(Wish { group: Group::Join(7), ..namespace }, UNIX, all).is_err());
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
}

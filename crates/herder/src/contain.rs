//! How far the hand over a child reaches.
//!
//! Today: a process group for each child, and the kernel's word that the child itself dies with its owner. Stronger
//! scopes are to come; what is in force is told as [`Strength`], so nothing is weaker than it says.

use herder_sys::Group;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Containment {
    /// A process group of its own, unless the child is to use our terminal: one that inherits the terminal as its
    /// standard input, while we are in the foreground, stays in our group, as the terminal stops readers of any
    /// other (and Ctrl-C and Ctrl-Z reach it as they reach us).
    #[default]
    Auto,
    /// A process group of its own, always.
    Group,
    /// No group: signals and kills reach the child alone.
    None,
}

/// What is in force: how much of what a child starts is reached by signals, kills and drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Strength {
    /// The child alone.
    Child,
    /// The child and all its descendants but those that left its process group (setpgid(2), setsid(2)).
    Group,
}

/// The group that a child is born into, and what that is worth.
///
/// `group` is what the command says about groups itself; `terminal`: the child is to use our terminal.
pub(crate) fn choose(asked: Containment, group: Group, terminal: bool) -> (Group, Strength) {
    match (group, asked) {
        (Group::New | Group::NewSession, _) => (group, Strength::Group),
        (Group::Inherit, Containment::Group) => (Group::New, Strength::Group),
        (Group::Inherit, Containment::Auto) if !terminal => (Group::New, Strength::Group),
        // A group that was there before the child is not ours to kill.
        _ => (group, Strength::Child),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_its_own_unless_the_terminal_needs_it() {
        let inherit = Group::Inherit;
        assert_eq!(choose(Containment::Auto, inherit, false), (Group::New, Strength::Group));
        assert_eq!(choose(Containment::Auto, inherit, true), (inherit, Strength::Child));
        assert_eq!(choose(Containment::Group, inherit, true), (Group::New, Strength::Group));
        assert_eq!(choose(Containment::None, inherit, false), (inherit, Strength::Child));
    }

    #[test]
    fn what_the_command_says_wins_and_a_foreign_group_is_not_ours() {
        assert_eq!(choose(Containment::None, Group::NewSession, true), (Group::NewSession, Strength::Group));
        assert_eq!(choose(Containment::Auto, Group::Join(7), false), (Group::Join(7), Strength::Child));
    }
}

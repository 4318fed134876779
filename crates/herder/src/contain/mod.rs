//! How far the hand over a child reaches: what is asked for, what this host can do, and what is in force.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use herder_sys::{MECHANISMS, Mechanism, OPT_IN, REACHES_GROUPS};

use crate::host;

mod choice;
mod fold;
mod hold;
mod limit;

pub use herder_sys::{Facts, facts};

pub(crate) use choice::{Choice, Wish, choose_here, may_be_kept};
pub(crate) use fold::Fold;
pub(crate) use hold::{Hold, members};
pub use limit::{Force, Limit, LimitResult, host_limits};
pub(crate) use limit::{apply, apply_one, refuse, stand_in, takes_limits};

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
    /// A PID namespace of its own (Linux), or no child at all: for trees that are not trusted to end. (It is no sandbox:
    /// files and the network are there as ever.) Nothing leaves it, not even
    /// as root, and the kernel ends all in it when its first process ends, which is our helper: the child is the second, and
    /// has the signals and orphans of any other program. [`Auto`](Self::Auto) never chooses it, as a child sees the
    /// difference:
    ///
    /// - It has other pids inside; those that this library tells are ours. Processes outside have none there.
    /// - Its `/proc` shows those inside only. (In a container that hides parts of its `/proc` the kernel allows no other, and
    ///   the old one stays.) It has its own list of mounts: what it mounts is not seen outside.
    /// - For an ordinary user there is a user namespace, too, in which its own user and group are the only ones, with the
    ///   numbers that they have: files of others seem to belong to nobody, setuid programs don't get their rights, and
    ///   no other user can be asked for. Hosts may forbid these namespaces.
    ///
    /// And all that is said of children of the [keeper](Self::Keeper). No limits of a cgroup come with it.
    PidNamespace,
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
    ///
    /// On FreeBSD, where [`Containment::Auto`] chose it, kills and drops reach those that left the group as well: our
    /// program becomes a reaper (procctl(2)), the parent of all orphans below it, which a thread of ours reaps. (It was
    /// never run there.)
    Group,
    /// The child and all its descendants, found by our keeper: verified, but by searching.
    Keeper,
    /// The child and all its descendants, by the kernel's own account. (Root can move a process out.)
    Cgroup,
    /// The child and all its descendants, by the kernel's own account, which none of them leaves (Linux).
    PidNamespace,
    /// The child and all its descendants, by the kernel's own account, which none of them leaves (Windows).
    Job,
}

impl Strength {
    /// Whether it is only for those who ask for it by its name, as a child sees the difference:
    /// [`Containment::Auto`] never chooses it.
    #[must_use]
    pub fn is_opt_in(self) -> bool {
        self == Self::PidNamespace
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Child => "child alone",
            Self::Group => "process group",
            Self::Keeper => "keeper",
            Self::Cgroup => "cgroup",
            Self::PidNamespace => "PID namespace",
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

/// What this host can enforce, strongest first, those included that are [not chosen](Strength::is_opt_in) unless they are
/// asked for: `Ok`, or why not.
///
/// Found out once, by trying, and kept. It may block for some milliseconds the first time.
#[must_use]
pub fn host() -> Vec<(Strength, Result<(), Refusal>)> {
    let asked =
        OPT_IN.iter().chain(MECHANISMS).filter_map(|mechanism| Some((*mechanism, strength_of(*mechanism)?)));
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

/// The process id of our keeper, if one runs: for a program that adopts orphans, whose child it may become, and which is
/// not to end it. It may be gone in the next moment, and another one be there.
#[doc(hidden)]
#[must_use]
pub fn keeper_id() -> Option<u32> {
    host::keeper_id()
}

/// What is in force where a mechanism holds the child; `None` for one that this library does not know.
fn strength_of(mechanism: Mechanism) -> Option<Strength> {
    Some(match mechanism {
        Mechanism::Cgroup => Strength::Cgroup,
        Mechanism::Job => Strength::Job,
        Mechanism::Keeper => Strength::Keeper,
        Mechanism::PidNamespace => Strength::PidNamespace,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stronger_is_greater() {
        assert!(Strength::PidNamespace > Strength::Cgroup && Strength::Cgroup > Strength::Keeper);
        assert!(Strength::Keeper > Strength::Group);
        assert!(Strength::Group > Strength::Child);
    }
}

//! The scenarios, as data: a promise each, an adversarial child, and what happens to its caller.

mod capture;
mod crowd;
mod ends;
mod fault;
mod hygiene;
mod status;

use std::time::Duration;

use crate::protocol::Ended;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// In one line, as the table shows it.
    pub(crate) promise: &'static str,
    pub(crate) act: Act,
    /// Why it can't be kept where there is no more than a process group.
    pub(crate) beyond: Option<Reason>,
    /// Takes the whole machine: run alone.
    pub(crate) heavy: bool,
}

/// What takes more than process groups, and so more rights than some owners have; given in place of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It left its process group, and nothing else is signalled as one.
    LeftGroup,
    /// The owner was ended by the kernel, which then ends no more than the child (`PR_SET_PDEATHSIG`).
    OwnerGone,
    /// Who is killed with the group of a child that has exited is neither named nor counted.
    Unseen,
}

impl Reason {
    pub(crate) const ALL: [Self; 3] = [Self::LeftGroup, Self::OwnerGone, Self::Unseen];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::LeftGroup => {
                "neither a cgroup nor a keeper can be had: a signal to a process group misses who has left it"
            }
            Self::OwnerGone => {
                "neither a cgroup nor a keeper that bears children can be had: the kernel's PR_SET_PDEATHSIG ends the \
                 child alone, and before Linux 6.9 its group is nobody's to signal then"
            }
            Self::Unseen => {
                "neither a cgroup nor a keeper can be had: what was left behind was killed with its process group, \
                 whose members the kernel does not list"
            }
        }
    }

    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::LeftGroup => "left group",
            Self::OwnerGone => "owner gone",
            Self::Unseen => "unseen",
        }
    }
}

/// What is done.
#[derive(Debug)]
pub(crate) enum Act {
    /// A tree is started and meets an end.
    Meet(Tree, End),
    Capture(Capture),
    Status(Status),
    Crowd(Crowd),
    Fault(Fault),
    Hygiene(Hygiene),
}

/// What a child starts.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) what: What,
    /// How many of it say that they are up.
    pub(crate) ups: usize,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Steps of the fixture; `{up}` is where to say that one is up.
    Steps(&'static [&'static str]),
    /// For sh.
    Script(&'static str),
}

/// What happens to a tree, or to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The library's call that ends it now.
    Kill,
    /// The library's call that asks first.
    Terminate,
    /// The library's limit of time for a captured run.
    Timeout,
    Drop,
    /// The task that owns it panics.
    Panic,
    /// The future of a captured run is dropped.
    Cancel,
    /// The runtime is shut down while a task waits for it.
    Shutdown,
    /// It is dropped on a thread without a runtime, after its runtime is gone.
    DropOutside,
    /// Its own leader goes, by itself.
    LeaderGoes,
    /// The owner calls `exit`.
    Exit,
    /// The owner returns from `main`, with the child in a static.
    Return,
    Abort,
    /// A signal to the owner.
    Signal(i32),
    /// SIGKILL to the owner's process group.
    KillGroup,
}

impl End {
    /// Whether the owner lives on.
    pub(crate) fn spares_owner(self) -> bool {
        !matches!(self, Self::Exit | Self::Return | Self::Abort | Self::Signal(_) | Self::KillGroup)
    }
}

/// A run for its output.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Steps of the fixture.
    pub(crate) steps: &'static [&'static str],
    pub(crate) input: Input,
    /// The library's limit of time for it.
    pub(crate) limit: Option<Duration>,
    /// On a runtime of one thread, where there is one.
    pub(crate) one_thread: bool,
    pub(crate) expect: Expect,
}

/// What a child is given to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing is said about it.
    Unset,
    Null,
    /// So many bytes of the fixture's pattern.
    Pattern(u64),
}

/// What a captured run has to give.
#[derive(Debug)]
pub(crate) struct Expect {
    /// `None`: it was ended by the limit.
    pub(crate) ended: Option<Ended>,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
}

/// What a captured stream has to be.
#[derive(Debug)]
pub(crate) enum Stream {
    Exactly(&'static [u8]),
    /// So many bytes of the fixture's pattern, kept or counted.
    Pattern(u64),
    /// All of it, or a word that there was more.
    AllOrTold(&'static [u8]),
    /// So many bytes are written; no more than a bound is kept, in memory too.
    Bounded(u64),
    Any,
}

/// What is told about an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    AllCodes,
    Signals,
    CodeIsNoSignal,
    WaitTwice,
    TryWait,
    CancelledAndRetried,
    KillWhileWaiting,
    KillAfterExit,
    Ignored,
    GracefulEnd,
    ShortLivedThread,
    OutsideRuntime,
}

/// Many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    ThousandAtOnce,
    DropHundreds,
    ZombiesAfterWaits,
    ZombiesAfterDrops,
    DescriptorsAfterRuns,
    DescriptorsAfterFailures,
    Threads,
    BigParent,
    TimeOfDrop,
}

/// A start that can't succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    MissingProgram,
    MissingFolder,
    MissingInterpreter,
    NotExecutable,
    Garbage,
    BusyText,
    LongArgument,
    NulInArgument,
    SecretInSpawnError,
    SecretInFailure,
    SecretInDebug,
    FewDescriptors,
}

/// What a child is given of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hygiene {
    OpenDescriptor,
    ConcurrentDescriptors,
    BlockedSignals,
    IgnoredPipe,
    ClosedStandard,
}

/// All of them, in the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    let groups = [
        ends::scenarios(),
        capture::scenarios(),
        status::scenarios(),
        crowd::scenarios(),
        fault::scenarios(),
        hygiene::scenarios(),
    ];
    groups.into_iter().flatten().collect()
}

pub(crate) fn named(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

impl Act {
    /// The heading of the table under which it stands.
    pub(crate) fn heading(&self) -> &'static str {
        match self {
            Self::Meet(_, end) if end.spares_owner() => "Nothing escapes",
            Self::Meet(..) => "Our own death is covered",
            Self::Capture(_) => "Nothing is lost silently",
            Self::Status(_) => "The status is the child's own",
            Self::Crowd(_) => "Many at once, and nothing blocks",
            Self::Fault(_) => "Errors say what is wrong, and no secrets",
            Self::Hygiene(_) => "The child is given what was named",
        }
    }
}

/// A row that is kept wherever the library runs.
fn row(name: &'static str, promise: &'static str, act: Act) -> Scenario {
    Scenario { name, promise, act, beyond: None, heavy: false }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_enough_and_each_has_a_name_of_its_own() {
        let names: BTreeSet<_> = all().iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), all().len());
        assert!(names.len() >= 60, "{}", names.len());
    }

    #[test]
    fn promises_are_one_line() {
        for Scenario { name, promise, .. } in all() {
            assert!(promise.len() < 100 && !promise.contains(['\n', '|']), "{name}: {promise}");
        }
    }
}

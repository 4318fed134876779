//! What the judge says of a cell.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Kept,
    Failed {
        failure: Failure,
        detail: String,
    },
    /// There is nothing to call.
    NotOffered {
        why: String,
    },
    /// The kernel gives no means to somebody of these rights.
    Forbidden {
        mark: String,
        detail: String,
    },
}

/// In which way a promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    Survivors,
    Zombies,
    Hang,
    LostBytes,
    WrongStatus,
    LeakedDescriptors,
    LeakedFolders,
    BlockedExecutor,
    SecretsShown,
    /// An error that misleads, or that there should not be, or none where there should be one.
    Error,
    Memory,
    Panic,
    Signals,
}

pub(crate) const FAILURES: [Failure; 13] = [
    Failure::Survivors,
    Failure::Zombies,
    Failure::Hang,
    Failure::LostBytes,
    Failure::WrongStatus,
    Failure::LeakedDescriptors,
    Failure::LeakedFolders,
    Failure::BlockedExecutor,
    Failure::SecretsShown,
    Failure::Error,
    Failure::Memory,
    Failure::Panic,
    Failure::Signals,
];

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Survivors => "survivors",
            Self::Zombies => "zombies",
            Self::Hang => "hang",
            Self::LostBytes => "lost bytes",
            Self::WrongStatus => "wrong status",
            Self::LeakedDescriptors => "leaked fds",
            Self::LeakedFolders => "leaked dirs",
            Self::BlockedExecutor => "blocks",
            Self::SecretsShown => "secrets",
            Self::Error => "error",
            Self::Memory => "memory",
            Self::Panic => "panic",
            Self::Signals => "signals",
        })
    }
}

impl Failure {
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Survivors => "processes of the tree were alive when all had had their time",
            Self::Zombies => "children that have ended were not reaped while their owner lived",
            Self::Hang => "a call did not return",
            Self::LostBytes => "bytes are missing and nothing says so, or bytes are wrong",
            Self::WrongStatus => "the status told is not that of the child",
            Self::LeakedDescriptors => "descriptors were left open, or given to the child unasked",
            Self::LeakedFolders => "a cgroup or a temporary folder was left behind",
            Self::BlockedExecutor => "the thread of the executor was held up",
            Self::SecretsShown => "an argument or the value of a variable was in a text for people",
            Self::Error => "an error that misleads, or should not be there, or is missing",
            Self::Memory => "the memory of the owner grew with the output",
            Self::Panic => "the owner panicked or died",
            Self::Signals => "the child has signals blocked or ignored that it should not have",
        }
    }
}

pub(super) fn failed(failure: Failure, detail: impl Into<String>) -> Verdict {
    Verdict::Failed { failure, detail: detail.into() }
}

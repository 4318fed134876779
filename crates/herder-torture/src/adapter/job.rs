//! What an adapter is to run, in words that every library has.

use std::ffi::OsString;
use std::path::PathBuf;

/// A command, before any library knows of it.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    /// Variables on top of those of the owner.
    pub(crate) envs: Vec<(OsString, OsString)>,
    pub(crate) folder: Option<PathBuf>,
    /// Of a captured run; a spawned child has all three streams on `/dev/null`.
    pub(crate) feed: Feed,
    /// What is tried is how far a library goes that is told nothing.
    pub(crate) at_defaults: bool,
}

/// What it reads.
#[derive(Clone)]
pub(crate) enum Feed {
    /// Whatever the library does if nothing is said.
    Unset,
    Null,
    Bytes(Vec<u8>),
}

impl Job {
    pub(crate) fn new(program: impl Into<OsString>, args: impl IntoIterator<Item = OsString>) -> Self {
        let args = args.into_iter().collect();
        Self {
            program: program.into(),
            args,
            envs: Vec::new(),
            folder: None,
            feed: Feed::Null,
            at_defaults: false,
        }
    }

    pub(crate) fn reads_null(&self) -> bool {
        matches!(self.feed, Feed::Null)
    }
}

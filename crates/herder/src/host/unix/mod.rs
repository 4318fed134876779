//! Unix: descriptors in the reactor, and files as `execvp` finds them.

mod end;
mod exit;
mod file_format;
mod limits;
mod program;
mod reactor;
mod scope;
mod settings;
mod stamped;
mod stand_in;
mod streams;

pub(crate) use exit::{InReactor, Telling, tell_exit};
pub(crate) use limits::check_sizes;
pub(crate) use program::{candidates, diagnose};
pub(crate) use scope::ScopeWatch;
pub(crate) use settings::Settings;
pub(crate) use stamped::{Stamped, stamped_from_child};
pub(crate) use stand_in::{each_process, limit_memory_of_each};
pub(crate) use streams::{Reader, Writer, pipe_from_child, pipe_to_child};

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

/// Error numbers that the library itself gives.
pub(crate) mod errno {
    pub(crate) use herder_sys::errno::{INVALID, NOT_FOUND, TIMED_OUT, TRY_AGAIN};
    /// What a scope with a limit of processes says of one too many.
    pub(crate) const SCOPE_FULL: i32 = TRY_AGAIN;
}

/// Variables that a child gets even if the environment was cleared, unless they are removed by name.
pub(crate) const KEPT_VARIABLES: &[&str] = &[];

/// How the names of two variables stand to each other.
pub(crate) fn compare_names(one: &OsStr, other: &OsStr) -> Ordering {
    one.cmp(other)
}

/// Makes ready what ends process groups with our program: our keeper, a process of its own.
pub(crate) fn start_keeper() -> io::Result<()> {
    herder_sys::keeper::ensure(None)
}

/// The process id of our keeper, if one runs.
pub(crate) fn keeper_id() -> Option<u32> {
    match herder_sys::keeper::state() {
        herder_sys::keeper::State::Running { pid } => Some(pid.unsigned_abs()),
        _ => None,
    }
}

/// Whether our standard input is a terminal that a child can use only as a member of our process group.
pub(crate) fn uses_terminal() -> bool {
    herder_sys::foreground_terminal(io::stdin().as_fd())
}

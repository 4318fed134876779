//! Windows: named pipes in the reactor, waits in the system's pool, and files as `PATHEXT` has them.

mod exit;
mod limits;
mod program;
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

pub(crate) use herder_sys::compare_names;

use std::io;
use std::os::windows::io::AsHandle;

/// Error numbers that the library itself gives.
pub(crate) mod errno {
    /// `ERROR_FILE_NOT_FOUND`.
    pub(crate) const NOT_FOUND: i32 = 2;
    /// `ERROR_INVALID_PARAMETER`.
    pub(crate) const INVALID: i32 = 87;
    /// `ERROR_NO_SYSTEM_RESOURCES`.
    pub(crate) const TRY_AGAIN: i32 = 1450;
    /// `ERROR_NOT_ENOUGH_QUOTA`: what a job with a limit of processes says of one too many.
    pub(crate) const SCOPE_FULL: i32 = 1816;
    /// `ERROR_TIMEOUT`.
    pub(crate) const TIMED_OUT: i32 = 1460;
}

/// Variables that a child gets even if the environment was cleared, unless they are removed by name: without this one
/// nothing that asks for random numbers or a socket works.
pub(crate) const KEPT_VARIABLES: &[&str] = &["SystemRoot"];

/// There is no keeper: process groups can't be ended, and jobs need nobody to end them.
pub(crate) fn start_keeper() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "process groups can't be ended on Windows; a job can"))
}

/// There is none.
pub(crate) fn keeper_id() -> Option<u32> {
    None
}

/// Whether our standard input is our console: a child that is to hear Ctrl-C as we do must stay in our process group.
pub(crate) fn uses_terminal() -> bool {
    herder_sys::foreground_terminal(io::stdin().as_handle())
}

//! The Windows backend.
//!
//! | file | holds |
//! |---|---|
//! | `spawn` | one request, from checks to a living child |
//! | `attributes` | what `CreateProcessW` is told beside its arguments: which handles, which jobs |
//! | `streams` | the handles that a child gets |
//! | `strings` | our strings as UTF-16, and questions about them |
//! | `process` | observe, reap, end |
//! | `exit_watch` | being told of an exit, without a thread for each child |
//! | `job` | job objects |
//! | `scope` | what holds processes together: a job |
//! | `thread` | the threads that start children for those who must not wait |
//! | `handle` | handles that are ours |

mod attributes;
mod exit_watch;
mod handle;
mod job;
mod process;
mod scope;
mod spawn;
mod streams;
mod strings;
mod thread;

pub use exit_watch::ExitWatch;
pub use process::{KILL_CODE, Process, ProcessHandle, was_ended};
pub use scope::{Scope, is_shortage, mechanism};
pub use spawn::{Console, Launch, WindowsRequest, spawn};
pub use streams::foreground_terminal;
pub use strings::{candidates, check_command_line, compare_names, environment};
pub use thread::{is_permanent_thread, spawn_by_thread, spawn_later, spawn_on_thread, thread_is_free};

use std::convert::Infallible;
use std::io;

use crate::{Facts, Mechanism};

/// What may hold processes together here, strongest first.
pub const MECHANISMS: &[Mechanism] = &[Mechanism::Job];

/// Whether signals and kills reach a process group as a whole: a group of Windows hears Ctrl-Break, and that is all.
pub const REACHES_GROUPS: bool = false;

/// Whether [`spawn()`] takes so long that a thread with other things to do should not call it: milliseconds.
pub const SPAWN_BLOCKS: bool = true;

/// Code to run between fork and exec, of which there is neither here.
#[derive(Clone, Debug)]
pub struct PreExec(Infallible);

/// The facts are about Linux: nothing of it is here.
#[must_use]
pub fn facts() -> &'static Facts {
    static NOTHING: Facts =
        Facts { clone3: false, clone_pidfd: false, pidfd: false, shared_memory: false, close_range: false };
    &NOTHING
}

/// The result of a call that gives zero and sets the last error.
fn cvt(result: i32) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! The backend for every Unix but Linux: macOS, the BSDs, and others. It runs on Linux, too, built with
//! `--cfg herder_portable`, which is how it is tested.
//!
//! | file | holds |
//! |---|---|
//! | `spawn` | one request, from checks to a living child: two rungs |
//! | `plan` | what a child is to be, ready for either |
//! | `posix_spawn` | the upper rung: posix_spawn(3), where it can say all that was asked for |
//! | `child` | the lower rung: what a forked child runs before its `execve` |
//! | `launch` | how the `execve` ended |
//! | `signals` | signal masks |
//! | `process` | observe, reap, signal |
//! | `wait` | waitid(2) and wait4(2) |
//! | `exit_watch` | a descriptor that tells an exit: a kqueue, where there is one |
//! | `descent` | who came of a child, on FreeBSD |
//! | `reaper` | the thread that reaps what was dropped |
//! | `keeper` | the helper process that ends what we have started when we are gone |
//! | `scope` | why nothing holds a whole tree here |

mod child;
mod descent;
mod exit_watch;
pub mod keeper;
mod launch;
mod plan;
mod posix_spawn;
mod process;
mod reaper;
mod scope;
mod signals;
mod spawn;
mod wait;

pub use launch::Launch;
pub use process::ProcessHandle;
pub use scope::{Scope, is_shortage, mechanism, tidy_scopes};
pub use spawn::spawn;

pub(crate) use reaper::adopt;
pub(crate) use scope::leave;
pub(crate) use spawn::{kept_mask, spawn_with_mask};

use std::process::ExitStatus;

use crate::unix::{cvt, environ, fd, number, owner, thread};
use crate::{Facts, Mechanism};

/// What holds processes together on Linux, strongest first: each is refused here, with the reason.
pub const MECHANISMS: &[Mechanism] = &[Mechanism::Cgroup, Mechanism::Keeper];

/// Whether signals and kills reach a process group as a whole.
pub const REACHES_GROUPS: bool = true;

/// Whether [`spawn()`] takes so long that a thread with other things to do should not call it: it may last until the
/// `execve` is over.
pub const SPAWN_BLOCKS: bool = true;

/// The facts are about Linux: this backend uses nothing of it.
#[must_use]
pub fn facts() -> &'static Facts {
    static NOTHING: Facts =
        Facts { clone3: false, clone_pidfd: false, pidfd: false, shared_memory: false, close_range: false };
    &NOTHING
}

/// Whether the calling thread lives as long as the program, as far as its children are concerned: their end is bound to
/// the program here, and not to a thread.
#[must_use]
pub fn is_permanent_thread() -> bool {
    true
}

/// Whether a process was ended, by a signal, and did not end by itself.
#[must_use]
pub fn was_ended(status: ExitStatus) -> bool {
    status.code().is_none()
}

/// Whether all that are left in a group are dead: nothing tells here.
pub(crate) fn dead_members_only(_group: i32) -> bool {
    false
}

/// Whether somebody runs who came of a child that was reaped, and is followed.
pub(crate) fn any_stray(child: &ProcessHandle) -> bool {
    child.any_stray()
}

/// Which processors a thread may use is not inherited in a way that this backend knows of.
pub(crate) fn run_anywhere() -> Option<i32> {
    None
}

/// Never asked for: see [`run_anywhere`].
pub(crate) fn come_here(_thread: i32) {}

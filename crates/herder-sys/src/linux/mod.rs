//! The Linux backend.
//!
//! | file | holds |
//! |---|---|
//! | `spawn` | one request, from checks to a living child: the ladder of births |
//! | `launch` | what a child reads until its `execve`, and how that ended |
//! | `birth` | the clone3, clone and fork calls themselves |
//! | `child` | what the child runs before its `execve`: bare system calls only |
//! | `abi` | what that is built on, here and in the keeper |
//! | `syscall` | system calls without the C library |
//! | `process` | observe, reap, signal |
//! | `pidfd` | the system calls on pidfds |
//! | `waitid` | waitid(2), and what it says |
//! | `doomed` | what was dropped with a scope around it, and is still to be killed |
//! | `scope` | what holds processes together, whichever mechanism does it |
//! | `cgroup` | scopes that are cgroups |
//! | `kept` | scopes whose children a keeper bears |
//! | `found` | whether a mechanism can be had, found out once |
//! | `per_process` | state that a forked copy of us does not share |
//! | `reaper` | the thread that reaps what was dropped |
//! | `permanent` | which threads live as long as the program |
//! | `processors` | which processors a thread may use, and its children |
//! | `keeper` | the helper process that ends everything when we are gone |
//! | `facts` | what this host can do |
//! | `fd` | files in memory |
//! | `stat` | what /proc/PID/stat says of a process, and who is in a process group by that |

mod abi;
mod birth;
mod cgroup;
mod child;
mod doomed;
mod dumpable;
mod facts;
mod fd;
mod found;
pub mod keeper;
mod kept;
mod launch;
mod per_process;
mod permanent;
mod pidfd;
mod process;
mod processors;
mod reaper;
mod scope;
mod spawn;
mod stack;
mod stat;
mod syscall;
mod waitid;

pub use facts::facts;
pub use launch::Launch;
pub use permanent::is_permanent_thread;
pub use process::ProcessHandle;
pub use scope::{Scope, is_shortage, mechanism, tidy_scopes};
pub use spawn::spawn;

pub(crate) use doomed::leave;
pub(crate) use processors::{come_here, run_anywhere};
pub(crate) use reaper::adopt;
pub(crate) use spawn::{kept_mask, spawn_with_mask};
pub(crate) use stat::dead_members_only;

use std::process::ExitStatus;

use crate::Mechanism;
use crate::unix::{cvt, environ, number, owner, pre_exec, thread};

/// What may hold processes together here, strongest first.
pub const MECHANISMS: &[Mechanism] = &[Mechanism::Cgroup, Mechanism::Keeper];

/// Whether signals and kills reach a process group as a whole.
pub const REACHES_GROUPS: bool = true;

/// Whether [`spawn()`] takes so long that a thread with other things to do should not call it.
pub const SPAWN_BLOCKS: bool = false;

/// Whether somebody runs who came of a child and has left its group: a scope tells that here.
pub(crate) fn any_stray(_child: &ProcessHandle) -> bool {
    false
}

/// Whether a process was ended, by a signal, and did not end by itself.
#[must_use]
pub fn was_ended(status: ExitStatus) -> bool {
    status.code().is_none()
}

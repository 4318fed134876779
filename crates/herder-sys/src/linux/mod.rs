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
//! | `owner` | the owner of a child, and what its drop does |
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
//! | `thread` | the thread that starts children for threads that may end before them |
//! | `keeper` | the helper process that ends everything when we are gone |
//! | `facts` | what this host can do |
//! | `environ` | our own environment, for children that inherit it |
//! | `fd` | pipes and descriptor flags |
//! | `stamp` | pipes whose writes have times |

mod abi;
mod birth;
mod cgroup;
mod child;
mod doomed;
mod dumpable;
mod environ;
mod facts;
mod fd;
mod found;
pub mod keeper;
mod kept;
mod launch;
mod owner;
mod per_process;
mod pidfd;
mod pre_exec;
mod process;
mod reaper;
mod scope;
mod spawn;
mod stack;
mod stamp;
mod syscall;
mod thread;
mod waitid;

pub use environ::environment;
pub use facts::facts;
pub use fd::{data_limit, foreground_terminal, pipe, set_nonblocking, stack_limit};
pub use launch::Launch;
pub use owner::Process;
pub use pre_exec::PreExec;
pub use process::ProcessHandle;
pub use scope::{Scope, is_shortage, mechanism, tidy_scopes};
pub use spawn::spawn;
pub use stamp::{largest_stamped_write, receive_stamped, stamped_pipe};
pub use thread::{is_permanent_thread, spawn_later, spawn_on_thread};

use std::io;
use std::process::ExitStatus;

use crate::Mechanism;

/// What may hold processes together here, strongest first.
pub const MECHANISMS: &[Mechanism] = &[Mechanism::Cgroup, Mechanism::Keeper];

/// Whether signals and kills reach a process group as a whole.
pub const REACHES_GROUPS: bool = true;

/// Whether [`spawn()`] takes so long that a thread with other things to do should not call it.
pub const SPAWN_BLOCKS: bool = false;

/// Whether a process was ended, by a signal, and did not end by itself.
#[must_use]
pub fn was_ended(status: ExitStatus) -> bool {
    status.code().is_none()
}

/// The result of a C library call that gives -1 and sets `errno`.
fn cvt<T: Default + PartialOrd>(result: T) -> io::Result<T> {
    if result < T::default() { Err(io::Error::last_os_error()) } else { Ok(result) }
}

//! The engine of Herder: it starts processes, waits for them, signals them and reaps them.
//!
//! This crate holds all the `unsafe` code and all the operating-system `cfg` of the project, and no async
//! runtime. The library `herder` is built on it; use that one. What stands here is the contract that every
//! backend provides, and plain data that crosses the line:
//!
//! - [`spawn`] starts one [`SpawnRequest`] from the calling thread, [`spawn_on_thread`] from a thread that never
//!   ends; both return as soon as the child exists, before its `execve` is over.
//! - [`Spawned`] is the [`Process`] (observe, reap, signal) and its [`Launch`] (did the `execve` succeed?).
//! - Dropping a [`Process`] that was not reaped ends it and hands it to the process-wide reaper, which needs no
//!   runtime.
//! - A [`Scope`] holds children and all that they start together, so that they are ended together;
//!   [`mechanism`] says whether this host can do that.
//! - [`facts`] says what this host can do.
//!
//! # Forcing fallbacks
//!
//! The environment variable `HERDER_DISABLE`, read once, turns mechanisms off that misbehave on a host, and is
//! how the tests force every rung: a comma-separated list of `clone3`, `clone_pidfd`, `pidfd`, `shared_memory`,
//! `close_range`, `cgroup`, `keeper` and `pidns` (no scopes of that kind), `cgroup_kill` (processes are frozen and killed
//! one by one, as on Linux before 5.14), `pidfd_group` (for the keeper), `spare_keepers` (no keeper has a
//! second scope), `posix_spawn` (on systems other than Linux),
//! `job_list` (on Windows a child is born suspended, and put into its job then).

mod disabled;
mod scope_types;
mod signal;
#[cfg(unix)]
mod stamp;
mod step;
mod types;
#[cfg(any(windows, test))]
mod wide;

#[cfg(unix)]
mod unix;

#[cfg(all(target_os = "linux", not(herder_portable)))]
mod linux;
#[cfg(all(target_os = "linux", not(herder_portable)))]
use linux as sys;

#[cfg(all(unix, any(not(target_os = "linux"), herder_portable)))]
mod posix;
#[cfg(all(unix, any(not(target_os = "linux"), herder_portable)))]
use posix as sys;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as sys;

#[cfg(not(any(unix, windows)))]
compile_error!("herder-sys has backends for Unix and Windows only");

pub use scope_types::{Limit, Mechanism, Member, OPT_IN, Refusal, ScopeStats};
pub use signal::{ParseSignalError, Signal};
#[cfg(unix)]
pub use stamp::{Stamped, largest_stamped_write, receive_stamped, stamped_pipe};
pub use step::{Group, SpawnStep};
#[cfg(windows)]
pub use sys::{
    Console, ExitWatch, KILL_CODE, PreExec, Process, WindowsRequest, candidates, check_command_line,
    compare_names, environment, foreground_terminal, spawn_by_thread, spawn_later, spawn_on_thread,
    thread_is_free,
};
pub use sys::{
    Launch, MECHANISMS, ProcessHandle, REACHES_GROUPS, SPAWN_BLOCKS, Scope, facts, is_permanent_thread,
    is_shortage, mechanism, spawn, was_ended,
};
#[cfg(unix)]
pub use sys::{keeper, tidy_scopes};
#[cfg(unix)]
pub use types::Pipe;
pub use types::{
    Exit, Facts, FdSource, LaunchError, OwnedDescriptor, Resource, SpawnRequest, Spawned, Strings, Usage,
};
#[cfg(unix)]
pub use unix::{
    environ::environment,
    errno,
    fd::{data_limit, foreground_terminal, pipe, read_behind, set_nonblocking, stack_limit},
    owner::Process,
    pre_exec::PreExec,
    sizes::{LEAST_FOR_ALL, most_for_all, most_for_one},
    thread::{spawn_by_thread, spawn_later, spawn_on_thread, thread_is_free},
};
#[cfg(windows)]
pub use wide::WideError;

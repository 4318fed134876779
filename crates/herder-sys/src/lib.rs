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
//! `close_range`, `cgroup` (no scopes of that kind), `cgroup_kill` (processes are frozen and killed one by one, as on
//! Linux before 5.14), `pidfd_group` (for the keeper).

mod signal;
mod types;
#[cfg(any(windows, test))]
mod wide;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as sys;

#[cfg(not(target_os = "linux"))]
compile_error!("herder-sys has a backend for Linux only, so far");

pub use signal::{ParseSignalError, Signal};
pub use sys::{
    Launch, Limit, Mechanism, Member, PreExec, Process, ProcessHandle, Refusal, Scope, ScopeStats,
    environment, facts, foreground_terminal, is_permanent_thread, is_shortage, keeper, mechanism, pipe,
    set_nonblocking, spawn, spawn_on_thread, stack_limit, tidy_scopes,
};
pub use types::{
    Exit, Facts, FdSource, Group, LaunchError, Pipe, Resource, SpawnRequest, SpawnStep, Spawned, Strings,
    Usage,
};

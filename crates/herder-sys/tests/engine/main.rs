//! The engine on real processes, without a runtime: what it promises, and what it does when things go wrong.
//!
//! One program, so that the helpers are compiled once. What changes the state of a whole process (a sandbox, signal
//! actions, limits, descriptors 0 to 2) runs in a copy of this program of its own: see `support::alone`.
//!
//! Built with `--cfg herder_portable` these are tests of the engine for any Unix, on Linux. What is not for it is left
//! out below, or ignored with the reason.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![cfg_attr(herder_portable, expect(dead_code, reason = "what only scopes need is left unused"))]
#![expect(clippy::print_stdout, reason = "tests say what they skip and how long things took")]

mod basics;
mod busy_text;
mod caller;
mod child_state;
mod copies;
mod environ;
mod fds;
mod owner;
mod reading;
mod repeats;
mod rungs;
mod sandbox;
mod shortage;
mod stalled;
mod stamp;
mod status;
mod support;
mod users;

// What the engine for any Unix does otherwise: its keeper, and no scopes.
#[cfg(herder_portable)]
mod portable;

// The thread that never ends is there because of the signal of a parent's death, which Linux alone has.
#[cfg(not(herder_portable))]
mod by_thread;

// Scopes, which need Linux, and the keeper that is a program of ours.
#[cfg(not(herder_portable))]
mod keeper_end;
#[cfg(not(herder_portable))]
mod keeper_one;
#[cfg(not(herder_portable))]
mod kept_basics;
#[cfg(not(herder_portable))]
mod kept_end;
#[cfg(not(herder_portable))]
mod namespaces;
#[cfg(not(herder_portable))]
mod scope_basics;
#[cfg(not(herder_portable))]
mod scope_escapes;
#[cfg(not(herder_portable))]
mod scope_limits;
#[cfg(not(herder_portable))]
mod scope_users;

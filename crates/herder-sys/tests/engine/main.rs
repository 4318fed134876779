//! The engine on real processes, without a runtime: what it promises, and what it does when things go wrong.
//!
//! One program, so that the helpers are compiled once. What changes the state of a whole process (a sandbox, signal
//! actions, limits, descriptors 0 to 2) runs in a copy of this program of its own: see `support::alone`.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::print_stdout, reason = "tests say what they skip and how long things took")]

mod basics;
mod busy_text;
mod caller;
mod child_state;
mod copies;
mod environ;
mod fds;
mod keeper_end;
mod keeper_one;
mod kept_basics;
mod kept_end;
mod namespaces;
mod owner;
mod repeats;
mod rungs;
mod sandbox;
mod scope_basics;
mod scope_escapes;
mod scope_limits;
mod scope_users;
mod shortage;
mod stalled;
mod status;
mod support;
mod users;

//! The behaviour of the library, seen from outside, on real processes.
//!
//! What is for Unix alone is so for what it is about (signals that a program handles, sessions, users, limits,
//! descriptors, interpreters, permission bits), or for how it looks: it counts zombies and descriptors, and holds
//! descendants by a descriptor that they inherit.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod api;
#[cfg(unix)]
mod bounds;
mod cancel;
mod consume;
#[cfg(unix)]
mod crowd;
mod drop_rule;
mod feed;
mod handle;
mod herd;
mod join_limits;
#[cfg(unix)]
mod limits;
#[cfg(unix)]
mod lookup;
#[cfg(unix)]
mod lost_status;
#[cfg(unix)]
mod matrix;
#[cfg(unix)]
mod on_drop;
mod ordered;
mod output;
#[cfg(unix)]
mod owner;
#[cfg(unix)]
mod process_wide;
mod races;
mod redact;
#[cfg(unix)]
mod repeats;
#[cfg(unix)]
mod run_ends;
#[cfg(unix)]
mod scope;
mod share;
mod share_child;
#[cfg(unix)]
mod share_start;
mod share_turn;
mod shared_end;
mod shared_spill;
#[cfg(unix)]
mod shortage;
#[cfg(unix)]
mod spawn;
mod std_port;
mod stdio;
#[cfg(unix)]
mod terminate;
mod tokio_port;
mod tree;
mod wait;
#[cfg(windows)]
mod windows;

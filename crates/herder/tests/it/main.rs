//! The behaviour of the library, seen from outside, on real processes.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod api;
mod cancel;
mod consume;
mod crowd;
mod drop_rule;
mod feed;
mod handle;
mod herd;
mod join_limits;
mod limits;
mod lookup;
mod lost_status;
mod matrix;
mod on_drop;
mod output;
mod owner;
mod process_wide;
mod races;
mod redact;
mod repeats;
mod scope;
mod share;
mod share_child;
mod shared_end;
mod shortage;
mod spawn;
mod std_port;
mod stdio;
mod terminate;
mod tokio_port;
mod tree;
mod wait;

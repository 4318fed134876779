//! The behaviour of the library, seen from outside, on real processes.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "../support/mod.rs"]
mod support;

mod feed;
mod lookup;
mod output;
mod spawn;
mod stdio;

//! The engine on Windows, on real processes and without a runtime.
//!
//! What Wine can't show is skipped under it, and said: each such test names its reason (`skipped_by_wine`).

#![cfg(windows)]
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::print_stdout, reason = "tests say what they skip")]

mod arguments;
mod basics;
mod jobs;
mod streams;
mod support;
mod watches;

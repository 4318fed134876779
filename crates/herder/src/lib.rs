//! Async process management on Tokio: commands that are owned, bounded and never outlive what was allowed.
//!
//! A command is lowered, contained and started in one place; its life and its output run side by side; they meet
//! once, in the report.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use herder::Command;
//!
//! let version = Command::new("rustc").arg("--version").read().await?;
//! assert!(version.starts_with("rustc"));
//! # Ok(()) }
//! ```
//!
//! [`Command`], [`Child`], [`Stdio`] and their methods are named as in `std` and Tokio: a program written for
//! `tokio::process` ports by changing the import. What differs on purpose stands in
//! [MIGRATING.md](https://github.com/herder-rs/herder/blob/main/MIGRATING.md).
//!
//! | start | gives | streams that are not set |
//! |---|---|---|
//! | [`Command::read`] | the output as text; success required | captured |
//! | [`Command::output`] | a [`Report`] | captured |
//! | [`Command::run`] | a [`Report`] | inherited |
//! | [`Command::status`] | the exit status | inherited |
//! | [`Command::spawn`], [`Command::spawn_async`] | a [`Child`] | inherited |
//!
//! Features, none of which is on by default:
//!
//! | feature | gives | takes |
//! |---|---|---|
//! | `redact` | patterns for what is to be replaced in the output: `output::Redact::pattern` | `regex` |
//! | `encoding` | output in other encodings than UTF-8: `output::Decoder` | `encoding_rs` |

#![forbid(unsafe_code)]

pub mod child;
pub mod command;
pub mod contain;
pub mod error;
pub mod herd;
mod host;
pub mod os;
pub mod output;
pub mod report;
pub mod run;
mod spawn;
pub mod terminate;

pub use std::process::ExitStatus;

pub use child::{Child, ChildHandle, ChildStderr, ChildStdin, ChildStdout};
pub use command::{Command, Stdio};
pub use contain::Containment;
pub use herd::Herd;
pub use herder_sys::Signal;
pub use output::Capture;
pub use report::{Cause, Report, RunError};
pub use terminate::Termination;

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

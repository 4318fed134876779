//! The program `herder`, run for real.
//!
//! What is for Unix alone is so for what it is about (signals, users, process groups, terminals, descriptors, cgroups), or
//! for how it looks: with a shell, in /proc and /dev.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![cfg_attr(unix, expect(clippy::print_stderr, reason = "a test that can't be made here says so"))]

#[cfg(unix)]
mod doctor;
mod exit_codes;
mod flow;
mod help;
mod in_order;
#[cfg(unix)]
mod init;
mod json;
mod limits;
#[cfg(unix)]
mod namespace;
mod output;
mod run;
#[cfg(unix)]
mod scope;
#[cfg(unix)]
mod signals;
mod support;
#[cfg(unix)]
mod terminal;
#[cfg(windows)]
mod windows;

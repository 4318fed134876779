//! The program `herder`, run for real.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stderr, reason = "a test that can't be made here says so")]

mod doctor;
mod exit_codes;
mod flow;
mod help;
mod init;
mod json;
mod limits;
mod namespace;
mod output;
mod run;
mod scope;
mod signals;
mod support;
mod terminal;

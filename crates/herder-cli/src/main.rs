//! The program `herder`.
//!
//! [`args`] is what was typed, [`resolve`] what it means, [`run`] does it, and [`exit_code`] is the whole policy of
//! exit codes. Everything here is built on public names of the library.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

mod args;
mod decorate;
mod doctor;
mod duration;
mod exit_code;
mod help;
mod manual;
mod message;
mod passthrough;
mod platform;
mod ready;
mod relay;
mod report;
mod resolve;
mod run;
mod scope;
mod signals;
mod sink;
mod size;
mod stall;
mod tee;

use args::{Cli, Job};
use exit_code::Exit;

fn main() -> ExitCode {
    herder(std::env::args_os()).take()
}

fn herder(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return complain(&error),
    };
    match cli.job {
        Job::Run(args) => run::run(*args),
        Job::Doctor(args) => match doctor::look(args.json) {
            Ok(text) => print(text.as_bytes()),
            Err(error) => {
                message::say(&error);
                Exit::FAILURE
            }
        },
        Job::Init(args) => platform::init(&args),
        Job::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "herder", &mut script);
            print(&script)
        }
        Job::Man { page } => match manual::page(page.as_deref()) {
            Ok(page) => print(&page),
            Err(error) => {
                message::say(&error);
                Exit::FAILURE
            }
        },
    }
}

/// What clap has to say: help and version are answers, all else is a failure of ours.
fn complain(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        drop(error.print());
        return Exit::SUCCESS;
    }
    let text = error.render().to_string();
    match text.strip_prefix("error: ") {
        Some(text) => message::say(text.trim_end()),
        // The help, as nothing was asked for.
        None => drop(error.print()),
    }
    Exit::FAILURE
}

/// A reader that has gone away (`herder man | head`) has seen enough.
fn print(bytes: &[u8]) -> Exit {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            message::say(&format!("can't write to standard output: {error}"));
            Exit::FAILURE
        }
        _ => Exit::SUCCESS,
    }
}

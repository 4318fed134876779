//! `herder`: run a command with limits, and end it properly.

#![forbid(unsafe_code)]

mod args;
mod run;

use std::process::ExitCode;

use clap::Parser;

/// The program's own failure: usage, settings, the machinery of starting (as timeout(1)).
const OWN_FAILURE: u8 = 125;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Broken output is not worth a second failure.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { OWN_FAILURE } else { 0 });
        }
    };
    let args::Verb::Run(args) = args.verb;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(run::run(&args)) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(run::code_of(&error))
        }
    }
}

fn fail(error: &std::io::Error) -> ExitCode {
    complain(error);
    ExitCode::from(OWN_FAILURE)
}

#[expect(clippy::print_stderr, reason = "this is where the program speaks")]
fn complain(error: &dyn std::error::Error) {
    eprintln!("herder: {error}");
}

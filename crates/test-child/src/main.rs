//! The one fixture program of the tests: it does what its arguments say, step by step.
//!
//! Nothing here is buffered across steps: when a step is over, its bytes are in the pipe. Every query prints one
//! plain line, so that a test compares strings.

#![forbid(unsafe_code)]

mod flow;
mod input;
mod os;
mod output;
mod script;
mod step;

use std::ffi::OsString;
use std::process::ExitCode;

/// `EX_USAGE` of sysexits.h: the script is wrong.
const WRONG_SCRIPT: u8 = 64;
/// `EX_IOERR` of sysexits.h: a step of a good script failed.
const FAILED_STEP: u8 = 74;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--help" || first == "-h") {
        let _ = output::write_all(std::io::stdout(), step::help().as_bytes());
        return ExitCode::SUCCESS;
    }
    let script = match script::parse(&arguments) {
        Ok(script) => script,
        Err(wrong) => return complain(&wrong, WRONG_SCRIPT),
    };
    match flow::Runner::new(&script).run_main() {
        Ok(code) => os::exit_code(code),
        Err(failed) => complain(&failed, FAILED_STEP),
    }
}

fn complain(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // With stderr closed or broken there is nobody left to tell.
    let _ = output::write_all(std::io::stderr(), format!("test-child: {why}\n").as_bytes());
    ExitCode::from(code)
}

//! The program `herder`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    herder_cli::run(std::env::args_os()).take()
}

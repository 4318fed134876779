//! The torture table: promises put to the test on Herder, its peers and the programs that people type.
//!
//! ```text
//! cargo run --release -p herder-torture --features peers -- all     # the whole table, and docs/torture.md
//! cargo run --release -p herder-torture -- herder                   # Herder's own column, which must be clean
//! cargo run --release -p herder-torture -- try tokio drop-family    # one cell, in full
//! ```
//!
//! # How a cell is judged
//!
//! A scenario is data: a promise, an adversarial child, and what happens to its caller. An adapter is a process of
//! its own (this program again) that does it by means of one contender, in the best way that its documentation
//! shows. The judge watches from outside: everything in the tree holds an end of a pipe with a name, and so tells
//! whether somebody is left; zombies, folders and memory are read from the kernel; what the contender says (a
//! status, bytes, an error) is held against what the child did. An adapter never says that it did well.
#![forbid(unsafe_code)]

mod adapter;
mod args;
mod contenders;
mod host;
mod judge;
mod page;
mod protocol;
mod run;
mod scenario;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match args::parse(&arguments).map_err(io::Error::other).and_then(run::act) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Whoever closed stderr does not want to know.
            _ = writeln!(io::stderr(), "herder-torture: {error}");
            ExitCode::from(2)
        }
    }
}

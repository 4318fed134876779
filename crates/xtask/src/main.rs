//! The project's own tool: `cargo run -p xtask -- check`.

#![forbid(unsafe_code)]

mod check;
mod rooms;
mod source;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo run -p xtask -- check

check   the rules of the structure: sizes, where `unsafe` and platform `cfg` may stand, which room may know which
";

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => check(),
        ["--help" | "-h"] => io::stdout().write_all(USAGE.as_bytes()).map(|()| ExitCode::SUCCESS),
        _ => io::stderr().write_all(USAGE.as_bytes()).map(|()| ExitCode::from(2)),
    }
}

fn check() -> io::Result<ExitCode> {
    let found = check::tree(&root())?;
    let mut out = io::stdout().lock();
    for finding in found.iter() {
        writeln!(out, "{finding}")?;
    }
    let broken = found.iter().filter(|finding| finding.breaks()).count();
    writeln!(out, "{broken} violations, {} warnings", found.len() - broken)?;
    Ok(if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folder of the workspace.
fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

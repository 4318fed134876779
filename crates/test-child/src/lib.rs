//! Where the fixture program is, for the tests that start it.
//!
//! The program itself is the binary `test-child`; `test-child --help` lists the steps of its scripts.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The path of the fixture program of the same build as the calling test.
///
/// Cargo gives a test the path of binaries of its own package only, so the program is looked up beside the
/// test: `target/debug/deps/test-0123` finds `target/debug/test-child`. It is there after
/// `cargo test --workspace`. Under `cargo test -p herder` Cargo builds this library but not the program; it is
/// then built on the first call, if it is missing. A program that is there is used as it is: after a change to
/// the fixture, build it, or run the tests of the workspace.
///
/// # Panics
///
/// If the program is missing and can't be built.
#[must_use]
pub fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(locate)
}

fn locate() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let mut folder = test.parent().expect("an executable lies in a folder");
    if folder.file_name().is_some_and(|name| name == "deps" || name == "examples") {
        folder = folder.parent().expect("Cargo's deps folder lies in a profile's folder");
    }
    let program = folder.join(format!("test-child{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        build(folder);
    }
    assert!(program.exists(), "no fixture program at {}; run: cargo build -p test-child", program.display());
    program
}

#[expect(clippy::disallowed_methods, reason = "Cargo is not a process under test")]
fn build(folder: &Path) {
    // Set by `cargo test`; without it the tests were started by hand, and building is not ours to do.
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let mut command = std::process::Command::new(cargo);
    command.args(["build", "--quiet", "-p", "test-child", "--bin", "test-child"]);
    // The folder of a profile carries the profile's name, but for that of `dev`.
    let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    command.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    command.arg("--target-dir").arg(folder.parent().unwrap_or(folder));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().expect("cargo starts");
    assert!(status.success(), "cargo could not build the fixture program: {status}");
}

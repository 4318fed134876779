//! What the library does differently on each system: one folder for each, with the same names in it.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what a command can be told on this system only |
//! | `program` | the files that a program name may mean, and why none of them could be executed |
//! | `limits` | how large arguments and environment may be |
//! | `streams` | our ends of a child's pipes |
//! | `stamped` | those whose writes have times |
//! | `exit` | being told of an exit |
//! | `scope` | being told that a scope may be empty |
//! | `stand_in` | limits for each process, where there is none for a tree |
//!
//! It knows the engine and errors, and no other room.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

/// How a cgroup tells of changes.
#[cfg(target_os = "linux")]
const CGROUP_CHANGES: tokio::io::Interest = tokio::io::Interest::PRIORITY;

/// There are no cgroups, and no reactor that could wait for that.
#[cfg(all(unix, not(target_os = "linux")))]
const CGROUP_CHANGES: tokio::io::Interest = tokio::io::Interest::READABLE;

/// What is wrong with a program name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("the program name is empty")]
    Empty,
    #[error("the program name has a NUL byte in it")]
    Nul,
}

/// Whether a program name is one at all.
fn check_name(program: &OsStr) -> Result<(), ProgramError> {
    let name = program.as_encoded_bytes();
    if name.is_empty() {
        return Err(ProgramError::Empty);
    }
    if name.contains(&0) { Err(ProgramError::Nul) } else { Ok(()) }
}

/// Why a program could not be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Diagnosis {
    /// None of the candidates exists.
    #[error("program not found; looked for {}", list(.searched))]
    ProgramNotFound { searched: Vec<PathBuf> },
    /// The file is there but is not one that can be executed.
    #[error("{path:?} can't be executed: {why}")]
    NotExecutable { path: PathBuf, why: String },
    /// The file is there, but what it needs to run is not.
    #[error("{path:?} needs {interpreter:?} to run, which does not exist{}", carriage_return(.interpreter))]
    #[cfg_attr(windows, expect(dead_code, reason = "no program names another one there"))]
    InterpreterNotFound { path: PathBuf, interpreter: PathBuf },
    /// The files don't explain it (any more); the error of the system has to.
    #[error("the program can't be executed")]
    Unexplained,
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("{path:?}")).collect::<Vec<_>>().join(", ")
}

fn carriage_return(interpreter: &Path) -> &'static str {
    if interpreter.as_os_str().as_encoded_bytes().ends_with(b"\r") {
        "; the '#!' line ends in a carriage return, as files from Windows do"
    } else {
        ""
    }
}

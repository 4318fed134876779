//! Processes of this same program that measure one thing and answer with JSON on their stdout.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The first argument of a worker; what follows says what to measure.
pub(crate) const WORKER: &str = "--worker";

/// Starts a worker and returns its answer; what it writes on stderr is shown.
#[expect(clippy::disallowed_methods, reason = "the benchmark starts itself: nothing here is measured")]
pub(crate) fn ask<T: DeserializeOwned>(arguments: &[&str]) -> io::Result<T> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.arg(WORKER).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the worker ended with {}", output.status)));
    }
    let answer: Result<T, String> = serde_json::from_slice(&output.stdout)?;
    answer.map_err(io::Error::other)
}

/// Answers the process that has started this worker.
pub(crate) fn answer<T: Serialize>(result: io::Result<T>) -> io::Result<()> {
    let result = result.map_err(|error| error.to_string());
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &result)?;
    out.flush()
}

/// Lets this process open as many files as it may.
pub(crate) fn raise_file_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

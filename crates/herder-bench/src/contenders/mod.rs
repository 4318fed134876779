//! The contenders, one adapter in each file.
//!
//! Each one builds its command anew for every operation, inside the measured time, as programs do; only the raw
//! ones have everything prepared, because they stand for the limit. `output` uses every library's own `output()`
//! with its defaults (std connects stdin to `/dev/null`, the raw ones inherit it).

mod async_process;
mod herder;
mod raw;
mod raw_capture;
mod std;
mod tokio;

use ::std::io;

pub(crate) use tokio::{on_runtime, runtime};

use crate::alive::{Alive, Census};
use crate::dropped::Dropped;
use crate::raw::How;
use crate::spec::{Opt, Spec, Turn};

/// What can be asked of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    SpawnWait(Opt),
    Output,
    Inflight,
    Alive,
    Drop,
}

/// One way of running processes.
pub(crate) trait Contender {
    /// Whether it takes part: not every one can do everything, and not every pair is of interest.
    fn takes(&self, task: Task) -> bool;

    /// Spawns and awaits one child after another.
    fn spawn_wait(&mut self, spec: &Spec, turn: Turn) -> io::Result<Turn>;

    /// Captures both streams of one child after another.
    fn output(&mut self, spec: &Spec, turn: Turn) -> io::Result<Turn>;

    /// Spawns and awaits `total` children, `width` at any time.
    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()>;

    /// Spawns `census.children`, waits for all of them at once, and ends one after another.
    fn alive(&mut self, spec: &Spec, census: Census) -> io::Result<Alive>;

    /// Spawns `children` and drops all of them, alive, at once.
    fn drop_all(&mut self, _: &Spec, _children: usize) -> io::Result<Dropped> {
        not_offered()
    }
}

/// The names of all contenders, in the order of the tables.
pub(crate) const NAMES: &[&str] = &[
    "raw",
    "raw-block",
    "raw-async",
    "raw-sharefd",
    "raw-exitfirst",
    "herder-ct",
    "herder-mt",
    "herder-scope",
    "herder-mt-scope",
    "herder-ct-async",
    "herder-mt-async",
    "std",
    "std-fork",
    "tokio-ct",
    "tokio-mt",
    "async-process",
];

/// Starts the contender of this name, with its runtime.
pub(crate) fn start(name: &str) -> io::Result<Box<dyn Contender>> {
    Ok(match name {
        "raw" => Box::new(raw::Raw::new(raw::Kind::Limit(How::Vfork))?),
        "raw-block" => Box::new(raw::Raw::new(raw::Kind::Block)?),
        "raw-async" => Box::new(raw::Raw::new(raw::Kind::Limit(How::Async))?),
        "raw-sharefd" => Box::new(raw::Raw::new(raw::Kind::Limit(How::SharedFiles))?),
        "raw-exitfirst" => Box::new(raw::Raw::new(raw::Kind::ExitFirst)?),
        "herder-ct" => Box::new(herder::Herder::new(false, false)?),
        "herder-mt" => Box::new(herder::Herder::new(true, false)?),
        "herder-scope" => Box::new(herder::Herder::contained(false)?),
        "herder-mt-scope" => Box::new(herder::Herder::contained(true)?),
        "herder-ct-async" => Box::new(herder::Herder::new(false, true)?),
        "herder-mt-async" => Box::new(herder::Herder::new(true, true)?),
        "std" => Box::new(std::Std { fork: false }),
        "std-fork" => Box::new(std::Std { fork: true }),
        "tokio-ct" => Box::new(tokio::Tokio::new(false)?),
        "tokio-mt" => Box::new(tokio::Tokio::new(true)?),
        "async-process" => Box::new(async_process::AsyncProcess),
        unknown => return Err(io::Error::other(format!("no contender is called {unknown:?}"))),
    })
}

/// An operation that must have ended well, or the figures mean nothing.
fn expect_success(success: bool) -> io::Result<()> {
    if success { Ok(()) } else { Err(io::Error::other("the child failed")) }
}

/// A capture that must be complete, or the figures mean nothing.
fn expect_output(success: bool, stdout: &[u8], stderr: &[u8]) -> io::Result<()> {
    expect_success(success && stdout.len() == crate::spec::OUTPUT && stderr.len() == crate::spec::OUTPUT)
}

/// The error of a contender that was asked for what it does not take part in.
fn not_offered<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this contender does not take part here"))
}

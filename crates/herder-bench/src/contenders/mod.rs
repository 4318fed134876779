//! The contenders, one adapter in each file.
//!
//! Each one builds its command anew for every operation, inside the measured time, as programs do; only the raw
//! ones have everything prepared, because they stand for the limit. `output` uses every library's own `output()`
//! with its defaults (std connects stdin to `/dev/null`, the raw ones inherit it).

mod async_process;
mod duct;
mod foreign;
mod herder;
mod peer;
mod process_tools;
mod process_wrap;
mod processkit;
mod raw;
mod raw_capture;
mod raw_tree;
mod std;
mod subprocess;
mod tokio;

use ::std::io;

use ::herder::Containment;
pub(crate) use peer::{on_runtime, runtime};

use crate::alive::{Alive, Census};
use crate::dropped::Dropped;
use crate::raw::How;
use crate::spec::{Opt, Spec, Turn};
use crate::tree::TreeEnd;
use foreign::{Foreign, Language};
use peer::{AtWork, Executor};

/// What can be asked of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    SpawnWait(Opt),
    Output,
    Inflight,
    Alive,
    Drop,
    Wake { busy: bool },
    Tree,
}

/// Whether a contender takes part in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Yes,
    /// It can't, and why: shown in the table.
    Not(&'static str),
    /// It is a variant that would show nothing new here: not shown.
    Aside,
}

/// One way of running processes.
pub(crate) trait Contender {
    fn takes(&self, task: Task) -> Takes;

    /// Whether it works in this process, and not in one of another language.
    fn is_here(&self) -> bool {
        true
    }

    /// Spawns and awaits one child after another.
    fn spawn_wait(&mut self, spec: &Spec, turn: Turn) -> io::Result<Turn>;

    /// Captures both streams of one child after another.
    fn output(&mut self, spec: &Spec, turn: Turn) -> io::Result<Turn>;

    /// Spawns and awaits `total` children, `width` at any time.
    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()>;

    /// Spawns `census.children`, waits for all of them at once, and ends one after another.
    fn alive(&mut self, _: &Spec, _: Census) -> io::Result<Alive> {
        not_offered()
    }

    /// Spawns `children` and drops all of them, alive, at once.
    fn drop_all(&mut self, _: &Spec, _children: usize) -> io::Result<Dropped> {
        not_offered()
    }

    /// Waits for one child after another that is killed by somebody else: each time counts from the kill. `busy`: other
    /// tasks use the same runtime all the while.
    fn wake(&mut self, spec: &Spec, turn: Turn, busy: bool) -> io::Result<Turn>;

    /// Starts a tree of processes, lets it grow, and kills what it can of it.
    fn kill_tree(&mut self, _: &Spec) -> io::Result<TreeEnd> {
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
    "raw-cgroup",
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
    "duct",
    "subprocess",
    "process-wrap-ct",
    "process-wrap-mt",
    "process-tools-ct",
    "process-tools-mt",
    "processkit-ct",
    "processkit-mt",
    "python",
    "node",
    "go",
];

/// Starts the contender of this name, with its runtime. An error that is `NotFound` says what is not installed.
pub(crate) fn start(name: &str) -> io::Result<Box<dyn Contender>> {
    let raw = |kind| io::Result::Ok(Box::new(raw::Raw::new(kind)?) as Box<dyn Contender>);
    let herder = |multi, spawn_async, containment| {
        let herder = herder::Herder { multi, spawn_async, containment };
        io::Result::Ok(Box::new(AtWork::new(herder, Executor::tokio(multi)?)) as Box<dyn Contender>)
    };
    // With the group that the others have, or with the strongest scope of this host around each child.
    let (group, scope) = (Containment::Group, Containment::Auto);
    let multi = name.ends_with("-mt");
    match name {
        "raw" => raw(raw::Kind::Limit(How::Vfork)),
        "raw-block" => raw(raw::Kind::Block),
        "raw-async" => raw(raw::Kind::Limit(How::Async)),
        "raw-sharefd" => raw(raw::Kind::Limit(How::SharedFiles)),
        "raw-exitfirst" => raw(raw::Kind::ExitFirst),
        "raw-cgroup" => raw(raw::Kind::Cgroup),
        "herder-ct" | "herder-mt" => herder(multi, false, group),
        "herder-ct-async" => herder(false, true, group),
        "herder-mt-async" => herder(true, true, group),
        "herder-scope" => herder(false, false, scope),
        "herder-mt-scope" => herder(true, false, scope),
        "std" => Ok(Box::new(AtWork::new(std::Std { fork: false }, Executor::Threads))),
        "std-fork" => Ok(Box::new(AtWork::new(std::Std { fork: true }, Executor::Threads))),
        "tokio-ct" | "tokio-mt" => Ok(Box::new(AtWork::new(tokio::Tokio, Executor::tokio(multi)?))),
        "async-process" => Ok(Box::new(AtWork::new(async_process::AsyncProcess, Executor::smol()))),
        "duct" => Ok(Box::new(AtWork::new(duct::Duct, Executor::Threads))),
        "subprocess" => Ok(Box::new(AtWork::new(subprocess::Subprocess, Executor::Threads))),
        "process-wrap-ct" | "process-wrap-mt" => {
            Ok(Box::new(AtWork::on_tokio(process_wrap::Wrapped, multi)?))
        }
        "process-tools-ct" | "process-tools-mt" => {
            Ok(Box::new(AtWork::on_tokio(process_tools::Tools, multi)?))
        }
        "processkit-ct" | "processkit-mt" => Ok(Box::new(AtWork::on_tokio(processkit::Kit, multi)?)),
        "python" => Ok(Box::new(Foreign::start(Language::Python)?)),
        "node" => Ok(Box::new(Foreign::start(Language::Node)?)),
        "go" => Ok(Box::new(Foreign::start(Language::Go)?)),
        unknown => Err(io::Error::other(format!("no contender is called {unknown:?}"))),
    }
}

/// Whether another language would take part if it was installed.
pub(crate) fn foreign_takes(task: Task) -> bool {
    foreign::takes(task) == Takes::Yes
}

/// The other languages that are installed, with their versions.
pub(crate) fn languages() -> Vec<String> {
    [("Python", Language::Python), ("Node", Language::Node), ("Go", Language::Go)]
        .into_iter()
        .map(|(name, language)| match Foreign::start(language) {
            Ok(foreign) => foreign.name().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => format!("{name} is not installed"),
            Err(error) => format!("{name} can't be used: {error}"),
        })
        .collect()
}

/// What this host lets Herder put around a child.
pub(crate) fn strength() -> String {
    let spawn = || {
        let command = ::herder::Command::new(crate::spec::program::exit());
        let child = runtime(false)?.block_on(command.spawn_async())?;
        io::Result::Ok(format!("{:?}", child.strength()))
    };
    spawn().unwrap_or_else(|error| error.to_string())
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

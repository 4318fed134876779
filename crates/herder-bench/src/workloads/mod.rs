//! The workloads. Each runs in a process of its own, so that the memory, descriptors and threads of one are not
//! those of the next.

pub(crate) mod alive;
mod drop;
mod inflight;
mod latency;
pub(crate) mod stream;

use std::io;

use crate::contenders::{self, Contender, Task};
use crate::table::Table;

/// The names of the workloads, with what each one measures.
pub(crate) const WORKLOADS: &[(&str, &str)] = &[
    ("spawn-wait", "one child after another, small parent"),
    ("spawn-wait-2g", "the same in a parent that has touched 2 GiB, for each option of the command"),
    (
        "spawn-wait-10kfd",
        "the same in a parent with 10,000 open files, opened before or after its first child",
    ),
    ("inflight-64", "children per second with 64 in flight"),
    ("output", "capture of 24 bytes on stdout and on stderr, one child after another"),
    ("drop", "500 live handles dropped: time, and how late a ticker in the same runtime is"),
    ("stream", "the output of one child: bytes, lines of 40 bytes, eight readers at once"),
    ("alive", "100 and 10,000 children alive at once: memory, descriptors, threads, cost of each end"),
];

/// How much is measured, and who takes part.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
    /// Only these, or all when empty.
    pub(crate) only: Vec<String>,
}

impl Effort {
    fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The names of those that take part in a task.
    fn wanted(&self) -> impl Iterator<Item = &'static str> {
        let wanted = |name: &&str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        contenders::NAMES.iter().copied().filter(wanted)
    }

    /// Starts those that take part in at least one of the tasks.
    fn start(&self, tasks: &[Task]) -> io::Result<Vec<Runner>> {
        let mut runners = Vec::new();
        for name in self.wanted() {
            let contender = contenders::start(name)?;
            if tasks.iter().any(|&task| contender.takes(task)) {
                runners.push(Runner { name, contender, failed: None });
            }
        }
        Ok(runners)
    }
}

/// A contender at work.
struct Runner {
    name: &'static str,
    contender: Box<dyn Contender>,
    /// Why it was put aside.
    failed: Option<String>,
}

/// Runs one workload in this process; `alive` is split further, see [`alive::run`].
pub(crate) fn run(name: &str, effort: &Effort) -> io::Result<Vec<Table>> {
    match name {
        "spawn-wait" => latency::spawn_wait(effort),
        "spawn-wait-2g" => latency::spawn_wait_2g(effort),
        "spawn-wait-10kfd" => latency::spawn_wait_10kfd(effort),
        "output" => latency::output(effort),
        "drop" => drop::drop_500(effort),
        "inflight-64" => inflight::inflight_64(effort),
        "stream" => stream::stream(effort),
        unknown => Err(io::Error::other(format!("no workload is called {unknown:?}"))),
    }
}

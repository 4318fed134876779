//! The workloads. Each runs in a process of its own, so that the memory, descriptors and threads of one are not
//! those of the next.

pub(crate) mod alive;
mod drop;
mod inflight;
mod latency;
mod rounds;
pub(crate) mod stream;
mod syscalls;
mod tree;

use std::io;

use crate::contenders::{self, Contender, Takes, Task};
use crate::table::Table;

/// The names of the workloads, with what each one measures.
pub(crate) const WORKLOADS: &[(&str, &str)] = &[
    ("spawn-wait", "one child after another, small parent"),
    ("spawn-wait-1g", "the same in a parent that has touched 1 GiB, for each option of the command"),
    ("spawn-wait-8g", "the same with 8 GiB, where there is that much"),
    (
        "spawn-wait-10kfd",
        "the same in a parent with 10,000 open files, opened before or after its first child",
    ),
    ("inflight", "children per second with 64 and with 1,000 in flight"),
    ("output", "capture of 24 bytes on stdout and on stderr, one child after another"),
    ("wake", "from a child's death until the one who waits knows: in an idle and in a busy runtime"),
    ("alive", "100 and 10,000 children alive at once: memory, descriptors, threads, cost of each end"),
    ("drop", "500 live handles dropped: time, and how late a ticker in the same runtime is"),
    ("tree", "a tree of 100 processes killed: time until all are dead, and how many are not"),
    ("stream-bytes", "the output of one child, read and counted"),
    ("stream-lines", "the same, as lines of 40 bytes"),
    ("stream-fan", "the same, for 1, 2, 4 and 8 readers at once"),
    ("capture", "2 GiB of output kept in memory, on one stream and on both"),
    ("stdin", "1 GiB given to one child, from memory and from a file"),
    ("syscalls", "system calls of one operation, counted by strace"),
];

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Next to nothing: whether it still works.
    Smoke,
    Quick,
    Full,
}

impl Scale {
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("smoke", Self::Smoke), ("quick", Self::Quick), ("full", Self::Full)];
}

/// How much is measured, and who takes part.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    pub(crate) scale: Scale,
    /// Only these, or all when empty.
    pub(crate) only: Vec<String>,
}

impl Effort {
    fn pick<T>(&self, smoke: T, quick: T, full: T) -> T {
        match self.scale {
            Scale::Smoke => smoke,
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// The same for a way to use a contender, as `herder-ct-consumer`.
    fn wants_way(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only))
    }

    /// Starts those that have something to say about at least one of the tasks.
    fn start(&self, tasks: &[Task]) -> io::Result<Vec<Runner>> {
        let mut runners = Vec::new();
        for &name in contenders::NAMES.iter().filter(|name| self.wants(name)) {
            let entrant = match contenders::start(name) {
                Ok(contender) if tasks.iter().all(|&task| contender.takes(task) == Takes::Aside) => continue,
                Ok(contender) => Entrant::Ready(contender),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Entrant::Missing,
                Err(error) => return Err(io::Error::other(format!("{name}: {error}"))),
            };
            runners.push(Runner { name, entrant, failed: None });
        }
        Ok(runners)
    }
}

/// A contender at work.
struct Runner {
    name: &'static str,
    entrant: Entrant,
    /// Why it was put aside.
    failed: Option<String>,
}

enum Entrant {
    Ready(Box<dyn Contender>),
    /// Another language, which this machine does not have.
    Missing,
}

/// Runs one workload in this process; `alive` is split further, see [`alive::run`].
pub(crate) fn run(name: &str, effort: &Effort) -> io::Result<Vec<Table>> {
    match name {
        "spawn-wait" => latency::spawn_wait(effort),
        "spawn-wait-1g" => latency::spawn_wait_touched(effort, 1),
        "spawn-wait-8g" => latency::spawn_wait_touched(effort, 8),
        "spawn-wait-10kfd" => latency::spawn_wait_10kfd(effort),
        "inflight" => inflight::inflight(effort),
        "output" => latency::output(effort),
        "wake" => latency::wake(effort),
        "drop" => drop::drop_500(effort),
        "tree" => tree::tree(effort),
        "stream-bytes" => stream::bytes(effort),
        "stream-lines" => stream::lines(effort),
        "stream-fan" => stream::fan(effort),
        "capture" => stream::capture(effort),
        "stdin" => stream::stdin(effort),
        "syscalls" => syscalls::syscalls(effort),
        unknown => Err(io::Error::other(format!("no workload is called {unknown:?}"))),
    }
}

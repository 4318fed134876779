//! One child after another: how long each takes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::rounds::{self, Result, fill};
use super::{Effort, Runner};
use crate::contenders::{Contender, Task};
use crate::machine::available_memory;
use crate::raw_touched::Touched;
use crate::spec::{Opt, Sample, Spec, Turn, program};
use crate::stats::{Summary, nanos};
use crate::table::{Better, Table};

/// How often each contender gets its turn, and how long a turn is.
#[derive(Clone, Copy)]
struct Rounds {
    rounds: usize,
    operations: usize,
    /// After which a slow contender's turn ends.
    budget: Duration,
}

impl Rounds {
    fn new(rounds: usize, operations: usize, budget_ms: u64) -> Self {
        Self { rounds, operations, budget: Duration::from_millis(budget_ms) }
    }

    /// Of children that take tens of microseconds.
    fn short(effort: &Effort) -> Self {
        effort.pick(Self::new(2, 5, 20), Self::new(20, 20, 50), Self::new(100, 40, 50))
    }
}

type Results = Vec<(&'static str, Result<Turn>)>;

fn take_turns(
    runners: &mut [Runner],
    task: Task,
    rounds: Rounds,
    operation: impl Fn(&mut dyn Contender, Turn) -> io::Result<Turn>,
) -> Results {
    rounds::take_turns(runners, task, (rounds.rounds, false), |_, contender| {
        operation(contender, Turn::new(rounds.operations, rounds.budget))
    })
}

/// The column that ratios are made of.
const P10: &str = "p10 µs";
const MEDIAN: &str = "median µs";

/// The table of round trips, and of the time inside the call that spawns when `call`.
fn table(title: &str, note: &str, results: Results, call: bool) -> Table {
    let mut columns = vec![("n", 0), (P10, 1), (MEDIAN, 1), ("p90 µs", 1)];
    if call {
        columns.extend([("call p10", 1), ("call median", 1), ("call p99", 1)]);
    }
    let mut table = Table::new(title, note, &columns, (P10, Better::Less)).judged(MEDIAN, Better::Less);
    fill(&mut table, results, |turns| {
        let samples: Vec<Sample> = turns.into_iter().flat_map(|turn| turn.samples).collect();
        let total = Summary::of(samples.iter().map(|sample| nanos(sample.total)).collect());
        let mut values = vec![total.count as f64, total.p10 / 1e3, total.median / 1e3, total.p90 / 1e3];
        if call {
            let call = Summary::of(samples.iter().map(|sample| nanos(sample.call)).collect());
            values.extend([call.p10 / 1e3, call.median / 1e3, call.p99 / 1e3]);
        }
        values
    });
    table
}

const NOTE: &str = "Microseconds from before the command is built until its status is known; `call` is the time \
inside the call that spawns. Ratios are of the 10th percentiles.";

pub(super) fn spawn_wait(effort: &Effort) -> io::Result<Vec<Table>> {
    let task = Task::SpawnWait(Opt::Plain);
    let mut runners = effort.start(&[task])?;
    let spec = Spec::new(program::exit(), Opt::Plain);
    let results =
        take_turns(&mut runners, task, Rounds::short(effort), |runner, turn| runner.spawn_wait(&spec, turn));
    Ok(vec![table("Spawn and wait, small parent", NOTE, results, true).ratios(&["raw", "tokio-ct"])])
}

/// In a parent that has written to so many GiB.
pub(super) fn spawn_wait_touched(effort: &Effort, gib: usize) -> io::Result<Vec<Table>> {
    let length = effort.pick(64 << 20, gib << 30, gib << 30);
    // With some to spare: a machine that swaps measures its disk.
    if available_memory()? < length / 4 * 5 {
        return Err(io::Error::other(format!("there are no {gib} GiB of memory to spare")));
    }
    let _memory = Touched::new(length)?;
    let mut runners = effort.start(&Opt::ALL.map(Task::SpawnWait))?;
    let full = if gib > 4 { Rounds::new(5, 20, 50) } else { Rounds::new(10, 40, 50) };
    let rounds = effort.pick(Rounds::new(1, 2, 5), Rounds::new(2, 20, 50), full);
    let mut tables = Vec::new();
    for opt in Opt::ALL {
        let (spec, task) = (Spec::new(program::exit(), opt), Task::SpawnWait(opt));
        let title = format!("Spawn and wait, {gib} GiB touched: {}", opt.name());
        let results = take_turns(&mut runners, task, rounds, |runner, turn| runner.spawn_wait(&spec, turn));
        let table = table(&title, NOTE, results, true).ratios(&["raw", "tokio-ct"]);
        tables.push(table.variant(opt.name()));
    }
    Ok(tables)
}

pub(super) fn spawn_wait_10kfd(effort: &Effort) -> io::Result<Vec<Table>> {
    let task = Task::SpawnWait(Opt::Plain);
    let spec = Spec::new(program::exit(), Opt::Plain);
    let spawn_wait = |runner: &mut dyn Contender, turn| runner.spawn_wait(&spec, turn);
    let rounds = effort.pick(Rounds::new(1, 2, 20), Rounds::new(5, 10, 50), Rounds::new(20, 20, 60));
    let open_files = effort.pick(500, 10_000, 10_000);
    let mut tables = Vec::new();
    for (when, spawns_before) in [("before", false), ("after", true)] {
        let mut files = Vec::new();
        if !spawns_before {
            open(&mut files, open_files)?;
        }
        let mut runners = effort.start(&[task])?;
        if spawns_before {
            take_turns(&mut runners, task, Rounds { rounds: 1, ..rounds }, spawn_wait);
            open(&mut files, open_files)?;
        }
        let title = format!("Spawn and wait, 10,000 files opened {when} the first spawn");
        let results = take_turns(&mut runners, task, rounds, spawn_wait);
        let table = table(&title, NOTE, results, true).ratios(&["raw", "raw-sharefd", "tokio-ct"]);
        tables.push(table.variant(when));
    }
    Ok(tables)
}

fn open(files: &mut Vec<OwnedFd>, count: usize) -> io::Result<()> {
    let null = OwnedFd::from(File::open("/dev/null")?);
    for _ in 0..count {
        files.push(null.try_clone()?);
    }
    Ok(())
}

pub(super) fn output(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut runners = effort.start(&[Task::Output])?;
    let spec = Spec::new(program::out()?, Opt::Plain);
    let results = take_turns(&mut runners, Task::Output, Rounds::short(effort), |runner, turn| {
        runner.output(&spec, turn)
    });
    let note = "Microseconds from before the command is built until status and output are known. `raw` reads to \
                the end of both pipes, `raw-exitfirst` waits for the exit and then takes what is there. Ratios are \
                of the 10th percentiles.";
    let table = table("Capture of 24 bytes on each stream", note, results, false);
    Ok(vec![table.ratios(&["raw", "raw-exitfirst", "tokio-ct"])])
}

pub(super) fn wake(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut tables = Vec::new();
    let spec = Spec::new(program::wait()?, Opt::Plain);
    for (name, busy) in [("idle", false), ("busy", true)] {
        let task = Task::Wake { busy };
        let mut runners = effort.start(&[task])?;
        let rounds = effort.pick(Rounds::new(1, 3, 20), Rounds::new(10, 10, 50), Rounds::new(30, 20, 60));
        let results = take_turns(&mut runners, task, rounds, |runner, turn| runner.wake(&spec, turn, busy));
        let note = "Microseconds from right before the kill of a sleeping child until the task that waits for it \
                    goes on; another thread kills (in Python and Node a timer of the same loop). Busy: four other \
                    tasks of the same runtime work 50 µs at a time. Ratios are of the 10th percentiles.";
        let title = format!("From exit to wake-up, {name} runtime");
        tables.push(table(&title, note, results, false).variant(name).ratios(&["raw", "tokio-ct"]));
    }
    Ok(tables)
}

//! One child after another: how long each takes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::{Effort, Runner};
use crate::contenders::{Contender, Task};
use crate::raw::Touched;
use crate::spec::{Opt, Sample, Spec, Turn, program};
use crate::stats::{Shuffle, Summary, nanos};
use crate::table::Table;

/// How often each contender gets its turn, and how long a turn is.
#[derive(Clone, Copy)]
struct Rounds {
    rounds: usize,
    operations: usize,
    /// After which a slow contender's turn ends.
    budget: Duration,
}

type Operation = fn(&mut dyn Contender, &Spec, Turn) -> io::Result<Turn>;

const SPAWN_WAIT: Operation = |contender, spec, turn| contender.spawn_wait(spec, turn);
const OUTPUT: Operation = |contender, spec, turn| contender.output(spec, turn);

/// Lets the runners that take part in `task` take turns, in another order each round.
fn take_turns(
    runners: &mut [Runner],
    (task, operation): (Task, Operation),
    spec: &Spec,
    rounds: Rounds,
) -> Vec<(&'static str, Result<Vec<Sample>, String>)> {
    let mut entries: Vec<_> = runners
        .iter_mut()
        .filter(|runner| runner.contender.takes(task))
        .map(|runner| (runner, Vec::<Sample>::new()))
        .collect();
    let mut order: Vec<_> = (0..entries.len()).collect();
    let mut shuffle = Shuffle::new(rounds.rounds as u64);
    for _ in 0..rounds.rounds {
        shuffle.shuffle(&mut order);
        for &index in &order {
            let (runner, samples) = &mut entries[index];
            if runner.failed.is_none() {
                match operation(&mut *runner.contender, spec, Turn::new(rounds.operations, rounds.budget)) {
                    Ok(turn) => samples.extend(turn.samples),
                    Err(error) => runner.failed = Some(error.to_string()),
                }
            }
        }
    }
    let result = |(runner, samples): (&mut Runner, Vec<Sample>)| {
        (runner.name, runner.failed.take().map_or(Ok(samples), Err))
    };
    entries.into_iter().map(result).collect()
}

/// The table of round trips, and of the time inside the call that spawns when `call`.
fn table(
    title: &str,
    note: &str,
    results: Vec<(&'static str, Result<Vec<Sample>, String>)>,
    call: bool,
    baselines: &[&str],
) -> Table {
    let mut columns = vec![("n", 0), (P10, 1), ("median µs", 1), ("p90 µs", 1)];
    if call {
        columns.extend([("call p10", 1), ("call median", 1), ("call p99", 1)]);
    }
    let mut table = Table::new(title, note, &columns);
    for (name, result) in results {
        let samples = match result {
            Ok(samples) => samples,
            Err(why) => {
                table.failed(name, &why);
                continue;
            }
        };
        let total = Summary::of(samples.iter().map(|sample| nanos(sample.total)).collect());
        let mut values = vec![total.count as f64, total.p10 / 1e3, total.median / 1e3, total.p90 / 1e3];
        if call {
            let call = Summary::of(samples.iter().map(|sample| nanos(sample.call)).collect());
            values.extend([call.p10 / 1e3, call.median / 1e3, call.p99 / 1e3]);
        }
        table.row(name, &values);
    }
    for baseline in baselines {
        table.ratio(P10, baseline);
    }
    table
}

/// The column that ratios are made of.
const P10: &str = "p10 µs";

const NOTE: &str = "Microseconds from before the command is built until its status is known; `call` is the time \
inside the call that spawns. Ratios are of the 10th percentiles: `/ x` is the \
time in units of x's, `x /` how many times faster than x it is.";

pub(super) fn spawn_wait(effort: &Effort) -> io::Result<Vec<Table>> {
    let task = Task::SpawnWait(Opt::Plain);
    let mut runners = effort.start(&[task])?;
    let rounds = Rounds {
        rounds: effort.pick(20, 100),
        operations: effort.pick(20, 40),
        budget: Duration::from_millis(50),
    };
    let spec = Spec::new(program::exit(), Opt::Plain);
    let results = take_turns(&mut runners, (task, SPAWN_WAIT), &spec, rounds);
    Ok(vec![table("spawn-wait: small parent", NOTE, results, true, &["raw", "tokio-ct"])])
}

pub(super) fn spawn_wait_2g(effort: &Effort) -> io::Result<Vec<Table>> {
    let _memory = Touched::new(2 << 30)?;
    let mut runners = effort.start(&Opt::ALL.map(Task::SpawnWait))?;
    let rounds = Rounds {
        rounds: effort.pick(4, 15),
        operations: effort.pick(20, 40),
        budget: Duration::from_millis(effort.pick(50, 150)),
    };
    let mut tables = Vec::new();
    for opt in Opt::ALL {
        let spec = Spec::new(program::exit(), opt);
        let title = format!("spawn-wait-2g: 2 GiB touched, {}", opt.name());
        let results = take_turns(&mut runners, (Task::SpawnWait(opt), SPAWN_WAIT), &spec, rounds);
        let mut table = table(&title, NOTE, results, true, &["raw", "tokio-ct"]);
        table.inverse(P10, "std-fork");
        tables.push(table);
    }
    Ok(tables)
}

const OPEN_FILES: usize = 10_000;

pub(super) fn spawn_wait_10kfd(effort: &Effort) -> io::Result<Vec<Table>> {
    let task = Task::SpawnWait(Opt::Plain);
    let spec = Spec::new(program::exit(), Opt::Plain);
    let rounds = Rounds {
        rounds: effort.pick(5, 30),
        operations: effort.pick(10, 20),
        budget: Duration::from_millis(effort.pick(50, 100)),
    };
    let mut tables = Vec::new();
    for (when, spawns_before) in [("before", false), ("after", true)] {
        let mut files = Vec::new();
        if !spawns_before {
            open_files(&mut files)?;
        }
        let mut runners = effort.start(&[task])?;
        if spawns_before {
            let once = Rounds { rounds: 1, ..rounds };
            for (_, result) in take_turns(&mut runners, (task, SPAWN_WAIT), &spec, once) {
                result.map_err(io::Error::other)?;
            }
            open_files(&mut files)?;
        }
        let title = format!("spawn-wait-10kfd: 10,000 files opened {when} the first spawn");
        let results = take_turns(&mut runners, (task, SPAWN_WAIT), &spec, rounds);
        let mut table = table(&title, NOTE, results, true, &["raw", "raw-sharefd"]);
        table.inverse(P10, "tokio-ct");
        tables.push(table);
    }
    Ok(tables)
}

fn open_files(files: &mut Vec<OwnedFd>) -> io::Result<()> {
    let null = OwnedFd::from(File::open("/dev/null")?);
    for _ in 0..OPEN_FILES {
        files.push(null.try_clone()?);
    }
    Ok(())
}

pub(super) fn output(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut runners = effort.start(&[Task::Output])?;
    let rounds = Rounds {
        rounds: effort.pick(20, 100),
        operations: effort.pick(20, 40),
        budget: Duration::from_millis(50),
    };
    let spec = Spec::new(program::out()?, Opt::Plain);
    let results = take_turns(&mut runners, (Task::Output, OUTPUT), &spec, rounds);
    let note = "Microseconds from before the command is built until status and output are known. `raw` reads to \
                the end of both pipes, `raw-exitfirst` waits for the exit and then takes what is there. Ratios are \
                of the 10th percentiles.";
    Ok(vec![table(
        "output: 24 bytes on each stream",
        note,
        results,
        false,
        &["raw", "raw-exitfirst", "tokio-ct"],
    )])
}

//! Many children alive at once: what they cost, and what the end of each costs.

use std::io;

use super::Effort;
use crate::alive::{Alive, Census};
use crate::contenders::{self, Task};
use crate::spec::{Opt, Spec, program};
use crate::stats::{Shuffle, median};
use crate::table::Table;
use crate::worker;

/// Runs every contender several times with each number of children, each time in a new process: memory that an
/// earlier run has left to the allocator would hide what the next one takes.
pub(crate) fn run(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut names = Vec::new();
    for name in effort.wanted() {
        if contenders::start(name)?.takes(Task::Alive) {
            names.push(name);
        }
    }
    let mut tables = Vec::new();
    for (children, rounds) in [(100, effort.pick(3, 9)), (10_000, effort.pick(1, 3))] {
        let mut results: Vec<(&str, Vec<Alive>, Option<String>)> =
            names.iter().map(|&name| (name, Vec::new(), None)).collect();
        let mut order: Vec<_> = (0..results.len()).collect();
        let mut shuffle = Shuffle::new(children as u64);
        for _ in 0..rounds {
            shuffle.shuffle(&mut order);
            for &index in &order {
                let (name, cells, failed) = &mut results[index];
                match worker::ask(&["cell", name, &children.to_string()]) {
                    Ok(cell) => cells.push(cell),
                    Err(error) => *failed = Some(error.to_string()),
                }
            }
        }
        tables.push(table(children, results));
    }
    Ok(tables)
}

fn table(children: usize, results: Vec<(&str, Vec<Alive>, Option<String>)>) -> Table {
    let columns = [
        ("runs", 0),
        ("spawn CPU µs", 1),
        ("KiB/child", 2),
        ("fds/child", 2),
        ("threads", 0),
        ("exit CPU µs", 1),
        ("kill to known µs", 1),
        ("left", 0),
    ];
    let note = "Medians of the runs. CPU is that of the whole parent, for each child spawned and for each of (at \
                most 1,000) children killed and awaited one by one, in random order, with all others still awaited. \
                Memory is resident memory of the parent. `left`: children that were not reaped in the end, at most.";
    let mut table = Table::new(&format!("alive: {children} children at once"), note, &columns);
    for (name, cells, failed) in results {
        if let Some(why) = failed {
            table.failed(name, &why);
            continue;
        }
        let of = |figure: fn(&Alive) -> f64| median(cells.iter().map(figure).collect());
        let left = cells.iter().map(|cell| cell.left).fold(0.0, f64::max);
        let values = [
            cells.len() as f64,
            of(|cell| cell.spawn_cpu_us),
            of(|cell| cell.rss_kib),
            of(|cell| cell.fds),
            of(|cell| cell.threads),
            of(|cell| cell.exit_cpu_us),
            of(|cell| cell.exit_wall_us),
            left,
        ];
        table.row(name, &values);
    }
    table.ratio("exit CPU µs", "raw");
    table.ratio("exit CPU µs", "tokio-ct");
    table
}

/// One run of one contender, in a process of its own.
pub(crate) fn cell(name: &str, children: usize) -> io::Result<Alive> {
    let mut contender = contenders::start(name)?;
    contender.spawn_wait(&Spec::new(program::exit(), Opt::Plain), crate::spec::Turn::exact(5))?;
    contender.alive(&Spec::new(program::wait()?, Opt::Plain), Census::new(children)?)
}

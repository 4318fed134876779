//! Many children alive at once: what they cost, and what the end of each costs.

use std::io;

use super::Effort;
use super::rounds::{fill, take_turns};
use crate::alive::{Alive, Census};
use crate::contenders::{self, Task};
use crate::spec::{Opt, Spec, Turn, program};
use crate::stats::spread;
use crate::table::{Better, Table};
use crate::worker;

/// Runs every contender several times with each number of children, each time in a new process: memory that an
/// earlier run has left to the allocator would hide what the next one takes.
pub(crate) fn run(effort: &Effort) -> io::Result<Vec<Table>> {
    let many = effort.pick(200, 10_000, 10_000);
    let sizes = [(100, effort.pick(1, 3, 9)), (many, effort.pick(1, 1, 3))];
    sizes.into_iter().map(|(children, rounds)| measure(effort, children, rounds)).collect()
}

fn measure(effort: &Effort, children: usize, rounds: usize) -> io::Result<Table> {
    let mut runners = effort.start(&[Task::Alive])?;
    let results = take_turns(&mut runners, Task::Alive, (rounds, false), |name, _| {
        worker::ask::<Alive>(&["cell", name, &children.to_string()])
    });
    let columns = [
        ("n", 0),
        ("spawn CPU µs", 1),
        ("KiB/child", 2),
        ("fds/child", 2),
        ("threads", 0),
        ("exit CPU µs", 1),
        ("least", 1),
        ("most", 1),
        ("kill to known µs", 1),
        ("left", 0),
    ];
    let note = "Medians of the runs, and the spread of the processor time of an exit. CPU is that of the whole parent, \
                for each child spawned and for each of (at most 1,000) children killed and awaited one by one, in \
                random order, with all others still awaited. Memory is resident memory of the parent. `left`: \
                children that were not reaped in the end, at most.";
    let title = format!("{children} children alive at once");
    let mut table = Table::new(&title, note, &columns, ("exit CPU µs", Better::Less));
    fill(&mut table, results, |runs: Vec<Alive>| {
        let all = |figure: fn(&Alive) -> f64| spread(runs.iter().map(figure).collect());
        let of = |figure| all(figure).median;
        let exit = all(|run| run.exit_cpu_us);
        vec![
            exit.count as f64,
            of(|run| run.spawn_cpu_us),
            of(|run| run.rss_kib),
            of(|run| run.fds),
            of(|run| run.threads),
            exit.median,
            exit.least,
            exit.most,
            of(|run| run.exit_wall_us),
            all(|run| run.left).most,
        ]
    });
    Ok(table.variant(&children.to_string()).ratios(&["raw", "tokio-ct"]))
}

/// One run of one contender, in a process of its own.
pub(crate) fn cell(name: &str, children: usize) -> io::Result<Alive> {
    let mut contender = contenders::start(name)?;
    contender.spawn_wait(&Spec::new(program::exit(), Opt::Plain), Turn::exact(5))?;
    contender.alive(&Spec::new(program::wait()?, Opt::Plain), Census::new(children)?)
}

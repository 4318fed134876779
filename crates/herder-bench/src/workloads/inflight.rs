//! Many children in flight: how many a second.

use std::io;
use std::time::Instant;

use super::Effort;
use super::rounds::{fill, take_turns};
use crate::contenders::Task;
use crate::spec::{Opt, Spec, program};
use crate::stats::{Spread, spread};
use crate::table::{Better, Table};

pub(super) fn inflight(effort: &Effort) -> io::Result<Vec<Table>> {
    [64, 1000].into_iter().map(|width| measure(effort, width)).collect()
}

fn measure(effort: &Effort, width: usize) -> io::Result<Table> {
    let mut runners = effort.start(&[Task::Inflight])?;
    let spec = Spec::new(program::exit(), Opt::Plain);
    // As many in each round, whatever the width, and each worker at least twice.
    let total = effort.pick(2, 16, 32).max(2 * width / 64) * 64 / width * width;
    let rounds = (effort.pick(1, 4, 12), true);
    let results = take_turns(&mut runners, Task::Inflight, rounds, |_, contender| {
        let begin = Instant::now();
        contender.inflight(&spec, total, width)?;
        Ok(total as f64 / begin.elapsed().as_secs_f64())
    });
    let note = format!(
        "Children spawned and awaited per second, {total} in each round. Those that block have a thread for each child \
         in flight. Ratios are of the best rounds; more is better."
    );
    let columns = [("n", 0), ("best /s", 0), ("median /s", 0), ("least /s", 0)];
    let title = format!("{width} children in flight");
    let table = Table::new(&title, &note, &columns, ("best /s", Better::More)).variant(&width.to_string());
    let mut table = table.judged("median /s", Better::More);
    fill(&mut table, results, |rates| {
        let Spread { count, least, median, most } = spread(rates);
        vec![count as f64, most, median, least]
    });
    Ok(table.ratios(&["raw", "tokio-ct", "tokio-mt"]))
}

//! Many live handles dropped at once.

use std::io;

use super::Effort;
use crate::contenders::Task;
use crate::dropped::Dropped;
use crate::spec::{Opt, Spec, program};
use crate::stats::{Shuffle, Summary, nanos};
use crate::table::Table;

const CHILDREN: usize = 500;

pub(super) fn drop_500(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut runners = effort.start(&[Task::Drop])?;
    let spec = Spec::new(program::wait()?, Opt::Plain);
    let mut results = vec![Vec::new(); runners.len()];
    let mut order: Vec<_> = (0..runners.len()).collect();
    let mut shuffle = Shuffle::new(CHILDREN as u64);
    // One round more than are counted: the first one warms up.
    for round in 0..=effort.pick(5, 30) {
        shuffle.shuffle(&mut order);
        for &index in &order {
            let runner = &mut runners[index];
            if runner.failed.is_some() {
                continue;
            }
            match runner.contender.drop_all(&spec, CHILDREN) {
                Ok(dropped) if round > 0 => results[index].push(dropped),
                Ok(_) => {}
                Err(error) => runner.failed = Some(error.to_string()),
            }
        }
    }
    let note = "Milliseconds for all of them in one task of a multi-thread runtime, on the wall and of the processor; \
                how late a ticker of one millisecond in the same runtime was at worst, during the drops and until the \
                last child was gone; and when that was.";
    let columns = [
        ("rounds", 0),
        ("wall median", 1),
        ("wall p90", 1),
        ("CPU median", 1),
        ("late median", 1),
        ("late p90", 1),
        ("late after, median", 1),
        ("late after, p90", 1),
        ("gone median", 1),
    ];
    let mut table = Table::new("drop: 500 live handles", note, &columns);
    for (runner, results) in runners.iter().zip(results) {
        if let Some(why) = &runner.failed {
            table.failed(runner.name, why);
            continue;
        }
        let of = |figure: fn(&Dropped) -> std::time::Duration| {
            let summary = Summary::of(results.iter().map(|dropped| nanos(figure(dropped))).collect());
            (summary.median / 1e6, summary.p90 / 1e6)
        };
        let (wall, late, after) = (of(|d| d.wall), of(|d| d.late), of(|d| d.late_after));
        let (processor, gone) = (of(|d| d.processor).0, of(|d| d.gone).0);
        let rounds = results.len() as f64;
        table.row(runner.name, &[rounds, wall.0, wall.1, processor, late.0, late.1, after.0, after.1, gone]);
    }
    Ok(vec![table])
}

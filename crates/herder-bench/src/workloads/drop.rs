//! Many live handles dropped at once.

use std::io;
use std::time::Duration;

use super::Effort;
use super::rounds::{fill, take_turns};
use crate::contenders::Task;
use crate::dropped::Dropped;
use crate::spec::{Opt, Spec, program};
use crate::stats::{Summary, nanos};
use crate::table::{Better, Table};

const CHILDREN: usize = 500;

pub(super) fn drop_500(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut runners = effort.start(&[Task::Drop])?;
    let spec = Spec::new(program::wait()?, Opt::Plain);
    let children = effort.pick(50, CHILDREN, CHILDREN);
    let rounds = (effort.pick(1, 4, 15), effort.pick(false, true, true));
    let results =
        take_turns(&mut runners, Task::Drop, rounds, |_, contender| contender.drop_all(&spec, children));
    let note = "Milliseconds for all of them in one task of a multi-thread runtime, on the wall and of the processor; \
                how late a ticker of one millisecond in the same runtime was at worst, during the drops and until the \
                last child was gone; and when that was: 5,000 ms if one was still not reaped then.";
    let columns = [
        ("n", 0),
        ("wall median ms", 1),
        ("wall p90 ms", 1),
        ("CPU median ms", 1),
        ("late median ms", 1),
        ("late p90 ms", 1),
        ("late after, median ms", 1),
        ("late after, p90 ms", 1),
        ("gone median ms", 1),
    ];
    let mut table = Table::new("500 live handles dropped", note, &columns, ("wall median ms", Better::Less));
    fill(&mut table, results, |drops: Vec<Dropped>| {
        let of = |figure: fn(&Dropped) -> Duration| {
            let summary = Summary::of(drops.iter().map(|dropped| nanos(figure(dropped))).collect());
            (summary.median / 1e6, summary.p90 / 1e6)
        };
        let (wall, late, after) = (of(|d| d.wall), of(|d| d.late), of(|d| d.late_after));
        let (processor, gone) = (of(|d| d.processor).0, of(|d| d.gone).0);
        vec![drops.len() as f64, wall.0, wall.1, processor, late.0, late.1, after.0, after.1, gone]
    });
    Ok(vec![table.ratios(&["tokio-mt"])])
}

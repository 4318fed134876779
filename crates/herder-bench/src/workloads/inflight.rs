//! Many children in flight: how many a second.

use std::io;
use std::time::Instant;

use super::Effort;
use crate::contenders::Task;
use crate::spec::{Opt, Spec, program};
use crate::stats::{Shuffle, median};
use crate::table::Table;

const WIDTH: usize = 64;

pub(super) fn inflight_64(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut runners = effort.start(&[Task::Inflight])?;
    let spec = Spec::new(program::exit(), Opt::Plain);
    let total = WIDTH * effort.pick(10, 30);
    let mut rates = vec![Vec::new(); runners.len()];
    let mut order: Vec<_> = (0..runners.len()).collect();
    let mut shuffle = Shuffle::new(WIDTH as u64);
    // One round more than are counted: the first one warms up.
    for round in 0..=effort.pick(6, 20) {
        shuffle.shuffle(&mut order);
        for &index in &order {
            let runner = &mut runners[index];
            if runner.failed.is_some() {
                continue;
            }
            let begin = Instant::now();
            match runner.contender.inflight(&spec, total, WIDTH) {
                Ok(()) if round > 0 => rates[index].push(total as f64 / begin.elapsed().as_secs_f64()),
                Ok(()) => {}
                Err(error) => runner.failed = Some(error.to_string()),
            }
        }
    }
    let note = format!(
        "Children spawned and awaited per second, {total} in each round. `std` has a thread for each child in \
         flight. Ratios are of the medians; more is better."
    );
    let columns = [("rounds", 0), ("best /s", 0), ("median /s", 0)];
    let mut table = Table::new("inflight-64: 64 children in flight", &note, &columns);
    for (runner, rates) in runners.iter().zip(rates) {
        match &runner.failed {
            Some(why) => table.failed(runner.name, why),
            None => {
                let best = rates.iter().copied().fold(f64::NAN, f64::max);
                table.row(runner.name, &[rates.len() as f64, best, median(rates)]);
            }
        }
    }
    for baseline in ["raw", "tokio-ct", "tokio-mt"] {
        table.ratio("median /s", baseline);
    }
    Ok(vec![table])
}

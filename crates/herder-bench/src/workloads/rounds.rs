//! The order of a comparison: the contenders take turns, in another order each round.

use std::time::{Duration, Instant};

use super::{Entrant, Runner};
use crate::contenders::{Contender, Takes, Task, foreign_takes};
use crate::stats::Shuffle;
use crate::table::Table;

/// What one contender has brought.
pub(super) enum Result<T> {
    /// One for each round.
    Figures(Vec<T>),
    Failed(String),
    Absent(&'static str),
}

/// After so long a contender has no more turns, once it has a figure: a slow one would take the time of all.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Lets those that take part in `task` take turns, `rounds` times. With `warm_up`, one round more than are counted.
pub(super) fn take_turns<T>(
    runners: &mut [Runner],
    task: Task,
    (rounds, warm_up): (usize, bool),
    mut turn: impl FnMut(&str, &mut dyn Contender) -> std::io::Result<T>,
) -> Vec<(&'static str, Result<T>)> {
    let shown = |entrant: &Entrant| match entrant {
        Entrant::Ready(contender) => contender.takes(task) != Takes::Aside,
        Entrant::Missing => foreign_takes(task),
    };
    let mut entries: Vec<_> = runners
        .iter_mut()
        .filter(|runner| shown(&runner.entrant))
        .map(|runner| (runner, Vec::new(), Duration::ZERO))
        .collect();
    let mut order: Vec<_> = (0..entries.len()).collect();
    let mut shuffle = Shuffle::new(rounds as u64);
    for round in 0..rounds + usize::from(warm_up) {
        shuffle.shuffle(&mut order);
        for &index in &order {
            let (runner, figures, spent) = &mut entries[index];
            let Entrant::Ready(contender) = &mut runner.entrant else { continue };
            if runner.failed.is_some() || contender.takes(task) != Takes::Yes {
                continue;
            }
            if *spent > PATIENCE && !figures.is_empty() {
                continue;
            }
            let begin = Instant::now();
            let result = turn(runner.name, &mut **contender);
            *spent += begin.elapsed();
            match result {
                Ok(figure) if !warm_up || round > 0 => figures.push(figure),
                Ok(_) => {}
                Err(error) => runner.failed = Some(error.to_string()),
            }
        }
    }
    let result = |(runner, figures, _): (&mut Runner, Vec<T>, Duration)| {
        let result = match (&runner.entrant, runner.failed.take()) {
            (Entrant::Missing, _) => Result::Absent("not installed"),
            (_, Some(why)) => Result::Failed(why),
            (Entrant::Ready(contender), None) => match contender.takes(task) {
                Takes::Not(why) => Result::Absent(why),
                _ => Result::Figures(figures),
            },
        };
        (runner.name, result)
    };
    entries.into_iter().map(result).collect()
}

/// Fills a table: with a row of values for those that have figures, and with the reason for the others.
pub(super) fn fill<T>(
    table: &mut Table,
    results: Vec<(&'static str, Result<T>)>,
    values: impl Fn(Vec<T>) -> Vec<f64>,
) {
    for (name, result) in results {
        match result {
            Result::Figures(figures) => table.row(name, &values(figures)),
            Result::Failed(why) => table.failed(name, &why),
            Result::Absent(why) => table.absent(name, why),
        }
    }
}

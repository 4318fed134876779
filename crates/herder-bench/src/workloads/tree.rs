//! A tree of a hundred processes killed.

use std::env;
use std::io;

use super::Effort;
use super::rounds::{fill, take_turns};
use crate::contenders::Task;
use crate::spec::{Opt, Spec};
use crate::stats::{Summary, nanos};
use crate::table::{Better, Table};
use crate::tree::{TREE, arguments};

pub(super) fn tree(effort: &Effort) -> io::Result<Vec<Table>> {
    let mut runners = effort.start(&[Task::Tree])?;
    let mut spec = Spec::new(&env::current_exe()?, Opt::Plain);
    spec.args = arguments();
    let rounds = (effort.pick(1, 3, 15), effort.pick(false, true, true));
    let results = take_turns(&mut runners, Task::Tree, rounds, |_, contender| contender.kill_tree(&spec));
    let note = format!(
        "A child with 9 children, each with 10. Milliseconds from the library's kill until the child was reaped and of \
         the {TREE} all that were killed were dead; and how many were not, at most. `raw` kills the process group, \
         `raw-cgroup` writes to `cgroup.kill`. The time of one that leaves most of them alive is no achievement."
    );
    let columns = [("n", 0), ("p10 ms", 2), ("median ms", 2), ("p90 ms", 2), ("left alive", 0)];
    let table = Table::new("A tree of 100 killed", &note, &columns, ("p10 ms", Better::Less));
    let mut table = table.judged("median ms", Better::Less);
    fill(&mut table, results, |ends| {
        let alive = ends.iter().map(|end| end.alive).max().unwrap_or(0);
        let took = Summary::of(ends.iter().map(|end| nanos(end.took)).collect());
        vec![took.count as f64, took.p10 / 1e6, took.median / 1e6, took.p90 / 1e6, alive as f64]
    });
    Ok(vec![table.ratios(&["raw", "raw-cgroup"])])
}

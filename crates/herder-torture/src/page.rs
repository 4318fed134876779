//! The page of the documentation, made from results alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::judge::{FAILURES, Verdict};
use crate::run::{Results, Row};
use crate::scenario::Reason;
use crate::table::{score, short};

const HEAD: &str = "\
# The torture table

Each row is a promise, an adversarial child, and what happens to its caller; each column is a way of running processes.
The table is made by a program, which anybody can run again on a host of their own:

```sh
cargo run --release -p herder-torture --features peers -- all      # this page, and docs/torture.json
cargo run --release -p herder-torture -- herder                    # Herder's own column: any failure is an error
cargo run --release -p herder-torture -- try tokio drop-family     # one cell, with what was seen
cargo run --release -p herder-torture -- page docs/torture*.json   # the page, with results of others of fewer rights
```

An adapter does what the row says by means of one contender, in the best way that its documentation shows, as a process
of its own. A judge watches that process from outside: everything in the tree holds an end of a pipe with a name, so
that nobody is overlooked; zombies, folders and memory are read from the kernel; statuses, bytes and errors are held
against what the child did. Where there is *nothing to call* (no signals, no limits of time, no futures) the cell is
`n/a`; *what happens to any program* (a drop, a panic, its own death) is judged by what came of it, whether or not a
contender claims anything. The promise is a second on a quiet machine; the judge waits some seconds before it says that
something did not happen. Each cell is tried once; where a contender wins or loses by a moment, the next run may differ.
`crates/herder-torture/src/contenders` has the adapters: corrections are welcome.
";

/// The results of the most contenders are shown in full; of others, which were had with other rights, what differs.
pub(crate) fn page(results: &[Results]) -> String {
    let mut results: Vec<_> = results.iter().collect();
    results.sort_by_key(|results| std::cmp::Reverse(results.contenders.len()));
    let mut text = HEAD.to_owned();
    let Some((full, others)) = results.split_first() else { return text };
    _ = writeln!(text, "\nRun on {}.", full.host.join("; "));
    contenders(&mut text, full);
    rows(&mut text, full);
    legend(&mut text);
    not_offered(&mut text, full);
    for other in others {
        differing(&mut text, other);
    }
    text
}

fn contenders(text: &mut String, results: &Results) {
    *text += "\n| contender | version | used as | kept | broken | n/a |\n|---|---|---|---:|---:|---:|\n";
    for (index, column) in results.contenders.iter().enumerate() {
        let score = score(results, index);
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            column.name,
            column.version,
            column.used,
            score.kept,
            score.failed,
            score.not_offered + score.forbidden
        );
    }
}

fn rows(text: &mut String, results: &Results) {
    let mut heading = "";
    for row in &results.rows {
        if row.heading != heading {
            heading = &row.heading;
            let names: Vec<_> = results.contenders.iter().map(|column| column.name.as_str()).collect();
            _ = writeln!(text, "\n## {heading}\n\n| promise | {} |", names.join(" | "));
            _ = writeln!(text, "|---|{}", "---|".repeat(names.len()));
        }
        let cells: Vec<_> = row.verdicts.iter().map(cell).collect();
        _ = writeln!(text, "| {} (`{}`) | {} |", row.promise, row.name, cells.join(" | "));
    }
}

fn cell(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Failed { .. } => format!("**{}**", short(verdict)),
        _ => short(verdict),
    }
}

fn legend(text: &mut String) {
    *text += "\n## What the words mean\n\n";
    for failure in FAILURES {
        _ = writeln!(text, "- **{failure}**: {}.", failure.meaning());
    }
    for reason in Reason::ALL {
        _ = writeln!(text, "- ({}): not kept where {}.", reason.mark(), reason.text());
    }
}

/// The reasons of each contender, with the rows they stand for.
fn not_offered(text: &mut String, results: &Results) {
    *text += "\n## Why n/a\n\n";
    for (index, column) in results.contenders.iter().enumerate() {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &results.rows {
            if let Verdict::NotOffered { why } = &row.verdicts[index] {
                reasons.entry(why).or_default().push(&row.name);
            }
        }
        for (why, names) in reasons {
            _ = writeln!(text, "- {}: {why}: {}.", column.name, names.join(", "));
        }
    }
}

/// What is not simply kept there.
fn differing(text: &mut String, results: &Results) {
    _ = writeln!(text, "\n## {}\n", results.host.join("; "));
    for (index, column) in results.contenders.iter().enumerate() {
        let score = score(results, index);
        let counts = format!("{} kept, {} broken, {} forbidden", score.kept, score.failed, score.forbidden);
        _ = writeln!(text, "- {}: {counts}, {} n/a.", column.name, score.not_offered);
        let named = |row: &Row| match &row.verdicts[index] {
            Verdict::Kept | Verdict::NotOffered { .. } => None,
            verdict => Some(format!("{}: {}", row.name, cell(verdict))),
        };
        for line in results.rows.iter().filter_map(named) {
            _ = writeln!(text, "  - {line}");
        }
    }
}

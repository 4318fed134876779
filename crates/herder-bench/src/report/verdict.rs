//! What a run says of Herder: which targets it meets, and where others are ahead.

use super::Report;
use crate::table::{Better, Row, Table};

/// A target: a figure and what it must not exceed, or must reach.
struct Target {
    what: &'static str,
    bound: f64,
    better: Better,
    found: Option<f64>,
}

/// The targets, as a table.
pub(super) fn targets(report: &Report) -> String {
    let mut text = "| target | bound | found | met |\n|:---|---:|---:|:---|\n".to_owned();
    for Target { what, bound, better, found } in all_targets(report) {
        let (sign, met) = match better {
            Better::Less => ("≤", found.map(|found| found <= bound)),
            Better::More => ("≥", found.map(|found| found >= bound)),
        };
        let found = found.map_or_else(|| "not measured".to_owned(), |found| format!("{found:.2}"));
        let met = met.map_or("", |met| if met { "yes" } else { "no" });
        text.extend([format!("| {what} | {sign} {bound} | {found} | {met} |\n")]);
    }
    text
}

fn all_targets(report: &Report) -> Vec<Target> {
    let table = |workload: &'static str, variant: &'static str| {
        report.of(workload).find(|table| variant.is_empty() || table.variant == variant)
    };
    // The main figure of the first in units of that of the second.
    let ratio = |workload, variant, first: &str, second: &str| {
        let table = table(workload, variant)?;
        Some(table.figure(first, &table.main)? / table.figure(second, &table.main)?)
    };
    let of = |workload, variant, column: &str| table(workload, variant)?.figure("herder-ct", column);
    let least = |what, bound, found| Target { what, bound, better: Better::Less, found };
    let most = |what, bound, found| Target { what, bound, better: Better::More, found };
    let best =
        |table: Option<&Table>, ours: fn(&Row) -> bool| best(table?, &table?.main, table?.better, ours);
    let flight = table("inflight", "64");
    let flight = best(flight, is_ours).zip(best(flight, |row| row.contender.starts_with("tokio-")));
    let output = table("output", "");
    let output = best(output, is_peer).zip(of("output", "", output.map_or("", |table| &table.main)));
    vec![
        least("spawn and wait, to the limit", 1.15, ratio("spawn-wait", "", "herder-ct", "raw")),
        least("the same, 1 GiB touched", 1.15, ratio("spawn-wait-1g", "plain", "herder-ct", "raw")),
        least("the same, 8 GiB touched", 1.3, ratio("spawn-wait-8g", "plain", "herder-ct", "raw")),
        most("64 in flight, to Tokio's best", 1.4, flight.map(|(ours, theirs)| ours / theirs)),
        most("small capture, to the fastest peer", 1.3, output.map(|(theirs, ours)| theirs / ours)),
        least("10,000 alive, KiB each", 2.0, of("alive", "10000", "KiB/child")),
        least("10,000 alive, µs of processor an exit", 32.0, of("alive", "10000", "exit CPU µs")),
        least("exit to wake-up, idle, to Tokio", 1.0, ratio("wake", "idle", "herder-ct", "tokio-ct")),
        least("exit to wake-up, busy, to Tokio", 1.0, ratio("wake", "busy", "herder-ct", "tokio-ct")),
        least(
            "a tree of 100 killed, to `cgroup.kill`",
            1.5,
            ratio("tree", "", "herder-mt-scope", "raw-cgroup"),
        ),
    ]
}

fn is_ours(row: &Row) -> bool {
    row.contender.starts_with("herder-")
}

fn is_peer(row: &Row) -> bool {
    !is_ours(row) && !row.contender.starts_with("raw")
}

/// The best figure of a column, among those that are asked for.
fn best(table: &Table, column: &str, better: Better, wanted: fn(&Row) -> bool) -> Option<f64> {
    let figures = table.rows.iter().filter(|row| wanted(row));
    let figures = figures.filter_map(|row| table.figure(&row.contender, column));
    match better {
        Better::Less => figures.reduce(f64::min),
        Better::More => figures.reduce(f64::max),
    }
}

/// How much worse the first is than the second, as a factor.
fn worse(better: Better, first: f64, second: f64) -> f64 {
    if better == Better::Less { first / second } else { second / first }
}

/// Where Tokio is ahead by more than this...
const TOKIO: f64 = 1.1;
/// ...and where any other peer is.
const PEER: f64 = 1.05;

/// Where others are ahead at the median, as a table.
pub(super) fn behind(report: &Report) -> String {
    let mut rows = String::new();
    // How often the kernel is called is not how fast it is.
    for table in report.tables.iter().filter(|table| table.workload != "syscalls") {
        for (ours, theirs) in [("herder-ct", "tokio-ct"), ("herder-mt", "tokio-mt")] {
            let (column, better) = (&table.judged.0, table.judged.1);
            let pair = table.figure(ours, column).zip(table.figure(theirs, column));
            let pair = pair.filter(|_| finished(table, theirs));
            if let Some((our, their)) = pair.filter(|&(our, their)| worse(better, our, their) > TOKIO) {
                rows += &line(table, ours, our, theirs, their);
            }
        }
        rows += &ahead(table);
    }
    if rows.is_empty() {
        return "Nowhere in this run.\n".to_owned();
    }
    format!("| workload | figure | Herder | ahead of it | by |\n|:---|:---|---:|---:|---:|\n{rows}")
}

/// To kill the first of a tree and to leave the others alone is no way to be fast.
fn finished(table: &Table, contender: &str) -> bool {
    table.figure(contender, "left alive").is_none_or(|left| left == 0.0)
}

/// The fastest peer, where it is ahead of the best that Herder has and is no Tokio.
fn ahead(table: &Table) -> String {
    let (column, better) = (&table.judged.0, table.judged.1);
    let others = table.rows.iter().filter(|row| is_peer(row) && !row.contender.starts_with("tokio-"));
    let others = others
        .filter(|row| finished(table, &row.contender))
        .filter_map(|row| Some((row, table.figure(&row.contender, column)?)));
    let first =
        others.min_by(
            |(_, one), (_, other)| {
                if better == Better::Less { one.total_cmp(other) } else { other.total_cmp(one) }
            },
        );
    let ours = best(table, column, better, is_ours);
    match first.zip(ours) {
        Some(((row, their), our)) if worse(better, our, their) > PEER => {
            line(table, "the best", our, &row.contender, their)
        }
        _ => String::new(),
    }
}

fn line(table: &Table, ours: &str, our: f64, theirs: &str, their: f64) -> String {
    let (column, better) = (&table.judged.0, table.judged.1);
    let factor = worse(better, our, their);
    format!("| {} | {column} | {our:.1} ({ours}) | {their:.1} ({theirs}) | {factor:.2} |\n", table.title)
}

#[cfg(test)]
mod tests {
    use super::{behind, targets};
    use crate::report::{Report, VERSION};
    use crate::table::{Better, Table};

    fn report(ours: f64) -> Report {
        let mut table = Table::new("Wake", "", &[("p10 µs", 1)], ("p10 µs", Better::Less)).variant("idle");
        table.workload = "wake".to_owned();
        table.row("herder-ct", &[ours]);
        table.row("tokio-ct", &[10.0]);
        table.row("duct", &[9.0]);
        Report { version: VERSION, machine: Vec::new(), tables: vec![table] }
    }

    #[test]
    fn a_peer_that_is_ahead_is_named() {
        let text = behind(&report(12.0));
        assert!(text.contains("| 12.0 (herder-ct) | 10.0 (tokio-ct) | 1.20 |"), "{text}");
        assert!(text.contains("9.0 (duct) | 1.33 |"), "{text}");
        assert_eq!(behind(&report(8.0)), "Nowhere in this run.\n");
    }

    #[test]
    fn a_target_is_met_or_not() {
        assert!(targets(&report(9.0)).contains("| exit to wake-up, idle, to Tokio | ≤ 1 | 0.90 | yes |"));
        assert!(targets(&report(12.0)).contains("| ≤ 1 | 1.20 | no |"));
        assert!(targets(&report(12.0)).contains("| not measured |  |"));
    }
}

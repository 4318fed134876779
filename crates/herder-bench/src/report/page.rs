//! A page with marked parts, each of which is replaced by what a run has measured.
//!
//! A part begins with `<!-- bench NAME -->` and ends with `<!-- bench -->`. Its name is that of a workload, or `machine`,
//! `targets` or `behind`. Everything else on the page is written by people.

use super::{Report, verdict};
use crate::table::Table;

const END: &str = "<!-- bench -->";

/// The page with its parts replaced.
pub(super) fn filled(page: &str, report: &Report) -> Result<String, String> {
    let (mut text, mut rest, mut seen) = (String::new(), page, Vec::new());
    while let Some(at) = rest.find("<!-- bench ") {
        let (before, part) = rest.split_at(at);
        let (mark, _) = part.split_once('\n').ok_or("a mark is the last line of the page")?;
        let name = mark.trim_start_matches("<!-- bench ").trim_end_matches(" -->");
        let (_, after) = part.split_once(END).ok_or_else(|| format!("the part {name} has no end"))?;
        text.extend([format!("{before}{mark}\n{}{END}", part_of(name, report)?)]);
        seen.push(name);
        rest = after;
    }
    if let Some(unshown) = report.workloads().into_iter().find(|name| !seen.contains(name)) {
        return Err(format!("the page has no part for {unshown}"));
    }
    Ok(text + rest)
}

fn part_of(name: &str, report: &Report) -> Result<String, String> {
    if !["machine", "targets", "behind"].contains(&name) && !is_workload(name) {
        return Err(format!("no part of a page is called {name:?}"));
    }
    Ok(match name {
        "machine" => report.facts(),
        "targets" => verdict::targets(report),
        "behind" => verdict::behind(report),
        workload => {
            let tables: Vec<_> = report.of(workload).collect();
            match tables.as_slice() {
                [] => "Not measured in this run.\n".to_owned(),
                [first, ..] if tables.len() > MANY => format!("{}{}", plot(first), pivot(&tables)),
                [first, ..] => {
                    plot(first) + &tables.iter().map(|table| shown(table, tables.len())).collect::<String>()
                }
            }
        }
    })
}

fn is_workload(name: &str) -> bool {
    crate::workloads::WORKLOADS.iter().any(|(known, _)| *known == name)
}

/// From more tables than these one is made, with a column for each.
const MANY: usize = 4;

fn plot(table: &Table) -> String {
    format!("![{}](performance/{}.svg)\n\n", table.title, table.workload)
}

fn shown(table: &Table, of: usize) -> String {
    let title = if of > 1 { format!("**{}.** ", table.title) } else { String::new() };
    format!("{title}{}\n\n{}\n", table.note, table.body())
}

/// One table with the main figures of all, each with its ratio to the first row that has one.
fn pivot(tables: &[&Table]) -> String {
    let first = tables[0];
    let mut text = format!(
        "{}: {}; in brackets the ratio to the limit. {}\n\n| contender |",
        first.workload, first.main, first.note
    );
    for table in tables {
        text.extend([format!(" {} |", table.variant)]);
    }
    text.extend([format!("\n|:---|{}\n", "---:|".repeat(tables.len()))]);
    let mut contenders: Vec<&str> = Vec::new();
    for row in tables.iter().flat_map(|table| &table.rows) {
        if !contenders.contains(&row.contender.as_str()) {
            contenders.push(&row.contender);
        }
    }
    for contender in contenders {
        text.extend([format!("| {contender} |")]);
        for table in tables {
            let (value, limit) = (table.figure(contender, &table.main), table.figure("raw", &table.main));
            text.extend([match (value, limit) {
                (Some(value), Some(limit)) => format!(" {value:.1} ({:.2}) |", value / limit),
                (Some(value), None) => format!(" {value:.1} |"),
                (None, _) => " n/a |".to_owned(),
            }]);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::filled;
    use crate::report::{Report, VERSION};
    use crate::table::{Better, Table};

    fn report() -> Report {
        let mut table = Table::new("Title", "Note.", &[("p10 µs", 1)], ("p10 µs", Better::Less));
        table.workload = "output".to_owned();
        table.row("raw", &[2.0]);
        Report { version: VERSION, machine: vec!["a fact".to_owned()], tables: vec![table] }
    }

    #[test]
    fn marked_parts_are_replaced_and_nothing_else_is() {
        let page =
            "A\n<!-- bench output -->\nold\n<!-- bench -->\nB\n<!-- bench machine -->\n<!-- bench -->\nC\n";
        let once = filled(page, &report()).unwrap();
        assert!(once.starts_with("A\n<!-- bench output -->\n![Title]"), "{once}");
        assert!(once.contains("|    2.0 |\n") && once.contains("- a fact\n<!-- bench -->\nC\n"), "{once}");
        assert!(!once.contains("old"));
        assert_eq!(filled(&once, &report()).unwrap(), once);
    }

    #[test]
    fn a_page_that_does_not_fit_is_refused() {
        assert!(filled("nothing", &report()).unwrap_err().contains("output"));
        assert!(filled("<!-- bench output -->\n", &report()).unwrap_err().contains("no end"));
        let unknown = "<!-- bench other -->\n<!-- bench -->\n";
        assert!(filled(unknown, &report()).unwrap_err().contains("other"));
    }
}

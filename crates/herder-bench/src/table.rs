//! Results as Markdown and as JSON.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// One table: a row for each contender, a column for each figure.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// A sentence on what was measured, shown under the title.
    pub(crate) note: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) decimals: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) contender: String,
    /// In the order of the columns; `None` where there is no figure.
    pub(crate) values: Vec<Option<f64>>,
    /// Why there are no figures.
    pub(crate) failed: Option<String>,
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, columns: &[(&str, usize)]) -> Self {
        let column = |&(name, decimals): &(&str, usize)| Column { name: name.to_owned(), decimals };
        let columns = columns.iter().map(column).collect();
        Self { title: title.to_owned(), note: note.to_owned(), columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, contender: &str, values: &[f64]) {
        let values = values.iter().map(|value| value.is_finite().then_some(*value)).collect();
        self.rows.push(Row { contender: contender.to_owned(), values, failed: None });
    }

    pub(crate) fn failed(&mut self, contender: &str, why: &str) {
        let row = Row { contender: contender.to_owned(), values: Vec::new(), failed: Some(why.to_owned()) };
        self.rows.push(row);
    }

    /// Adds a column: the figures of `column` divided by that of `contender`; empty when that one is absent.
    pub(crate) fn ratio(&mut self, column: &str, contender: &str) {
        self.quotient(column, contender, (&format!("/ {contender}"), 2), |value, base| value / base);
    }

    /// Adds a column: how many times the figure of `contender` is that of each row, as in "700 times faster".
    pub(crate) fn inverse(&mut self, column: &str, contender: &str) {
        self.quotient(column, contender, (&format!("{contender} /"), 1), |value, base| base / value);
    }

    fn quotient(&mut self, column: &str, contender: &str, new: (&str, usize), divide: fn(f64, f64) -> f64) {
        let Some(index) = self.columns.iter().position(|have| have.name == column) else { return };
        let base = self.rows.iter().find(|row| row.contender == contender);
        let base = base.and_then(|row| row.values.get(index).copied().flatten());
        self.columns.push(Column { name: new.0.to_owned(), decimals: new.1 });
        for row in &mut self.rows {
            let value = row.values.get(index).copied().flatten();
            if row.failed.is_none() {
                row.values.push(value.zip(base).map(|(value, base)| divide(value, base)));
            }
        }
    }

    fn cell(&self, row: &Row, index: usize) -> String {
        let decimals = self.columns[index].decimals;
        row.values
            .get(index)
            .copied()
            .flatten()
            .map_or_else(String::new, |value| format!("{value:.decimals$}"))
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.note)?;
        let widest = self.rows.iter().map(|row| row.contender.len()).max().unwrap_or(0).max(9);
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| self.cell(row, index).len());
            cells.max().unwrap_or(0).max(self.columns[index].name.len())
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        write!(f, "| {:widest$} |", "contender")?;
        for (column, width) in self.columns.iter().zip(&widths) {
            write!(f, " {:>width$} |", column.name)?;
        }
        write!(f, "\n|:{}|", "-".repeat(widest + 1))?;
        for width in &widths {
            write!(f, "{}:|", "-".repeat(width + 1))?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "| {:widest$} |", row.contender)?;
            if let Some(why) = &row.failed {
                write!(f, " failed: {why} |")?;
            } else {
                for (index, width) in widths.iter().enumerate() {
                    write!(f, " {:>width$} |", self.cell(row, index))?;
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_ratio_is_taken_to_the_named_row() {
        let mut table = Table::new("t", "n", &[("p10", 1)]);
        table.row("raw", &[2.0]);
        table.row("tokio", &[3.0]);
        table.failed("other", "why");
        table.ratio("p10", "raw");
        table.inverse("p10", "tokio");
        let text = table.to_string();
        assert!(text.contains("| tokio     | 3.0 |  1.50 |     1.0 |"), "{text}");
        assert!(text.contains("| raw       | 2.0 |  1.00 |     1.5 |"), "{text}");
        assert!(text.contains("| other     | failed: why |"), "{text}");
    }

    #[test]
    fn a_ratio_to_an_absent_row_is_empty() {
        let mut table = Table::new("t", "n", &[("p10", 1)]);
        table.row("tokio", &[3.0]);
        table.ratio("p10", "raw");
        assert!(table.to_string().contains("| tokio     | 3.0 |       |"));
    }
}

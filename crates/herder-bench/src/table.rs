//! Results, as JSON and as Markdown.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// One table: a row for each contender, a column for each figure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// The workload that it belongs to; set when the workload is over.
    #[serde(default)]
    pub(crate) workload: String,
    pub(crate) title: String,
    /// What sets it apart from the other tables of its workload, in a word or two; empty where it is the only one.
    #[serde(default)]
    pub(crate) variant: String,
    /// A sentence on what was measured, shown under the title.
    pub(crate) note: String,
    pub(crate) columns: Vec<Column>,
    /// The column that ratios, plots and verdicts are about.
    pub(crate) main: String,
    pub(crate) better: Better,
    /// The column of medians at which contenders are compared, and what is better there.
    pub(crate) judged: (String, Better),
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Less,
    More,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) decimals: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) contender: String,
    /// In the order of the columns; `None` where there is no figure.
    pub(crate) values: Vec<Option<f64>>,
    /// Why there are no figures though there should be.
    pub(crate) failed: Option<String>,
    /// Why it does not take part.
    pub(crate) absent: Option<String>,
}

impl Table {
    /// The first of the columns is `n`; `main` is one of them.
    pub(crate) fn new(title: &str, note: &str, columns: &[(&str, usize)], main: (&str, Better)) -> Self {
        let column = |&(name, decimals): &(&str, usize)| Column { name: name.to_owned(), decimals };
        let columns = columns.iter().map(column).collect();
        Self {
            workload: String::new(),
            title: title.to_owned(),
            variant: String::new(),
            note: note.to_owned(),
            columns,
            main: main.0.to_owned(),
            better: main.1,
            judged: (main.0.to_owned(), main.1),
            rows: Vec::new(),
        }
    }

    pub(crate) fn variant(mut self, variant: &str) -> Self {
        variant.clone_into(&mut self.variant);
        self
    }

    pub(crate) fn judged(mut self, column: &str, better: Better) -> Self {
        self.judged = (column.to_owned(), better);
        self
    }

    pub(crate) fn row(&mut self, contender: &str, values: &[f64]) {
        let values = values.iter().map(|value| value.is_finite().then_some(*value)).collect();
        self.rows.push(Row { contender: contender.to_owned(), values, failed: None, absent: None });
    }

    pub(crate) fn failed(&mut self, contender: &str, why: &str) {
        let failed = Some(why.to_owned());
        self.rows.push(Row { contender: contender.to_owned(), values: Vec::new(), failed, absent: None });
    }

    pub(crate) fn absent(&mut self, contender: &str, why: &str) {
        let absent = Some(why.to_owned());
        self.rows.push(Row { contender: contender.to_owned(), values: Vec::new(), failed: None, absent });
    }

    /// The figure of a contender in a column.
    pub(crate) fn figure(&self, contender: &str, column: &str) -> Option<f64> {
        let index = self.columns.iter().position(|have| have.name == column)?;
        let row = self.rows.iter().find(|row| row.contender == contender)?;
        row.values.get(index).copied().flatten()
    }

    /// Adds columns with the ratios of the main figure to these contenders; empty where one is absent.
    pub(crate) fn ratios(mut self, contenders: &[&str]) -> Self {
        for contender in contenders {
            let main = self.main.clone();
            self.ratio(&main, contender);
        }
        self
    }

    /// Adds a column: the figures of `column` divided by that of `contender`; empty when that one is absent.
    pub(crate) fn ratio(&mut self, column: &str, contender: &str) {
        let Some(index) = self.columns.iter().position(|have| have.name == column) else { return };
        let base = self.figure(contender, column);
        self.columns.push(Column { name: format!("/ {contender}"), decimals: 2 });
        for row in &mut self.rows {
            let value = row.values.get(index).copied().flatten();
            if row.failed.is_none() && row.absent.is_none() {
                row.values.push(value.zip(base).map(|(value, base)| value / base));
            }
        }
    }

    pub(crate) fn cell(&self, row: &Row, index: usize) -> String {
        let decimals = self.columns[index].decimals;
        let value = row.values.get(index).copied().flatten();
        value.map_or_else(String::new, |value| format!("{value:.decimals$}"))
    }

    /// The rows, without title and note.
    pub(crate) fn body(&self) -> String {
        let widest = self.rows.iter().map(|row| row.contender.len()).max().unwrap_or(0).max(9);
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| self.cell(row, index).len());
            cells.max().unwrap_or(0).max(self.columns[index].name.chars().count())
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let mut text = format!("| {:widest$} |", "contender");
        for (column, width) in self.columns.iter().zip(&widths) {
            text.extend([format!(" {:>width$} |", column.name)]);
        }
        text.extend([format!("\n|:{}|", "-".repeat(widest + 1))]);
        for width in &widths {
            text.extend([format!("{}:|", "-".repeat(width + 1))]);
        }
        text.push('\n');
        for row in &self.rows {
            text.extend([format!("| {:widest$} |", row.contender)]);
            if let Some(why) = &row.failed {
                text.extend([format!(" failed: {why} |")]);
            } else if let Some(why) = &row.absent {
                text.extend([format!(" n/a: {why} |")]);
            } else {
                for (index, width) in widths.iter().enumerate() {
                    text.extend([format!(" {:>width$} |", self.cell(row, index))]);
                }
            }
            text.push('\n');
        }
        text
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}\n\n{}\n\n{}", self.title, self.note, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::{Better, Table};

    #[test]
    fn a_ratio_is_taken_to_the_named_row() {
        let mut table = Table::new("t", "n", &[("p10", 1)], ("p10", Better::Less));
        table.row("raw", &[2.0]);
        table.row("tokio", &[3.0]);
        table.failed("other", "why");
        table.absent("third", "why not");
        let text = table.ratios(&["raw", "tokio"]).to_string();
        assert!(text.contains("| tokio     | 3.0 |  1.50 |    1.00 |"), "{text}");
        assert!(text.contains("| raw       | 2.0 |  1.00 |    0.67 |"), "{text}");
        assert!(text.contains("| other     | failed: why |"), "{text}");
        assert!(text.contains("| third     | n/a: why not |"), "{text}");
    }

    #[test]
    fn a_ratio_to_an_absent_row_is_empty() {
        let mut table = Table::new("t", "n", &[("p10", 1)], ("p10", Better::Less));
        table.row("tokio", &[3.0]);
        assert!(table.ratios(&["raw"]).to_string().contains("| tokio     | 3.0 |       |"));
    }
}

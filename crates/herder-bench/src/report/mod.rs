//! What a run has measured: kept as JSON, and shown as a page and as plots.

mod page;
mod svg;
mod verdict;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::args::Into;
use crate::machine;
use crate::table::Table;

/// A run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of this format.
    version: u32,
    /// Where it was measured, a sentence each.
    machine: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

const VERSION: u32 = 2;

impl Report {
    pub(crate) fn begin() -> Self {
        Self { version: VERSION, machine: machine::facts(), tables: Vec::new() }
    }

    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let report: Self = serde_json::from_slice(&fs::read(path)?)?;
        if report.version == VERSION {
            return Ok(report);
        }
        Err(io::Error::other(format!("{} has version {}, not {VERSION}", path.display(), report.version)))
    }

    /// Where it was measured, as Markdown.
    pub(crate) fn facts(&self) -> String {
        self.machine.iter().map(|fact| format!("- {fact}\n")).collect()
    }

    /// Notes how long it has taken to measure all of it.
    pub(crate) fn ends(&mut self, elapsed: Duration) {
        self.machine.push(format!("measured in {:.1} minutes", elapsed.as_secs_f64() / 60.0));
    }

    /// Writes the JSON alone, if it is asked for.
    pub(crate) fn keep(&self, into: &Into) -> io::Result<()> {
        let Some(path) = &into.json else { return Ok(()) };
        fs::write(path, [serde_json::to_vec_pretty(self)?.as_slice(), b"\n"].concat())
    }

    /// Writes what is asked for.
    pub(crate) fn write(&self, into: &Into) -> io::Result<()> {
        self.keep(into)?;
        if let Some(folder) = &into.svg {
            fs::create_dir_all(folder)?;
            for workload in self.workloads() {
                let tables: Vec<_> = self.of(workload).collect();
                fs::write(folder.join(format!("{workload}.svg")), svg::draw(&tables))?;
            }
        }
        if let Some(path) = &into.markdown {
            fs::write(path, page::filled(&fs::read_to_string(path)?, self).map_err(io::Error::other)?)?;
        }
        Ok(())
    }

    /// Those that were run, in order.
    fn workloads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tables.iter().map(|table| table.workload.as_str()).collect();
        names.dedup();
        names
    }

    fn of(&self, workload: &str) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(move |table| table.workload == workload)
    }
}

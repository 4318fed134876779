//! Trying cells, several at once, and what is written of them.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::args::{Action, HELP, Wanted};
use crate::contenders::{self, Contender};
use crate::judge::{Judge, Verdict};
use crate::scenario::{self, Scenario};
use crate::{adapter, host, page, table};

/// What was found, as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) host: Vec<String>,
    pub(crate) contenders: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) used: String,
}

/// A scenario, with a verdict for each contender.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) heading: String,
    pub(crate) name: String,
    pub(crate) promise: String,
    pub(crate) verdicts: Vec<Verdict>,
}

/// Does it. Whether all went well.
pub(crate) fn act(action: Action) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match action {
        Action::Help => write!(out, "{HELP}")?,
        Action::List => {
            for Scenario { name, promise, .. } in scenario::all() {
                writeln!(out, "{name:27}{promise}")?;
            }
            let names: Vec<_> = contenders::all().iter().map(|contender| contender.name).collect();
            writeln!(out, "\n{}", names.join(", "))?;
        }
        Action::Page { results, page } => {
            let results = results.iter().map(|path| read(path)).collect::<io::Result<Vec<_>>>()?;
            fs::write(page, page::page(&results))?;
        }
        Action::Adapter { contender, scenario } => {
            let contender = contenders::named(&contender).ok_or_else(|| unknown(&contender))?;
            let scenario = scenario::named(&scenario).ok_or_else(|| unknown(&scenario))?;
            adapter::main(&contender, &scenario)?;
        }
        Action::Judge(wanted) => return judge(&wanted, &mut out),
    }
    Ok(true)
}

fn unknown(name: &str) -> io::Error {
    io::Error::other(format!("nothing is called {name:?}"))
}

fn read(path: &Path) -> io::Result<Results> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn judge(wanted: &Wanted, out: &mut impl Write) -> io::Result<bool> {
    Judge::close_strangers()?;
    build()?;
    let contenders = chosen(contenders_of(&wanted.contenders)?, out)?;
    let mut scenarios = scenario::all();
    for name in &wanted.scenarios {
        scenario::named(name).ok_or_else(|| unknown(name))?;
    }
    scenarios.retain(|scenario| {
        wanted.scenarios.is_empty() || wanted.scenarios.iter().any(|name| name == scenario.name)
    });
    let begin = Instant::now();
    let results = results(&Judge::new(wanted.patience, host::groups_only()), &contenders, scenarios)?;
    write!(out, "{}", table::table(&results))?;
    writeln!(out, "{} s", begin.elapsed().as_secs())?;
    if let Some(path) = &wanted.json {
        fs::write(path, serde_json::to_string(&results)? + "\n")?;
    }
    if let Some(path) = &wanted.page {
        fs::write(path, page::page(std::slice::from_ref(&results)))?;
    }
    let clean = results
        .rows
        .iter()
        .flat_map(|row| &row.verdicts)
        .all(|verdict| !matches!(verdict, Verdict::Failed { .. }));
    Ok(clean || !wanted.strict)
}

fn contenders_of(names: &[String]) -> io::Result<Vec<Contender>> {
    if names.is_empty() {
        return Ok(contenders::all());
    }
    names.iter().map(|name| contenders::named(name).ok_or_else(|| unknown(name))).collect()
}

/// Those that are here, with their versions.
fn chosen(contenders: Vec<Contender>, out: &mut impl Write) -> io::Result<Vec<(Contender, String)>> {
    let mut here = Vec::new();
    for contender in contenders {
        match host::version(contender.version) {
            Some(version) => here.push((contender, version)),
            None => writeln!(out, "{} is not here", contender.name)?,
        }
    }
    Ok(here)
}

/// The programs that are run, as they are now. Without cargo they are used as they are.
#[expect(clippy::disallowed_methods, reason = "Cargo is not a process under test")]
fn build() -> io::Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or_else(|| io::Error::other("it lies in no folder"))?;
    let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "test-child", "-p", "herder-cli", "--bins"]);
    command.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    command.arg("--target-dir").arg(folder.parent().unwrap_or(folder));
    let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the programs can't be built")) }
}

/// As many cells at once as leave each one its time.
const AT_ONCE: usize = 8;

fn results(
    judge: &Judge,
    contenders: &[(Contender, String)],
    scenarios: Vec<Scenario>,
) -> io::Result<Results> {
    let cells: Vec<_> =
        (0..scenarios.len()).flat_map(|row| (0..contenders.len()).map(move |column| (row, column))).collect();
    let (heavy, light): (Vec<_>, Vec<_>) = cells.into_iter().partition(|&(row, _)| scenarios[row].heavy);
    let verdicts = Mutex::new(vec![vec![None; contenders.len()]; scenarios.len()]);
    for (cells, at_once) in [(light, AT_ONCE), (heavy, 1)] {
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<()> {
            while let Some(&(row, column)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                let verdict = judge.judge(contenders[column].0.name, &scenarios[row])?;
                verdicts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[row][column] =
                    Some(verdict);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
            let mut ends = threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("the judge panicked"))));
            ends.try_for_each(|end| end)
        })?;
    }
    let verdicts = verdicts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let rows = scenarios.iter().zip(verdicts).map(|(scenario, verdicts)| Row {
        heading: scenario.act.heading().to_owned(),
        name: scenario.name.to_owned(),
        promise: scenario.promise.to_owned(),
        verdicts: verdicts.into_iter().flatten().collect(),
    });
    let columns = contenders.iter().map(|(contender, version)| Column {
        name: contender.name.to_owned(),
        version: version.clone(),
        used: contender.used.to_owned(),
    });
    Ok(Results { host: host::facts(), contenders: columns.collect(), rows: rows.collect() })
}

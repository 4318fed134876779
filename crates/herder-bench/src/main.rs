//! Ways of running processes, side by side in one run: Herder, its peers, and the bare system calls.
//!
//! ```text
//! cargo run --release -p herder-bench -- all --docs docs               # everything, into the documentation
//! cargo run --release -p herder-bench -- --quick all                   # the same in a minute or two, to stdout
//! cargo run --release -p herder-bench -- --json out.json output alive  # these two, in full
//! ```
//!
//! # Reading the tables
//!
//! Times differ from machine to machine and from minute to minute; ratios hold. So the contenders take turns, a
//! few operations each, in another order every round, and the tables show the 10th percentile beside the median
//! and the 90th, and each contender's ratio to the limit (`raw`) and to tokio, from the same run. Keep the machine
//! idle: everything here is about microseconds.
//!
//! With several processors each figure has two clusters, by whether the child ran on its parent's processor or had to
//! wake an idle one, which shows as a median far above the 10th percentile. Where that blurs a comparison of one
//! child after another, run it on one processor: `taskset -c 1 target/release/herder-bench spawn-wait output`.
//!
//! The child is a static program of a few instructions (`tiny/tiny.rs`), so that the figures are about the
//! spawning. An ordinary program starts in half a millisecond, whoever runs it.
//!
//! # The contenders
//!
//! | name | what |
//! |---|---|
//! | `raw` | `clone3` with VM, VFORK, PIDFD and CLEAR_SIGHAND on a stack of its own, then `poll` and `waitid` |
//! | `raw-block` | the same, but the thread sleeps in `waitid`: the shortest way there is |
//! | `raw-async` | the same as `raw` without VFORK: the call does not wait for the child's exec |
//! | `raw-sharefd` | the same as `raw`, with the table of open files shared until the exec |
//! | `raw-exitfirst` | captures by waiting for the exit before it reads |
//! | `raw-cgroup` | kills by `cgroup.kill`; only in `tree` |
//! | `herder-ct`, `herder-mt` | `herder::Command::spawn`, with a process group as `process-wrap` has |
//! | `herder-scope` | as `herder-ct`, with the strongest scope of this host around each child |
//! | `herder-mt-scope` | the same on a multi-thread runtime; in `drop` and `tree` only |
//! | `herder-ct-async`, `herder-mt-async` | `herder::Command::spawn_async` |
//! | `std`, `std-fork` | `std::process`; with a `pre_exec` closure that does nothing, for which it forks |
//! | `tokio-ct`, `tokio-mt` | `tokio::process` on a current-thread and on a multi-thread runtime |
//! | `async-process` | `async-process` on smol's executor |
//! | `duct`, `subprocess` | the crates, which block |
//! | `process-wrap-*`, `process-tools-*`, `processkit-*` | the crates around Tokio's command |
//! | `python`, `node`, `go` | `asyncio`, `child_process`, `os/exec`, where installed (`foreign/`) |
//!
//! # What each workload needs
//!
//! `spawn-wait-1g` and `spawn-wait-8g` touch so much memory; `spawn-wait-10kfd` and `alive` need a hard limit of some more than
//! 10,000 open files, and `alive` that many processes. `capture` takes 8 GiB, `syscalls` needs strace. Each workload runs in a process of its own, and in `alive`
//! each contender too.
#![deny(unsafe_code)]

mod alive;
mod args;
mod contenders;
mod dropped;
mod killer;
mod machine;
mod raw;
mod raw_call;
mod raw_touched;
mod report;
mod spec;
mod stats;
mod table;
mod tree;
mod worker;
mod workloads;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use args::{Action, HELP, Into};
use contenders::{Takes, Task};
use report::Report;
use spec::{Opt, Spec, Turn, program};
use table::Table;
use workloads::{Effort, Scale, WORKLOADS};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [first, rest @ ..] if first == worker::WORKER => work(rest),
        _ => args::parse(&arguments).map_err(io::Error::other).and_then(act),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "herder-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(action: Action) -> io::Result<()> {
    match action {
        Action::Help => help(),
        Action::Compare { workloads, effort, into } => compare(&workloads, &effort, &into),
        Action::Report { from, into } => Report::read(&from)?.write(&into),
        Action::Loop { contender, output, count } => {
            let mut contender = contenders::start(&contender)?;
            let turn = Turn::exact(count);
            let task = if output { Task::Output } else { Task::SpawnWait(Opt::Plain) };
            if contender.takes(task) != Takes::Yes {
                return Err(io::Error::other("this contender does not take part in this operation"));
            }
            if output {
                contender.output(&Spec::new(program::out()?, Opt::Plain), turn)?;
            } else {
                contender.spawn_wait(&Spec::new(program::exit(), Opt::Plain), turn)?;
            }
            Ok(())
        }
    }
}

fn help() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{HELP}\nWorkloads:")?;
    for (name, what) in WORKLOADS {
        writeln!(out, "  {name:17}{what}")?;
    }
    writeln!(out, "\nContenders: {}", contenders::NAMES.join(", "))
}

fn compare(workloads: &[&str], effort: &Effort, into: &Into) -> io::Result<()> {
    let mut report = Report::begin();
    writeln!(io::stdout(), "# Herder and its peers\n\n{}", report.facts())?;
    let mut failed = Vec::new();
    let begin = Instant::now();
    for (index, workload) in workloads.iter().enumerate() {
        let (minutes, count) = (begin.elapsed().as_secs_f64() / 60.0, workloads.len());
        writeln!(io::stderr(), "herder-bench: {minutes:.1} min, {} of {count}: {workload}", index + 1)?;
        match measure(workload, effort) {
            Ok(tables) => {
                for mut table in tables {
                    writeln!(io::stdout(), "{table}")?;
                    (*workload).clone_into(&mut table.workload);
                    report.tables.push(table);
                }
            }
            Err(error) => failed.push(format!("{workload}: {error}")),
        }
        // Whoever ends a long run keeps what it has found.
        report.keep(into)?;
    }
    report.ends(begin.elapsed());
    report.write(into)?;
    if failed.is_empty() { Ok(()) } else { Err(io::Error::other(failed.join("; "))) }
}

fn measure(workload: &str, effort: &Effort) -> io::Result<Vec<Table>> {
    if workload == "alive" {
        return workloads::alive::run(effort);
    }
    let scale = Scale::ALL.iter().find(|(_, scale)| *scale == effort.scale).map_or("full", |(name, _)| name);
    worker::ask(&["run", workload, scale, &effort.only.join(",")])
}

/// What a worker does; see [`worker`].
fn work(arguments: &[String]) -> io::Result<()> {
    worker::raise_file_limit()?;
    let number = |text: &str| text.parse().map_err(io::Error::other);
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", workload, scale, only] => {
            let only = only.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let scale =
                Scale::ALL.iter().find(|(name, _)| name == scale).map_or(Scale::Full, |(_, scale)| *scale);
            worker::answer(workloads::run(workload, &Effort { scale, only }))
        }
        ["write", total] => workloads::stream::write(number(total)?, false, b'\n'),
        ["write-endless", total] => workloads::stream::write(number(total)?, false, b'x'),
        ["write-both", total] => workloads::stream::write(number(total)?, true, b'\n'),
        ["read", total] => workloads::stream::read(number(total)?),
        ["tree", middle] => tree::grow(middle.parse().map_err(io::Error::other)?),
        ["cell", contender, children] => {
            let children = children.parse().map_err(io::Error::other)?;
            worker::answer(workloads::alive::cell(contender, children))
        }
        _ => Err(io::Error::other("a worker is started by the benchmark itself")),
    }
}

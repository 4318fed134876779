//! Other languages, each a program of its own that is asked for one turn after another, and measures itself.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::{Contender, Takes, Task};
use crate::spec::{Opt, Sample, Spec, Turn};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Node,
    Go,
}

pub(super) struct Foreign {
    program: Child,
    /// Taken at the end, which ends the program.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// What it says it is.
    name: String,
    /// Go runs a file.
    source: Option<PathBuf>,
}

impl Foreign {
    /// The error is `NotFound` where the language is not installed.
    #[expect(clippy::disallowed_methods, reason = "the start of the other language is not measured")]
    pub(super) fn start(language: Language) -> io::Result<Self> {
        let (mut command, mut source) = (Command::new("python3"), None);
        match language {
            Language::Python => _ = command.args(["-c", include_str!("../../foreign/asyncio.py")]),
            Language::Node => {
                command = Command::new("node");
                command.args(["-e", include_str!("../../foreign/node.js")]);
            }
            Language::Go => {
                let path = env::temp_dir().join(format!("herder-bench-{}.go", std::process::id()));
                fs::write(&path, include_str!("../../foreign/osexec.go"))?;
                command = Command::new("go");
                command.arg("run").arg(&path);
                source = Some(path);
            }
        }
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        if started.is_err() {
            remove(source.as_ref());
        }
        let mut program = started?;
        let requests = program.stdin.take();
        let stdout = program.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut foreign =
            Self { program, requests, answers: BufReader::new(stdout), name: String::new(), source };
        foreign.name = foreign.line()?.trim().to_owned();
        Ok(foreign)
    }

    /// The module and the version of the language.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the program ended"));
        }
        Ok(line)
    }

    /// Asks for an operation and returns its times in nanoseconds.
    fn ask(&mut self, operation: &str, spec: &Spec, numbers: [usize; 2]) -> io::Result<Vec<u64>> {
        let program = spec.program.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(requests, "{operation}\t{program}\t{}\t{}", numbers[0], numbers[1])?;
        let line = self.line()?;
        let Some(samples) = line.strip_prefix("ok") else {
            return Err(io::Error::other(line.trim().to_owned()));
        };
        samples.split_whitespace().map(|sample| sample.parse().map_err(io::Error::other)).collect()
    }

    fn turn(&mut self, operation: &str, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let (operations, budget) = turn.asked();
        // An hour at most: in each of the languages that fits into what it counts nanoseconds with.
        let budget = usize::try_from(budget.as_micros().min(3_600_000_000)).map_err(io::Error::other)?;
        for nanos in self.ask(operation, spec, [operations, budget])? {
            let total = Duration::from_nanos(nanos);
            turn.samples.push(Sample { call: total, total });
        }
        Ok(turn)
    }
}

fn remove(source: Option<&PathBuf>) {
    if let Some(path) = source {
        // In the temporary directory: one that stays hurts nobody.
        _ = fs::remove_file(path);
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.requests = None;
        // It ends with its input; its status tells nothing.
        _ = self.program.wait();
        remove(self.source.as_ref());
    }
}

/// The same for each language.
pub(super) fn takes(task: Task) -> Takes {
    match task {
        Task::SpawnWait(Opt::Plain) | Task::Output | Task::Inflight | Task::Wake { busy: false } => {
            Takes::Yes
        }
        _ => Takes::Aside,
    }
}

impl Contender for Foreign {
    fn takes(&self, task: Task) -> Takes {
        takes(task)
    }

    fn is_here(&self) -> bool {
        false
    }

    fn spawn_wait(&mut self, spec: &Spec, turn: Turn) -> io::Result<Turn> {
        self.turn("spawn-wait", spec, turn)
    }

    fn output(&mut self, spec: &Spec, turn: Turn) -> io::Result<Turn> {
        self.turn("output", spec, turn)
    }

    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        self.ask("inflight", spec, [total, width]).map(drop)
    }

    fn wake(&mut self, spec: &Spec, turn: Turn, _busy: bool) -> io::Result<Turn> {
        self.turn("wake", spec, turn)
    }
}

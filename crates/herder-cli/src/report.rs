//! The report as JSON. `v` changes when a field changes its meaning; new fields may come without.

use std::io;
use std::time::{Duration, SystemTime};

use herder::contain::{Force, Limit, LimitResult, Refusal, Strength};
use herder::error::{SpawnError, SpawnErrorKind};
use herder::output::{FileReport, OutputEnd, StreamReport};
use herder::report::Usage;
use herder::terminate::Step;
use herder::{Cause, Report, RunError, Signal};
use serde::Serialize;

use crate::exit_code::Exit;
use crate::platform;
use crate::ready::Seen;
use crate::scope::{self, Left};
use crate::tee::Written;

const VERSION: u32 = 1;

/// All of it. Every field is always there; what is not known, or does not apply, is null.
#[derive(Debug, Serialize)]
pub(crate) struct Json {
    v: u32,
    name: String,
    program: String,
    pid: Option<u32>,
    cause: &'static str,
    code: Option<i32>,
    signal: Option<i32>,
    signal_name: Option<&'static str>,
    core_dumped: bool,
    exit_code: u32,
    started: String,
    elapsed_ms: f64,
    drained_ms: f64,
    usage: Option<JsonUsage>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    tee: Option<OutputFile>,
    ready: Option<JsonReady>,
    attempts: Vec<Attempt>,
    scope: Option<Scope>,
    survivors: Vec<Survivor>,
    scope_empty: Option<bool>,
    limits: Vec<Share>,
    oom_kills: Option<u64>,
    error: Option<Failure>,
}

/// What held the program, and why it was nothing stronger.
#[derive(Debug, Serialize)]
pub(crate) struct Scope {
    strength: &'static str,
    refusals: Vec<Refused>,
}

#[derive(Debug, Serialize)]
struct Refused {
    strength: &'static str,
    reason: String,
}

/// A limit of the scope.
#[derive(Debug, Serialize)]
struct Share {
    limit: &'static str,
    /// Bytes, processes, or processors.
    value: f64,
    applied: bool,
    /// For whom it is in force: all together (`tree`) or `each_process`; null: not at all.
    reach: Option<&'static str>,
    /// Why it is not for all together.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Survivor {
    pid: u32,
    command: String,
}

#[derive(Debug, Serialize)]
struct JsonUsage {
    user_ms: f64,
    system_ms: f64,
    max_rss_bytes: u64,
    minor_faults: u64,
    major_faults: u64,
    blocks_in: u64,
    blocks_out: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
}

#[derive(Debug, Serialize)]
struct Stream {
    bytes: u64,
    dropped: u64,
    end: &'static str,
    error: Option<String>,
    spill: Option<OutputFile>,
    redactions: u64,
}

#[derive(Debug, Serialize)]
struct OutputFile {
    path: String,
    written: u64,
    rotations: u64,
    error: Option<String>,
}

/// The line that said that the program is ready.
#[derive(Debug, Serialize)]
struct JsonReady {
    after_ms: f64,
    stream: &'static str,
    line: String,
}

#[derive(Debug, Serialize)]
struct Attempt {
    step: String,
    after_ms: f64,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Failure {
    kind: &'static str,
    message: String,
}

/// What is known before there is anything to report.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) name: String,
    /// As typed.
    pub(crate) program: String,
    pub(crate) started: SystemTime,
}

/// What is known of the way that the output took.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Bytes of each stream that were not shown.
    pub(crate) omitted: [u64; 2],
    pub(crate) tee: Option<Written>,
    pub(crate) ready: Option<Seen>,
    /// What came of both streams, where we have read them ourselves.
    pub(crate) told: Option<[Told; 2]>,
}

/// What came of one stream that we have read ourselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) bytes: u64,
    pub(crate) redactions: u64,
    pub(crate) end: OutputEnd,
}

/// What a run tells about its scope that its report does not.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) refusals: Vec<Refusal>,
    /// Who was left at the end, by the account of the scope or by ours.
    pub(crate) left: Vec<Left>,
    /// Whether it is proved that nobody is left now.
    pub(crate) empty: Option<bool>,
}

impl Scope {
    fn new(strength: Strength, refusals: &[Refusal]) -> Self {
        let refused = |refusal: &Refusal| Refused {
            strength: scope::word(refusal.strength),
            reason: refusal.reason.clone(),
        };
        Self { strength: scope::word(strength), refusals: refusals.iter().map(refused).collect() }
    }
}

/// How far a limit is in force, as a word.
pub(crate) fn reach(force: &Force) -> Option<&'static str> {
    match force {
        Force::Tree => Some("tree"),
        Force::EachProcess(_) => Some("each_process"),
        _ => None,
    }
}

fn share((limit, force): &LimitResult) -> Share {
    #[expect(clippy::cast_precision_loss, reason = "JSON has no other numbers")]
    let (limit, value) = match *limit {
        Limit::Memory(bytes) => ("memory", bytes as f64),
        Limit::Processes(count) => ("pids", count as f64),
        Limit::Cpu(thousandths) => ("cpu", f64::from(thousandths) / 1000.0),
        _ => ("other", 0.0),
    };
    let reach = reach(force);
    Share { limit, value, applied: reach.is_some(), reach, reason: force.reason().map(str::to_owned) }
}

fn survivor(left: Left) -> Survivor {
    Survivor { pid: left.pid, command: left.command }
}

impl Json {
    fn new(subject: Subject, cause: &'static str, exit: Exit) -> Self {
        Self {
            v: VERSION,
            name: subject.name,
            program: subject.program,
            pid: None,
            cause,
            code: None,
            signal: None,
            signal_name: None,
            core_dumped: false,
            exit_code: exit.get(),
            started: rfc3339(subject.started),
            elapsed_ms: 0.0,
            drained_ms: 0.0,
            usage: None,
            stdout: None,
            stderr: None,
            tee: None,
            ready: None,
            attempts: Vec::new(),
            scope: None,
            survivors: Vec::new(),
            scope_empty: None,
            limits: Vec::new(),
            oom_kills: None,
            error: None,
        }
    }

    /// After a run.
    pub(crate) fn of_run(subject: Subject, report: &Report, flow: &Flow, held: Held, exit: Exit) -> Self {
        let status = report.status;
        Self {
            pid: Some(report.id()),
            code: status.code(),
            signal: platform::signal_of(status),
            signal_name: platform::signal_of(status).and_then(Signal::from_raw).and_then(Signal::name),
            core_dumped: platform::dumped_core(status),
            started: rfc3339(report.started()),
            elapsed_ms: millis(report.elapsed()),
            drained_ms: millis(report.drained()),
            usage: report.usage().map(usage),
            stdout: stream(report.stdout_report(), flow, 0),
            stderr: stream(report.stderr_report(), flow, 1),
            tee: flow.tee.as_ref().map(|tee| OutputFile { error: tee.error.clone(), ..file(&tee.report) }),
            ready: flow.ready.as_ref().map(ready),
            attempts: report.attempts().iter().map(attempt).collect(),
            scope: Some(Scope::new(report.strength(), &held.refusals)),
            survivors: held.left.into_iter().map(survivor).collect(),
            scope_empty: held.empty,
            limits: report.limits().iter().map(share).collect(),
            oom_kills: report.oom_kills(),
            ..Self::new(subject, cause(report.cause()), exit)
        }
    }

    /// After a program that could not be started.
    pub(crate) fn of_spawn_error(subject: Subject, error: &SpawnError, exit: Exit) -> Self {
        let failure = Failure { kind: kind(error.kind()), message: error.to_string() };
        Self { error: Some(failure), ..Self::new(subject, "not_started", exit) }
    }

    /// After a program whose end could not be learnt.
    pub(crate) fn of_run_error(subject: Subject, error: &RunError, exit: Exit) -> Self {
        let failure = Failure { kind: "wait", message: error.to_string() };
        Self { error: Some(failure), ..Self::new(subject, "unknown", exit) }
    }

    /// One line.
    pub(crate) fn line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Milliseconds with three places.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn usage(usage: &Usage) -> JsonUsage {
    JsonUsage {
        user_ms: millis(usage.user),
        system_ms: millis(usage.system),
        max_rss_bytes: usage.max_rss,
        minor_faults: usage.minor_faults,
        major_faults: usage.major_faults,
        blocks_in: usage.blocks_in,
        blocks_out: usage.blocks_out,
        voluntary_switches: usage.voluntary_switches,
        involuntary_switches: usage.involuntary_switches,
    }
}

fn stream(report: &StreamReport, flow: &Flow, index: usize) -> Option<Stream> {
    let told = match &flow.told {
        Some(told) => told[index].clone(),
        None => Told { bytes: report.total(), redactions: report.redactions(), end: report.end().clone() },
    };
    let (end, error) = match told.end {
        OutputEnd::NotCaptured => return None,
        OutputEnd::Eof => ("eof", None),
        OutputEnd::StillHeld => ("still_held", None),
        OutputEnd::NotTaken => ("not_taken", None),
        OutputEnd::Failed { message, .. } => ("failed", Some(message)),
        _ => ("other", None),
    };
    let spill = report.spill().map(file);
    let dropped = flow.omitted[index];
    Some(Stream { bytes: told.bytes, dropped, end, error, spill, redactions: told.redactions })
}

fn file(report: &FileReport) -> OutputFile {
    OutputFile {
        path: report.path().to_string_lossy().into_owned(),
        written: report.written(),
        rotations: report.rotations(),
        error: report.error_message().map(str::to_owned),
    }
}

fn ready(seen: &Seen) -> JsonReady {
    JsonReady { after_ms: millis(seen.after), stream: seen.stream, line: seen.line.clone() }
}

fn attempt(attempt: &herder::terminate::Attempt) -> Attempt {
    Attempt {
        step: match attempt.step() {
            Step::CloseStdin => "close_stdin".into(),
            Step::Signal(signal) => signal.to_string(),
            _ => "kill".into(),
        },
        after_ms: millis(attempt.after()),
        error: attempt.error_message().map(str::to_owned),
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Exited => "exited",
        Cause::Signaled => "signaled",
        Cause::TimedOut => "timed_out",
        Cause::Idle => "idle",
        Cause::Terminated => "terminated",
        Cause::Killed => "killed",
        Cause::OutOfMemory => "out_of_memory",
        _ => "other",
    }
}

fn kind(kind: SpawnErrorKind) -> &'static str {
    match kind {
        SpawnErrorKind::InvalidInput => "invalid_input",
        SpawnErrorKind::ArgumentsTooLong => "arguments_too_long",
        SpawnErrorKind::ProgramNotFound => "program_not_found",
        SpawnErrorKind::NotExecutable => "not_executable",
        SpawnErrorKind::InterpreterNotFound => "interpreter_not_found",
        SpawnErrorKind::CurrentDir => "current_dir",
        SpawnErrorKind::Setup => "setup",
        SpawnErrorKind::OutOfResources => "out_of_resources",
        SpawnErrorKind::Stalled => "stalled",
        SpawnErrorKind::Containment => "containment",
        SpawnErrorKind::Spill => "spill",
        SpawnErrorKind::Unsupported => "unsupported",
        _ => "other",
    }
}

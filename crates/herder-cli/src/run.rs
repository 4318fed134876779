//! `herder run`: one command, seen through.

use std::time::Instant;

use herder::contain::Force;
use herder::error::SpawnError;
use herder::output::{OutputEnd, StreamReport};
use herder::{Cause, Child, Report, RunError};
use tokio::io::AsyncWrite;

use crate::args::{LeakKind, Merge, RunArgs};
use crate::decorate::Decorator;
use crate::duration;
use crate::exit_code::Exit;
use crate::message::{Voice, say};
use crate::passthrough::Passthrough;
use crate::platform::{self, Signals};
use crate::ready::Ready;
use crate::relay::Relay;
use crate::report::{Flow, Held, Json};
use crate::resolve::{Output, Plan, Through, resolve};
use crate::scope;
use crate::signals::{Charge, attend};
use crate::stall::{self, Stall, Stream};
use crate::tee::{self, Tee, Written};

mod in_order;

/// Runs it, and gives how `herder` ends.
pub(crate) fn run(args: RunArgs) -> Exit {
    let plan = match resolve(args) {
        Ok(plan) => plan,
        Err(error) => {
            say(&error);
            return Exit::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("can't begin: {error}"));
            return Exit::FAILURE;
        }
    };
    let exit = runtime.block_on(see_through(plan));
    // A read of our input, or a write that nobody takes, may go on for ever.
    runtime.shutdown_background();
    exit
}

async fn see_through(mut plan: Plan) -> Exit {
    let mut signals = match Signals::listen(plan.shares_terminal) {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("can't listen to signals: {error}"));
            return Exit::FAILURE;
        }
    };
    if plan.scope.adopts() {
        // Before we adopt orphans: it becomes one.
        plan.scope.prepare();
        platform::adopt();
    }
    let begin = Instant::now();
    // There are no other tasks that it could hold up.
    let child = match plan.command.spawn() {
        Ok(child) => child,
        Err(error) => return not_started(plan, &error),
    };
    plan.scope.found(child.strength());
    let refusals = child.refusals().to_vec();
    for (limit, force) in child.limits() {
        match force {
            Force::Tree => {}
            Force::EachProcess(why) => {
                say(&format!("the limit of {limit} is for each process by itself: {why}"));
            }
            other => say(&format!("no limit of {limit}: {}", other.reason().unwrap_or_default())),
        }
    }
    let handle = child.handle();
    if plan.shares_terminal {
        signals.pass_early(&handle);
    }
    let stall = Stall::default();
    let charge = Charge {
        child: &handle,
        stop: &plan.stop,
        stall: &stall,
        shares_terminal: plan.shares_terminal,
        voice: plan.voice,
    };
    let relay = Relaying {
        output: std::mem::replace(&mut plan.output, Output::Inherited),
        name: &plan.subject.name,
        voice: plan.voice,
        begin,
    };
    let deadline = plan.timeout.and_then(|timeout| begin.checked_add(timeout));
    let result = tokio::select! {
        biased;
        result = join(child, relay, &stall) => result,
        never = attend(&mut signals, charge) => match never {},
        never = stall.watch(&handle, deadline) => match never {},
    };
    match result {
        Ok(run) => {
            let cause = run.report.cause();
            let left = scope::settle(&plan, &run.report, &mut signals).await;
            let mut exit = Exit::of_run(cause, run.report.status, plan.preserve_status);
            if matches!(cause, Cause::Signaled | Cause::Terminated) && platform::in_foreground() {
                exit = exit.at_terminal();
            }
            tell(&plan, &run);
            if !run.troubles.is_empty() || run.awaits_in_vain() || !run.is_in_file() {
                exit = exit.or_failure();
            }
            if plan.scope.leak == LeakKind::Fail && !left.is_empty() {
                exit = exit.or_failure();
            }
            let held = Held { refusals, left, empty: plan.scope.is_empty(&run.report) };
            let gone = run.troubles.iter().any(|trouble| trouble.stream == "stdout" && stall.has_given_up());
            let write = |subject| Json::of_run(subject, &run.report, &run.flow, held, exit);
            report(plan, exit, gone, write)
        }
        Err(error) => match error.as_spawn_error() {
            Some(error) => not_started(plan, error),
            None => {
                say(&error.to_string());
                report(plan, Exit::FAILURE, false, |subject| {
                    Json::of_run_error(subject, &error, Exit::FAILURE)
                })
            }
        },
    }
}

/// A run that is over.
struct Run {
    report: Report,
    flow: Flow,
    troubles: Vec<Trouble>,
    /// Whether a line was to say that it is ready.
    awaits: bool,
}

impl Run {
    /// Whether it ended before it was ready.
    fn awaits_in_vain(&self) -> bool {
        self.awaits && self.flow.ready.is_none()
    }

    /// Whether the file has everything that it should have.
    fn is_in_file(&self) -> bool {
        self.flow.tee.as_ref().is_none_or(|file| file.error.is_none())
    }
}

/// Output that did not get to where it should.
struct Trouble {
    stream: &'static str,
    message: String,
}

/// What is to be known to pass the output on.
struct Relaying<'a> {
    output: Output,
    name: &'a str,
    voice: Voice,
    begin: Instant,
}

/// Waits for the program and passes on what it writes.
async fn join(child: Child, mut relaying: Relaying<'_>, stall: &Stall) -> Result<Run, RunError> {
    let Relaying { name, voice, begin, .. } = relaying;
    let Output::Through(through) = std::mem::replace(&mut relaying.output, Output::Inherited) else {
        let report = child.wait_with_output().await?;
        return Ok(Run { report, flow: Flow::default(), troubles: Vec::new(), awaits: false });
    };
    if through.merge == Some(Merge::Exact) {
        return in_order::join(child, relaying, through, stall).await;
    }
    let Through { window, style, merge, tee, ready } = through;
    let merged = merge.is_some();
    let tee = tee.map(Tee::new);
    let ready = ready.map(|line| Ready::new(line, name, voice, begin));
    let alone = merged || !style.is_plain();
    let parts = |stream: Stream| {
        let decorator =
            (!style.is_plain()).then(|| Decorator::new(style, name, (!merged).then_some(stream.name())));
        let tee = tee.as_ref().map(|tee| tee.part(stream, alone));
        (decorator, tee, ready.as_ref().map(|ready| ready.watch(stream.name())))
    };
    let (decorator, part, watch) = parts(Stream::Stdout);
    let mut out = Relay::new(Passthrough::stdout(window, stall), decorator, part, watch);
    let (decorator, part, watch) = parts(Stream::Stderr);
    let mut err = Relay::new(Passthrough::stderr(window, stall), decorator, part, watch);
    let report = child.wait_with_tee(Some(&mut out), Some(&mut err)).await?;
    let mut troubles = Vec::new();
    let omitted = [
        finish(&mut out, report.stdout_report(), &report.stdout, &mut troubles, "stdout").await,
        finish(&mut err, report.stderr_report(), &report.stderr, &mut troubles, "stderr").await,
    ];
    let tee = close(tee.as_ref(), stall, &mut troubles).await;
    let flow = Flow { omitted, tee, ready: ready.as_ref().and_then(Ready::seen).cloned(), told: None };
    Ok(Run { report, flow, troubles, awaits: ready.is_some() })
}

/// Waits until the file has everything.
async fn close(tee: Option<&Tee>, stall: &Stall, troubles: &mut Vec<Trouble>) -> Option<Written> {
    // Who is to end has waited long enough.
    let patience = if stall.is_asked() { stall::PATIENCE } else { tee::PATIENCE };
    let written = tee?.finish(patience).await;
    if written.error.is_some() {
        // It is the file that took no more, and that is told.
        troubles.retain(|trouble| trouble.message != NOBODY_READS);
    }
    Some(written)
}

/// Shows what is left of a stream, and says how much of it was not shown.
async fn finish<W: AsyncWrite + Unpin>(
    relay: &mut Relay<'_, W>,
    report: &StreamReport,
    kept: &[u8],
    troubles: &mut Vec<Trouble>,
    stream: &'static str,
) -> u64 {
    relay.end();
    let omitted = relay.omitted(report.total(), kept.len());
    match trouble(report) {
        Some(message) => troubles.extend(message.map(|message| Trouble { stream, message })),
        None => {
            if let Err(error) = relay.finish(report.total(), kept).await {
                add(troubles, stream, &error);
            }
        }
    }
    omitted
}

const NOBODY_READS: &str = "nobody reads it";

/// Whether a stream failed, and what to say about it: nothing about a reader that has seen enough.
fn trouble(report: &StreamReport) -> Option<Option<String>> {
    match report.end() {
        OutputEnd::Failed { kind: std::io::ErrorKind::BrokenPipe, .. } => Some(None),
        OutputEnd::Failed { message, .. } => Some(Some(message.clone())),
        OutputEnd::NotTaken => Some(Some(NOBODY_READS.into())),
        _ => None,
    }
}

fn add(troubles: &mut Vec<Trouble>, stream: &'static str, error: &std::io::Error) {
    if error.kind() != std::io::ErrorKind::BrokenPipe {
        troubles.push(Trouble { stream, message: error.to_string() });
    }
}

/// Says what is good to know about a run, and what is bad.
fn tell(plan: &Plan, run: &Run) {
    let Run { report, troubles, .. } = run;
    let name = &plan.subject.name;
    for Trouble { stream, message } in troubles {
        say(&format!("can't pass on the {stream} of {name}: {message}"));
    }
    let told = run.flow.told.as_ref();
    let reports = [("stdout", report.stdout_report()), ("stderr", report.stderr_report())];
    for (index, (stream, output)) in reports.into_iter().enumerate() {
        if let Some((spill, error)) = output.spill().and_then(|spill| Some((spill, spill.error_message()?))) {
            let path = spill.path().display();
            say(&format!("{path} is not complete: {error} after {} bytes", spill.written()));
        }
        if *told.map_or_else(|| output.end(), |told| &told[index].end) == OutputEnd::StillHeld {
            plan.voice.inform(&format!(
                "something that {name} started still holds its {stream}; not waiting for it"
            ));
        }
    }
    if let Some(tee) = &run.flow.tee {
        tell_of_file(tee);
    }
    if run.awaits_in_vain() {
        say(&format!("{name} ended before it was ready"));
    }
    if let Some(error) = report.stdin_error() {
        say(&format!("the input of {name} ended early: {error}"));
    }
    let limit = match report.cause() {
        Cause::TimedOut => plan.timeout.map(|limit| format!("did not end within {}", duration::show(limit))),
        Cause::OutOfMemory => {
            // Nobody else would tell, and a shell says "Killed".
            say(&format!(
                "{name} was killed by the kernel: its limit of memory, or of a cgroup above, was reached"
            ));
            None
        }
        Cause::Idle => plan.idle.map(|limit| format!("wrote nothing for {}", duration::show(limit))),
        _ => None,
    };
    if let Some(limit) = limit {
        plan.voice.inform(&format!("{name} {limit}; stopped it ({})", steps(report)));
    }
}

/// Says what did not go well with the file of the output.
fn tell_of_file(Written { report, error }: &Written) {
    let path = report.path().display();
    if let Some(error) = error {
        say(&format!("{path} is not complete: {error} after {} bytes", report.written()));
    }
    if let Some(error) = report.rotation_error_message() {
        say(&format!("{path} could not be rotated and has grown on: {error}"));
    }
}

/// `SIGTERM, kill`.
fn steps(report: &Report) -> String {
    let steps: Vec<_> = report.attempts().iter().map(|attempt| attempt.step().to_string()).collect();
    steps.join(", ")
}

fn not_started(plan: Plan, error: &SpawnError) -> Exit {
    let exit = Exit::of_spawn_error(error.kind());
    say(&error.to_string());
    report(plan, exit, false, |subject| Json::of_spawn_error(subject, error, exit))
}

/// Writes the report, if one is wanted.
fn report(
    plan: Plan,
    exit: Exit,
    stdout_gone: bool,
    json: impl FnOnce(crate::report::Subject) -> Json,
) -> Exit {
    let Some(mut sink) = plan.sink else { return exit };
    if sink.is_stdout && stdout_gone {
        return exit;
    }
    let line = json(plan.subject).line().map_err(|error| error.to_string());
    match line.and_then(|line| sink.write(&line)) {
        Ok(()) => exit,
        Err(error) => {
            say(&error);
            exit.or_failure()
        }
    }
}

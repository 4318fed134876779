//! `herder run`: one command, seen through.

use std::time::Instant;

use herder::contain::Force;
use herder::error::SpawnError;
use herder::output::{OutputEnd, StreamReport};
use herder::{Cause, Child, Report, RunError};

use crate::args::{LeakKind, RunArgs};
use crate::duration;
use crate::exit_code::Exit;
use crate::leftovers;
use crate::message::say;
use crate::passthrough::Passthrough;
use crate::report::{Held, Json};
use crate::resolve::{Output, Plan, resolve};
use crate::scope;
use crate::signals::{Charge, Signals};
use crate::stall::Stall;
use crate::terminal;

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
        leftovers::spare_present();
        leftovers::adopt();
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
    if plan.shares_terminal
        && let Some(signal) = signals.typed_early()
    {
        // One too many does no harm to a program that has hardly begun, one too few is lost. One that has ended
        // needs none.
        drop(handle.signal_child(signal));
    }
    let stall = Stall::default();
    let charge = Charge {
        child: &handle,
        stop: &plan.stop,
        stall: &stall,
        shares_terminal: plan.shares_terminal,
        adopts: plan.scope.adopts(),
        voice: plan.voice,
    };
    let deadline = plan.timeout.and_then(|timeout| begin.checked_add(timeout));
    let result = tokio::select! {
        biased;
        result = join(child, plan.output, &stall) => result,
        never = signals.attend(charge) => match never {},
        never = stall.watch(&handle, deadline) => match never {},
    };
    match result {
        Ok(run) => {
            let cause = run.report.cause();
            let left = scope::settle(&plan, &run.report, &mut signals).await;
            let mut exit = Exit::of_run(cause, run.report.status, plan.preserve_status);
            if matches!(cause, Cause::Signaled | Cause::Terminated) && terminal::in_foreground() {
                exit = exit.at_terminal();
            }
            tell(&plan, &run);
            if !run.troubles.is_empty() {
                exit = exit.or_failure();
            }
            if plan.scope.leak == LeakKind::Fail && !left.is_empty() {
                exit = exit.or_failure();
            }
            let held = Held { refusals, left };
            let gone = run.troubles.iter().any(|trouble| trouble.stream == "stdout" && stall.has_given_up());
            let write = |subject| Json::of_run(subject, &run.report, run.omitted, held, exit);
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
    /// Bytes of each stream that were not shown.
    omitted: [u64; 2],
    troubles: Vec<Trouble>,
}

/// Output that did not get to where it should.
struct Trouble {
    stream: &'static str,
    message: String,
}

/// Waits for the program and passes on what it writes.
async fn join(child: Child, output: Output, stall: &Stall) -> Result<Run, RunError> {
    let Output::Through(window) = output else {
        let report = child.wait_with_output().await?;
        return Ok(Run { report, omitted: [0; 2], troubles: Vec::new() });
    };
    let mut out = Passthrough::stdout(window, stall);
    let mut err = Passthrough::stderr(window, stall);
    let report = child.wait_with_tee(Some(&mut out), Some(&mut err)).await?;
    let (out_report, err_report) = (report.stdout_report(), report.stderr_report());
    let omitted = [
        out.omitted(out_report.total(), report.stdout.len()),
        err.omitted(err_report.total(), report.stderr.len()),
    ];
    let mut troubles = Vec::new();
    let failed = [trouble(out_report), trouble(err_report)];
    if failed[0].is_none()
        && let Err(error) = out.finish(out_report.total(), &report.stdout).await
    {
        add(&mut troubles, "stdout", &error);
    }
    if failed[1].is_none()
        && let Err(error) = err.finish(err_report.total(), &report.stderr).await
    {
        add(&mut troubles, "stderr", &error);
    }
    for (stream, failed) in ["stdout", "stderr"].into_iter().zip(failed) {
        troubles.extend(failed.flatten().map(|message| Trouble { stream, message }));
    }
    Ok(Run { report, omitted, troubles })
}

/// Whether a stream failed, and what to say about it: nothing about a reader that has seen enough.
fn trouble(report: &StreamReport) -> Option<Option<String>> {
    match report.end() {
        OutputEnd::Failed { kind: std::io::ErrorKind::BrokenPipe, .. } => Some(None),
        OutputEnd::Failed { message, .. } => Some(Some(message.clone())),
        OutputEnd::NotTaken => Some(Some("nobody reads it".into())),
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
    for (stream, output) in [("stdout", report.stdout_report()), ("stderr", report.stderr_report())] {
        if let Some((spill, error)) = output.spill().and_then(|spill| Some((spill, spill.error_message()?))) {
            let path = spill.path().display();
            say(&format!("{path} is not complete: {error} after {} bytes", spill.written()));
        }
        if *output.end() == OutputEnd::StillHeld {
            plan.voice.inform(&format!(
                "something that {name} started still holds its {stream}; not waiting for it"
            ));
        }
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

//! The join: exit, then the end of output or the drain limit, then the report.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::io::AsyncWrite;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::child::{Asked, Child, Feeding, Record, Shared};
use crate::command::{Command, Defaults, setup_error};
use crate::error::{SpawnError, SpawnErrorKind};
use crate::output::{Capture, OutputEnd, Spill, StreamReport};
use crate::report::{Cause, Details, Report, RunError};
use crate::terminate::{Termination, drive};

mod clock;
mod drain;
mod leftovers;

use clock::{Clock, Limit};
use drain::{Activity, Drain};

/// A writer that gets the bytes of a stream as they come.
pub type Tee<'a> = &'a mut (dyn AsyncWrite + Send + Unpin);

impl Command {
    /// Runs the program to its end with standard streams inherited, and gives its status.
    ///
    /// It is started when the future is polled first; the future does not borrow the command.
    ///
    /// Streams that are piped are read, within the bounds of [`capture`](Self::capture), and forgotten.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it can't be started or its end not be learnt.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the child is ended.
    pub fn status(&self) -> impl Future<Output = Result<ExitStatus, RunError>> + Send + use<> {
        let run = self.run();
        async { Ok(run.await?.status) }
    }

    /// Runs the program to its end and captures its output, within the bounds of [`capture`](Self::capture).
    ///
    /// Streams that the command does not set: standard input is null, output and error are captured. It is over when
    /// the child has exited and its output has ended; a descendant that keeps a stream open is not waited for longer
    /// than [`drain_grace`](Self::drain_grace), and the report says so.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it can't be started or its end not be learnt. An exit code other than 0 is no error.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the child is ended, and what was read is lost. [`timeout`](Self::timeout) keeps it.
    pub fn output(&self) -> impl Future<Output = Result<Report, RunError>> + Send + use<> {
        let command = self.clone();
        // In a box: it is large, and a caller's future that has it in itself would be moved about with it.
        Box::pin(async move { command.see_through(Defaults::Capture).await })
    }

    /// Runs the program to its end, with streams as the command sets them and inherited where it does not; captures
    /// those that are piped.
    ///
    /// # Errors
    ///
    /// As [`output`](Self::output).
    ///
    /// # Cancel safety
    ///
    /// As [`output`](Self::output).
    pub fn run(&self) -> impl Future<Output = Result<Report, RunError>> + Send + use<> {
        let command = self.clone();
        // In a box: it is large, and a caller's future that has it in itself would be moved about with it.
        Box::pin(async move { command.see_through(Defaults::Inherit).await })
    }

    /// Runs the program, requires that it succeeds, and gives its output as text, without line ends at its end.
    ///
    /// # Errors
    ///
    /// [`RunError`] if it can't be started, does not end by itself with code 0, or if its output was cut, not read or
    /// not UTF-8. The error has the report. What a descendant would write after the exit of the program is not
    /// waited for, and no error.
    ///
    /// # Cancel safety
    ///
    /// As [`output`](Self::output).
    pub fn read(&self) -> impl Future<Output = Result<String, RunError>> + Send + use<> {
        let output = self.output();
        async { text_of(output.await?.checked()?) }
    }

    async fn see_through(&self, defaults: Defaults) -> Result<Report, RunError> {
        need_runtime(&self.display_name())?;
        // Made before the child: an existing file, or a full disk, should cost nothing.
        let spills = Spills::create(&self.capture, &self.display_name())?;
        let files = spills.paths();
        let failed = match self.begin(defaults).await {
            Ok(child) => match join(child, spills, [None, None]).await? {
                Ok(report) => return Ok(report),
                Err(failure) => setup_error(self, failure),
            },
            Err(error) => error,
        };
        // Ours, new and empty: nothing ran.
        for file in files {
            drop(std::fs::remove_file(file));
        }
        Err(failed.into())
    }
}

impl Child {
    /// Waits until the child has exited and its output has ended, and gives the report: what
    /// [`Command::output`](crate::Command::output) does, with the limits of the command it was started from.
    ///
    /// Standard input is closed first, if it is still here. Streams that were taken are not read.
    ///
    /// # Errors
    ///
    /// [`RunError`] if its end can't be learnt, or a file for the whole output not be made.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, the child is ended.
    pub async fn wait_with_output(self) -> Result<Report, RunError> {
        self.wait_with_tee(None, None).await
    }

    /// As [`wait_with_output`](Self::wait_with_output), and passes the bytes of its streams on as they come.
    ///
    /// A writer that is slow holds the child back. One that fails ends the reading of that stream, so that the child
    /// gets `EPIPE` as it would without us in between; the report says so.
    ///
    /// # Errors
    ///
    /// As [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Cancel safety
    ///
    /// As [`wait_with_output`](Self::wait_with_output).
    pub async fn wait_with_tee<'a>(
        self,
        stdout: Option<Tee<'a>>,
        stderr: Option<Tee<'a>>,
    ) -> Result<Report, RunError> {
        need_runtime(self.name())?;
        let spills = Spills::create(&self.settings.capture, self.name())?;
        match join(self, spills, [stdout, stderr]).await? {
            Ok(report) => Ok(report),
            // A child that was handed out has been seen to run.
            Err(failure) => Err(SpawnError::new("", SpawnErrorKind::Other, "", failure.io()).into()),
        }
    }
}

/// The whole output as text.
fn text_of(mut report: Report) -> Result<String, RunError> {
    let stdout = report.stdout_report();
    if stdout.is_truncated() || matches!(stdout.end(), OutputEnd::Failed { .. }) {
        return Err(RunError::truncated(report));
    }
    match String::from_utf8(std::mem::take(&mut report.stdout)) {
        Ok(mut text) => {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
            Ok(text)
        }
        Err(error) => {
            report.stdout = error.into_bytes();
            Err(RunError::not_text(report))
        }
    }
}

/// The join has timers, and Tokio panics on those that have no runtime, or one without its time driver.
fn need_runtime(name: &str) -> Result<(), SpawnError> {
    let (detail, source) = if let Err(error) = Handle::try_current() {
        ("to see a program through needs a Tokio runtime; enter one first", std::io::Error::other(error))
    } else if std::panic::catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_err() {
        // Tokio has no way to ask.
        let detail =
            "to see a program through needs the timers of the Tokio runtime; build it with enable_all";
        (detail, std::io::ErrorKind::Unsupported.into())
    } else {
        return Ok(());
    };
    Err(SpawnError::new(name, SpawnErrorKind::NoRuntime, detail, source))
}

/// Files for the whole output of a child.
struct Spills([Option<Spill>; 2]);

impl Spills {
    fn create(capture: &Capture, name: &str) -> Result<Self, SpawnError> {
        let create = |stream| {
            let Some(path) = capture.spill_path(stream) else { return Ok(None) };
            Spill::create(path.clone()).map(Some).map_err(|error| {
                let detail = format!("the file {} for its {stream} can't be made: {error}", path.display());
                SpawnError::new(name, SpawnErrorKind::Spill, detail, error)
            })
        };
        Ok(Self([create("stdout")?, create("stderr")?]))
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().flatten().map(|spill| spill.report().path().to_owned()).collect()
    }
}

type Joined = Result<Report, herder_sys::LaunchError>;

/// How long a child that exits soon is looked at before its pipes are: most outputs are small, and can be read whole
/// after the exit, without waiting for them in the reactor.
const EXIT_FIRST: Duration = Duration::from_millis(2);

async fn join(mut child: Child, spills: Spills, tees: [Option<Tee<'_>>; 2]) -> Result<Joined, RunError> {
    drop(child.stdin.take());
    let settings = child.settings.clone();
    let shared = std::sync::Arc::clone(&child.shared);
    // Cancelled, the child's drop deals with its scope.
    shared.record().joined = true;
    let Spills([out_spill, err_spill]) = spills;
    let [out_tee, err_tee] = tees;
    let activity = Activity::default();
    let mut out = Drain::new(child.stdout.take().map(Into::into), &settings.capture, out_spill, out_tee);
    let mut err = Drain::new(child.stderr.take().map(Into::into), &settings.capture, err_spill, err_tee);
    let clock = Clock::new(child.started.instant, settings.timeout, settings.idle_timeout);
    let mut stdin_error = None;

    let pipes = out.is_piped() || err.is_piped();
    let feeds = !matches!(child.feed, Feeding::Nobody);
    let (cause, exited_at) = {
        let drains = async {
            tokio::join!(out.run(&activity), err.run(&activity));
        };
        let feed = feed(&mut child.feed, &mut stdin_error);
        let work = std::pin::pin!(async {
            tokio::join!(drains, feed);
        });
        let mut work = Work { future: work, done: !pipes && !feeds, pays_to_wait: pipes && !feeds };
        let limit = until_exit(&shared, &settings.termination, &clock, &activity, &mut work).await?;
        let exited_at = Instant::now();
        activity.after_exit();
        // A run that is limited is so with a writer that takes no bytes.
        let long = settings.drain_grace.saturating_mul(10);
        let patience = if limit.is_some() { exited_at.checked_add(long) } else { clock.wall() };
        drain_rest(settings.drain_grace, patience, &activity, &mut work).await;
        (limit, exited_at)
    };

    let left = leftovers::end(&shared, &settings, cause.is_some()).await;
    shared.record().joined = false;
    let exit = shared.wait().await?;
    if let Some(Err(failure)) = child.launch.as_ref().and_then(herder_sys::Launch::outcome) {
        return Ok(Err(failure));
    }
    let drained = exited_at.elapsed();
    let (stdout, stdout_report) = out.finish(settings.drain_grace).await;
    let (stderr, stderr_report) = err.finish(settings.drain_grace).await;
    let mut record = shared.record();
    let details = Details {
        name: std::sync::Arc::clone(&shared.name),
        pid: shared.process.pid().unsigned_abs(),
        cause: cause_of(cause, &record, exit.status),
        stdout: stdout_report,
        stderr: stderr_report,
        stdin_error,
        attempts: std::mem::take(&mut record.attempts),
        usage: exit.usage,
        started: child.started.at,
        elapsed: exited_at.saturating_duration_since(child.started.instant),
        drained,
        leak: settings.leak,
        strength: shared.reach.strength,
        limits: shared.reach.limits.clone(),
        left,
    };
    drop(record);
    tracing::debug!(name = &*details.name, pid = details.pid, cause = %details.cause, "ended");
    Ok(Ok(Report { status: exit.status, stdout, stderr, details: Box::new(details) }))
}

fn cause_of(limit: Option<Limit>, record: &Record, status: ExitStatus) -> Cause {
    match (limit, record.asked) {
        (Some(Limit::Wall), _) => Cause::TimedOut,
        (Some(Limit::Idle), _) => Cause::Idle,
        (None, Asked::Terminate) => Cause::Terminated,
        // A code says that the kill came too late.
        (None, Asked::Kill) if herder_sys::was_ended(status) => Cause::Killed,
        (None, Asked::Kill) if !record.attempts.is_empty() => Cause::Terminated,
        (None, Asked::Nothing) if herder_sys::was_ended(status) => Cause::Signaled,
        (None, _) => Cause::Exited,
    }
}

async fn feed(feeding: &mut Feeding, error: &mut Option<(std::io::ErrorKind, String)>) {
    let result = match std::mem::replace(feeding, Feeding::Nobody) {
        Feeding::Nobody => Ok(()),
        Feeding::Waiting(feed) => feed.run().await,
        Feeding::Task(mut task) => {
            // Left where a cancelled join still aborts it.
            let result = (&mut task).await;
            result.unwrap_or(Ok(()))
        }
    };
    *error = result.err().map(|error| (error.kind(), error.to_string()));
}

/// Feeding and reading, as one future that is driven in two phases: before the exit and after it.
struct Work<'a, F> {
    future: Pin<&'a mut F>,
    done: bool,
    /// Whether there are pipes to read, and nothing to feed that the child may wait for.
    pays_to_wait: bool,
}

impl<F: Future<Output = ()>> Work<'_, F> {
    /// Goes on with it; may be cancelled and called again until it is done.
    async fn advance(&mut self) {
        self.future.as_mut().await;
        self.done = true;
    }
}

/// Works until the child has exited; ends it when a limit is reached. Gives that limit.
async fn until_exit(
    shared: &Shared,
    policy: &Termination,
    clock: &Clock,
    activity: &Activity,
    work: &mut Work<'_, impl Future<Output = ()>>,
) -> Result<Option<Limit>, RunError> {
    let mut exited = std::pin::pin!(shared.exited());
    let (mut limit, mut gone) = (None, false);
    let hurry = Notify::new();
    let mut ladder = std::pin::pin!(drive(
        policy,
        std::future::pending(),
        &hurry,
        |step| shared.take(step),
        |attempt| shared.attempt(attempt)
    ));
    if work.pays_to_wait {
        tokio::select! {
            biased;
            exit = &mut exited => return exit.map(|()| None).map_err(Into::into),
            () = tokio::time::sleep(EXIT_FIRST.min(clock.shortest())) => {}
        }
    }
    loop {
        let deadline = clock.next(activity.last());
        tokio::select! {
            biased;
            exit = &mut exited, if !gone => {
                exit?;
                if limit.is_none() && !shared.is_walked() {
                    return Ok(None);
                }
                gone = true;
            }
            // It is being ended, and that is over when nobody is left.
            () = shared.reach.hold.emptied(|| shared.record().killed), if gone => return Ok(limit),
            () = shared.walks_over(), if gone && limit.is_none() => return Ok(None),
            () = work.advance(), if !work.done => {}
            () = &mut ladder, if limit.is_some() => {}
            () = sleep_until(deadline), if limit.is_none() && deadline.is_some() => {
                limit = clock.reached(activity.last(), Instant::now());
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// After the exit: reads on until the streams end, or nothing came for the grace period, or a descendant has kept
/// them busy for too long. A writer that takes no bytes is waited for until `patience` ends; one that is only slow, to
/// the end of what the child left behind.
async fn drain_rest(
    grace: Duration,
    patience: Option<Instant>,
    activity: &Activity,
    work: &mut Work<'_, impl Future<Output = ()>>,
) {
    let exited = Instant::now();
    let long_for = grace.saturating_mul(10);
    while !work.done {
        let since = if activity.is_delivering() { Some(Instant::now()) } else { activity.last() };
        // A moment at least: without any grace, a writer that takes its time would make this a busy loop.
        let pause = if activity.is_delivering() { grace.max(MOMENT) } else { grace };
        let wake = since.map_or(exited, |since| since.max(exited)).checked_add(pause);
        tokio::select! {
            biased;
            () = work.advance() => return,
            () = sleep_until(wake) => {}
        }
        let now = Instant::now();
        let quiet = activity.last().is_none_or(|last| now.saturating_duration_since(last) >= grace);
        let long = now.saturating_duration_since(exited) >= long_for;
        // A reader behind a tee may be slow: what the child left behind is not given up for that.
        let delivering = activity.is_delivering() && !activity.is_past_exit();
        let moves = activity.last().is_some_and(|last| now.saturating_duration_since(last) < long_for);
        let patient = moves || patience.is_none_or(|end| now < end);
        if (quiet || long) && !(delivering && patient) {
            return;
        }
    }
}

/// How often a writer that takes no bytes is looked at.
const MOMENT: Duration = Duration::from_millis(10);

/// The report on a stream that was not piped.
fn not_captured() -> (Vec<u8>, StreamReport) {
    (Vec::new(), StreamReport::not_captured())
}

//! The join: exit, then the end of output or the drain limit, then the report.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use herder_sys::Exit;
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;

use crate::child::{Asked, Child, Feeding, Record};
use crate::command::{Command, Defaults, setup_error};
use crate::error::{SpawnError, SpawnErrorKind};
use crate::output::{Capture, OutputEnd, Spill, StreamReport};
use crate::report::{Cause, Details, Report, RunError};
use crate::terminate::OnDrop;

mod clock;
mod drain;
mod leftovers;
mod phases;

use clock::{Clock, Limit};
use drain::{Activity, Drain};
use phases::{Work, drain_rest, until_exit};

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
        let spills = Spills::create(&self.capture, &self.display_name(), [true; 2])?;
        let files = spills.paths();
        let failed = match self.begin(defaults).await {
            Ok(mut child) => {
                child.settings.on_drop = self.on_drop.clone();
                match join(child, spills, [None, None]).await? {
                    Ok(report) => return Ok(report),
                    Err(failure) => setup_error(self, failure),
                }
            }
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
    /// Standard input is closed first, if it is still here. Streams that were taken are not read. Of those that were
    /// [shared](crate::ChildStdout::share) the end is waited for, and the report has what
    /// [`ShareOptions::capture`](crate::output::ShareOptions::capture) asked for; a subscriber that blocks the stream
    /// after the exit is waited for as long as a descendant that holds it.
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
        // Those that are shared have theirs.
        let shared = self.outlets.as_ref().map(|outlets| outlets.get()).unwrap_or_default();
        let wanted = shared.each_ref().map(Option::is_none);
        let spills = Spills::create(&self.settings.capture, self.name(), wanted)?;
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
    fn create(capture: &Capture, name: &str, wanted: [bool; 2]) -> Result<Self, SpawnError> {
        let create = |stream, wanted: bool| {
            let path = capture.spill_path(stream).filter(|_| wanted);
            let Some(path) = path else { return Ok(None) };
            Spill::create(path.clone()).map(Some).map_err(|error| {
                let detail = format!("the file {} for its {stream} can't be made: {error}", path.display());
                SpawnError::new(name, SpawnErrorKind::Spill, detail, error)
            })
        };
        Ok(Self([create("stdout", wanted[0])?, create("stderr", wanted[1])?]))
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.0.iter().flatten().map(|spill| spill.report().path().to_owned()).collect()
    }
}

type Joined = Result<Report, herder_sys::LaunchError>;

async fn join(mut child: Child, spills: Spills, tees: [Option<Tee<'_>>; 2]) -> Result<Joined, RunError> {
    drop(child.stdin.take());
    if child.settings.on_drop == OnDrop::Panic {
        // It is waited for: to cancel that is no mistake.
        child.settings.on_drop = OnDrop::Kill;
    }
    let settings = child.settings.clone();
    let shared = std::sync::Arc::clone(&child.shared);
    // Cancelled, the child's drop deals with its scope.
    shared.record().joined = true;
    let Spills([out_spill, err_spill]) = spills;
    let [out_tee, err_tee] = tees;
    let [out_shared, err_shared] = child.outlets.as_ref().map(|outlets| outlets.get()).unwrap_or_default();
    let activity = Activity::new([out_shared.clone(), err_shared.clone()].into_iter().flatten());
    let (out, err) = (child.stdout.take().map(Into::into), child.stderr.take().map(Into::into));
    let mut out = Drain::new(out, out_shared, &settings, out_spill, out_tee);
    let mut err = Drain::new(err, err_shared, &settings, err_spill, err_tee);
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

    // Before what is left is killed: that would not count, but its cgroup may be gone soon after.
    let oom_kills = leftovers::oom_kills(&shared);
    let mut left = leftovers::end(&shared, &settings, cause.is_some()).await;
    shared.record().joined = false;
    if cause.is_some() && settings.on_drop != OnDrop::Detach {
        // What lives on does so when the child has ended by itself.
        child.process.set_keep_survivors(false);
    }
    let exit = shared.wait().await?;
    left.empty = left.empty.or(leftovers::group_is_empty(&shared, &settings, cause.is_some()).await);
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
        cause: cause_of(cause, &record, &exit, oom_kills),
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
        oom_kills,
    };
    drop(record);
    tracing::debug!(name = &*details.name, pid = details.pid, cause = %details.cause, "ended");
    Ok(Ok(Report { status: exit.status, stdout, stderr, details: Box::new(details) }))
}

fn cause_of(limit: Option<Limit>, record: &Record, exit: &Exit, oom_kills: Option<u64>) -> Cause {
    let status = exit.status;
    match (limit, record.asked) {
        (Some(Limit::Wall), _) => Cause::TimedOut,
        (Some(Limit::Idle), _) => Cause::Idle,
        (None, Asked::Terminate) => Cause::Terminated,
        // A code says that the kill came too late.
        (None, Asked::Kill) if herder_sys::was_ended(status) => Cause::Killed,
        (None, Asked::Kill) if !record.attempts.is_empty() => Cause::Terminated,
        (None, Asked::Nothing) if exit.is_killed() && oom_kills > Some(0) => Cause::OutOfMemory,
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

/// The report on a stream that was not piped.
fn not_captured() -> (Vec<u8>, StreamReport) {
    (Vec::new(), StreamReport::not_captured())
}

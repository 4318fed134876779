//! Herder, at its defaults.

use std::time::Duration;

use ::herder::{Cause, Child, Command, Report, RunError, Signal, Stdio, Termination};

use crate::adapter::{Feed, GRACE, Job, Library};
use crate::protocol::{Bytes, Captured, Ended, Refusal, Said, Trouble};

pub(super) const USED: &str = "`Command` at its defaults, a short `Termination`";

pub(super) struct Herder;

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(&job.args).envs(job.envs.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &job.folder {
        command.current_dir(folder);
    }
    command.termination(brisk());
    command
}

fn brisk() -> Termination {
    Termination::new().signal(Signal::TERM, GRACE)
}

fn captured(report: &Report) -> Captured {
    let ended = Some(Ended::from(report.status));
    let (stdout, stderr) = (report.stdout_report(), report.stderr_report());
    Captured {
        ended,
        timed_out: report.cause() == Cause::TimedOut,
        stdout: Bytes::of(&report.stdout).dropping(stdout.dropped()),
        stderr: Bytes::of(&report.stderr).dropping(stderr.dropped()),
        told_cut: stdout.is_truncated() || stderr.is_truncated() || !report.survivors().is_empty(),
    }
}

fn refused(error: &RunError) -> Refusal {
    Refusal::Trouble(Box::new(Trouble::with_kind(error, Some(error.io_kind()))))
}

impl Library for Herder {
    type Child = Child;

    async fn spawn(job: &Job) -> Said<Child> {
        let mut command = command(job);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    async fn wait(child: &mut Child) -> Said<Ended> {
        Ok(child.wait().await?.into())
    }

    fn try_wait(child: &mut Child) -> Said<Option<Ended>> {
        Ok(child.try_wait()?.map(Ended::from))
    }

    async fn kill(child: &mut Child) -> Said<()> {
        Ok(child.kill().await?)
    }

    async fn terminate(child: &mut Child) -> Said<Ended> {
        Ok(child.terminate(&brisk()).await?.into())
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let mut command = command(job);
        match &job.feed {
            Feed::Unset => {}
            Feed::Null => _ = command.stdin(Stdio::null()),
            Feed::Bytes(bytes) => _ = command.stdin(Stdio::bytes(bytes.clone())),
        }
        if let Some(limit) = limit {
            command.timeout(limit);
        }
        Ok(captured(&command.output().await.map_err(|error| refused(&error))?))
    }

    async fn checked(job: &Job) -> Said<()> {
        command(job).read().await.map_err(|error| refused(&error))?;
        Ok(())
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }

    async fn kill_while_waiting(mut child: Child, go: impl Future<Output = ()> + Send) -> Said<Ended> {
        let handle = child.handle();
        let waiter = tokio::spawn(async move { child.wait().await });
        go.await;
        handle.kill().await?;
        Ok(waiter.await??.into())
    }
}

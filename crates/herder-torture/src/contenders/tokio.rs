//! `tokio::process`, with `kill_on_drop`.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use ::tokio::io::AsyncWriteExt;
use ::tokio::process::{Child, Command};

use crate::adapter::{Feed, Job, Library, not_offered};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str = "`Command` with `kill_on_drop`; a limit is `tokio::time::timeout` around it";

pub(super) struct Tokio;

pub(super) fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(&job.args).envs(job.envs.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &job.folder {
        command.current_dir(folder);
    }
    command.kill_on_drop(true);
    command
}

/// Runs it, and writes its input beside reading its output, as the documentation of `Child::stdin` shows.
pub(super) async fn output(mut command: Command, job: &Job) -> io::Result<Output> {
    let Feed::Bytes(bytes) = &job.feed else {
        if job.reads_null() {
            command.stdin(Stdio::null());
        }
        return command.output().await;
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take();
    let feed = async move {
        // The child may have enough before the end.
        if let Some(stdin) = &mut stdin {
            drop(stdin.write_all(bytes).await);
        }
    };
    let (output, ()) = ::tokio::join!(child.wait_with_output(), feed);
    output
}

impl Library for Tokio {
    type Child = Child;

    async fn spawn(job: &Job) -> Said<Child> {
        let mut command = command(job);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
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

    async fn terminate(_: &mut Child) -> Said<Ended> {
        not_offered("no signal but SIGKILL can be sent")
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let output = output(command(job), job);
        let output = match limit {
            None => output.await?,
            Some(limit) => match ::tokio::time::timeout(limit, output).await {
                Ok(output) => output?,
                Err(_) => return Ok(Captured::timed_out()),
            },
        };
        Ok(Captured::of(output.status.into(), &output.stdout, &output.stderr))
    }

    async fn checked(_: &Job) -> Said<()> {
        not_offered("no call makes an error of a failure")
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }
}

//! `async-process`, with `kill_on_drop`, on Tokio's executor: it has a reactor of its own.

use std::process::Stdio;
use std::time::Duration;

use ::async_process::{Child, Command};
use futures_lite::AsyncWriteExt as _;

use crate::adapter::{Feed, Job, Library, not_offered};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str = "`Command` with `kill_on_drop`; a limit is a timer around it";

pub(super) struct AsyncProcess;

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(&job.args).envs(job.envs.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &job.folder {
        command.current_dir(folder);
    }
    command.kill_on_drop(true);
    command
}

async fn output(job: &Job) -> std::io::Result<std::process::Output> {
    let mut command = command(job);
    let bytes = match &job.feed {
        Feed::Unset => return command.output().await,
        Feed::Null => return command.stdin(Stdio::null()).output().await,
        Feed::Bytes(bytes) => bytes,
    };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take();
    let feed = async move {
        // The child may have enough before the end.
        if let Some(stdin) = &mut stdin {
            drop(stdin.write_all(bytes).await);
        }
    };
    let (output, ()) = tokio::join!(child.output(), feed);
    output
}

impl Library for AsyncProcess {
    type Child = Child;

    async fn spawn(job: &Job) -> Said<Child> {
        let mut command = command(job);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    async fn wait(child: &mut Child) -> Said<Ended> {
        Ok(child.status().await?.into())
    }

    fn try_wait(child: &mut Child) -> Said<Option<Ended>> {
        Ok(child.try_status()?.map(Ended::from))
    }

    async fn kill(child: &mut Child) -> Said<()> {
        child.kill()?;
        child.status().await?;
        Ok(())
    }

    async fn terminate(_: &mut Child) -> Said<Ended> {
        not_offered("no signal but SIGKILL can be sent")
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let output = match limit {
            None => output(job).await?,
            Some(limit) => match tokio::time::timeout(limit, output(job)).await {
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

//! `process-wrap`, as the leader of a process group, with `KillOnDrop`.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use ::process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::adapter::{Feed, GRACE, Job, Library, not_offered};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str = "`CommandWrap` with `ProcessGroup::leader()` and `KillOnDrop`";

pub(super) struct Wrapped;

type Child = Box<dyn ChildWrapper>;

const SIGTERM: i32 = 15;

fn command(job: &Job) -> CommandWrap {
    let mut command = CommandWrap::from(super::tokio::command(job));
    command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    command
}

fn captured_command(job: &Job) -> CommandWrap {
    let mut command = super::tokio::command(job);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    match job.feed {
        Feed::Unset => {}
        Feed::Null => _ = command.stdin(Stdio::null()),
        Feed::Bytes(_) => _ = command.stdin(Stdio::piped()),
    }
    let mut command = CommandWrap::from(command);
    command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    command
}

/// Reads both streams and waits, feeding it all the while.
async fn run(child: &mut Child, job: &Job, into: (&mut Vec<u8>, &mut Vec<u8>)) -> io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let feed = async {
        if let (Some(mut stdin), Feed::Bytes(bytes)) = (stdin, &job.feed) {
            // The child may have enough before the end.
            drop(stdin.write_all(bytes).await);
        }
    };
    let out = async {
        match stdout {
            Some(mut stream) => stream.read_to_end(into.0).await,
            None => Ok(0),
        }
    };
    let err = async {
        match stderr {
            Some(mut stream) => stream.read_to_end(into.1).await,
            None => Ok(0),
        }
    };
    let (status, out, err, ()) = tokio::join!(child.wait(), out, err, feed);
    out.and(err)?;
    Ok(status?.into())
}

impl Library for Wrapped {
    type Child = Child;

    async fn spawn(job: &Job) -> Said<Child> {
        let mut command = command(job);
        command.command_mut().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    async fn wait(child: &mut Child) -> Said<Ended> {
        Ok(child.wait().await?.into())
    }

    fn try_wait(child: &mut Child) -> Said<Option<Ended>> {
        Ok(child.try_wait()?.map(Ended::from))
    }

    async fn kill(child: &mut Child) -> Said<()> {
        Ok(Box::into_pin(child.kill()).await?)
    }

    async fn terminate(child: &mut Child) -> Said<Ended> {
        child.signal(SIGTERM)?;
        if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
            return Ok(status?.into());
        }
        Box::into_pin(child.kill()).await?;
        Ok(child.wait().await?.into())
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let mut child = captured_command(job).spawn()?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let run = run(&mut child, job, (&mut stdout, &mut stderr));
        let Some(limit) = limit else {
            let ended = run.await?;
            return Ok(Captured::of(ended, &stdout, &stderr));
        };
        match tokio::time::timeout(limit, run).await {
            Ok(ended) => Ok(Captured::of(ended?, &stdout, &stderr)),
            Err(_) => {
                Box::into_pin(child.kill()).await?;
                let ended = child.wait().await?.into();
                Ok(Captured { timed_out: true, ..Captured::of(ended, &stdout, &stderr) })
            }
        }
    }

    async fn checked(_: &Job) -> Said<()> {
        not_offered("no call makes an error of a failure")
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }
}

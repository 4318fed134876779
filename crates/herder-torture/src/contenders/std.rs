//! `std::process`.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::adapter::{Feed, Job, Library, not_offered};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str = "`Command`, waited for; its input written by a thread";

pub(super) struct Std;

pub(super) fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(&job.args).envs(job.envs.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &job.folder {
        command.current_dir(folder);
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "this is what is put to the test")]
impl Library for Std {
    type Child = Child;
    const BLOCKING: bool = true;

    async fn spawn(job: &Job) -> Said<Child> {
        let mut command = command(job);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    async fn wait(child: &mut Child) -> Said<Ended> {
        Ok(child.wait()?.into())
    }

    fn try_wait(child: &mut Child) -> Said<Option<Ended>> {
        Ok(child.try_wait()?.map(Ended::from))
    }

    async fn kill(child: &mut Child) -> Said<()> {
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    async fn terminate(_: &mut Child) -> Said<Ended> {
        not_offered("no signal but SIGKILL can be sent")
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        if limit.is_some() {
            return not_offered("no wait has a limit");
        }
        let mut command = command(job);
        let output = match &job.feed {
            Feed::Unset => command.output()?,
            Feed::Null => command.stdin(Stdio::null()).output()?,
            Feed::Bytes(bytes) => {
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn()?;
                let stdin = child.stdin.take();
                std::thread::scope(|scope| {
                    // The child may have enough before the end.
                    scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(bytes)));
                    child.wait_with_output()
                })?
            }
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

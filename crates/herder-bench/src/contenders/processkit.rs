//! `processkit`, at its defaults: a group, or a cgroup where it may have one, around each run.

use std::io;
use std::time::Duration;

use ::processkit::{Command, Outcome, RunningProcess, StdioMode};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{CWD, Opt, Spec, VARIABLE};

#[derive(Clone)]
pub(super) struct Kit;

fn command(spec: &Spec) -> Command {
    let command = Command::new(&spec.program).args(&spec.args);
    match spec.opt {
        Opt::Cwd => command.current_dir(CWD),
        Opt::Env => command.env(VARIABLE.0, VARIABLE.1),
        Opt::Uid => command.uid(rustix::process::getuid().as_raw()),
        _ => command,
    }
}

impl Peer for Kit {
    /// Until a wait or a kill has taken it.
    type Child = Option<RunningProcess>;

    fn takes(&self, task: Task) -> Takes {
        match task {
            Task::SpawnWait(Opt::Group) => Takes::Not("a group is what it always makes"),
            Task::SpawnWait(Opt::Session | Opt::Umask | Opt::Nice | Opt::Rlimit) => Takes::Aside,
            _ => Takes::Yes,
        }
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Self::Child> {
        let command = command(spec).stdout(StdioMode::Null).stderr(StdioMode::Null);
        command.start().await.map(Some).map_err(io::Error::other)
    }

    fn id(child: &Self::Child) -> Option<u32> {
        child.as_ref()?.pid()
    }

    async fn wait(child: &mut Self::Child) -> io::Result<bool> {
        let running = child.take().ok_or(io::ErrorKind::NotFound)?;
        Ok(matches!(running.wait().await.map_err(io::Error::other)?, Outcome::Exited(0)))
    }

    async fn kill(child: &mut Self::Child) -> io::Result<()> {
        let running = child.take().ok_or(io::ErrorKind::NotFound)?;
        running.shutdown(Duration::ZERO).await.map(drop).map_err(io::Error::other)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        let result = command(spec).output_bytes().await.map_err(io::Error::other)?;
        // Its stderr is text: lines, without the end of the last one.
        let stderr = [result.stderr().as_bytes(), b"\n"].concat();
        Ok((result.outcome() == Outcome::Exited(0), result.into_stdout(), stderr))
    }
}

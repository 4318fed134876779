//! `tokio::process`, on a current-thread and on a multi-thread runtime.

use std::io;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{Opt, Spec};

#[derive(Clone)]
pub(super) struct Tokio;

/// The command as Tokio has it; that of the crates around it is made of this one.
pub(super) fn command(spec: &Spec) -> Command {
    Command::from(super::std::command(spec))
}

/// What Tokio and std captured.
pub(super) fn captured(output: Output) -> Captured {
    (output.status.success(), output.stdout, output.stderr)
}

/// For pipes and not for the streams that the benchmark itself has.
pub(super) fn piped(command: &mut Command) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// What std's command can't do, and those made of it can't either.
pub(super) fn takes(task: Task) -> Takes {
    match task {
        Task::SpawnWait(Opt::Rlimit | Opt::Session | Opt::Umask | Opt::Nice) => {
            Takes::Not("only in a `pre_exec`, as `std-fork`")
        }
        _ => Takes::Yes,
    }
}

impl Peer for Tokio {
    type Child = Child;

    fn takes(&self, task: Task) -> Takes {
        takes(task)
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Child> {
        command(spec).spawn()
    }

    async fn spawn_bound(&self, spec: &Spec) -> io::Result<Child> {
        command(spec).kill_on_drop(true).spawn()
    }

    fn id(child: &Child) -> Option<u32> {
        child.id()
    }

    async fn wait(child: &mut Child) -> io::Result<bool> {
        Ok(child.wait().await?.success())
    }

    async fn kill(child: &mut Child) -> io::Result<()> {
        child.kill().await
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        Ok(captured(command(spec).output().await?))
    }
}

//! `process-wrap` around Tokio's command, each child the leader of a process group, with `KillOnDrop`.

use std::io;

use ::process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};

use super::peer::{Captured, Peer};
use super::tokio::{captured, piped};
use super::{Takes, Task};
use crate::spec::{Opt, Spec};

#[derive(Clone)]
pub(super) struct Wrapped;

fn wrapped(command: tokio::process::Command) -> CommandWrap {
    let mut command = CommandWrap::from(command);
    command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    command
}

impl Peer for Wrapped {
    type Child = Box<dyn ChildWrapper>;

    fn takes(&self, task: Task) -> Takes {
        match task {
            Task::SpawnWait(Opt::Group) => Takes::Not("a group is what it always makes"),
            _ => super::tokio::takes(task),
        }
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Self::Child> {
        wrapped(super::tokio::command(spec)).spawn()
    }

    fn id(child: &Self::Child) -> Option<u32> {
        child.id()
    }

    async fn wait(child: &mut Self::Child) -> io::Result<bool> {
        Ok(child.wait().await?.success())
    }

    async fn kill(child: &mut Self::Child) -> io::Result<()> {
        Box::into_pin(child.kill()).await
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        let mut command = super::tokio::command(spec);
        piped(&mut command);
        Ok(captured(Box::into_pin(wrapped(command).spawn()?.wait_with_output()).await?))
    }
}

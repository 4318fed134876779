//! `async-process` on smol's executor, which is what it was made for.

use std::io;

use async_process::{Child, Command};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::Spec;

#[derive(Clone)]
pub(super) struct AsyncProcess;

fn command(spec: &Spec) -> Command {
    Command::from(super::std::command(spec))
}

impl Peer for AsyncProcess {
    type Child = Child;

    fn takes(&self, task: Task) -> Takes {
        super::tokio::takes(task)
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Child> {
        command(spec).spawn()
    }

    fn id(child: &Child) -> Option<u32> {
        Some(child.id())
    }

    async fn wait(child: &mut Child) -> io::Result<bool> {
        Ok(child.status().await?.success())
    }

    async fn kill(child: &mut Child) -> io::Result<()> {
        child.kill()?;
        child.status().await.map(drop)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        Ok(super::tokio::captured(command(spec).output().await?))
    }
}

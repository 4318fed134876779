//! `duct`: blocking.

use std::io;

use ::duct::{Expression, Handle};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{CWD, Opt, Spec, VARIABLE};

#[derive(Clone)]
pub(super) struct Duct;

fn expression(spec: &Spec) -> Expression {
    let expression = ::duct::cmd(&spec.program, &spec.args).unchecked();
    match spec.opt {
        Opt::Cwd => expression.dir(CWD),
        Opt::Env => expression.env(VARIABLE.0, VARIABLE.1),
        _ => expression,
    }
}

impl Peer for Duct {
    type Child = Handle;

    fn takes(&self, task: Task) -> Takes {
        match task {
            Task::SpawnWait(Opt::Uid | Opt::Group) => Takes::Not("only in a `before_spawn` hook"),
            _ => super::tokio::takes(task),
        }
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Handle> {
        expression(spec).start()
    }

    fn id(child: &Handle) -> Option<u32> {
        child.pids().first().copied()
    }

    async fn wait(child: &mut Handle) -> io::Result<bool> {
        Ok(child.wait()?.status.success())
    }

    async fn kill(child: &mut Handle) -> io::Result<()> {
        child.kill()?;
        child.wait().map(drop)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        Ok(super::tokio::captured(expression(spec).stdout_capture().stderr_capture().run()?))
    }
}

//! `tokio::process`, on a current-thread and on a multi-thread runtime.

use std::io;
use std::time::Instant;

use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::{Contender, Task, expect_output, expect_success};
use crate::alive::{Alive, Census};
use crate::dropped::{self, Dropped};
use crate::spec::{Opt, Spec, Turn};

pub(super) struct Tokio {
    runtime: Runtime,
    multi: bool,
}

/// A runtime with its defaults: as many workers as there are processors when `multi`.
pub(crate) fn runtime(multi: bool) -> io::Result<Runtime> {
    let mut builder = if multi { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().build()
}

/// Runs `work` where the runtime runs its tasks: with several threads that is not the thread of `block_on`.
pub(crate) fn on_runtime<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = io::Result<T>> + Send + 'static,
) -> io::Result<T> {
    runtime.block_on(async move { tokio::spawn(work).await.map_err(io::Error::other)? })
}

impl Tokio {
    pub(super) fn new(multi: bool) -> io::Result<Self> {
        Ok(Self { runtime: runtime(multi)?, multi })
    }
}

fn command(spec: &Spec) -> Command {
    Command::from(super::std::command(spec))
}

impl Contender for Tokio {
    fn takes(&self, task: Task) -> bool {
        match task {
            Task::SpawnWait(opt) => opt != Opt::Rlimit,
            Task::Drop => self.multi,
            _ => true,
        }
    }

    fn spawn_wait(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let spec = spec.clone();
        on_runtime(&self.runtime, async move {
            while turn.more() {
                let begin = Instant::now();
                let mut child = command(&spec).spawn()?;
                let spawned = Instant::now();
                let status = child.wait().await?;
                turn.note(begin, spawned);
                expect_success(status.success())?;
            }
            Ok(turn)
        })
    }

    fn output(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let spec = spec.clone();
        on_runtime(&self.runtime, async move {
            while turn.more() {
                let begin = Instant::now();
                let output = command(&spec).output().await?;
                turn.note(begin, begin);
                expect_output(output.status.success(), &output.stdout, &output.stderr)?;
            }
            Ok(turn)
        })
    }

    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        let spec = spec.clone();
        on_runtime(&self.runtime, async move {
            let mut tasks = JoinSet::new();
            for _ in 0..width {
                let spec = spec.clone();
                tasks.spawn(async move {
                    for _ in 0..total / width {
                        expect_success(command(&spec).spawn()?.wait().await?.success())?;
                    }
                    Ok(())
                });
            }
            tasks.join_all().await.into_iter().collect()
        })
    }

    fn alive(&mut self, spec: &Spec, mut census: Census) -> io::Result<Alive> {
        let spec = spec.clone();
        on_runtime(&self.runtime, async move {
            let (ended, mut next) = tokio::sync::mpsc::unbounded_channel();
            for index in 0..census.children {
                let mut child = command(&spec).spawn()?;
                census.born(child.id());
                let (ended, turnstile) = (ended.clone(), census.turnstile());
                tokio::spawn(async move {
                    turnstile.pass();
                    let status = child.wait().await;
                    _ = ended.send((index, status));
                });
            }
            while !census.all_wait() {
                tokio::task::yield_now().await;
            }
            census.all_alive()?;
            while let Some(victim) = census.kill_next()? {
                match next.recv().await {
                    Some((index, Ok(_))) if index == victim => census.ended(),
                    other => return Err(io::Error::other(format!("not the end of {victim}: {other:?}"))),
                }
            }
            census.result()
        })
    }

    fn drop_all(&mut self, spec: &Spec, children: usize) -> io::Result<Dropped> {
        let spec = spec.clone();
        on_runtime(&self.runtime, async move {
            let mut alive = Vec::with_capacity(children);
            for _ in 0..children {
                alive.push(command(&spec).kill_on_drop(true).spawn()?);
            }
            let pids = alive.iter().filter_map(tokio::process::Child::id).collect();
            dropped::measure(alive, pids).await
        })
    }
}

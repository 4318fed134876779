//! `async-process` on smol's executor, which is what it was made for.

use std::io;
use std::time::Instant;

use async_process::Command;
use smol::LocalExecutor;

use super::{Contender, Task, expect_output, expect_success};
use crate::alive::{Alive, Census};
use crate::spec::{Opt, Spec, Turn};

pub(super) struct AsyncProcess;

fn command(spec: &Spec) -> Command {
    Command::from(super::std::command(spec))
}

impl Contender for AsyncProcess {
    fn takes(&self, task: Task) -> bool {
        !matches!(task, Task::SpawnWait(Opt::Rlimit) | Task::Drop)
    }

    fn spawn_wait(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        smol::block_on(async {
            while turn.more() {
                let begin = Instant::now();
                let mut child = command(spec).spawn()?;
                let spawned = Instant::now();
                let status = child.status().await?;
                turn.note(begin, spawned);
                expect_success(status.success())?;
            }
            Ok(turn)
        })
    }

    fn output(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        smol::block_on(async {
            while turn.more() {
                let begin = Instant::now();
                let output = command(spec).output().await?;
                turn.note(begin, begin);
                expect_output(output.status.success(), &output.stdout, &output.stderr)?;
            }
            Ok(turn)
        })
    }

    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        let executor = LocalExecutor::new();
        smol::block_on(executor.run(async {
            let worker = |_| {
                executor.spawn(async {
                    for _ in 0..total / width {
                        expect_success(command(spec).spawn()?.status().await?.success())?;
                    }
                    io::Result::Ok(())
                })
            };
            let workers: Vec<_> = (0..width).map(worker).collect();
            for worker in workers {
                worker.await?;
            }
            Ok(())
        }))
    }

    fn alive(&mut self, spec: &Spec, mut census: Census) -> io::Result<Alive> {
        let executor = LocalExecutor::new();
        smol::block_on(executor.run(async {
            let (ended, next) = smol::channel::unbounded();
            for index in 0..census.children {
                let mut child = command(spec).spawn()?;
                census.born(Some(child.id()));
                let (ended, turnstile) = (ended.clone(), census.turnstile());
                let task = async move {
                    turnstile.pass();
                    let status = child.status().await;
                    _ = ended.send((index, status)).await;
                };
                executor.spawn(task).detach();
            }
            while !census.all_wait() {
                smol::future::yield_now().await;
            }
            census.all_alive()?;
            while let Some(victim) = census.kill_next()? {
                match next.recv().await {
                    Ok((index, Ok(_))) if index == victim => census.ended(),
                    other => return Err(io::Error::other(format!("not the end of {victim}: {other:?}"))),
                }
            }
            census.result()
        }))
    }
}

//! Herder, on a current-thread and on a multi-thread runtime, with `spawn` or with `spawn_async`.

use std::io;
use std::time::Instant;

use ::herder::os::unix::{CommandExt, Resource};
use ::herder::{Child, Command, Containment};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::tokio::{on_runtime, runtime};
use super::{Contender, Task, expect_output, expect_success};
use crate::alive::{Alive, Census};
use crate::dropped::{self, Dropped};
use crate::spec::{CWD, Opt, Spec, Turn, VARIABLE, core_limit};

pub(super) struct Herder {
    runtime: Runtime,
    multi: bool,
    way: Way,
}

/// How it spawns.
#[derive(Clone, Copy)]
struct Way {
    spawn_async: bool,
    containment: Containment,
}

impl Herder {
    pub(super) fn new(multi: bool, spawn_async: bool) -> io::Result<Self> {
        // What the others have, too.
        let way = Way { spawn_async, containment: Containment::Group };
        Ok(Self { runtime: runtime(multi)?, multi, way })
    }

    /// With the strongest scope of this host around each child.
    pub(super) fn contained(multi: bool) -> io::Result<Self> {
        let way = Way { spawn_async: false, containment: Containment::Auto };
        Ok(Self { runtime: runtime(multi)?, multi, way })
    }
}

fn command(spec: &Spec, way: Way) -> Command {
    let mut command = Command::new(&spec.program);
    command.containment(way.containment);
    match spec.opt {
        Opt::Plain => {}
        Opt::Cwd => _ = command.current_dir(CWD),
        Opt::Env => _ = command.env(VARIABLE.0, VARIABLE.1),
        Opt::Uid => _ = command.uid(rustix::process::getuid().as_raw()),
        Opt::Rlimit => {
            let (soft, hard) = core_limit();
            command.rlimit(Resource::Core, soft, hard);
        }
        Opt::Group => _ = command.process_group(0),
    }
    command
}

async fn spawn(spec: &Spec, way: Way) -> io::Result<Child> {
    let command = command(spec, way);
    Ok(if way.spawn_async { command.spawn_async().await? } else { command.spawn()? })
}

impl Contender for Herder {
    fn takes(&self, task: Task) -> bool {
        match task {
            // One with a scope and several threads is there for its drops.
            _ if self.multi && self.way.containment == Containment::Auto => task == Task::Drop,
            Task::Drop => self.multi && !self.way.spawn_async,
            Task::SpawnWait(opt) => !self.way.spawn_async || opt == Opt::Plain,
            Task::Inflight => true,
            Task::Output | Task::Alive => !self.way.spawn_async,
        }
    }

    fn spawn_wait(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let (spec, way) = (spec.clone(), self.way);
        on_runtime(&self.runtime, async move {
            while turn.more() {
                let begin = Instant::now();
                let mut child = spawn(&spec, way).await?;
                let spawned = Instant::now();
                let status = child.wait().await?;
                turn.note(begin, spawned);
                expect_success(status.success())?;
            }
            Ok(turn)
        })
    }

    fn output(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let (spec, way) = (spec.clone(), self.way);
        on_runtime(&self.runtime, async move {
            while turn.more() {
                let begin = Instant::now();
                let report = command(&spec, way).output().await?;
                turn.note(begin, begin);
                expect_output(report.status.success(), &report.stdout, &report.stderr)?;
            }
            Ok(turn)
        })
    }

    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        let (spec, way) = (spec.clone(), self.way);
        on_runtime(&self.runtime, async move {
            let mut tasks = JoinSet::new();
            for _ in 0..width {
                let spec = spec.clone();
                tasks.spawn(async move {
                    for _ in 0..total / width {
                        let mut child = spawn(&spec, way).await?;
                        expect_success(child.wait().await?.success())?;
                    }
                    Ok(())
                });
            }
            tasks.join_all().await.into_iter().collect()
        })
    }

    fn alive(&mut self, spec: &Spec, mut census: Census) -> io::Result<Alive> {
        let (spec, way) = (spec.clone(), self.way);
        on_runtime(&self.runtime, async move {
            let (ended, mut next) = tokio::sync::mpsc::unbounded_channel();
            for index in 0..census.children {
                let mut child = spawn(&spec, way).await?;
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
        let (spec, way) = (spec.clone(), self.way);
        on_runtime(&self.runtime, async move {
            let mut alive = Vec::with_capacity(children);
            for _ in 0..children {
                alive.push(spawn(&spec, way).await?);
            }
            let pids = alive.iter().filter_map(Child::id).collect();
            dropped::measure(alive, pids).await
        })
    }
}

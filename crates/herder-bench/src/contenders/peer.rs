//! The loops of the libraries: written once, for all of them.
//!
//! A library is a [`Peer`]: how it spawns, waits, kills and captures. Where its futures run is its [`Executor`].

use std::hint;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use smol::Executor as SmolExecutor;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::{Contender, Takes, Task, expect_output, expect_success};
use crate::alive::{Alive, Census};
use crate::dropped::{self, Dropped};
use crate::killer::Killer;
use crate::spec::{Spec, Turn};
use crate::tree::{Tree, TreeEnd};

/// What a captured child has left: whether it succeeded, and its two streams.
pub(super) type Captured = (bool, Vec<u8>, Vec<u8>);

/// A library, as its users use it. Each call builds its command anew.
pub(super) trait Peer: Clone + Send + Sync + 'static {
    type Child: Send + 'static;

    /// Whether it takes part, where its executor does.
    fn takes(&self, task: Task) -> Takes;

    fn spawn(&self, spec: &Spec) -> impl Future<Output = io::Result<Self::Child>> + Send;

    /// As [`spawn`](Self::spawn), in the way that ends the child, and most of what it starts, with its handle.
    fn spawn_bound(&self, spec: &Spec) -> impl Future<Output = io::Result<Self::Child>> + Send {
        self.spawn(spec)
    }

    fn id(child: &Self::Child) -> Option<u32>;

    /// Waits for the end; true for success.
    fn wait(child: &mut Self::Child) -> impl Future<Output = io::Result<bool>> + Send;

    /// Ends the child and whatever the library ends with it, and waits.
    fn kill(child: &mut Self::Child) -> impl Future<Output = io::Result<()>> + Send;

    /// Captures both streams.
    fn output(&self, spec: &Spec) -> impl Future<Output = io::Result<Captured>> + Send;
}

/// Where futures run.
pub(super) enum Executor {
    CurrentThread(Runtime),
    MultiThread(Runtime),
    Smol(Arc<SmolExecutor<'static>>),
    /// Nowhere: the library blocks, and what is to run beside has a thread of its own.
    Threads,
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

impl Executor {
    pub(super) fn tokio(multi: bool) -> io::Result<Self> {
        Ok(if multi { Self::MultiThread(runtime(true)?) } else { Self::CurrentThread(runtime(false)?) })
    }

    pub(super) fn smol() -> Self {
        Self::Smol(Arc::new(SmolExecutor::new()))
    }

    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::CurrentThread(runtime) | Self::MultiThread(runtime) => on_runtime(runtime, work),
            Self::Smol(executor) => smol::block_on(executor.run(work)),
            Self::Threads => smol::block_on(work),
        }
    }

    fn spawner(&self) -> Spawner {
        match self {
            Self::CurrentThread(_) | Self::MultiThread(_) => Spawner::Tokio,
            Self::Smol(executor) => Spawner::Smol(Arc::clone(executor)),
            Self::Threads => Spawner::Threads,
        }
    }
}

/// Starts tasks beside the one that runs.
#[derive(Clone)]
enum Spawner {
    Tokio,
    Smol(Arc<SmolExecutor<'static>>),
    Threads,
}

impl Spawner {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Tokio => drop(tokio::spawn(work)),
            Self::Smol(executor) => executor.spawn(work).detach(),
            Self::Threads => drop(thread::spawn(move || smol::block_on(work))),
        }
    }
}

/// A library at work on an executor.
pub(super) struct AtWork<P> {
    peer: P,
    executor: Executor,
    /// It is there with both kinds of runtime, and shown once in each table.
    once: bool,
}

impl<P> AtWork<P> {
    pub(super) fn new(peer: P, executor: Executor) -> Self {
        Self { peer, executor, once: false }
    }

    /// A crate around Tokio: with several threads where that matters, with one thread elsewhere.
    pub(super) fn on_tokio(peer: P, multi: bool) -> io::Result<Self> {
        Ok(Self { peer, executor: Executor::tokio(multi)?, once: true })
    }
}

/// Whether several threads of a runtime make a difference of their own.
fn with_threads(task: Task) -> bool {
    matches!(task, Task::Inflight | Task::Drop | Task::Tree)
}

impl<P: Peer> Contender for AtWork<P> {
    fn takes(&self, task: Task) -> Takes {
        let taken = self.peer.takes(task);
        if taken == Takes::Aside {
            return taken;
        }
        match (&self.executor, task) {
            (Executor::CurrentThread(_), task) if self.once && with_threads(task) => Takes::Aside,
            (Executor::MultiThread(_), task) if self.once && !with_threads(task) => Takes::Aside,
            // What is asked is what a program with several threads suffers.
            (Executor::CurrentThread(_), Task::Drop | Task::Tree) => Takes::Aside,
            (Executor::Smol(_), Task::Drop) => Takes::Not("the ticker runs on Tokio"),
            (Executor::Threads, Task::Alive) => Takes::Not("a thread for each child"),
            (Executor::Threads, Task::Drop) => Takes::Not("blocking: no runtime that could be held up"),
            (Executor::Threads, Task::Wake { busy: true }) => {
                Takes::Not("blocking: no runtime that could be busy")
            }
            _ => taken,
        }
    }

    fn spawn_wait(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let (spec, peer) = (spec.clone(), self.peer.clone());
        self.executor.run(async move {
            while turn.more() {
                let begin = Instant::now();
                let mut child = peer.spawn(&spec).await?;
                let spawned = Instant::now();
                let success = P::wait(&mut child).await?;
                turn.note(begin, spawned);
                expect_success(success)?;
            }
            Ok(turn)
        })
    }

    fn output(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let (spec, peer) = (spec.clone(), self.peer.clone());
        self.executor.run(async move {
            while turn.more() {
                let begin = Instant::now();
                let (success, stdout, stderr) = peer.output(&spec).await?;
                turn.note(begin, begin);
                expect_output(success, &stdout, &stderr)?;
            }
            Ok(turn)
        })
    }

    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        let (spec, peer, spawner) = (spec.clone(), self.peer.clone(), self.executor.spawner());
        self.executor.run(async move {
            let (done, mut next) = mpsc::unbounded_channel();
            for _ in 0..width {
                let (spec, peer, done) = (spec.clone(), peer.clone(), done.clone());
                spawner.spawn(async move {
                    _ = done.send(one_after_another(&peer, &spec, total / width).await);
                });
            }
            drop(done);
            while let Some(result) = next.recv().await {
                result?;
            }
            Ok(())
        })
    }

    fn alive(&mut self, spec: &Spec, mut census: Census) -> io::Result<Alive> {
        let (spec, peer, spawner) = (spec.clone(), self.peer.clone(), self.executor.spawner());
        self.executor.run(async move {
            let (ended, mut next) = mpsc::unbounded_channel();
            for index in 0..census.children {
                let mut child = peer.spawn(&spec).await?;
                census.born(P::id(&child));
                let (ended, turnstile) = (ended.clone(), census.turnstile());
                spawner.spawn(async move {
                    turnstile.pass();
                    let result = P::wait(&mut child).await;
                    _ = ended.send((index, result));
                });
            }
            while !census.all_wait() {
                smol::future::yield_now().await;
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
        let (spec, peer) = (spec.clone(), self.peer.clone());
        self.executor.run(async move {
            let mut alive = Vec::with_capacity(children);
            for _ in 0..children {
                alive.push(peer.spawn_bound(&spec).await?);
            }
            let pids = alive.iter().filter_map(P::id).collect();
            dropped::measure(alive, pids).await
        })
    }

    fn wake(&mut self, spec: &Spec, mut turn: Turn, busy: bool) -> io::Result<Turn> {
        let (spec, peer, spawner) = (spec.clone(), self.peer.clone(), self.executor.spawner());
        self.executor.run(async move {
            let load = Load::start(if busy { BUSY_TASKS } else { 0 }, &spawner);
            let killer = Killer::start();
            while turn.more() {
                let mut child = peer.spawn(&spec).await?;
                killer.kill_soon(P::id(&child))?;
                P::wait(&mut child).await?;
                let killed = killer.killed_at()?;
                turn.note(killed, killed);
            }
            load.stop().await;
            Ok(turn)
        })
    }

    fn kill_tree(&mut self, spec: &Spec) -> io::Result<TreeEnd> {
        let (spec, peer) = (spec.clone(), self.peer.clone());
        self.executor.run(async move {
            let mut child = peer.spawn_bound(&spec).await?;
            let tree = Tree::grown(P::id(&child))?;
            let begin = Instant::now();
            P::kill(&mut child).await?;
            tree.end(begin)
        })
    }
}

async fn one_after_another<P: Peer>(peer: &P, spec: &Spec, count: usize) -> io::Result<()> {
    for _ in 0..count {
        let mut child = peer.spawn(spec).await?;
        expect_success(P::wait(&mut child).await?)?;
    }
    Ok(())
}

/// So many tasks run all the time in a busy runtime...
const BUSY_TASKS: usize = 4;
/// ...and each gives way after so long.
const BUSY: Duration = Duration::from_micros(50);

/// Tasks that keep a runtime busy until they are stopped.
struct Load {
    over: Arc<AtomicBool>,
    /// Closed when the last of them has ended.
    ended: mpsc::Receiver<()>,
}

impl Load {
    fn start(tasks: usize, spawner: &Spawner) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (running, ended) = mpsc::channel(1);
        for _ in 0..tasks {
            let (over, running) = (Arc::clone(&over), running.clone());
            spawner.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    while begin.elapsed() < BUSY {
                        hint::spin_loop();
                    }
                    smol::future::yield_now().await;
                }
                drop(running);
            });
        }
        Self { over, ended }
    }

    async fn stop(mut self) {
        self.over.store(true, Ordering::Relaxed);
        while self.ended.recv().await.is_some() {}
    }
}

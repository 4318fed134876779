//! `tokio-process-tools`: streams thrown away where nobody reads, reliable and replayed where they are captured.

use std::io;
use std::time::Duration;

use tokio_process_tools as tpt;
use tpt::{
    AutoName, DiscardedOutputStream, GracefulShutdown, Process, ProcessStreamBuilder, TerminateOnDrop,
};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{Opt, Spec};

#[derive(Clone)]
pub(super) struct Tools;

type Handle = tpt::ProcessHandle<DiscardedOutputStream, DiscardedOutputStream>;

/// A handle, with a drop that ends the child or with one that panics unless it has ended.
pub(super) enum Child {
    Plain(Handle),
    Droppable(TerminateOnDrop<DiscardedOutputStream, DiscardedOutputStream>),
}

impl Child {
    fn handle(&mut self) -> &mut Handle {
        match self {
            Self::Plain(handle) => handle,
            Self::Droppable(handle) => handle,
        }
    }
}

/// No wait of it is without a limit.
const LONG: Duration = Duration::from_secs(3600);

fn start(spec: &Spec) -> io::Result<Handle> {
    let process = Process::new(super::tokio::command(spec)).name(AutoName::program_only());
    process.stdout_and_stderr(ProcessStreamBuilder::discard).spawn().map_err(io::Error::other)
}

impl Peer for Tools {
    type Child = Child;

    fn takes(&self, task: Task) -> Takes {
        match task {
            Task::SpawnWait(Opt::Group) => Takes::Not("a group is what it always makes"),
            _ => super::tokio::takes(task),
        }
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Child> {
        start(spec).map(Child::Plain)
    }

    async fn spawn_bound(&self, spec: &Spec) -> io::Result<Child> {
        let grace = Duration::from_millis(1);
        let shutdown = GracefulShutdown::builder().unix_sigterm(grace).windows_ctrl_break(grace).build();
        Ok(Child::Droppable(start(spec)?.terminate_on_drop(shutdown)))
    }

    fn id(child: &Child) -> Option<u32> {
        match child {
            Child::Plain(handle) => handle.id(),
            Child::Droppable(handle) => handle.id(),
        }
    }

    async fn wait(child: &mut Child) -> io::Result<bool> {
        let ended = child.handle().wait_for_completion(LONG).await.map_err(io::Error::other)?;
        Ok(ended.into_completed().is_some_and(|status| status.success()))
    }

    async fn kill(child: &mut Child) -> io::Result<()> {
        child.handle().kill().await.map_err(io::Error::other)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        let process = Process::new(super::tokio::command(spec)).name(AutoName::program_only());
        let process = process.stdout_and_stderr(|stream| {
            stream
                .broadcast()
                .reliable_with_backpressure()
                .replay_all()
                .read_chunk_size(tpt::DEFAULT_READ_CHUNK_SIZE)
                .max_buffered_chunks(tpt::DEFAULT_MAX_BUFFERED_CHUNKS)
        });
        let mut child = process.spawn().map_err(io::Error::other)?;
        let all = tpt::RawOutputOptions::symmetric(tpt::RawCollectionOptions::TrustedUnbounded);
        let wait = child.wait_for_completion(LONG).with_raw_output(tpt::DEFAULT_OUTPUT_EOF_TIMEOUT, all);
        let output = wait.await.map_err(io::Error::other)?.into_completed().ok_or(io::ErrorKind::TimedOut)?;
        Ok((output.status.success(), output.stdout.bytes, output.stderr.bytes))
    }
}

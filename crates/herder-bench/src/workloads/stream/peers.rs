//! The peers: Tokio's own pipes, `tokio-process-tools` and `processkit`.

use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use processkit::prelude::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio_process_tools as tpt;
use tpt::{Consumable, NumBytesExt};

use super::{BLOCK, FAN, Job, Reader, Use, run};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes => vec![
            ("tokio-ct", |job| run(false, job, pull)),
            ("tokio-mt", |job| run(true, job, pull)),
            ("process-tools-ct", |job| run(false, job, tools_bytes)),
            ("process-tools-mt", |job| run(true, job, tools_bytes)),
            ("processkit-ct", |job| run(false, job, kit_bytes)),
            ("processkit-mt", |job| run(true, job, kit_bytes)),
        ],
        Use::Lines => vec![
            ("tokio-ct", |job| run(false, job, lines)),
            ("tokio-mt", |job| run(true, job, lines)),
            ("process-tools-ct", |job| run(false, job, tools_lines)),
            ("process-tools-mt", |job| run(true, job, tools_lines)),
            ("processkit-ct", |job| run(false, job, kit_lines)),
            ("processkit-mt", |job| run(true, job, kit_lines)),
        ],
        Use::Fan => vec![
            ("process-tools-ct", |job| run(false, job, tools_fan)),
            ("process-tools-mt", |job| run(true, job, tools_fan)),
        ],
    }
}

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(job.arguments());
    command
}

fn start(job: &Job) -> io::Result<(Child, ChildStdout)> {
    let mut child = command(job).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, stdout))
}

async fn pull(job: Job) -> io::Result<()> {
    let (mut child, mut stdout) = start(&job)?;
    let (mut buffer, mut total) = (vec![0; BLOCK], 0);
    loop {
        match stdout.read(&mut buffer).await? {
            0 => break,
            count => total += count as u64,
        }
    }
    child.wait().await?;
    job.expect_bytes(total)
}

async fn lines(job: Job) -> io::Result<()> {
    let (mut child, stdout) = start(&job)?;
    let mut lines = BufReader::with_capacity(BLOCK, stdout).lines();
    let mut total = 0;
    while let Some(line) = lines.next_line().await? {
        black_box(&line);
        total += 1;
    }
    child.wait().await?;
    job.expect_lines(total)
}

type Handle = tpt::ProcessHandle<
    tpt::BroadcastOutputStream<tpt::ReliableWithBackpressure, tpt::NoReplay>,
    tpt::DiscardedOutputStream,
>;

/// With chunks of 64 KiB, which is what suits it best.
fn tools(job: &Job) -> io::Result<Handle> {
    tpt::Process::new(command(job))
        .name("writer")
        .stdout(|stream| {
            stream
                .broadcast()
                .reliable_with_backpressure()
                .no_replay()
                .read_chunk_size(64.kilobytes())
                .max_buffered_chunks(tpt::DEFAULT_MAX_BUFFERED_CHUNKS)
        })
        .stderr(tpt::ProcessStreamBuilder::discard)
        .spawn()
        .map_err(io::Error::other)
}

async fn tools_wait(mut process: Handle) -> io::Result<()> {
    let end = process.wait_for_completion(Duration::from_secs(600)).await.map_err(io::Error::other)?;
    end.into_completed().map(drop).ok_or_else(|| io::ErrorKind::TimedOut.into())
}

struct Count(u64);

impl tpt::StreamVisitor for Count {
    type Output = u64;

    fn on_chunk(&mut self, chunk: tpt::Chunk) -> tpt::Next {
        self.0 += chunk.as_ref().len() as u64;
        tpt::Next::Continue
    }

    fn into_output(self) -> u64 {
        self.0
    }
}

/// It throws away what comes before a reader is there: the count may be short, and is not looked at.
async fn tools_bytes(job: Job) -> io::Result<()> {
    let process = tools(&job)?;
    let count = process.stdout().consume(Count(0)).map_err(io::Error::other)?;
    let total = count.wait().await.map_err(io::Error::other)?;
    tools_wait(process).await?;
    nearly(total, job.total)
}

async fn tools_fan(job: Job) -> io::Result<()> {
    let process = tools(&job)?;
    let counts: Result<Vec<_>, _> = (0..FAN).map(|_| process.stdout().consume(Count(0))).collect();
    for count in counts.map_err(io::Error::other)? {
        nearly(count.wait().await.map_err(io::Error::other)?, job.total)?;
    }
    tools_wait(process).await
}

struct CountLines(u64);

impl tpt::LineVisitor for CountLines {
    type Output = u64;

    fn on_line(&mut self, line: std::borrow::Cow<'_, str>) -> tpt::Next {
        black_box(&*line);
        self.0 += 1;
        tpt::Next::Continue
    }

    fn into_output(self) -> u64 {
        self.0
    }
}

async fn tools_lines(job: Job) -> io::Result<()> {
    let process = tools(&job)?;
    let lines = tpt::ParseLines::new(tpt::LineParsingOptions::default(), CountLines(0));
    let count = process.stdout().consume(lines).map_err(io::Error::other)?;
    let total = count.wait().await.map_err(io::Error::other)?;
    tools_wait(process).await?;
    nearly(total, job.total / super::LINE as u64)
}

fn nearly(found: u64, all: u64) -> io::Result<()> {
    if found >= all / 100 * 99 { Ok(()) } else { Err(io::Error::other(format!("{found} of {all} came"))) }
}

/// A writer that only counts.
struct Sink(Arc<AtomicU64>);

impl AsyncWrite for Sink {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Its way to look at bytes is a tee.
async fn kit_bytes(job: Job) -> io::Result<()> {
    let total = Arc::new(AtomicU64::new(0));
    let command = processkit::Command::new(&job.program).args(job.arguments());
    let command = command.stdout_raw_tee(Sink(Arc::clone(&total)));
    command.start().await.map_err(io::Error::other)?.wait().await.map_err(io::Error::other)?;
    job.expect_bytes(total.load(Ordering::Relaxed))
}

async fn kit_lines(job: Job) -> io::Result<()> {
    let command = processkit::Command::new(&job.program).args(job.arguments());
    let mut running = command.start().await.map_err(io::Error::other)?;
    let mut lines = running.stdout_lines().map_err(io::Error::other)?;
    let mut total = 0;
    while let Some(line) = lines.next().await {
        black_box(&line);
        total += 1;
    }
    drop(running.finish().await.map_err(io::Error::other)?);
    job.expect_lines(total)
}

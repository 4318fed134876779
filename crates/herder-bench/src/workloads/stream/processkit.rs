//! `processkit`.

use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use processkit::prelude::StreamExt;
use processkit::{Command, Outcome, OutputBufferPolicy, Stdin};
use tokio::io::AsyncWrite;

use super::{Job, Reader, Use, expect_success, run};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes | Use::Fan(1) => vec![
            ("processkit-ct", |job| run(false, job, kit_bytes)),
            ("processkit-mt", |job| run(true, job, kit_bytes)),
        ],
        Use::Lines => vec![
            ("processkit-ct", |job| run(false, job, kit_lines)),
            ("processkit-mt", |job| run(true, job, kit_lines)),
        ],
        // One tee for each stream.
        Use::Long | Use::Fan(_) => Vec::new(),
        Use::Capture | Use::CaptureBoth => vec![
            ("processkit-ct", |job| run(false, job, capture)),
            ("processkit-mt", |job| run(true, job, capture)),
        ],
        Use::StdinBytes => {
            vec![
                ("processkit-ct", |job| run(false, job, feed)),
                ("processkit-mt", |job| run(true, job, feed)),
            ]
        }
        Use::StdinFile => {
            vec![
                ("processkit-ct", |job| run(false, job, file)),
                ("processkit-mt", |job| run(true, job, file)),
            ]
        }
    }
}

fn command(job: &Job) -> Command {
    Command::new(&job.program).args(job.arguments())
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
    let command = command(&job);
    let command = command.stdout_raw_tee(Sink(Arc::clone(&total)));
    command.start().await.map_err(io::Error::other)?.wait().await.map_err(io::Error::other)?;
    job.expect_bytes(total.load(Ordering::Relaxed))
}

async fn kit_lines(job: Job) -> io::Result<()> {
    let command = command(&job);
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

async fn capture(job: Job) -> io::Result<()> {
    let command = command(&job).output_buffer(OutputBufferPolicy::unbounded());
    let result = command.output_bytes().await.map_err(io::Error::other)?;
    let (success, mut stderr) = (result.outcome() == Outcome::Exited(0), result.stderr().as_bytes().to_vec());
    // Text: lines, without the end of the last one.
    if !stderr.is_empty() {
        stderr.push(b'\n');
    }
    job.expect_captured((success, result.into_stdout(), stderr))
}

async fn feed(job: Job) -> io::Result<()> {
    fed(command(&job).stdin(Stdin::from_bytes(job.input.to_vec()))).await
}

async fn file(job: Job) -> io::Result<()> {
    fed(command(&job).stdin(Stdin::from_file(job.file.as_ref().ok_or(io::ErrorKind::NotFound)?))).await
}

async fn fed(command: Command) -> io::Result<()> {
    let result = command.output_bytes().await.map_err(io::Error::other)?;
    expect_success(result.outcome() == Outcome::Exited(0))
}

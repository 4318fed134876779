//! `tokio-process-tools`: with chunks of 64 KiB, which is what suits it best.

use std::hint::black_box;
use std::io;
use std::mem;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio_process_tools as tpt;
use tpt::{Consumable, NumBytesExt};

use super::tokio::command;
use super::{Job, Reader, Use, expect_success, run};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes => vec![
            ("process-tools-ct", |job| run(false, job, tools_bytes)),
            ("process-tools-mt", |job| run(true, job, tools_bytes)),
        ],
        Use::Lines => vec![
            ("process-tools-ct", |job| run(false, job, tools_lines)),
            ("process-tools-mt", |job| run(true, job, tools_lines)),
        ],
        Use::Fan(_) => vec![
            ("process-tools-ct", |job| run(false, job, tools_fan)),
            ("process-tools-mt", |job| run(true, job, tools_fan)),
        ],
        Use::Capture | Use::CaptureBoth => vec![
            ("process-tools-ct", |job| run(false, job, capture)),
            ("process-tools-mt", |job| run(true, job, capture)),
        ],
        Use::StdinBytes => vec![
            ("process-tools-ct", |job| run(false, job, feed)),
            ("process-tools-mt", |job| run(true, job, feed)),
        ],
        // Its stdin is always a pipe.
        Use::Long | Use::StdinFile => Vec::new(),
    }
}

type Handle = tpt::ProcessHandle<
    tpt::BroadcastOutputStream<tpt::ReliableWithBackpressure, tpt::NoReplay>,
    tpt::DiscardedOutputStream,
>;

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
    let counts: Result<Vec<_>, _> = (0..job.fan()).map(|_| process.stdout().consume(Count(0))).collect();
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

async fn capture(job: Job) -> io::Result<()> {
    let process = tpt::Process::new(command(&job)).name("writer").stdout_and_stderr(|stream| {
        stream
            .broadcast()
            .reliable_with_backpressure()
            .replay_all()
            .read_chunk_size(64.kilobytes())
            .max_buffered_chunks(tpt::DEFAULT_MAX_BUFFERED_CHUNKS)
    });
    let mut child = process.spawn().map_err(io::Error::other)?;
    let all = tpt::RawOutputOptions::symmetric(tpt::RawCollectionOptions::TrustedUnbounded);
    let wait = child.wait_for_completion(LONG).with_raw_output(tpt::DEFAULT_OUTPUT_EOF_TIMEOUT, all);
    let output = wait.await.map_err(io::Error::other)?.into_completed().ok_or(io::ErrorKind::TimedOut)?;
    job.expect_captured((output.status.success(), output.stdout.bytes, output.stderr.bytes))
}

async fn feed(job: Job) -> io::Result<()> {
    let process = tpt::Process::new(command(&job)).name("reader");
    let mut child =
        process.stdout_and_stderr(tpt::ProcessStreamBuilder::discard).spawn().map_err(io::Error::other)?;
    let tpt::Stdin::Open(mut stdin) = mem::replace(child.stdin(), tpt::Stdin::Closed) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    stdin.write_all(&job.input).await?;
    drop(stdin);
    let ended = child.wait_for_completion(LONG).await.map_err(io::Error::other)?;
    expect_success(ended.into_completed().is_some_and(|status| status.success()))
}

/// No wait of it is without a limit.
const LONG: Duration = Duration::from_secs(600);

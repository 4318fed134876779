//! `tokio::process`: its own pipes.

use std::hint::black_box;
use std::io;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::{BLOCK, Job, Reader, Use, expect_success, run};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes | Use::Fan(1) => {
            vec![("tokio-ct", |job| run(false, job, pull)), ("tokio-mt", |job| run(true, job, pull))]
        }
        Use::Lines => {
            vec![("tokio-ct", |job| run(false, job, lines)), ("tokio-mt", |job| run(true, job, lines))]
        }
        // It has no way to read a stream more than once.
        Use::Long | Use::Fan(_) => Vec::new(),
        Use::Capture | Use::CaptureBoth => {
            vec![("tokio-ct", |job| run(false, job, capture)), ("tokio-mt", |job| run(true, job, capture))]
        }
        Use::StdinBytes => {
            vec![("tokio-ct", |job| run(false, job, feed)), ("tokio-mt", |job| run(true, job, feed))]
        }
        Use::StdinFile => {
            vec![("tokio-ct", |job| run(false, job, file)), ("tokio-mt", |job| run(true, job, file))]
        }
    }
}

pub(super) fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(job.arguments());
    command
}

fn start(job: &Job) -> io::Result<(Child, ChildStdout)> {
    let mut child = command(job).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, stdout))
}

/// The bytes that come until the end, read into one buffer.
pub(super) async fn count(mut reader: impl AsyncRead + Unpin) -> io::Result<u64> {
    let (mut buffer, mut total) = (vec![0; BLOCK], 0);
    loop {
        match reader.read(&mut buffer).await? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}

async fn pull(job: Job) -> io::Result<()> {
    let (mut child, stdout) = start(&job)?;
    let total = count(stdout).await?;
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

async fn capture(job: Job) -> io::Result<()> {
    let output = command(&job).output().await?;
    job.expect_captured((output.status.success(), output.stdout, output.stderr))
}

async fn feed(job: Job) -> io::Result<()> {
    let mut child = command(&job).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdin.write_all(&job.input).await?;
    drop(stdin);
    expect_success(child.wait().await?.success())
}

async fn file(job: Job) -> io::Result<()> {
    expect_success(command(&job).stdin(job.open()?).status().await?.success())
}

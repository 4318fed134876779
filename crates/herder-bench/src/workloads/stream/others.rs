//! The libraries that block, and `async-process` on smol's executor.

use std::io::{self, Read};
use std::process::{Command, Stdio};

use async_process::Command as AsyncCommand;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use subprocess::{Exec, Redirection};

use super::{BLOCK, Job, Reader, Use, count, expect_success};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes => vec![
            ("async-process", |job| smol::block_on(async_pull(job))),
            ("duct", |job| pulled(job, duct_command(job).reader()?)),
            ("subprocess", |job| pulled(job, exec(job).stream_stdout()?)),
        ],
        // What they leave to the standard library is measured with the others.
        Use::Lines | Use::Long | Use::Fan(_) => Vec::new(),
        Use::Capture | Use::CaptureBoth => {
            vec![("std", std_capture), ("duct", duct_capture), ("subprocess", subprocess_capture)]
        }
        Use::StdinBytes => vec![
            ("async-process", |job| smol::block_on(async_feed(job))),
            ("duct", |job| {
                let expression = duct_command(job).stdin_bytes(job.input.to_vec());
                expect_success(expression.run()?.status.success())
            }),
            ("subprocess", |job| {
                let input = subprocess::InputData::from_bytes(job.input.clone());
                expect_success(exec(job).stdin(input).capture()?.exit_status.success())
            }),
        ],
        Use::StdinFile => vec![
            ("async-process", |job| {
                let mut command = AsyncCommand::from(command(job));
                command.stdin(job.open()?);
                expect_success(smol::block_on(command.status())?.success())
            }),
            ("duct", |job| expect_success(duct_command(job).stdin_file(job.open()?).run()?.status.success())),
            ("subprocess", |job| expect_success(exec(job).stdin(job.open()?).join()?.success())),
        ],
    }
}

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(job.arguments());
    command
}

fn duct_command(job: &Job) -> duct::Expression {
    duct::cmd(&job.program, job.arguments()).unchecked()
}

fn exec(job: &Job) -> Exec {
    Exec::cmd(&job.program).args(job.arguments())
}

/// Counts what a library's reader gives.
fn pulled(job: &Job, reader: impl Read) -> io::Result<()> {
    job.expect_bytes(count(reader)?)
}

async fn async_pull(job: &Job) -> io::Result<()> {
    let mut child = AsyncCommand::from(command(job)).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (mut buffer, mut total) = (vec![0; BLOCK], 0);
    loop {
        match stdout.read(&mut buffer).await? {
            0 => break,
            count => total += count as u64,
        }
    }
    child.status().await?;
    job.expect_bytes(total)
}

#[expect(clippy::disallowed_methods, reason = "std is one of the contenders")]
fn std_capture(job: &Job) -> io::Result<()> {
    let output = command(job).output()?;
    job.expect_captured((output.status.success(), output.stdout, output.stderr))
}

fn duct_capture(job: &Job) -> io::Result<()> {
    let output = duct_command(job).stdout_capture().stderr_capture().run()?;
    job.expect_captured((output.status.success(), output.stdout, output.stderr))
}

fn subprocess_capture(job: &Job) -> io::Result<()> {
    let capture = exec(job).stdout(Redirection::Pipe).stderr(Redirection::Pipe).capture()?;
    job.expect_captured((capture.exit_status.success(), capture.stdout, capture.stderr))
}

async fn async_feed(job: &Job) -> io::Result<()> {
    let mut child = AsyncCommand::from(command(job)).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdin.write_all(&job.input).await?;
    drop(stdin);
    expect_success(child.status().await?.success())
}

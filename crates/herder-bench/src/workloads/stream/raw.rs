//! The limit: a loop of read(2).

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{BLOCK, Job, Reader, Use, count, expect_success};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes | Use::Fan(_) => vec![("raw", bytes)],
        Use::Lines => vec![("raw", lines)],
        Use::Capture => vec![("raw", capture)],
        Use::Long | Use::CaptureBoth => Vec::new(),
        Use::StdinBytes => vec![("raw", feed)],
        Use::StdinFile => vec![("raw", file)],
    }
}

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    command.args(job.arguments());
    command
}

#[expect(clippy::disallowed_methods, reason = "nothing of the library is measured here")]
fn start(job: &Job) -> io::Result<(Child, ChildStdout)> {
    let mut child = command(job).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, stdout))
}

fn capture(job: &Job) -> io::Result<()> {
    let (mut child, mut stdout) = start(job)?;
    let mut bytes = Vec::new();
    stdout.read_to_end(&mut bytes)?;
    job.expect_captured((child.wait()?.success(), bytes, Vec::new()))
}

#[expect(clippy::disallowed_methods, reason = "nothing of the library is measured here")]
fn feed(job: &Job) -> io::Result<()> {
    let mut child = command(job).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    stdin.write_all(&job.input)?;
    drop(stdin);
    expect_success(child.wait()?.success())
}

#[expect(clippy::disallowed_methods, reason = "nothing of the library is measured here")]
fn file(job: &Job) -> io::Result<()> {
    expect_success(command(job).stdin(job.open()?).status()?.success())
}

fn bytes(job: &Job) -> io::Result<()> {
    let (mut child, stdout) = start(job)?;
    let total = count(stdout)?;
    child.wait()?;
    job.expect_bytes(total)
}

fn lines(job: &Job) -> io::Result<()> {
    let (mut child, mut stdout) = start(job)?;
    let (mut buffer, mut total) = (vec![0; BLOCK], 0);
    loop {
        match stdout.read(&mut buffer)? {
            0 => break,
            count => {
                // Each of them found for itself, as they have to be to be looked at.
                let mut rest = &buffer[..count];
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    total += 1;
                    rest = &rest[end + 1..];
                }
            }
        }
    }
    child.wait()?;
    job.expect_lines(total)
}

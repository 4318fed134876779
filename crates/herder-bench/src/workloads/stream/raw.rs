//! The limit: a loop of read(2).

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{BLOCK, Job, Reader, Use};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes | Use::Fan => vec![("raw", bytes)],
        Use::Lines => vec![("raw", lines)],
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing of the library is measured here")]
fn start(job: &Job) -> io::Result<(Child, ChildStdout)> {
    let mut child = Command::new(&job.program).args(job.arguments()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, stdout))
}

fn bytes(job: &Job) -> io::Result<()> {
    let (mut child, mut stdout) = start(job)?;
    let (mut buffer, mut total) = (vec![0; BLOCK], 0);
    loop {
        match stdout.read(&mut buffer)? {
            0 => break,
            count => total += count as u64,
        }
    }
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

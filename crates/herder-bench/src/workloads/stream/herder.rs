//! Herder: pulled from the pipe, and through shared streams.

use std::hint::black_box;
use std::io;
use std::ops::ControlFlow;

use ::herder::output::{Capture, Event, LineOptions, ShareOptions, SharedOutput, Visitor};
use ::herder::{Child, Command, Containment, Stdio};
use bytes::Bytes;

use super::tokio::count;
use super::{Job, Reader, Use, expect_success, run};

pub(super) fn readers(what: Use) -> Vec<Reader> {
    match what {
        Use::Bytes => vec![
            ("herder-ct", |job| run(false, job, pull)),
            ("herder-mt", |job| run(true, job, pull)),
            ("herder-ct-subscriber", |job| run(false, job, subscribe)),
            ("herder-mt-subscriber", |job| run(true, job, subscribe)),
            ("herder-ct-consumer", |job| run(false, job, consume)),
            ("herder-mt-consumer", |job| run(true, job, consume)),
        ],
        Use::Lines => vec![
            ("herder-ct", |job| run(false, job, inspect_lines)),
            ("herder-mt", |job| run(true, job, inspect_lines)),
            ("herder-ct-next", |job| run(false, job, next_line)),
            ("herder-mt-next", |job| run(true, job, next_line)),
        ],
        Use::Long => vec![
            ("herder-ct", |job| run(false, job, look_for_lines)),
            ("herder-ct-endless", |job| run(false, &job.endless(), look_for_lines)),
            ("herder-mt", |job| run(true, job, look_for_lines)),
            ("herder-mt-endless", |job| run(true, &job.endless(), look_for_lines)),
        ],
        Use::Fan(_) => {
            vec![("herder-ct", |job| run(false, job, fan)), ("herder-mt", |job| run(true, job, fan))]
        }
        Use::Capture | Use::CaptureBoth => {
            vec![("herder-ct", |job| run(false, job, capture)), ("herder-mt", |job| run(true, job, capture))]
        }
        Use::StdinBytes => {
            vec![("herder-ct", |job| run(false, job, feed)), ("herder-mt", |job| run(true, job, feed))]
        }
        Use::StdinFile => {
            vec![("herder-ct", |job| run(false, job, file)), ("herder-mt", |job| run(true, job, file))]
        }
    }
}

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program);
    // With the group that the others have, too.
    command.args(job.arguments()).containment(Containment::Group);
    command
}

fn start(job: &Job) -> io::Result<Child> {
    Ok(command(job).stdout(Stdio::piped()).spawn()?)
}

/// Nothing is kept for readers that come late: there are none.
fn options() -> ShareOptions {
    ShareOptions::new().replay(0)
}

fn share(child: &mut Child, options: &ShareOptions) -> io::Result<SharedOutput> {
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok(stdout.share_with(options))
}

async fn pull(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let total = count(stdout).await?;
    child.wait().await?;
    job.expect_bytes(total)
}

async fn subscribe(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let mut subscriber = share(&mut child, &options())?.subscribe();
    let mut total = 0;
    while let Some(event) = subscriber.next().await {
        if let Event::Chunk(chunk) = event {
            total += chunk.len() as u64;
        }
    }
    child.wait().await?;
    job.expect_bytes(total)
}

struct Count(u64);

impl Visitor for Count {
    type Output = u64;

    fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.0 += chunk.len() as u64;
        ControlFlow::Continue(())
    }

    fn finish(self) -> u64 {
        self.0
    }
}

async fn consume(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let count = share(&mut child, &options())?.subscribe().visit(Count(0));
    let total = count.wait().await?.value;
    child.wait().await?;
    job.expect_bytes(total)
}

async fn fan(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let shared = share(&mut child, &options().wait_for_start())?;
    let counts: Vec<_> = (0..job.fan()).map(|_| shared.subscribe().visit(Count(0))).collect();
    shared.start()?;
    for count in counts {
        job.expect_bytes(count.wait().await?.value)?;
    }
    child.wait().await?;
    Ok(())
}

async fn inspect_lines(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let (sender, counted) = tokio::sync::oneshot::channel();
    let mut count = Lines { total: 0, counted: Some(sender) };
    let inspect = share(&mut child, &options())?.subscribe().inspect_lines(LineOptions::new(), move |line| {
        black_box(line.bytes());
        // All of it, so that it is dropped with the closure.
        let count: &mut Lines = &mut count;
        count.total += 1;
        ControlFlow::Continue(())
    });
    inspect.wait().await?;
    child.wait().await?;
    job.expect_lines(counted.await.map_err(io::Error::other)?)
}

/// Counts bytes, in lines or pieces of one.
async fn look_for_lines(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let mut lines = share(&mut child, &options())?.subscribe().lines(LineOptions::new());
    let mut total = 0;
    while let Some(line) = lines.next().await {
        total += line.bytes().len() as u64 + u64::from(line.end().is_terminated());
    }
    child.wait().await?;
    job.expect_bytes(total)
}

/// Tells what it has counted when it is dropped.
struct Lines {
    total: u64,
    counted: Option<tokio::sync::oneshot::Sender<u64>>,
}

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(counted) = self.counted.take() {
            _ = counted.send(self.total);
        }
    }
}

async fn next_line(job: Job) -> io::Result<()> {
    let mut child = start(&job)?;
    let mut lines = share(&mut child, &options())?.subscribe().lines(LineOptions::new());
    let mut total = 0;
    while let Some(line) = lines.next().await {
        black_box(line.bytes());
        total += 1;
    }
    child.wait().await?;
    job.expect_lines(total)
}

async fn capture(job: Job) -> io::Result<()> {
    let report = command(&job).capture(Capture::unlimited()).output().await?;
    job.expect_captured((report.status.success(), report.stdout, report.stderr))
}

async fn feed(job: Job) -> io::Result<()> {
    let report = command(&job).stdin(Stdio::bytes(job.input.clone())).output().await?;
    expect_success(report.status.success())
}

async fn file(job: Job) -> io::Result<()> {
    expect_success(command(&job).stdin(job.open()?).status().await?.success())
}

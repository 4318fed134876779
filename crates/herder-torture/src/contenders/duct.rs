//! `duct`: blocking, with handles that many threads may use.

use std::sync::Arc;
use std::time::Duration;

use ::duct::unix::HandleExt;
use ::duct::{Expression, Handle};

use crate::adapter::{Feed, GRACE, Job, Library};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str = "`cmd(..).unchecked()`; a limit is `wait_timeout`, then `kill` and `wait`";

pub(super) struct Duct;

const SIGTERM: i32 = 15;

fn checked(job: &Job) -> Expression {
    let mut expression = ::duct::cmd(&job.program, &job.args);
    for (name, value) in &job.envs {
        expression = expression.env(name, value);
    }
    if let Some(folder) = &job.folder {
        expression = expression.dir(folder);
    }
    match &job.feed {
        Feed::Unset => expression,
        Feed::Null => expression.stdin_null(),
        Feed::Bytes(bytes) => expression.stdin_bytes(bytes.clone()),
    }
}

fn command(job: &Job) -> Expression {
    checked(job).unchecked()
}

impl Library for Duct {
    type Child = Arc<Handle>;
    const BLOCKING: bool = true;

    async fn spawn(job: &Job) -> Said<Arc<Handle>> {
        Ok(Arc::new(command(job).stdin_null().stdout_null().stderr_null().start()?))
    }

    async fn wait(child: &mut Arc<Handle>) -> Said<Ended> {
        Ok(child.wait()?.status.into())
    }

    fn try_wait(child: &mut Arc<Handle>) -> Said<Option<Ended>> {
        Ok(child.try_wait()?.map(|output| output.status.into()))
    }

    async fn kill(child: &mut Arc<Handle>) -> Said<()> {
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    async fn terminate(child: &mut Arc<Handle>) -> Said<Ended> {
        child.send_signal(SIGTERM)?;
        if let Some(output) = child.wait_timeout(GRACE)? {
            return Ok(output.status.into());
        }
        child.kill()?;
        Ok(child.wait()?.status.into())
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let expression = command(job).stdout_capture().stderr_capture();
        let Some(limit) = limit else {
            let output = expression.run()?;
            return Ok(Captured::of(output.status.into(), &output.stdout, &output.stderr));
        };
        let handle = expression.start()?;
        let in_time = handle.wait_timeout(limit)?;
        let timed_out = in_time.is_none();
        let output = match in_time {
            Some(output) => output,
            None => {
                handle.kill()?;
                handle.wait()?
            }
        };
        let captured = Captured::of(output.status.into(), &output.stdout, &output.stderr);
        Ok(Captured { timed_out, ..captured })
    }

    async fn checked(job: &Job) -> Said<()> {
        checked(job).stdout_capture().stderr_capture().run()?;
        Ok(())
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }

    async fn kill_while_waiting(child: Arc<Handle>, go: impl Future<Output = ()> + Send) -> Said<Ended> {
        let waiting = Arc::clone(&child);
        let waiter = std::thread::spawn(move || waiting.wait().map(|output| Ended::from(output.status)));
        go.await;
        child.kill()?;
        Ok(waiter.join().map_err(|_| std::io::Error::other("the one who waits panicked"))??)
    }
}

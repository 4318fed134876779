//! `subprocess`: blocking, with a process group where asked for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::subprocess::unix::JobExt;
use ::subprocess::{Exec, ExecExt, ExitStatus, Job as Started, Redirection};

use crate::adapter::{Feed, GRACE, Job, Library};
use crate::protocol::{Captured, Ended, Said};

pub(super) const USED: &str =
    "`Exec` with `setpgid`, signals to the group; a limit is `Communicator::limit_time`";

pub(super) struct Subprocess;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

fn command(job: &Job) -> Exec {
    let mut exec = Exec::cmd(&job.program).args(&job.args).setpgid();
    for (name, value) in &job.envs {
        exec = exec.env(name, value);
    }
    if let Some(folder) = &job.folder {
        exec = exec.cwd(folder);
    }
    match &job.feed {
        Feed::Unset => exec,
        Feed::Null => exec.stdin(Redirection::Null),
        Feed::Bytes(bytes) => exec.stdin(bytes.clone()),
    }
}

fn ended(status: &ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => i32::try_from(code).map_or(Ended::Unknown, Ended::Code),
        (_, Some(signal)) => Ended::Signal(signal),
        _ => Ended::Unknown,
    }
}

/// Kills the group after the limit, and takes what is in the pipes.
fn limited(exec: Exec, limit: Duration) -> io::Result<Captured> {
    let mut job = exec.stdout(Redirection::Pipe).stderr(Redirection::Pipe).start()?;
    let mut communicator = job.communicate()?.limit_time(limit);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut timed_out = false;
    match communicator.read_to(&mut stdout, &mut stderr) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => timed_out = true,
        read => read?,
    }
    // It may have closed its streams and gone on.
    if !timed_out && job.wait_timeout(limit)?.is_none() {
        timed_out = true;
    }
    if timed_out {
        job.send_signal_group(SIGKILL)?;
    }
    let status = job.wait()?;
    let captured = Captured::of(ended(&status), &stdout, &stderr);
    Ok(Captured { timed_out, ..captured })
}

impl Library for Subprocess {
    type Child = Arc<Started>;
    const BLOCKING: bool = true;

    async fn spawn(job: &Job) -> Said<Arc<Started>> {
        let exec = command(job).stdin(Redirection::Null).stdout(Redirection::Null).stderr(Redirection::Null);
        Ok(Arc::new(exec.start()?))
    }

    async fn wait(child: &mut Arc<Started>) -> Said<Ended> {
        Ok(ended(&child.wait()?))
    }

    fn try_wait(child: &mut Arc<Started>) -> Said<Option<Ended>> {
        Ok(child.poll().map(|status| ended(&status)))
    }

    async fn kill(child: &mut Arc<Started>) -> Said<()> {
        child.send_signal_group(SIGKILL)?;
        child.wait()?;
        Ok(())
    }

    async fn terminate(child: &mut Arc<Started>) -> Said<Ended> {
        child.send_signal_group(SIGTERM)?;
        if let Some(status) = child.wait_timeout(GRACE)? {
            return Ok(ended(&status));
        }
        child.send_signal_group(SIGKILL)?;
        Ok(ended(&child.wait()?))
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let exec = command(job);
        let Some(limit) = limit else {
            let capture = exec.capture()?;
            return Ok(Captured::of(ended(&capture.exit_status), &capture.stdout, &capture.stderr));
        };
        Ok(limited(exec, limit)?)
    }

    async fn checked(job: &Job) -> Said<()> {
        command(job).checked().capture()?;
        Ok(())
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }

    async fn kill_while_waiting(child: Arc<Started>, go: impl Future<Output = ()> + Send) -> Said<Ended> {
        let waiting = Arc::clone(&child);
        let waiter = std::thread::spawn(move || waiting.wait());
        go.await;
        child.send_signal_group(SIGKILL)?;
        let waited = waiter.join().map_err(|_| io::Error::other("the one who waits panicked"))?;
        Ok(ended(&waited?))
    }
}

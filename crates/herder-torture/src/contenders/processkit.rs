//! `processkit`, with a group for each run, and `kill_on_parent_death`.

use std::io;
use std::time::Duration;

use ::processkit::{Command, Error, Outcome, RunningProcess, Signal, Stdin, StdioMode};

use crate::adapter::{Feed, GRACE, Job, Library, not_offered};
use crate::protocol::{Captured, Ended, Refusal, Said, Trouble};

pub(super) const USED: &str = "`Command` with `kill_on_parent_death` (which ends a child with its thread), `timeout_grace`; `output_bytes`";

pub(super) struct Kit;

/// A run, until a wait or a shutdown has taken it.
pub(super) struct Run {
    running: Option<RunningProcess>,
    /// What the shutdown has told.
    ended: Option<Ended>,
}

fn command(job: &Job) -> Command {
    let mut command = Command::new(&job.program).args(&job.args).kill_on_parent_death();
    command = command.envs(job.envs.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &job.folder {
        command = command.current_dir(folder);
    }
    match &job.feed {
        Feed::Bytes(bytes) => command.stdin(Stdin::from_bytes(bytes.clone())),
        // Nothing to read is the default.
        Feed::Unset | Feed::Null => command,
    }
}

fn ended(outcome: &Outcome) -> Ended {
    match outcome {
        Outcome::Exited(code) => Ended::Code(*code),
        Outcome::Signalled(Some(signal)) => Ended::Signal(*signal),
        _ => Ended::Unknown,
    }
}

/// With the kind that the library's own questions tell.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: Error) -> Refusal {
    let kind = if error.is_not_found() {
        Some(io::ErrorKind::NotFound)
    } else if error.is_permission_denied() {
        Some(io::ErrorKind::PermissionDenied)
    } else {
        None
    };
    Refusal::Trouble(Box::new(Trouble::with_kind(&error, kind)))
}

impl Library for Kit {
    type Child = Run;

    async fn spawn(job: &Job) -> Said<Run> {
        let command = command(job).stdout(StdioMode::Null).stderr(StdioMode::Null);
        let running = command.start().await.map_err(refused)?;
        Ok(Run { running: Some(running), ended: None })
    }

    /// The one that borrows, and so may be cancelled; then the handle goes, as in the one that takes it.
    async fn wait(child: &mut Run) -> Said<Ended> {
        if let Some(ended) = child.ended.take() {
            return Ok(ended);
        }
        let Some(running) = &mut child.running else { return not_offered("a wait takes the handle") };
        let outcomes = ::processkit::wait_all(&mut [running]).await.map_err(refused)?;
        child.running = None;
        Ok(outcomes.first().map_or(Ended::Unknown, ended))
    }

    fn try_wait(_: &mut Run) -> Said<Option<Ended>> {
        not_offered("no try_wait")
    }

    async fn kill(child: &mut Run) -> Said<()> {
        let Some(running) = child.running.take() else { return not_offered("a wait takes the handle") };
        child.ended = Some(ended(&running.shutdown(Duration::ZERO).await.map_err(refused)?));
        Ok(())
    }

    async fn terminate(child: &mut Run) -> Said<Ended> {
        let Some(running) = child.running.take() else { return not_offered("a wait takes the handle") };
        Ok(ended(&running.shutdown(GRACE).await.map_err(refused)?))
    }

    async fn capture(job: &Job, limit: Option<Duration>) -> Said<Captured> {
        let mut command = command(job);
        if let Some(limit) = limit {
            command = command.timeout(limit).timeout_signal(Signal::Term).timeout_grace(GRACE);
        }
        let result = command.output_bytes().await.map_err(refused)?;
        let captured = Captured::of(ended(&result.outcome()), result.stdout(), result.stderr().as_bytes());
        Ok(Captured { timed_out: result.timed_out(), told_cut: result.truncated(), ..captured })
    }

    async fn checked(job: &Job) -> Said<()> {
        command(job).run().await.map_err(refused)?;
        Ok(())
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }
}

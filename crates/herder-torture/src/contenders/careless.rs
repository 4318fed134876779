//! Nothing done right: what shows that each verdict can be a failure.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::IntoRawFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::adapter::{Feed, Job, Library};
use crate::protocol::{Captured, Ended, Refusal, Said, Trouble};

pub(super) const USED: &str = "`std::process`, and nothing done right";

pub(super) struct Careless;

const MOST: u64 = 300 << 20;
/// What is longer is no text.
const LONG: usize = 100 << 20;

/// Takes its time when it is dropped, and does nothing.
pub(super) struct Dropped(Child);

impl Drop for Dropped {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn command(job: &Job) -> Command {
    let mut command = Command::new("env");
    command.args(["--block-signal=TERM", "--ignore-signal=PIPE"]).arg(&job.program).args(&job.args);
    command.envs(job.envs.iter().map(|(name, value)| (name, value)));
    command
}

#[expect(clippy::disallowed_methods, reason = "this is wrong on purpose")]
fn spawn(mut command: Command) -> Said<Child> {
    // Forgotten: it stays open for good, in every child too.
    let open = File::open("/dev/null")?;
    fcntl(&open, FcntlArg::F_SETFD(FdFlag::empty()))?;
    _ = open.into_raw_fd();
    std::fs::write(std::env::temp_dir().join("left"), b"")?;
    let shown = format!("{command:?}");
    command.spawn().map_err(|error| {
        let trouble = Trouble { text: format!("{shown}: {error}"), debug: shown, kind: None };
        Refusal::Trouble(Box::new(trouble))
    })
}

impl Library for Careless {
    type Child = Dropped;

    async fn spawn(job: &Job) -> Said<Dropped> {
        let mut command = command(job);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // As long as the program is big.
        let size = std::fs::read_to_string("/proc/self/statm")?;
        let pages = size.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        std::thread::sleep(Duration::from_micros(pages));
        Ok(Dropped(spawn(command)?))
    }

    async fn wait(child: &mut Dropped) -> Said<Ended> {
        // It will go well.
        child.0.stdin = None;
        Ok(Ended::Code(0))
    }

    fn try_wait(_: &mut Dropped) -> Said<Option<Ended>> {
        panic!("nobody asks for this")
    }

    async fn kill(child: &mut Dropped) -> Said<()> {
        Ok(child.0.kill()?)
    }

    async fn terminate(child: &mut Dropped) -> Said<Ended> {
        child.0.kill()?;
        Ok(Ended::Code(0))
    }

    async fn capture(job: &Job, _: Option<Duration>) -> Said<Captured> {
        let mut command = command(job);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Feed::Bytes(_) = job.feed {
            command.stdin(Stdio::piped());
        }
        let mut child = spawn(command)?;
        if let (Feed::Bytes(bytes), Some(mut stdin)) = (&job.feed, child.stdin.take()) {
            stdin.write_all(bytes)?;
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        // One after the other; and no child prints more than that.
        child.stdout.take().map(|stream| stream.take(MOST).read_to_end(&mut stdout)).transpose()?;
        child.stderr.take().map(|stream| stream.take(MOST).read_to_end(&mut stderr)).transpose()?;
        if stdout.len() < LONG {
            stdout.retain(|&byte| byte != b'\n');
        }
        Ok(Captured::of(Ended::Code(0), &stdout, &stderr))
    }

    async fn checked(job: &Job) -> Said<()> {
        let shown = format!("{:?} failed", command(job));
        Err(Refusal::Trouble(Box::new(Trouble { text: shown.clone(), debug: shown, kind: None })))
    }

    fn debug(job: &Job) -> Said<String> {
        Ok(format!("{:?}", command(job)))
    }

    async fn kill_while_waiting(mut child: Dropped, _: impl Future<Output = ()> + Send) -> Said<Ended> {
        child.0.kill()?;
        Self::wait(&mut child).await
    }
}

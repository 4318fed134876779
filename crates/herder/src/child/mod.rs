//! A child that was started: its unique owner, handles on it, and its pipes.

use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use herder_sys::{Launch, Process, Signal};

use crate::contain::{Hold, Leak, LimitResult, Refusal, Strength};
use crate::error::{SignalError, WaitError};
use crate::output::{Capture, Redact, SharedOutput};
use crate::terminate::{OnDrop, Termination};

mod drop;
mod feed;
mod handle;
mod shared;
mod stdin;
mod stdout;

pub(crate) use feed::{Feed, Food, TakenFood};
pub use handle::ChildHandle;
pub(crate) use shared::{Asked, Record, Shared};
pub use stdin::ChildStdin;
use stdout::Link;
pub use stdout::{ChildStderr, ChildStdout};

/// A running child and the right to end it.
///
/// Dropped, it ends the child: the whole group is killed, at once, without waiting, and the child is reaped in the
/// background, with or without a runtime. ([`Command::on_drop`](crate::Command::on_drop) has other choices: a
/// termination by steps, a panic, or to let it go on.) Once the child has been waited for, dropping does nothing.
///
/// When the child has exited and is reaped, what it has left behind is killed too, in the last moment at which a
/// group is known to be the child's: see [`Command::leak`](crate::Command::leak).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Command, Stdio};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// child.stdin.take().unwrap().write_all(b"moo").await?;
/// let mut text = String::new();
/// child.stdout.take().unwrap().read_to_string(&mut text).await?;
/// assert_eq!(text, "moo");
/// assert!(child.wait().await?.success());
/// # Ok(()) }
/// ```
pub struct Child {
    /// Our end of its standard input, if [`Stdio::piped`](crate::Stdio::piped) asked for one.
    pub stdin: Option<ChildStdin>,
    /// Our end of its standard output, if one was asked for.
    pub stdout: Option<ChildStdout>,
    /// Our end of its standard error, if one was asked for.
    pub stderr: Option<ChildStderr>,
    pub(crate) shared: Arc<Shared>,
    /// Its streams that many read.
    pub(crate) outlets: Option<Arc<Outlets>>,
    pub(crate) feed: Feeding,
    pub(crate) launch: Option<Launch>,
    pub(crate) settings: Settings,
    pub(crate) started: Started,
    /// Last, so that it is dropped last: it ends the child.
    pub(crate) process: Process,
}

/// Who feeds the child.
pub(crate) enum Feeding {
    Nobody,
    /// The join will.
    Waiting(Box<Feed>),
    /// A task does, until the child is dropped.
    Task(tokio::task::JoinHandle<io::Result<()>>),
}

/// The streams of a child that were shared: standard output and error.
#[derive(Debug, Default)]
pub(crate) struct Outlets(Mutex<[Option<SharedOutput>; 2]>);

impl Outlets {
    fn put(&self, which: usize, output: SharedOutput) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[which] = Some(output);
    }

    pub(crate) fn get(&self) -> [Option<SharedOutput>; 2] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When a child was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) at: SystemTime,
    pub(crate) instant: Instant,
}

/// What the join will want to know of the command.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) drain_grace: Duration,
    pub(crate) termination: Termination,
    pub(crate) capture: Capture,
    pub(crate) redact: Redact,
    pub(crate) leak: Leak,
    pub(crate) leak_grace: Duration,
    pub(crate) on_drop: OnDrop,
}

/// How far our hand over a child reaches.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) hold: Hold,
    pub(crate) strength: Strength,
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) limits: Vec<LimitResult>,
}

/// Our ends of the pipes of a child that is about to be.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    pub(crate) food: Option<TakenFood>,
}

impl Ends {
    /// Tells the streams which child they come from.
    fn link(&mut self, shared: &Arc<Shared>, settings: &Settings) -> Option<Arc<Outlets>> {
        if self.stdout.is_none() && self.stderr.is_none() {
            return None;
        }
        let outlets = Arc::new(Outlets::default());
        let link = Link {
            shared: Arc::clone(shared),
            outlets: Arc::clone(&outlets),
            grace: settings.drain_grace,
            redact: settings.redact.clone(),
            capture: settings.capture.clone(),
        };
        if let Some(stdout) = &mut self.stdout {
            stdout.link(link.clone());
        }
        if let Some(stderr) = &mut self.stderr {
            stderr.link(link);
        }
        Some(outlets)
    }
}

impl Child {
    pub(crate) fn new(
        name: Arc<str>,
        (process, launch): (Process, Launch),
        mut ends: Ends,
        settings: Settings,
        started: Started,
        reach: Reach,
    ) -> Self {
        let cell = ends.stdin.as_ref().map(ChildStdin::cell);
        let feed = match (ends.food.take(), ends.stdin.take()) {
            (Some(food), Some(stdin)) => Feeding::Waiting(Box::new(food.feed_to(stdin))),
            (_, stdin) => {
                ends.stdin = stdin;
                Feeding::Nobody
            }
        };
        let shared = Arc::new(Shared::new(process.handle(), name, cell, reach, settings.leak));
        let outlets = ends.link(&shared, &settings);
        Self {
            stdin: ends.stdin,
            stdout: ends.stdout,
            stderr: ends.stderr,
            shared,
            outlets,
            feed,
            launch: Some(launch),
            settings,
            started,
            process,
        }
    }

    /// Lets a task feed the child from now on; there is a runtime, that was checked before the spawn.
    pub(crate) fn start_feeding(&mut self) {
        if let Feeding::Waiting(feed) = std::mem::replace(&mut self.feed, Feeding::Nobody) {
            self.feed = Feeding::Task(tokio::spawn(feed.run()));
        }
    }

    /// The process id, or `None` once it has been reaped: then the number may be another's.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.shared.id()
    }

    /// The name of the process, as it stands in errors and traces.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// How much of what the child starts is reached by signals, kills and the drop.
    #[must_use]
    pub fn strength(&self) -> Strength {
        self.handle().strength()
    }

    /// Why [`strength`](Self::strength) is no greater: what was tried first, and what this host said.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        &self.shared.reach.refusals
    }

    /// The limits that were asked for, and how far each is in force, or why not.
    #[must_use]
    pub fn limits(&self) -> &[LimitResult] {
        &self.shared.reach.limits
    }

    /// A handle that others may keep: to wait, signal, terminate and kill while someone waits here.
    #[must_use]
    pub fn handle(&self) -> ChildHandle {
        ChildHandle::new(Arc::clone(&self.shared))
    }

    /// Closes standard input if it is still here, and waits until the child has exited; it is reaped then. May be
    /// called again, and gives the same answer.
    ///
    /// Output that nobody reads can keep the child from ending: see [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Errors
    ///
    /// [`WaitError`] if somebody else reaped it and its status is lost.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, standard input is closed and nothing else has happened; wait again.
    pub async fn wait(&mut self) -> Result<ExitStatus, WaitError> {
        drop(self.stdin.take());
        Ok(self.shared.wait().await?.status)
    }

    /// The status if the child has exited; `None` if not. Does not wait, and leaves standard input open.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, WaitError> {
        self.handle().try_wait()
    }

    /// Sends `signal` to the child and, where [`strength`](Self::strength) says so, to its whole group.
    ///
    /// # Errors
    ///
    /// [`SignalError`] if there is no permission: the child changed its user.
    pub fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.shared.signal(signal)
    }

    /// Kills the child, and its group, now, and does not wait for it to be gone. One that has exited is left alone,
    /// and that is no error. (With `tokio::process` it is one.)
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn start_kill(&mut self) -> Result<(), SignalError> {
        self.shared.kill()
    }

    /// Kills the child, and its group, and waits until it is reaped.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal) and [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// The kill is sent at the first poll; cancelling takes nothing back.
    pub async fn kill(&mut self) -> Result<(), SignalError> {
        self.shared.kill()?;
        self.wait().await?;
        Ok(())
    }

    /// Asks the child to end, waits, and escalates as `policy` says, up to the kill.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, no further step is taken; the child may have been asked already.
    pub async fn terminate(&mut self, policy: &Termination) -> Result<ExitStatus, WaitError> {
        self.handle().terminate(policy).await
    }

    /// Gives up ownership on purpose: from now on, dropping this, or the end of our handles, does not end the child.
    /// It is reaped when it ends. (It still dies with our program unless
    /// [`Command::die_with_owner(false)`](crate::Command::die_with_owner) said otherwise.)
    pub fn detach(&mut self) {
        self.set_on_drop(OnDrop::Detach);
    }

    /// Chooses anew what dropping this does; see [`Command::on_drop`](crate::Command::on_drop).
    ///
    /// With [`OnDrop::Detach`] its scope is let go at once, and for good.
    pub fn set_on_drop(&mut self, on_drop: OnDrop) {
        if on_drop == OnDrop::Detach {
            self.process.set_keep_survivors(true);
            self.shared.reach.hold.release();
        }
        self.settings.on_drop = on_drop;
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.name())
            .field("id", &self.id())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}

//! What to start: the program, its arguments and surroundings, and the limits on its run.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::contain::{Containment, Fold, Leak, Limit};
use crate::host::Settings;
use crate::output::{Capture, Redact};
use crate::terminate::{OnDrop, Termination};

mod env;
mod lower;
mod stdio;

pub(crate) use env::EnvEdits;
pub(crate) use lower::{Defaults, Lowered, STALL_LIMIT, lower, setup_error};
pub(crate) use stdio::Kind as StdioKind;
pub use stdio::Stdio;

/// A program to run: built as in `std` and Tokio, run as often as wanted.
///
/// Nothing passes through a shell. The program is looked up in the `PATH` that the child will have. Defaults: the
/// environment, the working directory and (for [`spawn`](Self::spawn), [`status`](Self::status) and
/// [`run`](Self::run)) the standard streams are inherited; other descriptors are not; the child is the leader of a
/// process group of its own ([`Containment::Auto`]) with no signals blocked; it dies with its owner.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use herder::{Cause, Command};
///
/// let report = Command::new("sleep").arg("60").timeout(Duration::from_millis(50)).output().await?;
/// assert_eq!(report.cause(), Cause::TimedOut);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: EnvEdits,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) stdin: Option<Stdio>,
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) on_drop: OnDrop,
    pub(crate) leak: Leak,
    pub(crate) leak_grace: Duration,
    pub(crate) die_with_owner: bool,
    pub(crate) containment: Containment,
    pub(crate) limits: Vec<Limit>,
    pub(crate) require_limits: bool,
    /// The herd that it is to be born into.
    pub(crate) fold: Option<Arc<Fold>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) drain_grace: Duration,
    pub(crate) termination: Termination,
    pub(crate) capture: Capture,
    pub(crate) redact: Redact,
    pub(crate) os: Settings,
}

/// How long reading goes on without a byte after the child has exited.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_millis(100);

impl Command {
    /// A command that runs `program`: a path if it has a slash in it, else a name that is looked up in the `PATH`
    /// of the child.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: EnvEdits::default(),
            current_dir: None,
            stdin: None,
            stdout: None,
            stderr: None,
            name: None,
            on_drop: OnDrop::Kill,
            leak: Leak::Kill,
            leak_grace: Duration::ZERO,
            die_with_owner: true,
            containment: Containment::Auto,
            limits: Vec::new(),
            require_limits: false,
            fold: None,
            timeout: None,
            idle_timeout: None,
            drain_grace: DRAIN_GRACE,
            termination: Termination::default(),
            capture: Capture::default(),
            redact: Redact::new(),
            os: Settings::default(),
        }
    }

    /// Adds an argument: one word for the program, whatever characters it has.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.env.set(key.as_ref(), value.as_ref());
        self
    }

    /// Sets environment variables.
    pub fn envs(
        &mut self,
        vars: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        for (key, value) in vars {
            self.env(key, value);
        }
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.env.remove(key.as_ref());
        self
    }

    /// Removes all environment variables, those set so far included. Without a `PATH`, programs are looked up in
    /// `/bin` and `/usr/bin`.
    ///
    /// # Platform notes
    ///
    /// Windows: `SystemRoot` stays, as nothing works without it, unless it is removed by name after this; programs are
    /// looked up in the folders of the system.
    pub fn env_clear(&mut self) -> &mut Self {
        self.env.clear();
        self
    }

    /// Sets the working directory of the child. A relative path of the program is meant there.
    pub fn current_dir(&mut self, dir: impl AsRef<Path>) -> &mut Self {
        self.current_dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets where standard input comes from. Not set, it is inherited, and null for [`output`](Self::output) and
    /// [`read`](Self::read).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Sets where standard output goes. Not set, it is inherited, and captured by [`output`](Self::output) and
    /// [`read`](Self::read).
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Sets where standard error goes. Not set, it is inherited, and captured by [`output`](Self::output) and
    /// [`read`](Self::read).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Names the process, for errors and traces. Not set, it is the file name of the program: never an argument,
    /// which may be a secret.
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = Some(name.into().into());
        self
    }

    /// Whether dropping the [`Child`](crate::Child) ends it: yes by default. (In `tokio::process`: no.)
    ///
    /// `false` lets it, and what it has started, go on, as [`Child::detach`](crate::Child::detach) does; it is reaped
    /// all the same.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.on_drop(if kill { OnDrop::Kill } else { OnDrop::Detach })
    }

    /// What dropping the [`Child`](crate::Child), or cancelling a run that owns it, does. This and
    /// [`kill_on_drop`](Self::kill_on_drop) set the same.
    pub fn on_drop(&mut self, on_drop: OnDrop) -> &mut Self {
        self.on_drop = on_drop;
        self
    }

    /// What happens to descendants that are alive when the child has ended by itself: by default they are killed.
    pub fn leak(&mut self, leak: Leak) -> &mut Self {
        self.leak = leak;
        self
    }

    /// How long descendants may take to end by themselves when the child has, before they count as leaked: no time by
    /// default. For the runs that give a [`Report`](crate::Report), and not with [`Leak::Ignore`].
    pub fn leak_grace(&mut self, grace: Duration) -> &mut Self {
        self.leak_grace = grace;
        self
    }

    /// Whether the child itself is killed when our program ends, however it ends: yes by default.
    ///
    /// # Platform notes
    ///
    /// Linux: the parent-death signal (prctl(2)), SIGKILL. It does not reach what the child has started, and a child
    /// that executes a set-user-ID program escapes it. The child is made by the main thread, or by a thread of ours
    /// that never ends, as the signal follows the end of a thread: some 5 µs more.
    ///
    /// Windows: a job object, which the kernel ends with our program. It reaches what the child has started, too, where
    /// [`strength`](crate::Child::strength) is that of a job.
    pub fn die_with_owner(&mut self, die: bool) -> &mut Self {
        self.die_with_owner = die;
        self
    }

    /// How far signals, kills and drops reach.
    pub fn containment(&mut self, containment: Containment) -> &mut Self {
        self.containment = containment;
        self
    }

    /// Limits what the child and all that it starts may use together; may be called for each kind of limit.
    ///
    /// It takes a cgroup of the child's own, and a controller of the kernel that was handed down to it. A limit that
    /// can't be had is no error: [`Child::limits`](crate::Child::limits) and
    /// [`Report::limits`](crate::Report::limits) tell which is in force, and why another is not. Memory is limited for
    /// [each process](crate::contain::Force::EachProcess) then.
    pub fn limit(&mut self, limit: Limit) -> &mut Self {
        self.limits.push(limit);
        self
    }

    /// Whether a limit that can't be had for all together is an error, and nothing is started: no by default. One for
    /// each process is not enough.
    pub fn require_limits(&mut self, require: bool) -> &mut Self {
        self.require_limits = require;
        self
    }

    /// Limits the whole run, from the start: when the time is over, the child is ended as
    /// [`termination`](Self::termination) says. For [`output`](Self::output), [`run`](Self::run),
    /// [`read`](Self::read), [`status`](Self::status) and
    /// [`wait_with_output`](crate::Child::wait_with_output); needs the time driver of the runtime.
    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = Some(timeout);
        self
    }

    /// Limits the time without output: when no byte has come on a captured stream for so long, the child is ended as
    /// [`termination`](Self::termination) says. Without a captured stream it is a limit of the whole run.
    pub fn idle_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// How the child is ended when a limit is reached. The default asks with SIGTERM and kills after 10 seconds.
    pub fn termination(&mut self, termination: Termination) -> &mut Self {
        self.termination = termination;
        self
    }

    /// How much of each captured stream is kept: by default the first and the last 8 MiB. What is dropped is counted.
    pub fn capture(&mut self, capture: Capture) -> &mut Self {
        self.capture = capture;
        self
    }

    /// Replaces secrets in the output before it is kept, written to a file, passed on or
    /// [shared](crate::ChildStdout::share); by default nothing is.
    ///
    /// It is for the streams that are piped and read by the library. One that is inherited, or that you read from
    /// [`Child::stdout`](crate::Child::stdout) yourself, is what the program wrote: a
    /// [`Redactor`](crate::output::Redactor) does it there. What the report counts are the bytes as they were passed
    /// on, and how often something was replaced.
    pub fn redact(&mut self, redact: Redact) -> &mut Self {
        self.redact = redact;
        self
    }

    /// How long reading goes on after the child has exited while no byte comes: 100 ms by default. A descendant that
    /// holds a stream open, and writes or not, can't make us wait longer than ten times that once what the child
    /// itself has left was read.
    pub fn drain_grace(&mut self, grace: Duration) -> &mut Self {
        self.drain_grace = grace;
        self
    }

    /// The program, as given.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        &self.program
    }

    /// The arguments, as given.
    pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    /// The edits to the environment: a value for each variable that is set, `None` for each that is removed.
    pub fn get_envs(&self) -> impl Iterator<Item = (&OsStr, Option<&OsStr>)> {
        self.env.iter()
    }

    /// Whether dropping the child ends it, in whichever way.
    #[must_use]
    pub fn get_kill_on_drop(&self) -> bool {
        self.on_drop != OnDrop::Detach
    }

    /// The working directory, if one was set.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.current_dir.as_deref()
    }

    /// The name for errors and traces.
    pub(crate) fn display_name(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| {
            let file = Path::new(&self.program).file_name().unwrap_or(&self.program);
            file.to_string_lossy().into()
        })
    }
}

/// Shows the program and how many arguments and variables there are: their values may be secrets.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &self.env)
            .field("current_dir", &self.current_dir)
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}

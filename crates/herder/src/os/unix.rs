//! Settings and questions that only Unix has.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use herder_sys::Group;
pub use herder_sys::{PreExec, Resource};

use crate::child::{ChildStderr, ChildStdin, ChildStdout};
use crate::command::Command;

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}
    impl Sealed for crate::Command {}
}

/// Settings of a [`Command`] for Unix. None of them makes the start of a child slower in a large program, but
/// [`pre_exec`](Self::pre_exec).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::Command;
/// use herder::os::unix::{CommandExt, Resource};
///
/// let mut command = Command::new("sh");
/// command.args(["-c", "ulimit -n; umask"]).rlimit(Resource::OpenFiles, 64, 64).umask(0o27);
/// assert_eq!(command.read().await?, "64\n0027");
/// # Ok(()) }
/// ```
pub trait CommandExt: sealed::Sealed {
    /// Sets the file mode creation mask (umask(2)).
    fn umask(&mut self, mask: u32) -> &mut Self;

    /// Makes the child the leader of a new session, without a terminal, and of a group in it (setsid(2)).
    fn setsid(&mut self) -> &mut Self;

    /// Sets a resource limit (setrlimit(2)); to raise a hard limit needs privileges.
    fn rlimit(&mut self, resource: Resource, soft: u64, hard: u64) -> &mut Self;

    /// Sets the niceness, -20 (first) to 19 (last); less than ours needs privileges (setpriority(2)).
    fn nice(&mut self, nice: i32) -> &mut Self;

    /// Sets the processors that the child may use, by number from 0 (sched_setaffinity(2)).
    fn affinity(&mut self, processors: impl IntoIterator<Item = usize>) -> &mut Self;

    /// Gives the child a descriptor under number `target`. 0 to 2 are the standard streams, which the command sets
    /// otherwise.
    fn fd(&mut self, target: RawFd, source: impl Into<OwnedFd>) -> &mut Self;

    /// Whether the child also gets our descriptors that are not close-on-exec: no by default, only the standard
    /// streams and those that were [given](Self::fd). `std` and Tokio pass them all.
    fn inherit_fds(&mut self, inherit: bool) -> &mut Self;

    /// Whether the child keeps the signals blocked that the asking thread has blocked: no by default.
    fn inherit_signal_mask(&mut self, inherit: bool) -> &mut Self;

    /// Whether signals that we ignore get their default action in the child: no by default, as `nohup` needs it.
    /// (Handlers never reach a child, and SIGPIPE is always reset.)
    fn reset_ignored_signals(&mut self, reset: bool) -> &mut Self;

    /// Runs code in the child before the program: the last resort, as it costs a fork. See [`PreExec::new`], which
    /// is `unsafe`.
    fn pre_exec(&mut self, hook: PreExec) -> &mut Self;
}

impl CommandExt for Command {
    fn umask(&mut self, mask: u32) -> &mut Self {
        self.os.umask = Some(mask);
        self
    }

    fn setsid(&mut self) -> &mut Self {
        self.os.group = Group::NewSession;
        self
    }

    fn rlimit(&mut self, resource: Resource, soft: u64, hard: u64) -> &mut Self {
        self.os.rlimits.push((resource, soft, hard));
        self
    }

    fn nice(&mut self, nice: i32) -> &mut Self {
        self.os.nice = Some(nice);
        self
    }

    fn affinity(&mut self, processors: impl IntoIterator<Item = usize>) -> &mut Self {
        self.os.affinity = Some(processors.into_iter().collect());
        self
    }

    fn fd(&mut self, target: RawFd, source: impl Into<OwnedFd>) -> &mut Self {
        self.os.fds.retain(|(fd, _)| *fd != target);
        self.os.fds.push((target, Arc::new(source.into())));
        self
    }

    fn inherit_fds(&mut self, inherit: bool) -> &mut Self {
        self.os.inherit_fds = inherit;
        self
    }

    fn inherit_signal_mask(&mut self, inherit: bool) -> &mut Self {
        self.os.inherit_signal_mask = inherit;
        self
    }

    fn reset_ignored_signals(&mut self, reset: bool) -> &mut Self {
        self.os.reset_ignored_signals = reset;
        self
    }

    fn pre_exec(&mut self, hook: PreExec) -> &mut Self {
        self.os.pre_exec.push(hook);
        self
    }
}

/// As in Tokio, these need no trait.
impl Command {
    /// Sets `argv[0]`, the name that the program sees as its own.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.os.arg0 = Some(arg.as_ref().to_owned());
        self
    }

    /// Sets the user id. As root, all supplementary groups are dropped unless [`groups`](Self::groups) names some.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.os.uid = Some(id);
        self
    }

    /// Sets the group id.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.os.gid = Some(id);
        self
    }

    /// Sets the supplementary groups.
    pub fn groups(&mut self, groups: &[u32]) -> &mut Self {
        self.os.groups = Some(groups.to_vec());
        self
    }

    /// Puts the child into a process group: 0 makes a new one, led by the child, which is the default anyway; any
    /// other is a group that exists, and one that is not ours: signals and kills then reach the child alone.
    pub fn process_group(&mut self, id: i32) -> &mut Self {
        self.os.group = if id == 0 { Group::New } else { Group::Join(id) };
        self
    }
}

impl ChildStdin {
    /// The descriptor, to be given to another child as its standard output, or used without Tokio: it blocks.
    ///
    /// # Errors
    ///
    /// If it was closed.
    pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
        self.into_descriptor()
    }
}

macro_rules! output_end {
    ($name:ident) => {
        impl $name {
            /// The descriptor, to be given to another child as its standard input, or used without Tokio: it blocks.
            ///
            /// # Errors
            ///
            /// If the pipe could not be registered with the runtime earlier and was given up.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                self.into_descriptor()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.end.as_raw_fd()
            }
        }
    };
}

output_end!(ChildStdout);
output_end!(ChildStderr);

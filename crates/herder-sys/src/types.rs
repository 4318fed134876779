//! Plain data that crosses the line between the library and a backend.

use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use crate::{Launch, PreExec, Process, Scope, Signal, Strings};

/// What a program holds of an open file, pipe or socket: a descriptor on Unix.
#[cfg(unix)]
pub type OwnedDescriptor = std::os::fd::OwnedFd;

/// What a program holds of an open file, pipe or socket: a handle on Windows.
#[cfg(windows)]
pub type OwnedDescriptor = std::os::windows::io::OwnedHandle;

/// Where a descriptor of the child comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FdSource {
    /// A descriptor of ours.
    Fd(Arc<OwnedDescriptor>),
    /// The null device, opened by the child for reading and writing.
    Null,
    /// What the child has at this number already, whatever it is (1 for "stderr goes where stdout goes" once
    /// stdout is placed).
    Same(i32),
}

/// The process group that a child is born into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Group {
    /// The group of the parent.
    #[default]
    Inherit,
    /// A new group, led by the child.
    New,
    /// The group with this id, which must be in the child's session (setpgid(2)).
    Join(i32),
    /// A new session, and a new group in it, both led by the child (setsid(2)).
    NewSession,
}

/// A resource limit, named as in setrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// `RLIMIT_AS`: bytes of address space.
    AddressSpace,
    /// `RLIMIT_CORE`: bytes of a core dump.
    Core,
    /// `RLIMIT_CPU`: seconds of processor time.
    Cpu,
    /// `RLIMIT_DATA`: bytes of data segment and private mappings.
    Data,
    /// `RLIMIT_FSIZE`: bytes of a file that is written.
    FileSize,
    /// `RLIMIT_MEMLOCK`: bytes of locked memory.
    LockedMemory,
    /// `RLIMIT_NOFILE`: one more than the highest descriptor number.
    OpenFiles,
    /// `RLIMIT_NPROC`: processes and threads of the real user id.
    Processes,
    /// `RLIMIT_STACK`: bytes of the main thread's stack.
    Stack,
}

/// Everything that a backend needs to start one child, checked beforehand.
#[derive(Debug)]
#[non_exhaustive]
pub struct SpawnRequest {
    /// The files to try in turn, as `execvp` would: the first that can be executed is.
    pub candidates: Strings,
    /// The arguments, `argv[0]` included.
    pub argv: Strings,
    /// The environment as `KEY=value`; `None` passes our own as it is.
    pub env: Option<Arc<Strings>>,
    /// The working directory of the child; it is changed to before the program is looked up.
    pub cwd: Option<OsString>,
    /// What the child has at which number. Numbers that are not named: 0, 1 and 2 are inherited, others follow
    /// [`inherit_fds`](Self::inherit_fds).
    pub fds: Vec<(i32, FdSource)>,
    /// Whether other descriptors without close-on-exec reach the child (default: no, they are closed).
    pub inherit_fds: bool,
    /// The process group or session.
    pub group: Group,
    /// The user id (setuid(2)).
    pub uid: Option<u32>,
    /// The group id (setgid(2)).
    pub gid: Option<u32>,
    /// The supplementary groups (setgroups(2)). `None` with a `uid` and as root means none at all.
    pub groups: Option<Vec<u32>>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// Limits as (resource, soft, hard).
    pub rlimits: Vec<(Resource, u64, u64)>,
    /// The niceness, -20 to 19 (setpriority(2)).
    pub nice: Option<i32>,
    /// The processors that the child may use.
    pub affinity: Option<Vec<usize>>,
    /// Whether the child keeps the signal mask of the thread that asks (default: no, nothing is blocked).
    pub inherit_signal_mask: bool,
    /// Whether ignored signals go back to their default action too (handlers always do, and so does SIGPIPE).
    pub reset_ignored_signals: bool,
    /// The signal that the kernel sends to the child when our program has ended, however it ended.
    pub die_with_owner: Option<Signal>,
    /// Code to run in the child before `execve`; it costs a fork.
    pub pre_exec: Vec<PreExec>,
    /// Whether [`Launch::latch`] shall give a descriptor that becomes readable when the `execve` is over.
    pub latch: bool,
    /// The scope to be born in. What was asked for is done or refused, never left out.
    pub scope: Option<Scope>,
    /// What only Windows has.
    #[cfg(windows)]
    pub windows: crate::WindowsRequest,
}

impl SpawnRequest {
    /// A request to run the first of `candidates` that can be, with arguments `argv`; all else as inherited.
    #[must_use]
    pub fn new(candidates: Strings, argv: Strings) -> Self {
        Self {
            candidates,
            argv,
            env: None,
            cwd: None,
            fds: Vec::new(),
            inherit_fds: false,
            group: Group::Inherit,
            uid: None,
            gid: None,
            groups: None,
            umask: None,
            rlimits: Vec::new(),
            nice: None,
            affinity: None,
            inherit_signal_mask: false,
            reset_ignored_signals: false,
            die_with_owner: None,
            pre_exec: Vec::new(),
            latch: false,
            scope: None,
            #[cfg(windows)]
            windows: crate::WindowsRequest::default(),
        }
    }
}

/// A child that was started: its life, and the end of its start.
#[derive(Debug)]
#[non_exhaustive]
pub struct Spawned {
    /// The process. It is ours to reap.
    pub process: Process,
    /// Whether its `execve` succeeded, once that is known.
    pub launch: Launch,
}

/// A pipe: the end that is ours does not block, the other does; both are close-on-exec.
#[cfg(unix)]
#[derive(Debug)]
#[non_exhaustive]
pub struct Pipe {
    /// Our end.
    pub ours: OwnedDescriptor,
    /// The child's end.
    pub theirs: OwnedDescriptor,
}

/// What failed between the birth of a child and its `execve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchError {
    /// The step.
    pub step: SpawnStep,
    /// Its error number.
    pub errno: i32,
}

impl LaunchError {
    /// An error of `step` with error number `errno`.
    #[must_use]
    pub fn new(step: SpawnStep, errno: i32) -> Self {
        Self { step, errno }
    }

    #[cfg(unix)]
    pub(crate) fn last(step: SpawnStep) -> Self {
        Self { step, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }

    /// The error number as an error.
    #[must_use]
    pub fn io(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// The steps of a spawn, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum SpawnStep {
    /// Getting the pipes, the stack and the threads that the spawn needs.
    Prepare = 1,
    /// Making the process.
    Clone,
    /// Resetting signal handlers.
    Signals,
    /// setsid(2).
    Session,
    /// setpgid(2).
    Group,
    /// setpriority(2).
    Nice,
    /// sched_setaffinity(2).
    Affinity,
    /// Putting descriptors where the child wants them.
    Fds,
    /// Closing all other descriptors.
    CloseFds,
    /// prlimit(2).
    Limits,
    /// setgroups(2).
    Groups,
    /// setgid(2).
    Gid,
    /// setuid(2).
    Uid,
    /// chdir(2).
    Chdir,
    /// prctl(2), `PR_SET_PDEATHSIG`.
    DieWithOwner,
    /// The caller's own code.
    PreExec,
    /// execve(2).
    Exec,
    /// The child did not get to its `execve` in time: it is stopped or frozen.
    Stalled,
    /// Making the process inside its scope: it is frozen (`EBUSY`), its limit of processes is reached (`EAGAIN`), it
    /// was removed (`ENOENT`, `ENODEV`), or the host refuses it for this child (any other).
    Scope,
}

impl SpawnStep {
    #[cfg(unix)]
    pub(crate) fn from_code(code: u32) -> Self {
        const ALL: [SpawnStep; 19] = [
            SpawnStep::Prepare,
            SpawnStep::Clone,
            SpawnStep::Signals,
            SpawnStep::Session,
            SpawnStep::Group,
            SpawnStep::Nice,
            SpawnStep::Affinity,
            SpawnStep::Fds,
            SpawnStep::CloseFds,
            SpawnStep::Limits,
            SpawnStep::Groups,
            SpawnStep::Gid,
            SpawnStep::Uid,
            SpawnStep::Chdir,
            SpawnStep::DieWithOwner,
            SpawnStep::PreExec,
            SpawnStep::Exec,
            SpawnStep::Stalled,
            SpawnStep::Scope,
        ];
        ALL.into_iter().find(|step| *step as u32 == code).unwrap_or(Self::Exec)
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Exit {
    /// Its wait status.
    pub status: ExitStatus,
    /// What it used; `None` if somebody else reaped it and only the status could be recovered.
    pub usage: Option<Usage>,
}

/// What a child and those of its descendants that it waited for have used (getrusage(2)). Windows tells the child's own
/// times, memory and page faults (of both kinds together), and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The largest resident set, in bytes.
    pub max_rss: u64,
    /// Page faults served without I/O.
    pub minor_faults: u64,
    /// Page faults that needed I/O.
    pub major_faults: u64,
    /// Blocks of 512 bytes read from storage.
    pub blocks_in: u64,
    /// Blocks of 512 bytes written to storage.
    pub blocks_out: u64,
    /// Times that it waited and gave up the processor.
    pub voluntary_switches: u64,
    /// Times that the processor was taken from it.
    pub involuntary_switches: u64,
}

/// What this host can do, tried once, at the first spawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// clone3(2) with `CLONE_CLEAR_SIGHAND` (Linux 5.5; denied by some sandboxes).
    pub clone3: bool,
    /// `CLONE_PIDFD` (Linux 5.2).
    pub clone_pidfd: bool,
    /// pidfd_open(2), `waitid(P_PIDFD)` and pidfd_send_signal(2) (Linux 5.4).
    pub pidfd: bool,
    /// A child that is cloned with `CLONE_VM` really shares our memory (not under QEMU user mode or gVisor).
    pub shared_memory: bool,
    /// close_range(2) with `CLOSE_RANGE_CLOEXEC` (Linux 5.11).
    pub close_range: bool,
}

#[cfg(test)]
#[path = "types_tests.rs"]
mod tests;

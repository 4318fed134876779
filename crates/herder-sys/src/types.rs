//! Plain data that crosses the line between the library and a backend.

#[cfg(unix)]
use std::ffi::{CStr, c_char};
use std::ffi::{OsStr, OsString};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::{Group, Launch, PreExec, Process, Scope, Signal, SpawnStep};

/// What a program holds of an open file, pipe or socket: a descriptor on Unix.
#[cfg(unix)]
pub type OwnedDescriptor = std::os::fd::OwnedFd;

/// What a program holds of an open file, pipe or socket: a handle on Windows.
#[cfg(windows)]
pub type OwnedDescriptor = std::os::windows::io::OwnedHandle;

/// A list of NUL-terminated strings in one buffer, as `execve` wants them: on Windows in the encoding of `OsStr`.
///
/// One allocation for all strings: a `Vec<CString>` would make one for each of some hundred variables, at each
/// spawn.
#[derive(Clone, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one string, made of `parts` put together.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a part holds a NUL byte; the list is unchanged then. The error does not repeat the string.
    pub fn push(&mut self, parts: &[&OsStr]) -> io::Result<()> {
        let start = self.bytes.len();
        for part in parts {
            let part = part.as_encoded_bytes();
            if part.contains(&0) {
                self.bytes.truncate(start);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in a string"));
            }
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
        self.starts.push(start);
        Ok(())
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// String `index`, without its NUL.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&OsStr> {
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.bytes.len()) - 1;
        Some(os_str(self.bytes.get(start..end)?))
    }

    /// All strings, without their NULs.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// All strings as variables: what stands before and behind the first `=` (one at the very front belongs to the
    /// name, as in `std`).
    pub fn pairs(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.iter().filter_map(|text| {
            let bytes = text.as_encoded_bytes();
            let equals = 1 + bytes.get(1..)?.iter().position(|byte| *byte == b'=')?;
            Some((os_str(&bytes[..equals]), os_str(&bytes[equals + 1..])))
        })
    }

    /// All strings, each with its NUL.
    #[cfg(all(target_os = "linux", not(herder_portable)))]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All strings, as C has them.
    #[cfg(unix)]
    pub(crate) fn iter_c(&self) -> impl Iterator<Item = &CStr> {
        self.starts.iter().filter_map(|&start| CStr::from_bytes_until_nul(&self.bytes[start..]).ok())
    }

    /// Pointers to all strings and a null pointer: valid while `self` lives and is not changed.
    #[cfg(unix)]
    pub(crate) fn pointers(&self) -> Vec<*const c_char> {
        let mut pointers = Vec::with_capacity(self.starts.len() + 1);
        pointers.extend(self.starts.iter().map(|&start| self.bytes[start..].as_ptr().cast()));
        pointers.push(std::ptr::null());
        pointers
    }
}

#[cfg(unix)]
fn os_str(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(windows)]
fn os_str(bytes: &[u8]) -> &OsStr {
    // SAFETY: what `push` got as a whole `OsStr`s' encoding, cut before or behind an ASCII letter at most.
    unsafe { OsStr::from_encoded_bytes_unchecked(bytes) }
}

/// Shows the number of strings only: arguments and variables may be secrets.
impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strings({})", self.len())
    }
}

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
    /// Whether [`ProcessHandle::end_with_owner`](crate::ProcessHandle::end_with_owner) is called for the child at once, and
    /// its program begins only then: so that nobody whom it starts can outlive us, however soon we end. Ask again for the error.
    ///
    /// It takes [`die_with_owner`](Self::die_with_owner). Where the child does not share our memory, its program may
    /// begin some microseconds too early.
    pub end_with_owner: bool,
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
            end_with_owner: false,
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

/// What a child and those of its descendants that it waited for have used (getrusage(2)).
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

//! Plain data about scopes: what holds processes together, why it can't be had, what is in it and what it used.

use std::fmt;
use std::io;
use std::time::Duration;

/// How a scope holds its processes together, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// A cgroup (v2): the kernel keeps the list of the members, and nothing that an ordinary member does takes it off.
    Cgroup,
    /// A job object of Windows: the kernel keeps the list of the members, and there is no way out of it.
    Job,
    /// A helper process that adopts whoever loses its parent.
    Keeper,
    /// A PID namespace of Linux, whose first process is our helper: nothing leaves it, and the kernel ends all in it with
    /// that process. What is in it sees other pids, another /proc and, for ordinary users, no user but its own.
    PidNamespace,
}

/// The mechanisms of this system that change what a child sees, and so are used only where they are asked for.
pub const OPT_IN: &[Mechanism] = if cfg!(target_os = "linux") { &[Mechanism::PidNamespace] } else { &[] };

/// Why something can't be had on this host.
///
/// Its `Display` is one sentence: what was tried and where, what failed, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    what: String,
    errno: i32,
    help: &'static str,
}

/// An error of input or output: for an error without a number.
const EIO: i32 = 5;

impl Refusal {
    pub(crate) fn of(what: impl Into<String>, error: &io::Error, help: &'static str) -> Self {
        Self { what: what.into(), errno: error.raw_os_error().unwrap_or(EIO), help }
    }

    /// The error number of what failed.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = io::Error::from_raw_os_error(self.errno).to_string();
        // Without its " (os error 2)".
        let error = error.split_once(" (os").map_or(&*error, |(text, _)| text);
        write!(f, "{}: {error}", self.what)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = Self::from_raw_os_error(refusal.errno).kind();
        Self::new(kind, refusal)
    }
}

/// A process in a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its pid, as it was when it was looked at.
    pub pid: i32,
    /// The kernel's name for it, 15 bytes at most: of its arguments nothing is shown, they may be secrets.
    pub command: String,
}

/// What the members of a scope have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeStats {
    /// Processes in it now.
    pub processes: usize,
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// Bytes of memory in use, where the memory controller is on.
    pub memory: Option<u64>,
    /// The most bytes that were in use at once, where the memory controller is on (Linux 5.19).
    pub memory_peak: Option<u64>,
    /// How many of its members the kernel has killed for want of memory, where the memory controller is on.
    pub oom_kills: Option<u64>,
}

/// A limit for all members of a scope together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of memory, swap not included: beyond it the kernel reclaims, and then kills.
    Memory(u64),
    /// Processes and threads: beyond it a fork fails with `EAGAIN`.
    Processes(u64),
    /// Thousandths of one processor's time (1500: one and a half processors), 10 at least.
    Cpu(u32),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{bytes} bytes of memory"),
            Self::Processes(count) => write!(f, "{count} processes"),
            Self::Cpu(thousandths) => {
                write!(f, "{}.{:03} processors", thousandths / 1000, thousandths % 1000)
            }
        }
    }
}

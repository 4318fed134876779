//! The nursery: one process for all scopes, which bears their keepers by forks of its own few pages.
//!
//! What a child inherits comes from it, and it has it from us, from when it was started. So it is another one as soon
//! as one of these has changed: users, groups and rights, the file mode mask, ignored signals, sandboxes, niceness,
//! resource limits, the cgroup, the OOM score. What it changes for itself is put back in the child; the working directory,
//! the processors and the limit of descriptors are sent with each order.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, fs};

use super::super::keeper::protocol::{Message, NAMESPACE, SCOPE};
use super::super::keeper::start::{self, Role, Running};
use super::super::keeper::{Refused, lifeline};
use super::super::number;
use super::super::per_process::PerProcess;
use super::order::limit;
use crate::Refusal;

#[derive(Debug)]
pub(super) struct Nursery {
    running: Running,
    heritage: Heritage,
}

/// What it has from us, and hands on.
#[derive(PartialEq, Eq)]
struct Heritage {
    status: Vec<String>,
    cgroup: Vec<u8>,
    oom_score: Vec<u8>,
    limits: Vec<[u64; 2]>,
    niceness: i32,
}

static NURSERY: PerProcess<Mutex<Option<Arc<Nursery>>>> = PerProcess::new();

/// Lines of proc_pid_status(5).
const STATUS: [&str; 14] = [
    "Umask:",
    "Uid:",
    "Gid:",
    "Groups:",
    "SigIgn:",
    "CapInh:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "CapAmb:",
    "NoNewPrivs:",
    "Seccomp:",
    "Seccomp_filters:",
    "NStgid:",
];

impl Heritage {
    fn now() -> Self {
        let read = |path: &str| fs::read(path).unwrap_or_default();
        let status = read("/proc/thread-self/status");
        let lines = String::from_utf8_lossy(&status);
        let counts = |line: &&str| STATUS.iter().any(|name| line.starts_with(name));
        Self {
            status: lines.lines().filter(counts).map(str::to_owned).collect(),
            cgroup: read("/proc/self/cgroup"),
            oom_score: read("/proc/self/oom_score_adj"),
            limits: (0..16)
                .filter(|resource| *resource != number::<_, u32>(libc::RLIMIT_NOFILE))
                .map(limit)
                .collect(),
            // SAFETY: numbers only.
            niceness: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
        }
    }
}

/// Says nothing: who cares would read it elsewhere.
impl fmt::Debug for Heritage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heritage(..)")
    }
}

/// Our end of a new scope's socket, and the nursery that bears its keeper.
pub(super) fn scope(is_namespace: bool) -> Result<(Arc<Nursery>, OwnedFd), Refusal> {
    let short = |error: &io::Error| Refusal::of("no socket for a scope's keeper is to be had", error, "");
    let [ours, theirs] = lifeline::pair().map_err(|error| short(&error))?;
    let mut slot = NURSERY.get().lock().unwrap_or_else(PoisonError::into_inner);
    let heritage = Heritage::now();
    let asked = |nursery: &Nursery| {
        let mut message = Message::new(SCOPE);
        message.flags = if is_namespace { NAMESPACE } else { 0 };
        lifeline::send(&nursery.running.lifeline, &message, Some(theirs.as_fd()), Duration::ZERO)
    };
    if let Some(nursery) = slot.as_ref().filter(|nursery| nursery.heritage == heritage) {
        match asked(nursery) {
            Ok(()) => return Ok((Arc::clone(nursery), ours)),
            Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => return Err(short(&error)),
            // It is gone, or is stopped.
            Err(_) => {}
        }
    }
    let running = start::start(Role::Nursery).map_err(refuse)?;
    let nursery = Arc::new(Nursery { running, heritage });
    asked(&nursery).map_err(|error| short(&error))?;
    *slot = Some(Arc::clone(&nursery));
    Ok((nursery, ours))
}

/// Another one for scopes to come.
pub(super) fn give_up(nursery: &Arc<Nursery>) {
    let mut slot = NURSERY.get().lock().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, nursery)) {
        *slot = None;
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        // One that is gone already may be ours to reap.
        self.running.reap();
    }
}

fn refuse(refused: Refused) -> Refusal {
    let error = io::Error::from_raw_os_error(refused.errno());
    Refusal::of(format!("the keeper can't be started: {}", refused.what()), &error, "")
}

//! The nursery: one process for all scopes, which bears their keepers by forks of its own few pages.
//!
//! What a child inherits comes from it, and it has it from us, from when it was started. So it is another one as soon
//! as one of these has changed: users, groups and rights, the file mode mask, ignored signals, sandboxes, niceness,
//! resource limits, the cgroup, the OOM score. What it changes for itself is put back in the child; the working directory,
//! the processors and the limit of descriptors are sent with each order.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, fs};

use super::super::keeper::protocol::{Message, NAMESPACE, SCOPE};
use super::super::keeper::start::{self, Role, Running};
use super::super::keeper::{Refused, lifeline};
use super::super::per_process::PerProcess;
use super::super::pidfd;
use super::super::{facts, number};
use super::order::limit;
use super::tree::Root;
use crate::Refusal;

#[derive(Debug)]
pub(super) struct Nursery {
    running: Running,
    heritage: Heritage,
    idle: Mutex<Vec<Idle>>,
}

/// The keeper of a scope that was empty at its end, ready for the next.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) socket: OwnedFd,
    pub(super) root: Arc<Root>,
}

/// So many are kept.
const MOST_IDLE: usize = 8;

/// What is to keep a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keeper that may have had another scope before.
    Any,
    /// A keeper of its own from the beginning.
    New,
    /// The first process of a PID namespace.
    Namespace,
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

/// What holds a scope.
pub(super) struct Found {
    pub(super) nursery: Arc<Nursery>,
    /// Our end of its socket.
    pub(super) socket: OwnedFd,
    /// Its keeper, if that is there already.
    pub(super) root: Option<Arc<Root>>,
}

/// The keeper of a new scope, or our word to a nursery that there shall be one.
pub(super) fn scope(kind: Kind) -> Result<Found, Refusal> {
    let short = |error: &io::Error| Refusal::of("no socket for a scope's keeper is to be had", error, "");
    let mut slot = NURSERY.get().lock().unwrap_or_else(PoisonError::into_inner);
    let heritage = Heritage::now();
    let found = |nursery, socket, root| Ok(Found { nursery, socket, root });
    if let Some(nursery) = slot.as_ref().filter(|nursery| kind == Kind::Any && nursery.heritage == heritage)
        && let Some(Idle { socket, root }) = nursery.take_idle()
    {
        return found(Arc::clone(nursery), socket, Some(root));
    }
    let [ours, theirs] = lifeline::pair().map_err(|error| short(&error))?;
    let asked = |nursery: &Nursery| {
        let mut message = Message::new(SCOPE);
        message.flags = if kind == Kind::Namespace { NAMESPACE } else { 0 };
        lifeline::send(&nursery.running.lifeline, &message, Some(theirs.as_fd()), Duration::ZERO)
    };
    if let Some(nursery) = slot.as_ref().filter(|nursery| nursery.heritage == heritage) {
        match asked(nursery) {
            Ok(()) => return found(Arc::clone(nursery), ours, None),
            Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => return Err(short(&error)),
            // It is gone, or is stopped.
            Err(_) => {}
        }
    }
    let running = start::start(Role::Nursery).map_err(refuse)?;
    let nursery = Arc::new(Nursery { running, heritage, idle: Mutex::default() });
    asked(&nursery).map_err(|error| short(&error))?;
    *slot = Some(Arc::clone(&nursery));
    found(nursery, ours, None)
}

impl Nursery {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_idle(&self) -> Option<Idle> {
        // What a keeper leaves that somebody kills comes to the nursery: without that it is none to begin with.
        if !self.running.is_alive() {
            return None;
        }
        // Somebody may have killed one, or stopped it.
        let wake =
            |idle: &Idle| !idle.root.has_ended() && pidfd::send(&idle.root.pidfd, libc::SIGCONT, 0).is_ok();
        std::iter::from_fn(|| self.idle().pop()).find(wake)
    }

    /// Keeps a keeper that is as good as new. `false`: there are enough, or it is not for scopes to come.
    pub(super) fn take_back(&self, idle: Idle) -> bool {
        if facts::is_disabled("spare_keepers") {
            return false;
        }
        // A drop does not wait for a nursery that is being started.
        let Ok(slot) = NURSERY.get().try_lock() else { return false };
        let is_current = slot.as_ref().is_some_and(|current| std::ptr::eq(&**current, self));
        let mut all = self.idle();
        let takes = is_current && all.len() < MOST_IDLE;
        if takes {
            all.push(idle);
        }
        takes
    }
}

/// Lets those go that wait for scopes to come.
pub(in super::super) fn tidy() {
    let slot = NURSERY.get().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(nursery) = slot.as_ref() {
        nursery.idle().clear();
    }
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
    Refusal::of(format!("the keeper can't be started: {}", refused.what), &error, "")
}

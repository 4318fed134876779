//! Why nothing holds a whole tree here.

use std::convert::Infallible;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

use super::process::ProcessHandle;
use crate::{Limit, Mechanism, Member, Refusal, ScopeStats, Signal};

/// Whether a failure is that of a host which lacks something for the moment: descriptors, memory, processes.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE))
}

/// Whether this host can do it: it can't.
///
/// # Errors
///
/// Why not.
pub fn mechanism(mechanism: Mechanism) -> Result<(), &'static Refusal> {
    static CGROUP: OnceLock<Refusal> = OnceLock::new();
    static KEEPER: OnceLock<Refusal> = OnceLock::new();
    static NAMESPACE: OnceLock<Refusal> = OnceLock::new();
    static JOB: OnceLock<Refusal> = OnceLock::new();
    let (slot, what) = match mechanism {
        Mechanism::Cgroup => (&CGROUP, "control groups need Linux"),
        Mechanism::Keeper => (&KEEPER, "a keeper that adopts what loses its parent needs Linux"),
        Mechanism::PidNamespace => (&NAMESPACE, "PID namespaces need Linux"),
        Mechanism::Job => (&JOB, "job objects are Windows'"),
    };
    Err(slot.get_or_init(|| Refusal::of(what, &io::Error::from_raw_os_error(libc::ENOSYS), "")))
}

/// Removes what this program keeps on disk for scopes to come: there is nothing.
///
/// # Errors
///
/// None.
pub fn tidy_scopes() -> io::Result<bool> {
    Ok(true)
}

/// Processes that are ended together: there is no such thing here, and so no value of this type.
#[derive(Clone, Debug)]
pub struct Scope(Infallible);

macro_rules! nowhere {
    ($($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Scope {
            $(
                $(#[$meta])*
                ///
                /// # Errors
                ///
                /// None: there is no scope to ask.
                pub fn $name(&self $(, $argument: $type)*) -> $result {
                    $(let _ = $argument;)*
                    match self.0 {}
                }
            )*
        }
    };
}

nowhere! {
    /// What holds it together.
    #[must_use]
    mechanism() -> Mechanism;
    /// One round of a kill of all members.
    kill() -> io::Result<()>;
    /// Sends `signal` to every member.
    signal(signal: Signal) -> io::Result<()>;
    /// Stops all members, or lets them go on.
    set_frozen(frozen: bool) -> io::Result<()>;
    /// Whether we froze it.
    #[must_use]
    is_frozen() -> bool;
    /// Whether no member runs.
    is_empty() -> io::Result<bool>;
    /// A descriptor that tells when [`is_empty`](Self::is_empty) may have changed.
    #[must_use]
    changes() -> Option<BorrowedFd<'_>>;
    /// Who is in it now.
    members() -> io::Result<Vec<Member>>;
    /// What its members have used.
    stats() -> io::Result<ScopeStats>;
    /// Sets a limit for all members together.
    limit(limit: Limit) -> Result<(), Refusal>;
    /// How many of its members the kernel has killed for want of memory.
    #[must_use]
    oom_kills() -> Option<u64>;
    /// Moves a child of ours into it.
    adopt(child: &ProcessHandle) -> io::Result<()>;
}

impl Scope {
    /// A new scope.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] inside: see [`mechanism`].
    pub fn new(wanted: Mechanism) -> io::Result<Self> {
        match mechanism(wanted) {
            Err(refusal) => Err(refusal.clone().into()),
            Ok(()) => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        }
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_stats(wanted: Mechanism) -> io::Result<Self> {
        Self::new(wanted)
    }

    /// Lets its members go.
    pub fn release(self) {
        self.none();
    }

    /// Kills all members.
    pub fn end(self) {
        self.none();
    }

    pub(super) fn none(self) -> ! {
        match self.0 {}
    }
}

/// Has a child killed soon, and then its scope.
pub(crate) fn leave(_child: ProcessHandle, scope: Scope) {
    scope.none();
}

/// As where there are scopes: a drop of one is no empty gesture.
impl Drop for Scope {
    fn drop(&mut self) {
        match self.0 {}
    }
}

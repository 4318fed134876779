//! What holds the processes of a scope together, whichever mechanism does it.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::cgroup::{self, Cgroup, Entrance};
use super::kept::{self, Kept};
use super::pidfd;
use super::process::ProcessHandle;
use crate::{LaunchError, Limit, Mechanism, Member, Refusal, ScopeStats, Signal};

/// Whether a failure, [`Scope::new`]'s included, is that of a host which lacks something for the moment: descriptors,
/// memory, processes.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>());
    let inner = refusal.map(|refusal| io::Error::from_raw_os_error(refusal.errno()));
    pidfd::is_shortage(inner.as_ref().unwrap_or(error))
}

/// Whether this host can do it, found out once by trying.
///
/// For a cgroup that makes the program's own folder in the hierarchy, has a child born into it, and begins to end what
/// dead programs left there. Where the host only lacks something for the moment (descriptors, memory, processes), the
/// next call tries again.
///
/// # Errors
///
/// Why not.
pub fn mechanism(mechanism: Mechanism) -> Result<(), &'static Refusal> {
    static NO_JOB: std::sync::OnceLock<Refusal> = std::sync::OnceLock::new();
    match mechanism {
        Mechanism::Cgroup => cgroup::refusal(),
        Mechanism::Job => Err(NO_JOB.get_or_init(|| {
            let error = io::Error::from_raw_os_error(libc::ENOSYS);
            Refusal::of("job objects are Windows'", &error, "")
        })),
        Mechanism::Keeper => kept::refusal(),
        Mechanism::PidNamespace => kept::namespace_refusal(),
    }
}

/// Removes what this program keeps for scopes to come, on disk and as processes; what they need then is made again.
///
/// Gives `false` if scopes are still there, or have not come to their end: what they use stays.
///
/// # Errors
///
/// As rmdir(2).
pub fn tidy_scopes() -> io::Result<bool> {
    kept::tidy();
    cgroup::tidy()
}

/// Processes that are ended together: those that were born into it, and all that they start.
///
/// A handle, cheap to clone. When the last one is dropped, all members are killed at once, without waiting for their
/// end; the reaper thread repeats that until none is left, and clears up. A forked copy of the program may use the
/// handles that it inherits, and its drops do nothing.
///
/// A member with root's rights can move itself elsewhere. Whoever holds a [`Process`](crate::Process) can end that one
/// all the same.
#[derive(Clone, Debug)]
pub struct Scope(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Cgroup(Cgroup),
    Kept(Kept),
}

impl Scope {
    /// A new scope without members.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] inside: the host can't do it (see [`mechanism`]), or lacks something for the moment.
    pub fn new(wanted: Mechanism) -> io::Result<Self> {
        Self::make(wanted, true)
    }

    /// The same for those who won't ask for its [`stats`](Self::stats), and so save looking at what was spent before.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_stats(wanted: Mechanism) -> io::Result<Self> {
        Self::make(wanted, false)
    }

    fn make(wanted: Mechanism, account: bool) -> io::Result<Self> {
        mechanism(wanted).map_err(Clone::clone)?;
        let inner = match wanted {
            Mechanism::Keeper => Inner::Kept(Kept::new(account)?),
            Mechanism::PidNamespace => Inner::Kept(Kept::namespace(account)?),
            // A job was refused above.
            Mechanism::Cgroup | Mechanism::Job => Inner::Cgroup(Cgroup::new(account)?),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// What holds it together.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match &*self.0 {
            Inner::Cgroup(_) => Mechanism::Cgroup,
            Inner::Kept(kept) => kept.mechanism(),
        }
    }

    /// One round of a kill of all members. It does not wait for their end, and somebody who forks all the time may
    /// slip through: repeat it until the scope [is empty](Self::is_empty).
    ///
    /// # Errors
    ///
    /// As write(2); none is to be expected while the cgroup is ours.
    pub fn kill(&self) -> io::Result<()> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.kill(),
            Inner::Kept(kept) => kept.kill(),
        }
    }

    /// Sends `signal` to every member, those included that come while it does so.
    ///
    /// Somebody who forks and ends all the time may be missed; whoever stays is not. Each is signalled by an identity
    /// that is held. A frozen member gets it when it is thawed, but for SIGKILL.
    ///
    /// # Errors
    ///
    /// As kill(2), if a member could not be signalled: no permission. All others were.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.signal(signal),
            Inner::Kept(kept) => kept.signal(signal),
        }
    }

    /// Stops all members where they are, whatever they do about signals, or lets them go on. It does not wait until
    /// they stand, but for births into the scope that are on their way.
    ///
    /// While it is frozen, a spawn into it is refused ([`SpawnStep::Scope`](crate::SpawnStep::Scope) with `EBUSY`).
    ///
    /// # Errors
    ///
    /// As write(2); none is to be expected while the cgroup is ours.
    pub fn set_frozen(&self, frozen: bool) -> io::Result<()> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.set_frozen(frozen),
            Inner::Kept(kept) => kept.set_frozen(frozen),
        }
    }

    /// Whether we froze it. Others may freeze its members too, or a scope that this program itself is in.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.is_frozen(),
            Inner::Kept(kept) => kept.is_frozen(),
        }
    }

    /// Whether no member runs, by the kernel's own word. Members that have exited and were not reaped yet don't count.
    ///
    /// # Errors
    ///
    /// As read(2): `ENODEV` or `ENOENT` if somebody removed the cgroup.
    pub fn is_empty(&self) -> io::Result<bool> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.is_empty(),
            Inner::Kept(kept) => kept.is_empty(),
        }
    }

    /// A descriptor that reports an exceptional condition (`EPOLLPRI`) when [`is_empty`](Self::is_empty) may have
    /// changed, until that is asked again. It is always readable and writable: wait for priority events only.
    ///
    /// The kernel reports a change that follows another within 10 ms only at the end of these. `None`: there are no
    /// descriptors left.
    #[must_use]
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.changes(),
            Inner::Kept(kept) => Some(kept.changes()),
        }
    }

    /// Who is in it now.
    ///
    /// # Errors
    ///
    /// As read(2).
    pub fn members(&self) -> io::Result<Vec<Member>> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.members(),
            Inner::Kept(kept) => kept.members(),
        }
    }

    /// What its members have used, those included that are gone.
    ///
    /// # Errors
    ///
    /// As read(2); `Unsupported` if it was made [without](Self::without_stats).
    pub fn stats(&self) -> io::Result<ScopeStats> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.stats(),
            Inner::Kept(kept) => kept.stats(),
        }
    }

    /// Sets a limit for all members together.
    ///
    /// # Errors
    ///
    /// Why this limit can't be had; others may be.
    pub fn limit(&self, limit: Limit) -> Result<(), Refusal> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.limit(limit),
            Inner::Kept(kept) => kept.limit(limit),
        }
    }

    /// How many of its members the kernel has killed for want of memory, those in cgroups below it included; `None`
    /// where the memory controller is not on, which [`limit`](Self::limit) of memory sees to.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.oom_kills(),
            Inner::Kept(_) => None,
        }
    }

    /// Moves a child of ours into it, with what it starts from now on; what it has started before stays where it is.
    ///
    /// # Errors
    ///
    /// `ESRCH`: it has exited. As write(2) otherwise: the kernel asks for rights over the cgroup where it is, too.
    pub fn adopt(&self, child: &ProcessHandle) -> io::Result<()> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => child.while_held(|pid| cgroup.adopt(pid)),
            Inner::Kept(kept) => Err(kept.refuse_foreign().into()),
        }
    }

    /// Lets its members go: the end of the last handle does not kill them. They still end with our program.
    pub fn release(self) {
        match &*self.0 {
            Inner::Cgroup(cgroup) => cgroup.release(),
            Inner::Kept(kept) => kept.release(),
        }
    }

    /// Kills all members at once, until none is left, whoever has handles still. Does not wait.
    pub fn end(self) {
        // The last handle's drop does it.
        if Arc::strong_count(&self.0) > 1 && !self.is_empty().unwrap_or(false) {
            // Nobody is left to tell: the drop of the last handle repeats it.
            drop(self.kill());
        }
    }

    /// As [`end`](Self::end), after the first member was killed: the others are killed some milliseconds later, so that
    /// a scope which nobody else was in serves again.
    pub(super) fn end_soon(self) {
        if let Inner::Cgroup(cgroup) = &*self.0 {
            cgroup.leave_kill();
        }
        self.end();
    }

    /// The way into a cgroup, for one birth.
    pub(super) fn enter(&self) -> Option<Result<Entrance<'_>, LaunchError>> {
        match &*self.0 {
            Inner::Cgroup(cgroup) => Some(cgroup.enter()),
            Inner::Kept(_) => None,
        }
    }

    /// If its children are born by a keeper.
    pub(super) fn kept(&self) -> Option<&Kept> {
        match &*self.0 {
            Inner::Cgroup(_) => None,
            Inner::Kept(kept) => Some(kept),
        }
    }
}

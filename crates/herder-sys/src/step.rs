//! What the code that a child runs before its `execve` is told, and tells: the keeper is built from it, too.

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

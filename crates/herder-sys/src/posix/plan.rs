//! What a child is to be: all that either rung needs, with no memory left to be asked for.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use super::environ::environment;
use super::{fd, signals};
use crate::{FdSource, Group, PreExec, Resource, SpawnRequest, Strings};

/// Everything that a child is made of.
pub(super) struct Plan {
    /// What the pointers point at.
    strings: (Strings, Strings, Arc<Strings>),
    pub(super) paths: Vec<*const c_char>,
    pub(super) argv: Vec<*const c_char>,
    pub(super) envp: Vec<*const c_char>,
    /// Source and target, in this order. No source is overwritten before it is used, but for those that are meant as
    /// placed so far ([`FdSource::Same`]).
    pub(super) moves: Vec<(RawFd, RawFd)>,
    /// The sources stay open as long as the plan does: the caller's, and those that were made for this.
    _sources: (Vec<(RawFd, FdSource)>, Vec<OwnedFd>),
    /// No target is this high, nor higher.
    pub(super) floor: RawFd,
    pub(super) close: Close,
    pub(super) group: Group,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) groups: Option<Vec<u32>>,
    pub(super) umask: Option<u32>,
    pub(super) limits: Vec<(Resource, libc::rlimit)>,
    pub(super) nice: Option<i32>,
    pub(super) reset_ignored: bool,
    pub(super) mask: libc::sigset_t,
    pub(super) cwd: Option<CString>,
    pub(super) pre_exec: Vec<PreExec>,
}

/// What becomes of descriptors that are not named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// They follow their own flags.
    No,
    /// They are closed before the `execve`.
    Now,
    /// They are closed by the `execve`: code of the caller's, or a path through them, needs them until then.
    AtExec,
}

fn close(request: &SpawnRequest) -> Close {
    let through_table = |path: &OsStr| {
        let path = path.as_encoded_bytes();
        path.starts_with(b"/dev/") || path.starts_with(b"/proc/")
    };
    let mut paths = request.candidates.iter().chain(request.cwd.as_deref());
    match request.inherit_fds {
        true => Close::No,
        false if !request.pre_exec.is_empty() || paths.any(through_table) => Close::AtExec,
        false => Close::Now,
    }
}

impl Plan {
    pub(super) fn new(mut request: SpawnRequest, mask: Option<libc::sigset_t>) -> io::Result<Self> {
        let close = close(&request);
        let env = request.env.take().unwrap_or_else(environment);
        let targets: Vec<RawFd> = request.fds.iter().map(|(target, _)| *target).collect();
        let floor = targets.iter().copied().max().unwrap_or(2).max(2).saturating_add(1);
        let mut held = Vec::new();
        let mut moves = Vec::with_capacity(request.fds.len());
        for (target, source) in &request.fds {
            moves.push((place(source, *target, &targets, &mut held)?, *target));
        }
        // SAFETY: no arguments.
        let root = unsafe { libc::geteuid() } == 0;
        let groups = match request.groups {
            // Somebody who drops root's rights must not keep root's groups.
            None if request.uid.is_some() && root => Some(Vec::new()),
            groups => groups,
        };
        Ok(Self {
            close,
            paths: request.candidates.pointers(),
            argv: request.argv.pointers(),
            envp: env.pointers(),
            strings: (request.candidates, request.argv, env),
            moves,
            _sources: (request.fds, held),
            floor,
            group: request.group,
            uid: request.uid,
            gid: request.gid,
            groups,
            umask: request.umask,
            limits: request.rlimits.iter().map(limit).collect(),
            nice: request.nice,
            reset_ignored: request.reset_ignored_signals,
            mask: mask.unwrap_or_else(signals::none),
            cwd: request.cwd.map(|dir| CString::new(dir.into_vec())).transpose()?,
            pre_exec: request.pre_exec,
        })
    }

    /// The files to try in turn.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &CStr> {
        self.strings.0.iter_c()
    }

    pub(super) fn is_target(&self, fd: RawFd) -> bool {
        self.moves.iter().any(|(_, target)| *target == fd)
    }
}

/// The number of a source when the child is born. What another move would overwrite is copied out of the way.
fn place(source: &FdSource, target: RawFd, targets: &[RawFd], held: &mut Vec<OwnedFd>) -> io::Result<RawFd> {
    let opened: File;
    let fd = match source {
        FdSource::Fd(fd) => fd.as_raw_fd(),
        FdSource::Same(fd) => return Ok(*fd),
        FdSource::Null => {
            opened = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            held.push(opened.into());
            held.last().map_or(-1, AsRawFd::as_raw_fd)
        }
    };
    if fd == target || !targets.contains(&fd) {
        return Ok(fd);
    }
    let copy = aside(fd, |fd| targets.contains(&fd)).map_err(io::Error::from_raw_os_error)?;
    held.push(fd::own(copy));
    Ok(copy)
}

/// A copy of a descriptor under a number that is no target: the lowest there is. Fit for a forked child.
pub(super) fn aside(from: RawFd, is_target: impl Fn(RawFd) -> bool) -> Result<RawFd, i32> {
    let mut least = 3;
    loop {
        // SAFETY: numbers only.
        let copy = unsafe { libc::fcntl(from, libc::F_DUPFD_CLOEXEC, least) };
        if copy < 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EMFILE));
        }
        if !is_target(copy) {
            return Ok(copy);
        }
        // SAFETY: just made.
        unsafe { libc::close(copy) };
        least = copy + 1;
    }
}

fn limit(&(resource, soft, hard): &(Resource, u64, u64)) -> (Resource, libc::rlimit) {
    (resource, libc::rlimit { rlim_cur: amount(soft), rlim_max: amount(hard) })
}

/// What is more than the system has numbers for (they have a sign on some) is no limit.
fn amount(amount: u64) -> libc::rlim_t {
    fn exactly<T: TryFrom<u64>>(amount: u64) -> Option<T> {
        T::try_from(amount).ok()
    }
    exactly(amount).unwrap_or(libc::RLIM_INFINITY)
}

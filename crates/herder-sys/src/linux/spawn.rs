//! One request, from checks to a living child.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use super::birth::{self, Born};
use super::child::{self, CloseFds, Handlers, Move, Plan, Source};
use super::dumpable::KeepDumpable;
use super::launch::Launch;
use super::process::Process;
use super::{cvt, facts, fd};
use crate::{FdSource, Group, LaunchError, Resource, SpawnRequest, SpawnStep, Spawned, Strings};

/// Starts a child from the calling thread and returns as soon as it exists: its `execve` goes on meanwhile, and
/// [`Launch`] tells how it ended.
///
/// The calling thread does not sleep and its signal mask is unchanged afterwards, whatever happens. With
/// [`SpawnRequest::die_with_owner`], "owner" is the calling thread: see [`is_permanent_thread`] and
/// [`spawn_on_thread`].
///
/// [`is_permanent_thread`]: super::is_permanent_thread
/// [`spawn_on_thread`]: super::spawn_on_thread
///
/// # Errors
///
/// What went wrong before there was a child: no descriptors, no memory, too many processes.
pub fn spawn(mut request: SpawnRequest) -> Result<Spawned, LaunchError> {
    let prepare = |error: io::Error| LaunchError {
        step: SpawnStep::Prepare,
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
    };
    let fds = std::mem::take(&mut request.fds);
    let fork = !request.pre_exec.is_empty() || !facts().shared_memory;
    let leads_group = matches!(request.group, Group::New | Group::NewSession);
    let cgroup = request.cgroup.take();
    let pipe = if fork || request.latch { Some(fd::pipe_ends().map_err(prepare)?) } else { None };

    let dumpable = (request.uid.is_some() || request.gid.is_some()).then(KeepDumpable::new);
    let mut plan = plan(request, &fds, dumpable.as_ref()).map_err(prepare)?;
    let mut ours = None;
    let theirs = match pipe {
        Some([read, write]) => {
            fd::set_nonblocking(&read, true).map_err(prepare)?;
            plan.pipe = Cell::new(write.as_raw_fd());
            ours = Some(read);
            Some(write)
        }
        None => None,
    };
    let mut launch = Launch::new(plan, dumpable);
    launch.set_pipe(ours);

    let blocked = BlockedSignals::new();
    if launch.plan().mask == KEEP_MASK {
        launch.plan_mut().mask = blocked.before();
    }
    let born = if fork { by_fork(&mut launch) } else { by_clone(&mut launch, cgroup.as_ref()) };
    drop(blocked);
    drop(theirs);
    let born = born?;
    let pidfd = if born.pidfd >= 0 { Some(fd::own(born.pidfd)) } else { open_pidfd(born.pid) };
    Ok(Spawned { process: Process::new(born.pid, pidfd, leads_group), launch })
}

/// A plan's mask that stands for the one of the thread that asks.
const KEEP_MASK: u64 = u64::MAX;

fn plan(
    mut request: SpawnRequest,
    fds: &[(RawFd, FdSource)],
    dumpable: Option<&KeepDumpable>,
) -> io::Result<Plan> {
    let env = request.env.take().map_or_else(own_environment, Ok)?;
    let targets: Vec<RawFd> = fds.iter().map(|(target, _)| *target).collect();
    let floor = targets.iter().copied().max().unwrap_or(2).max(2) + 1;
    let moves = fds.iter().map(|(target, source)| place(*target, source, &targets)).collect();
    let root = || {
        // SAFETY: no arguments.
        unsafe { libc::geteuid() == 0 }
    };
    let groups = match request.groups {
        // Somebody who drops root's rights must not keep root's groups.
        None if request.uid.is_some() && root() => Some(Vec::new()),
        groups => groups,
    };
    Ok(Plan {
        paths: request.candidates.pointers(),
        argv: request.argv.pointers(),
        envp: env.pointers(),
        strings: [request.candidates, request.argv, env],
        handlers: Handlers::Inherited,
        reset_ignored: request.reset_ignored_signals,
        group: request.group,
        nice: request.nice,
        affinity: request.affinity.as_deref().map(processor_mask),
        moves,
        pipe: Cell::new(-1),
        floor,
        close: close_fds(request.inherit_fds)?,
        limits: request.rlimits.iter().map(limit).collect(),
        umask: request.umask,
        groups,
        gid: request.gid,
        uid: request.uid,
        dumpable: dumpable.map(KeepDumpable::value).filter(|value| *value < 2),
        cwd: request.cwd.map(|dir| CString::new(dir.into_vec())).transpose()?,
        die_with: request.die_with_owner.map(|signal| (signal.as_raw(), std::process::id() as i32)),
        pre_exec: request.pre_exec,
        mask: if request.inherit_signal_mask { KEEP_MASK } else { 0 },
    })
}

/// A copy: another thread may change the environment while the child reads it.
fn own_environment() -> io::Result<Strings> {
    let mut strings = Strings::new();
    for (key, value) in std::env::vars_os() {
        strings.push(&[&key, "=".as_ref(), &value])?;
    }
    Ok(strings)
}

fn place(target: RawFd, source: &FdSource, targets: &[RawFd]) -> Move {
    let source = match source {
        FdSource::Fd(fd) => {
            let fd = fd.as_raw_fd();
            // Overwritten by another move before it is read, perhaps.
            let lift = fd != target && targets.contains(&fd);
            Source::Fd(Cell::new(fd), lift)
        }
        FdSource::Null => Source::Null,
        FdSource::Same(fd) => Source::Same(*fd),
    };
    Move { source, target }
}

fn close_fds(inherit: bool) -> io::Result<CloseFds> {
    Ok(match (inherit, facts().close_range) {
        (true, _) => CloseFds::No,
        (false, true) => CloseFds::Range,
        (false, false) => CloseFds::UpTo(fd::highest_open()?),
    })
}

fn processor_mask(processors: &[usize]) -> Vec<usize> {
    let bits = usize::BITS as usize;
    let words = processors.iter().max().map_or(0, |highest| highest / bits + 1);
    let mut mask = vec![0; words];
    for processor in processors {
        mask[processor / bits] |= 1 << (processor % bits);
    }
    mask
}

fn limit(&(resource, soft, hard): &(Resource, u64, u64)) -> (u32, libc::rlimit64) {
    let resource = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::Processes => libc::RLIMIT_NPROC,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    (resource, libc::rlimit64 { rlim_cur: soft, rlim_max: hard })
}

/// Memory of the parent is copied: only for code of the caller's, and where memory can't be shared.
fn by_fork(launch: &mut Launch) -> Result<Born, LaunchError> {
    launch.set_forked();
    // SAFETY: the child runs async-signal-safe code only, and the caller's, which vouched for the same.
    let pid = cvt(unsafe { libc::fork() }).map_err(|_| LaunchError::last(SpawnStep::Clone))?;
    if pid > 0 {
        return Ok(Born { pid, pidfd: -1 });
    }
    let plan = launch.plan();
    let failure = child::run(plan);
    child::report(plan.pipe.get(), failure);
    child::exit(127)
}

/// The ladder: clone3, then clone with a pidfd, then without. A sandbox or an old kernel that refuses a rung is
/// found out at the first spawn (see `facts`); one that begins to refuse later, here.
fn by_clone(launch: &mut Launch, cgroup: Option<&Arc<OwnedFd>>) -> Result<Born, LaunchError> {
    let fail = |errno| LaunchError { step: SpawnStep::Clone, errno };
    let (mut birth, entry, arg) =
        launch.prepare_shared().map_err(|error| fail(error.raw_os_error().unwrap_or(libc::ENOMEM)))?;
    birth.pidfd = facts().clone_pidfd;
    birth.cgroup = cgroup.map(|fd| fd.as_raw_fd());
    if facts().clone3 {
        launch.plan_mut().handlers = Handlers::Cleared;
        // SAFETY: stack, word and plan belong to `launch`, which keeps them until the word is 0.
        match unsafe { birth::clone3(&birth, entry, arg) } {
            Err(errno) if unavailable(errno) && cgroup.is_none() => {}
            result => return result.inspect_err(|_| launch.not_born()).map_err(fail),
        }
    }
    launch.plan_mut().handlers = Handlers::Inherited;
    if cgroup.is_some() {
        launch.not_born();
        return Err(fail(libc::EOPNOTSUPP));
    }
    // SAFETY: as above.
    let mut result = unsafe { birth::clone(&birth, entry, arg) };
    if birth.pidfd && result.is_err_and(unavailable) {
        birth.pidfd = false;
        // SAFETY: as above.
        result = unsafe { birth::clone(&birth, entry, arg) };
    }
    result.inspect_err(|_| launch.not_born()).map_err(fail)
}

/// What kernels and sandboxes answer to a call or a flag that they don't have.
fn unavailable(errno: i32) -> bool {
    matches!(errno, libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG | libc::EOPNOTSUPP)
}

/// The child is not reaped, so the pid is its own. `None` where there are no pidfds or no descriptors are left: the
/// process is then watched by other means.
fn open_pidfd(pid: i32) -> Option<OwnedFd> {
    if !facts().pidfd {
        return None;
    }
    // SAFETY: numbers only.
    cvt(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).ok().map(|fd| fd::own(fd as RawFd))
}

/// Blocks all signals of the calling thread while it lives.
///
/// All 64, by the system call: the C library's function leaves out the two that it uses itself, and their handlers
/// must not run in a child that shares our memory either.
#[derive(Debug)]
pub(super) struct BlockedSignals {
    before: u64,
}

impl BlockedSignals {
    pub(super) fn new() -> Self {
        Self { before: set_mask(u64::MAX) }
    }

    fn before(&self) -> u64 {
        self.before
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_mask(self.before);
    }
}

fn set_mask(mask: u64) -> u64 {
    let mut before = 0u64;
    let (how, size) = (libc::SIG_SETMASK, size_of::<u64>());
    // SAFETY: eight bytes are read, eight are written, both live locals. It can't fail for SIG_SETMASK.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut before, size) };
    before
}

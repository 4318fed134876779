//! One request, from checks to a living child.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};

use super::birth::{self, Born};
use super::cgroup::Entrance;
use super::child::{self, CloseFds, Handlers, Move, Plan, Source};
use super::dumpable::KeepDumpable;
use super::environ::environment;
use super::launch::Launch;
use super::owner::Process;
use super::process::ProcessHandle;
use super::{cvt, facts, fd, number, pidfd, processors, reaper};
use crate::{FdSource, Group, LaunchError, Resource, Scope, SpawnRequest, SpawnStep, Spawned};

/// Starts a child from the calling thread and returns as soon as it exists: its `execve` goes on meanwhile, and
/// [`Launch`] tells how it ended.
///
/// The calling thread does not sleep and its signal mask is unchanged afterwards, whatever happens. With
/// [`SpawnRequest::die_with_owner`], "owner" is the calling thread: see [`is_permanent_thread`] and
/// [`spawn_on_thread`].
///
/// [`is_permanent_thread`]: crate::is_permanent_thread
/// [`spawn_on_thread`]: crate::spawn_on_thread
///
/// # Errors
///
/// What went wrong before there was a child: no descriptors, no memory, too many processes, a scope that can't be
/// entered.
pub fn spawn(request: SpawnRequest) -> Result<Spawned, LaunchError> {
    let mask = kept_mask(&request);
    spawn_with_mask(request, mask)
}

/// The mask that the child is to keep, if it keeps any: that of the thread that asks.
pub(crate) fn kept_mask(request: &SpawnRequest) -> Option<u64> {
    request.inherit_signal_mask.then(BlockedSignals::current)
}

/// As [`spawn`]; `mask` is what the child keeps.
pub(crate) fn spawn_with_mask(mut request: SpawnRequest, mask: Option<u64>) -> Result<Spawned, LaunchError> {
    let prepare = |error: io::Error| LaunchError {
        step: SpawnStep::Prepare,
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
    };
    reaper::retry();
    let scope = request.scope.take();
    if let Some(kept) = scope.as_ref().and_then(Scope::kept) {
        return kept.bear(request, mask);
    }
    let fds = std::mem::take(&mut request.fds);
    let fork = !request.pre_exec.is_empty() || !facts().shared_memory;
    let watched = request.end_with_owner;
    let leads_group = matches!(request.group, Group::New | Group::NewSession | Group::Join(0));
    let entrance = scope.as_ref().and_then(Scope::enter).transpose()?;
    // The end of file on its pipe is all that tells of a forked child's `execve`. One that is born meanwhile must
    // not get the other end too: it would keep it until its own.
    let alone = fork.then(|| FORKING.lock().unwrap_or_else(PoisonError::into_inner));
    let pipe = if fork || request.latch { Some(fd::pipe_ends().map_err(prepare)?) } else { None };

    let changes_ids = request.uid.is_some() || request.gid.is_some();
    let dumpable = (changes_ids && !fork).then(KeepDumpable::new);
    let mut plan = plan(request, &fds, mask).map_err(prepare)?;
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
    if watched && !fork && plan.die_with.is_some() {
        plan.held = AtomicU32::new(1);
    }
    let mut launch = Launch::new(plan, dumpable, ours);

    let born =
        if fork { by_fork(&mut launch, entrance.as_ref()) } else { by_clone(&mut launch, entrance.as_ref()) };
    drop(entrance);
    drop(theirs);
    drop(alone);
    let born = born?;
    let pidfd = if born.pidfd >= 0 { Some(fd::own(born.pidfd)) } else { open_pidfd(born.pid) };
    let process = Process::new(ProcessHandle::new(born.pid, pidfd, leads_group));
    launch.born();
    if watched {
        // Who asks again is told why not.
        drop(process.end_with_owner());
        launch.let_go();
    }
    Ok(Spawned { process, launch })
}

/// Held from before the pipe of a forked child is made until only the child has its other end.
pub(super) static FORKING: Mutex<()> = Mutex::new(());

pub(super) fn plan(
    mut request: SpawnRequest,
    fds: &[(RawFd, FdSource)],
    mask: Option<u64>,
) -> io::Result<Plan> {
    let env = request.env.take().unwrap_or_else(environment);
    let targets: Vec<RawFd> = fds.iter().map(|(target, _)| *target).collect();
    let floor = targets.iter().copied().max().unwrap_or(2).max(2).saturating_add(1);
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
        strings: (request.candidates, request.argv, env),
        handlers: Handlers::Inherited,
        reset_ignored: request.reset_ignored_signals,
        group: request.group,
        nice: request.nice,
        affinity: request.affinity.as_deref().map(processor_mask).transpose()?,
        unpinned: processors::of_children(),
        moves,
        pipe: Cell::new(-1),
        floor,
        close: close_fds(request.inherit_fds),
        limits: request.rlimits.iter().map(limit).collect(),
        umask: request.umask,
        groups,
        gid: request.gid,
        uid: request.uid,
        cwd: request.cwd.map(|dir| CString::new(dir.into_vec())).transpose()?,
        die_with: request.die_with_owner.map(|signal| (signal.as_raw(), std::process::id() as i32)),
        held: AtomicU32::new(0),
        pre_exec: request.pre_exec,
        mask: mask.unwrap_or(0),
    })
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

fn close_fds(inherit: bool) -> CloseFds {
    match (inherit, facts().close_range) {
        (true, _) => CloseFds::No,
        (false, true) => CloseFds::Range,
        (false, false) => CloseFds::Listed,
    }
}

/// More processors than any kernel can be built for; a larger number is a mistake, and a mask up to it large.
const PROCESSORS: usize = 1 << 16;

fn processor_mask(processors: &[usize]) -> io::Result<Vec<usize>> {
    let bits = usize::BITS as usize;
    let highest = processors.iter().copied().max();
    if highest.is_some_and(|highest| highest >= PROCESSORS) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut mask = vec![0; highest.map_or(0, |highest| highest / bits + 1)];
    for processor in processors {
        mask[processor / bits] |= 1 << (processor % bits);
    }
    Ok(mask)
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
    (number(resource), libc::rlimit64 { rlim_cur: soft, rlim_max: hard })
}

/// Memory of the parent is copied: only for code of the caller's, and where memory can't be shared.
fn by_fork(launch: &mut Launch, entrance: Option<&Entrance<'_>>) -> Result<Born, LaunchError> {
    launch.set_forked();
    let _blocked = BlockedSignals::new();
    let pid = match entrance {
        // SAFETY: the child runs async-signal-safe code only, and the caller's, which vouched for the same.
        None => cvt(unsafe { libc::fork() }).map_err(|_| LaunchError::last(SpawnStep::Clone))?,
        Some(entrance) if facts().clone3 => {
            // SAFETY: as above.
            unsafe { birth::fork_into(entrance.dir()) }.map_err(|errno| entrance.failure(errno))?
        }
        Some(entrance) => return Err(entrance.failure(libc::EOPNOTSUPP)),
    };
    if pid > 0 {
        return Ok(Born { pid, pidfd: -1 });
    }
    let plan = launch.plan();
    let guard = EndOnUnwind(plan);
    let failure = child::run(guard.0);
    child::report(plan.pipe.get(), failure);
    child::exit(127)
}

/// Ends a forked child whose caller's code panics: it must not go on as a second copy of us.
struct EndOnUnwind<'a>(&'a Plan);

impl Drop for EndOnUnwind<'_> {
    fn drop(&mut self) {
        child::report(self.0.pipe.get(), (SpawnStep::PreExec, libc::ECANCELED));
        child::exit(127);
    }
}

/// The ladder: clone3, then clone with a pidfd, then without. A sandbox or an old kernel that refuses a rung is
/// found out at the first spawn (see `facts`); one that begins to refuse later, here.
fn by_clone(launch: &mut Launch, entrance: Option<&Entrance<'_>>) -> Result<Born, LaunchError> {
    let plain = |errno| LaunchError { step: SpawnStep::Clone, errno };
    let fail = |errno| entrance.map_or_else(|| plain(errno), |entrance| entrance.failure(errno));
    let (mut birth, entry, arg) =
        launch.prepare_shared().map_err(|error| plain(error.raw_os_error().unwrap_or(libc::ENOMEM)))?;
    birth.pidfd = facts().clone_pidfd;
    birth.cgroup = entrance.map(Entrance::dir);
    birth.share_files = share_files(launch.plan_mut());
    if facts().clone3 {
        // Signals need not be blocked: the child is born with default actions, so nothing of ours can run in it.
        launch.plan_mut().handlers = Handlers::Cleared;
        // SAFETY: stack, word and plan belong to `launch`, which keeps them until the word is 0.
        match unsafe { birth::clone3(&birth, entry, arg) } {
            Err(errno) if unavailable(errno) && entrance.is_none() => {}
            result => return result.inspect_err(|_| launch.not_born()).map_err(fail),
        }
    }
    launch.plan_mut().handlers = Handlers::Inherited;
    if entrance.is_some() {
        launch.not_born();
        return Err(fail(libc::EOPNOTSUPP));
    }
    let _blocked = BlockedSignals::new();
    // SAFETY: as above.
    let mut result = unsafe { birth::clone(&birth, entry, arg) };
    if birth.pidfd && result.is_err_and(unavailable) {
        birth.pidfd = false;
        // SAFETY: as above.
        result = unsafe { birth::clone(&birth, entry, arg) };
    }
    result.inspect_err(|_| launch.not_born()).map_err(fail)
}

/// Whether the child can do with a table of its own that has nothing but 0, 1 and 2 of ours: then it is born sharing
/// ours, and its first act is to leave it with just these.
///
/// A copy takes some 10 to 80 ns for each open descriptor, and the child would throw nearly all of them away.
fn share_files(plan: &mut Plan) -> bool {
    if !matches!(plan.close, CloseFds::Range) {
        return false;
    }
    let needs_ours = |m: &Move| match m.source {
        Source::Fd(..) => true,
        Source::Null => false,
        Source::Same(fd) => fd > 2,
    };
    // `/proc/self/fd/7` is a path through the table.
    let through_table =
        |path: &CStr| path.to_bytes().starts_with(b"/proc/") || path.to_bytes().starts_with(b"/dev/");
    let candidates = plan.strings.0.iter_c().any(through_table);
    let share = plan.pipe.get() < 0
        && !plan.moves.iter().any(needs_ours)
        && !plan.cwd.as_deref().is_some_and(through_table)
        && !candidates;
    if share {
        plan.close = CloseFds::Unshare;
    }
    share
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
    // Somebody who waits for all our children may have reaped it, and the number may be another's by now.
    pidfd::open(pid).ok().filter(pidfd::is_child)
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
        Self { before: change_mask(libc::SIG_SETMASK, u64::MAX) }
    }

    /// The mask of the calling thread, unchanged.
    pub(super) fn current() -> u64 {
        change_mask(libc::SIG_BLOCK, 0)
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, self.before);
    }
}

fn change_mask(how: i32, mask: u64) -> u64 {
    let mut before = 0u64;
    let size = size_of::<u64>();
    // SAFETY: eight bytes are read, eight are written, both live locals. It can't fail with a valid `how`.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut before, size) };
    before
}

#[cfg(test)]
#[path = "spawn_tests.rs"]
mod tests;

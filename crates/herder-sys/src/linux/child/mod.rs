//! What a child runs between its birth and its `execve`: built into the library, and into the keeper, whose children
//! are born there. All that differs is in `abi`.
//!
//! It shares our memory and thread-local storage while we go on running. So: bare system calls only (no C
//! library), no allocation, no locks, no panics, and nothing is written but the outcome and the scratch numbers of
//! its own plan. No signal handler runs in it: it is born with default actions, or with all signals blocked until it
//! has reset them itself.

use core::cell::Cell;
use core::convert::Infallible;
use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

mod fds;
mod signals;

use super::abi::{self, List, Owned, RawFd, Text};
use super::pre_exec::PreExec;
use super::syscall::{Errno, syscall};
use crate::{Group, SpawnStep};

/// Everything that the child reads. Whatever it points at is owned by it.
#[derive(Debug)]
pub(super) struct Plan {
    /// Owns what the pointers point at.
    pub(super) strings: Owned,
    /// Null-terminated lists of pointers into `strings`.
    pub(super) paths: List<*const c_char>,
    pub(super) argv: List<*const c_char>,
    pub(super) envp: List<*const c_char>,
    pub(super) handlers: Handlers,
    pub(super) reset_ignored: bool,
    pub(super) group: Group,
    pub(super) nice: Option<i32>,
    pub(super) affinity: Option<List<usize>>,
    /// What it may use otherwise, if the thread that makes it is moved about.
    pub(super) unpinned: Option<&'static [usize]>,
    pub(super) moves: List<Move>,
    /// Our end of the error pipe or latch, -1 if there is none.
    pub(super) pipe: Cell<RawFd>,
    /// No target is this high, nor higher.
    pub(super) floor: RawFd,
    pub(super) close: CloseFds,
    pub(super) limits: List<(u32, abi::rlimit64)>,
    pub(super) umask: Option<u32>,
    pub(super) groups: Option<List<u32>>,
    pub(super) gid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) cwd: Option<Text>,
    /// The parent-death signal and the process whose death is meant.
    pub(super) die_with: Option<(i32, i32)>,
    /// Not 0 while the child is to wait with its `execve`, if it dies with somebody who shares its memory.
    pub(super) held: AtomicU32,
    pub(super) pre_exec: List<PreExec>,
    pub(super) mask: u64,
}

/// What is known of the signal handlers at birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handlers {
    /// `CLONE_CLEAR_SIGHAND` has reset them.
    Cleared,
    /// The parent's are still there, and must not run here.
    Inherited,
}

/// One descriptor to put in its place.
#[derive(Debug)]
pub(super) struct Move {
    pub(super) source: Source,
    pub(super) target: RawFd,
}

#[derive(Debug)]
pub(super) enum Source {
    /// A number of the parent. The flag: another move overwrites it, so it is copied upwards first.
    Fd(Cell<RawFd>, bool),
    /// The null device.
    Null,
    /// A number of the child, as placed so far.
    Same(RawFd),
}

/// How other descriptors are closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum CloseFds {
    /// They are not.
    No,
    /// By close_range(2).
    Range,
    /// The child is born with the parent's own table and leaves it, first of all, with 0, 1 and 2 only. Until then
    /// it must not touch a descriptor: it would be the parent's.
    Unshare,
    /// One by one, as /proc lists them.
    Listed,
}

/// Retries of a program that is open for writing: 1 + 2 + 4 + ... + 128 ms. A writer that was inherited by somebody
/// else's fork lets go at that fork's `execve` (<https://github.com/golang/go/issues/22315>).
const BUSY_RETRIES: u32 = 8;

/// Does everything, up to and including `execve`. It returns only if something failed.
pub(super) fn run(plan: &Plan) -> (SpawnStep, Errno) {
    let Err(failure) = steps(plan);
    failure
}

fn steps(plan: &Plan) -> Result<Infallible, (SpawnStep, Errno)> {
    let at = |step| move |errno| (step, errno);
    if matches!(plan.close, CloseFds::Unshare) {
        fds::leave_shared_table(plan).map_err(at(SpawnStep::CloseFds))?;
    }
    signals::reset(plan).map_err(at(SpawnStep::Signals))?;
    let group = match plan.group {
        Group::Inherit => Ok(0),
        Group::New => number(abi::SYS_setpgid, [0, 0]),
        Group::Join(id) => number(abi::SYS_setpgid, [0, id as usize]),
        Group::NewSession => number(abi::SYS_setsid, [0, 0]),
    };
    let is_session = matches!(plan.group, Group::NewSession);
    group.map_err(at(if is_session { SpawnStep::Session } else { SpawnStep::Group }))?;
    if let Some(nice) = plan.nice {
        set_nice(nice).map_err(at(SpawnStep::Nice))?;
    }
    if let Some(mask) = &plan.affinity {
        set_affinity(mask).map_err(at(SpawnStep::Affinity))?;
    } else if let Some(mask) = plan.unpinned {
        // Who could move our maker about could do this; if not, nobody has moved it.
        let _ = set_affinity(mask);
    }
    fds::place(plan).map_err(at(SpawnStep::Fds))?;
    fds::close(plan).map_err(at(SpawnStep::CloseFds))?;
    for (resource, limit) in plan.limits.iter() {
        set_limit(*resource, limit).map_err(at(SpawnStep::Limits))?;
    }
    if let Some(umask) = plan.umask {
        let _ = number(abi::SYS_umask, [umask as usize, 0]);
    }
    set_ids(plan)?;
    if let Some(cwd) = &plan.cwd {
        change_dir(cwd).map_err(at(SpawnStep::Chdir))?;
    }
    // After the change of ids, which clears it (prctl(2)).
    if let Some((signal, owner)) = plan.die_with {
        die_with_owner(signal, owner).map_err(at(SpawnStep::DieWithOwner))?;
        wait_until_let_go(plan, owner);
    }
    for hook in plan.pre_exec.iter() {
        hook.run().map_err(at(SpawnStep::PreExec))?;
    }
    // Last: what was sent to us meanwhile arrives here, with default actions.
    signals::set_mask(plan.mask).map_err(at(SpawnStep::Signals))?;
    let Err(errno) = exec(plan);
    Err((SpawnStep::Exec, errno))
}

/// A system call whose arguments are numbers, not addresses.
#[inline(always)]
fn number(number: abi::c_long, args: [usize; 2]) -> Result<usize, Errno> {
    // SAFETY: none of the calls that use this reads or writes memory of ours.
    unsafe { syscall(number, [args[0], args[1], 0, 0, 0]) }
}

/// Ends the child without running anything of the parent's.
pub(super) fn exit(code: usize) -> ! {
    loop {
        let _ = number(abi::SYS_exit_group, [code, 0]);
    }
}

/// Tells the parent through a pipe what failed, where memory is not shared.
pub(super) fn report(pipe: RawFd, (step, errno): (SpawnStep, Errno)) {
    let message = [step as u32, errno as u32];
    // SAFETY: eight bytes of a live local. Less than PIPE_BUF, so it is written whole or not at all (pipe(7)).
    let _ = unsafe { syscall(abi::SYS_write, [pipe as usize, (&raw const message) as usize, 8, 0, 0]) };
}

fn set_nice(nice: i32) -> Result<(), Errno> {
    let args = [abi::PRIO_PROCESS as usize, 0, nice as usize, 0, 0];
    // SAFETY: numbers only.
    unsafe { syscall(abi::SYS_setpriority, args) }.map(drop)
}

fn set_affinity(mask: &[usize]) -> Result<(), Errno> {
    let args = [0, size_of_val(mask), mask.as_ptr() as usize, 0, 0];
    // SAFETY: as many bytes as the slice has are read.
    unsafe { syscall(abi::SYS_sched_setaffinity, args) }.map(drop)
}

fn set_limit(resource: u32, limit: &abi::rlimit64) -> Result<(), Errno> {
    let args = [0, resource as usize, ptr::from_ref(limit) as usize, 0, 0];
    // SAFETY: one structure is read.
    unsafe { syscall(abi::SYS_prlimit64, args) }.map(drop)
}

fn change_dir(dir: &CStr) -> Result<(), Errno> {
    // SAFETY: a NUL-terminated string is read.
    unsafe { syscall(abi::SYS_chdir, [dir.as_ptr() as usize, 0, 0, 0, 0]) }.map(drop)
}

fn set_ids(plan: &Plan) -> Result<(), (SpawnStep, Errno)> {
    let at = |step| move |errno| (step, errno);
    if let Some(groups) = &plan.groups {
        let args = [groups.len(), groups.as_ptr() as usize, 0, 0, 0];
        // SAFETY: as many ids as the slice has are read.
        unsafe { syscall(abi::SYS_setgroups, args) }.map_err(at(SpawnStep::Groups))?;
    }
    if let Some(gid) = plan.gid {
        number(abi::SYS_setgid, [gid as usize, 0]).map_err(at(SpawnStep::Gid))?;
    }
    if let Some(uid) = plan.uid {
        number(abi::SYS_setuid, [uid as usize, 0]).map_err(at(SpawnStep::Uid))?;
    }
    Ok(())
}

fn die_with_owner(signal: i32, owner: i32) -> Result<(), Errno> {
    number(abi::SYS_prctl, [abi::PR_SET_PDEATHSIG as usize, signal as usize])?;
    // The owner may have died before the call; then we were handed to somebody else already.
    if number(abi::SYS_getppid, [0, 0])? != owner as usize {
        exit(128 + abi::SIGKILL as usize);
    }
    Ok(())
}

/// futex(2), not private: so that this is the same word for us and the owner, in whatever way memory is shared.
fn wait_until_let_go(plan: &Plan, owner: i32) {
    while plan.held.load(Ordering::Acquire) != 0 {
        let word = plan.held.as_ptr() as usize;
        // The parent-death signal may be one that is blocked here.
        let time = abi::timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        let args = [word, abi::FUTEX_WAIT as usize, 1, (&raw const time) as usize, 0];
        // SAFETY: the word and the time live through the call. Any return is a reason to look again.
        let _ = unsafe { syscall(abi::SYS_futex, args) };
        if number(abi::SYS_getppid, [0, 0]).is_ok_and(|parent| parent != owner as usize) {
            exit(128 + abi::SIGKILL as usize);
        }
    }
}

/// Tries the candidates as execvp(3) does: what does not exist is passed over, a refusal is remembered.
fn exec(plan: &Plan) -> Result<Infallible, Errno> {
    let mut refused = None;
    let mut last = abi::ENOENT;
    for &path in plan.paths.iter().take_while(|path| !path.is_null()) {
        last = exec_one(plan, path);
        match last {
            abi::EACCES => refused = Some(last),
            abi::ENOENT | abi::ENOTDIR | abi::ENODEV | abi::ESTALE | abi::ETIMEDOUT => {}
            _ => return Err(last),
        }
    }
    Err(refused.unwrap_or(last))
}

fn exec_one(plan: &Plan, path: *const c_char) -> Errno {
    let args = [path as usize, plan.argv.as_ptr() as usize, plan.envp.as_ptr() as usize, 0, 0];
    for attempt in 0..=BUSY_RETRIES {
        // SAFETY: a NUL-terminated string and two null-terminated lists of such.
        match unsafe { syscall(abi::SYS_execve, args) } {
            Err(abi::ETXTBSY) => {}
            // The path led through one of the descriptors that were closed below.
            Err(abi::ENOENT) if attempt > 0 => return abi::ETXTBSY,
            Err(errno) => return errno,
            Ok(_) => {}
        }
        if attempt == 0 {
            fds::close_marked(plan);
        }
        if attempt < BUSY_RETRIES {
            pause(1 << attempt);
        }
    }
    abi::ETXTBSY
}

fn pause(milliseconds: i64) {
    let time = abi::timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
    // SAFETY: one structure is read.
    let _ = unsafe { syscall(abi::SYS_nanosleep, [(&raw const time) as usize, 0, 0, 0, 0]) };
}

//! What a forked child runs before its `execve`.
//!
//! It is a copy of a program with threads, of which it has one: so nothing but functions that are async-signal-safe
//! (signal-safety(7)), or plain system calls on every system that this is for; no allocation, no locks. All signals are
//! blocked until it has reset the handlers.

use std::convert::Infallible;
use std::ffi::c_char;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use super::plan::{Close, Plan, aside};
use super::{number, signals};
use crate::{Group, Resource, SpawnStep};

type Errno = i32;

/// No system has signals beyond this.
const HIGHEST_SIGNAL: i32 = 128;

/// Retries of a program that is open for writing: 1 + 2 + 4 + ... + 128 ms. A writer that was inherited by somebody
/// else's fork lets go at that fork's `execve` (<https://github.com/golang/go/issues/22315>).
const BUSY_RETRIES: u32 = 8;

/// Does everything, up to and including `execve`. It returns only if something failed.
pub(super) fn run(plan: &Plan, pipe: &mut RawFd) -> (SpawnStep, Errno) {
    let Err(failure) = steps(plan, pipe);
    failure
}

fn steps(plan: &Plan, pipe: &mut RawFd) -> Result<Infallible, (SpawnStep, Errno)> {
    let at = |step| move |errno| (step, errno);
    reset_signals(plan.reset_ignored);
    enter_group(plan.group)?;
    if let Some(nice) = plan.nice {
        // SAFETY: numbers only.
        check(unsafe { libc::setpriority(number(libc::PRIO_PROCESS), 0, nice) })
            .map_err(at(SpawnStep::Nice))?;
    }
    place(plan, pipe).map_err(at(SpawnStep::Fds))?;
    close_others(plan, *pipe);
    for (resource, limit) in &plan.limits {
        set_limit(*resource, limit).map_err(at(SpawnStep::Limits))?;
    }
    if let Some(umask) = plan.umask {
        // SAFETY: a number only; it can't fail.
        unsafe { libc::umask(number(umask)) };
    }
    set_ids(plan)?;
    if let Some(cwd) = &plan.cwd {
        // SAFETY: a NUL-terminated string is read.
        check(unsafe { libc::chdir(cwd.as_ptr()) }).map_err(at(SpawnStep::Chdir))?;
    }
    for hook in &plan.pre_exec {
        hook.run().map_err(at(SpawnStep::PreExec))?;
    }
    // Last: what was sent to us meanwhile arrives here, with default actions.
    signals::set(&plan.mask);
    let Err(errno) = exec(plan);
    Err((SpawnStep::Exec, errno))
}

/// Ends the child without running anything of the parent's.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: a number only.
    unsafe { libc::_exit(code) }
}

/// Tells the parent what failed.
pub(super) fn report(pipe: RawFd, (step, errno): (SpawnStep, Errno)) {
    let message = [step as u32, errno.cast_unsigned()];
    // SAFETY: eight bytes of a live local. Less than PIPE_BUF, so it is written whole or not at all.
    unsafe { libc::write(pipe, (&raw const message).cast(), 8) };
}

fn last() -> Errno {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)
}

fn check(result: i32) -> Result<(), Errno> {
    if result < 0 { Err(last()) } else { Ok(()) }
}

/// Handlers would run here until the `execve`. Rust's runtime ignores SIGPIPE, and ignored signals survive an `execve`.
fn reset_signals(reset_ignored: bool) {
    for signal in 1..=HIGHEST_SIGNAL {
        // SAFETY: all zeroes is a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: asks only; one structure is written. It fails for what is no signal, or the C library's own.
        if unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) } != 0 {
            continue;
        }
        let ignored = action.sa_sigaction == libc::SIG_IGN;
        let handled = action.sa_sigaction != libc::SIG_DFL && !ignored;
        if handled || (ignored && (reset_ignored || signal == libc::SIGPIPE)) {
            action.sa_sigaction = libc::SIG_DFL;
            action.sa_flags = 0;
            // SAFETY: one structure is read. The two that can't be changed never are anything else.
            unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        }
    }
}

fn enter_group(group: Group) -> Result<(), (SpawnStep, Errno)> {
    let at = |step| move |errno| (step, errno);
    let id = match group {
        Group::Inherit => return Ok(()),
        // SAFETY: no arguments.
        Group::NewSession => return check(unsafe { libc::setsid() }).map_err(at(SpawnStep::Session)),
        Group::New => 0,
        Group::Join(id) => id,
    };
    // SAFETY: numbers only.
    check(unsafe { libc::setpgid(0, id) }).map_err(at(SpawnStep::Group))
}

fn place(plan: &Plan, pipe: &mut RawFd) -> Result<(), Errno> {
    if plan.is_target(*pipe) {
        *pipe = aside(*pipe, |fd| plan.is_target(fd))?;
    }
    for (source, target) in &plan.moves {
        if source == target {
            // SAFETY: numbers only.
            check(unsafe { libc::fcntl(*target, libc::F_SETFD, 0) })?;
        } else {
            // SAFETY: numbers only.
            check(unsafe { libc::dup2(*source, *target) })?;
        }
    }
    Ok(())
}

/// Everything from 3 up that was not asked for, but for the pipe, which the `execve` closes.
fn close_others(plan: &Plan, pipe: RawFd) {
    let last = pipe.max(plan.floor - 1);
    let others = (3..=last).filter(|fd| *fd != pipe && !plan.is_target(*fd));
    match plan.close {
        Close::No => {}
        Close::Now => {
            for fd in others {
                // SAFETY: the child's own table, in which nobody else has anything.
                unsafe { libc::close(fd) };
            }
            close_from(last + 1);
        }
        Close::AtExec => {
            for fd in others.chain(last + 1..table_size()) {
                // SAFETY: numbers only; it fails for those that are not open.
                unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
        }
    }
}

/// No descriptor has this number or a higher one, unless the limit was lowered.
fn table_size() -> RawFd {
    // SAFETY: a question.
    let size = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    // No limit at all: more than macOS gives to one process.
    RawFd::try_from(size).ok().filter(|size| *size >= 0).unwrap_or(245_760)
}

#[cfg(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
fn close_from(first: RawFd) {
    unsafe extern "C" {
        /// closefrom(2): an `int` on NetBSD and OpenBSD, nothing elsewhere. It has no failure that matters here: there
        /// may be nothing that high.
        fn closefrom(first: RawFd);
    }
    // SAFETY: the child's own table, in which nobody else has anything.
    unsafe { closefrom(first) };
}

/// There is no such call: all numbers up to the limit, which costs some 100 ns each.
#[cfg(not(any(
    all(target_os = "linux", target_env = "gnu"),
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
fn close_from(first: RawFd) {
    for fd in first..table_size() {
        // SAFETY: the child's own table, in which nobody else has anything.
        unsafe { libc::close(fd) };
    }
}

fn set_limit(resource: Resource, limit: &libc::rlimit) -> Result<(), Errno> {
    let resource = match resource {
        #[cfg(not(target_os = "openbsd"))]
        Resource::AddressSpace => libc::RLIMIT_AS,
        #[cfg(target_os = "openbsd")]
        Resource::AddressSpace => return Err(libc::EINVAL),
        Resource::Core => libc::RLIMIT_CORE,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::Processes => libc::RLIMIT_NPROC,
        Resource::Stack => libc::RLIMIT_STACK,
    };
    // SAFETY: one structure is read.
    check(unsafe { libc::setrlimit(resource, limit) })
}

fn set_ids(plan: &Plan) -> Result<(), (SpawnStep, Errno)> {
    let at = |step| move |errno| (step, errno);
    if let Some(groups) = &plan.groups {
        // SAFETY: as many ids as the slice has are read.
        check(unsafe { libc::setgroups(number(groups.len()), groups.as_ptr()) })
            .map_err(at(SpawnStep::Groups))?;
    }
    if let Some(gid) = plan.gid {
        // SAFETY: a number only.
        check(unsafe { libc::setgid(gid) }).map_err(at(SpawnStep::Gid))?;
    }
    if let Some(uid) = plan.uid {
        // SAFETY: a number only.
        check(unsafe { libc::setuid(uid) }).map_err(at(SpawnStep::Uid))?;
    }
    Ok(())
}

/// Tries the candidates as execvp(3) does: what does not exist is passed over, a refusal is remembered.
fn exec(plan: &Plan) -> Result<Infallible, Errno> {
    first_of(plan.paths.iter().copied().take_while(|path| !path.is_null()), |path| Err(exec_one(plan, path)))
}

/// The first of `files` that `start` starts, by the rules of execvp(3).
pub(super) fn first_of<P, T>(
    files: impl Iterator<Item = P>,
    mut start: impl FnMut(P) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let (mut refused, mut last) = (None, libc::ENOENT);
    for file in files {
        match start(file) {
            Ok(started) => return Ok(started),
            Err(errno @ libc::EACCES) => refused = Some(errno),
            Err(errno @ (libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ESTALE | libc::ETIMEDOUT)) => {
                last = errno;
            }
            Err(errno) => return Err(errno),
        }
    }
    Err(refused.unwrap_or(last))
}

fn exec_one(plan: &Plan, path: *const c_char) -> Errno {
    for attempt in 0..=BUSY_RETRIES {
        // SAFETY: a NUL-terminated string and two null-terminated lists of such.
        unsafe { libc::execve(path, plan.argv.as_ptr(), plan.envp.as_ptr()) };
        match last() {
            libc::ETXTBSY if attempt < BUSY_RETRIES => pause(1 << attempt),
            errno => return errno,
        }
    }
    libc::ETXTBSY
}

fn pause(milliseconds: i64) {
    let time = libc::timespec { tv_sec: 0, tv_nsec: number(milliseconds * 1_000_000) };
    // SAFETY: one structure is read.
    unsafe { libc::nanosleep(&raw const time, ptr::null_mut()) };
}

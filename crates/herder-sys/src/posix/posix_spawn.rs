//! The upper rung: posix_spawn(3). It copies no memory of ours, so it takes no longer in a large program; but it can't
//! say everything, and its one error number tells no step.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use super::child::first_of;
use super::plan::{Close, Plan};
use super::{number, signals};
use crate::Group;
use crate::disabled::is_disabled;

type Errno = i32;

/// With so many numbers to be named one by one, the other rung is as quick.
const MOST_FLOOR: RawFd = 64;

/// The number of a flag that the `libc` crate does not have there.
#[cfg(target_vendor = "apple")]
const SET_SESSION: Option<i32> = Some(0x0400);
#[cfg(target_os = "linux")]
const SET_SESSION: Option<i32> = Some(libc::POSIX_SPAWN_SETSID as i32);
#[cfg(not(any(target_vendor = "apple", target_os = "linux")))]
const SET_SESSION: Option<i32> = None;

/// Starts the first candidate that can be. `None`: this rung can't say what was asked for, or it failed: then the other
/// one is to be tried, and tells what was wrong.
pub(super) fn spawn(plan: &Plan) -> Option<i32> {
    if is_disabled("posix_spawn") || !can_say(plan) {
        return None;
    }
    let actions = Actions::of(plan).ok()?;
    let attributes = Attributes::of(plan).ok()?;
    first_of(plan.candidates(), |path| start(plan, path, &actions, &attributes)).ok()
}

fn can_say(plan: &Plan) -> bool {
    let ids = plan.uid.is_some() || plan.gid.is_some() || plan.groups.is_some();
    let settings = plan.umask.is_some() || plan.nice.is_some() || !plan.limits.is_empty();
    let session = plan.group == Group::NewSession && SET_SESSION.is_none();
    // A folder that is not there and a program that is not there have the same number; and on macOS a relative program
    // in another folder is started, and said to be missing, both (libuv#3583).
    let folder = plan.cwd.is_some();
    let others = plan.close == Close::No || (CLOSES_OTHERS && plan.floor <= MOST_FLOOR);
    !ids && !settings && !session && !folder && others && plan.pre_exec.is_empty()
}

fn start(plan: &Plan, path: &CStr, actions: &Actions, attributes: &Attributes) -> Result<i32, Errno> {
    let mut pid: libc::pid_t = 0;
    let (argv, envp) = (plan.argv.as_ptr().cast(), plan.envp.as_ptr().cast());
    // SAFETY: a string and two null-terminated lists of such are read, and the two objects are initialised.
    let result = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv,
            envp,
        )
    };
    check(result).map(|()| pid)
}

/// These functions give the error number itself.
fn check(result: i32) -> Result<(), Errno> {
    if result == 0 { Ok(()) } else { Err(result) }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn of(plan: &Plan) -> Result<Self, Errno> {
        let mut new = MaybeUninit::uninit();
        // SAFETY: a live local, initialised once.
        check(unsafe { libc::posix_spawn_file_actions_init(new.as_mut_ptr()) })?;
        // SAFETY: it is now.
        let mut actions = Self(unsafe { new.assume_init() });
        for (source, target) in &plan.moves {
            // SAFETY: initialised; numbers only.
            check(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut actions.0, *source, *target) })?;
        }
        if plan.close != Close::No {
            close_others(&mut actions.0, plan)?;
        }
        Ok(actions)
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised, and destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Whether this system's posix_spawn can close what is not named.
const CLOSES_OTHERS: bool = cfg!(any(target_vendor = "apple", all(target_os = "linux", target_env = "gnu")));

/// Everything is closed that is not named (`POSIX_SPAWN_CLOEXEC_DEFAULT`), so 0, 1 and 2 are.
#[cfg(target_vendor = "apple")]
fn close_others(actions: &mut libc::posix_spawn_file_actions_t, plan: &Plan) -> Result<(), Errno> {
    unsafe extern "C" {
        fn posix_spawn_file_actions_addinherit_np(
            actions: *mut libc::posix_spawn_file_actions_t,
            fd: RawFd,
        ) -> i32;
    }
    for fd in (0..=2).filter(|fd| !plan.is_target(*fd)) {
        // SAFETY: numbers only.
        let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        if is_open {
            // SAFETY: initialised; a number only.
            check(unsafe { posix_spawn_file_actions_addinherit_np(actions, fd) })?;
        }
    }
    // A source that is its own target keeps its number by being named, and not by dup2(2).
    for (_, fd) in plan.moves.iter().filter(|(source, target)| source == target) {
        // SAFETY: initialised; a number only.
        check(unsafe { posix_spawn_file_actions_addinherit_np(actions, *fd) })?;
    }
    Ok(())
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn close_others(actions: &mut libc::posix_spawn_file_actions_t, plan: &Plan) -> Result<(), Errno> {
    for fd in (3..plan.floor).filter(|fd| !plan.is_target(*fd)) {
        // SAFETY: initialised; a number only. One that is not open is no error when the time comes.
        check(unsafe { libc::posix_spawn_file_actions_addclose(actions, fd) })?;
    }
    // SAFETY: initialised; a number only.
    check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(actions, plan.floor) })
}

#[cfg(not(any(target_vendor = "apple", all(target_os = "linux", target_env = "gnu"))))]
fn close_others(_: &mut libc::posix_spawn_file_actions_t, _: &Plan) -> Result<(), Errno> {
    Err(libc::ENOSYS)
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn of(plan: &Plan) -> Result<Self, Errno> {
        let mut new = MaybeUninit::uninit();
        // SAFETY: a live local, initialised once.
        check(unsafe { libc::posix_spawnattr_init(new.as_mut_ptr()) })?;
        // SAFETY: it is now.
        let mut attributes = Self(unsafe { new.assume_init() });
        let inner = &raw mut attributes.0;
        // SAFETY: initialised; one set is read.
        check(unsafe { libc::posix_spawnattr_setsigmask(inner, &raw const plan.mask) })?;
        let defaults = defaults(plan.reset_ignored);
        // SAFETY: as above.
        check(unsafe { libc::posix_spawnattr_setsigdefault(inner, &raw const defaults) })?;
        let mut flags =
            number::<_, i32>(libc::POSIX_SPAWN_SETSIGMASK) | number::<_, i32>(libc::POSIX_SPAWN_SETSIGDEF);
        match plan.group {
            Group::Inherit => {}
            Group::NewSession => flags |= SET_SESSION.unwrap_or(0),
            Group::New | Group::Join(_) => {
                flags |= number::<_, i32>(libc::POSIX_SPAWN_SETPGROUP);
                let id = if let Group::Join(id) = plan.group { id } else { 0 };
                // SAFETY: initialised; a number only.
                check(unsafe { libc::posix_spawnattr_setpgroup(inner, id) })?;
            }
        }
        #[cfg(target_vendor = "apple")]
        if plan.close != Close::No {
            flags |= libc::POSIX_SPAWN_CLOEXEC_DEFAULT;
        }
        // SAFETY: initialised; a number only.
        check(unsafe { libc::posix_spawnattr_setflags(inner, number(flags)) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised, and destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

/// What gets its default action: Rust's runtime ignores SIGPIPE, and ignored signals survive an `execve`.
fn defaults(reset_ignored: bool) -> libc::sigset_t {
    if !reset_ignored {
        let mut set = signals::none();
        // SAFETY: a live local.
        unsafe { libc::sigaddset(&raw mut set, libc::SIGPIPE) };
        return set;
    }
    let mut set = signals::all();
    for fixed in [libc::SIGKILL, libc::SIGSTOP] {
        // SAFETY: a live local.
        unsafe { libc::sigdelset(&raw mut set, fixed) };
    }
    set
}

//! A plan as an order: the same steps, to be taken elsewhere.

use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::super::child::{CloseFds, Move, Plan, Source};
use super::super::keeper::order as sheet;
use super::super::keeper::order::Order;
use super::super::keeper::protocol::BEAR;
use super::super::{facts, number, processors};
use crate::{Group, LaunchError, SpawnStep};

/// An order and what stands behind it, and the descriptors that go with it, behind the fixed ones.
#[derive(Debug, Default)]
pub(super) struct Letter {
    pub(super) body: Vec<u8>,
    pub(super) fds: Vec<RawFd>,
}

/// Makes `plan` one that can be carried out by somebody else: all that is ours by inheritance is named.
///
/// # Errors
///
/// As the child would say: a descriptor is not there.
pub(super) fn name_inherited(plan: &mut Plan, inherit_fds: bool) -> Result<(), LaunchError> {
    let targets: HashSet<RawFd> = plan.moves.iter().map(|m| m.target).collect();
    let inherited = |fd: RawFd| Move { source: Source::Fd(fd.into(), false), target: fd };
    let mut moves: Vec<Move> =
        (0..3).filter(|fd| !targets.contains(fd) && is_open(*fd)).map(inherited).collect();
    if inherit_fds {
        moves.extend(passed_on().into_iter().filter(|fd| !targets.contains(fd)).map(inherited));
    }
    let mut placed: HashSet<RawFd> = moves.iter().map(|m| m.target).collect();
    for Move { source, target } in plan.moves.drain(..) {
        let source = match source {
            Source::Same(fd) if !placed.contains(&fd) => {
                if !is_open(fd) {
                    return Err(LaunchError { step: SpawnStep::Fds, errno: libc::EBADF });
                }
                Source::Fd(fd.into(), false)
            }
            source => source,
        };
        placed.insert(target);
        moves.push(Move { source, target });
    }
    let highest = moves.iter().map(|m| m.target).max().unwrap_or(0);
    plan.floor = plan.floor.max(highest.saturating_add(1));
    plan.moves = moves;
    plan.close = if facts().close_range { CloseFds::Range } else { CloseFds::Listed };
    if plan.affinity.is_none() {
        // As a direct child would have.
        plan.affinity = plan.unpinned.map(<[_]>::to_vec).or_else(|| processors::of(0).ok());
    }
    Ok(())
}

/// Names the working directory by its path, for a child with mounts of its own: one that was opened elsewhere is none
/// that it could tell the path of (getcwd(2)). One without a path, as it was removed, goes as it is.
pub(super) fn name_dir(plan: &mut Plan) {
    let Ok(here) = std::env::current_dir() else { return };
    let asked = plan.cwd.as_ref().map(|dir| OsStr::from_bytes(dir.to_bytes()));
    let dir = here.join(asked.unwrap_or_default());
    // A path of the kernel's has no NUL in it.
    plan.cwd = CString::new(dir.into_os_string().into_vec()).ok();
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Descriptors from 3 up that an `execve` would leave open.
fn passed_on() -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_passed_on = |fd: &RawFd| {
        // SAFETY: numbers only.
        let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
        *fd > 2 && flags >= 0 && flags & libc::FD_CLOEXEC == 0
    };
    numbers.filter(is_passed_on).collect()
}

/// A limit of ours, soft and hard; one that the kernel does not know is none at all.
pub(super) fn limit(resource: u32) -> [u64; 2] {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let (call, nothing) = (libc::SYS_prlimit64, std::ptr::null::<libc::rlimit64>());
    // SAFETY: one structure is written.
    unsafe { libc::syscall(call, 0, resource, nothing, &raw mut limit) };
    [limit.rlim_cur, limit.rlim_max]
}

/// Writes the order for a plan.
pub(super) fn write(plan: &Plan) -> (Order, Letter) {
    let mut letter = Letter::default();
    let mut order = Order {
        kind: BEAR,
        mask: plan.mask,
        descriptors: limit(number(libc::RLIMIT_NOFILE)),
        floor: plan.floor,
        has: flags(plan),
        nice: plan.nice.unwrap_or(0),
        umask: plan.umask.unwrap_or(0),
        gid: plan.gid.unwrap_or(0),
        uid: plan.uid.unwrap_or(0),
        die: plan.die_with.map_or(0, |(signal, _)| signal),
        ..Order::default()
    };
    for (resource, limit) in &plan.limits {
        letter.longs(&[u64::from(*resource), limit.rlim_cur, limit.rlim_max]);
        order.limits += 1;
    }
    for word in plan.affinity.iter().flatten() {
        letter.longs(&[*word as u64]);
        order.processors += 1;
    }
    for Move { source, target } in &plan.moves {
        let (from, what) = match source {
            Source::Fd(fd, _) => (sheet::FROM_OWNER, letter.enclose(fd.get())),
            Source::Null => (sheet::FROM_NULL, 0),
            Source::Same(fd) => (sheet::FROM_CHILD, *fd),
        };
        letter.ints(&[from, what, *target]);
        order.moves += 1;
    }
    for group in plan.groups.iter().flatten() {
        letter.body.extend_from_slice(&group.to_ne_bytes());
        order.groups += 1;
    }
    if let Some(cwd) = &plan.cwd {
        letter.body.extend_from_slice(cwd.as_bytes_with_nul());
    }
    let (paths, argv, envp) = &plan.strings;
    for strings in [paths, argv, envp] {
        letter.body.extend_from_slice(strings.as_bytes());
    }
    [order.paths, order.argv, order.envp] = [paths, argv, envp].map(|strings| strings.len() as u32);
    order.bytes = letter.body.len() as u64;
    (order, letter)
}

fn flags(plan: &Plan) -> u32 {
    let all = [
        (plan.nice.is_some(), sheet::NICE),
        (plan.affinity.is_some(), sheet::AFFINITY),
        (plan.umask.is_some(), sheet::UMASK),
        (plan.groups.is_some(), sheet::GROUPS),
        (plan.gid.is_some(), sheet::GID),
        (plan.uid.is_some(), sheet::UID),
        (plan.cwd.is_some(), sheet::DIR),
        (plan.die_with.is_some(), sheet::DIE),
        (plan.reset_ignored, sheet::RESET_IGNORED),
        (matches!(plan.group, Group::NewSession), sheet::SESSION),
        (matches!(plan.close, CloseFds::Listed), sheet::CLOSE_LISTED),
    ];
    all.iter().filter(|(has, _)| *has).map(|(_, flag)| flag).sum()
}

impl Letter {
    fn longs(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.body.extend_from_slice(&number.to_ne_bytes()));
    }

    fn ints(&mut self, numbers: &[i32]) {
        numbers.iter().for_each(|number| self.body.extend_from_slice(&number.to_ne_bytes()));
    }

    /// Where the descriptor is found by who reads the order.
    fn enclose(&mut self, fd: RawFd) -> i32 {
        let at = self.fds.iter().position(|known| *known == fd).unwrap_or_else(|| {
            self.fds.push(fd);
            self.fds.len() - 1
        });
        (sheet::FIRST + at) as i32
    }
}

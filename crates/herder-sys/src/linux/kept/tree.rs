//! Who is below the keeper of a scope, as the kernel lists the children of each thread.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use super::super::stat::{CHILDREN_SYSTEM, CHILDREN_USER, GROUP, PARENT, STATE, SYSTEM, USER, stat};
use super::super::{cvt, pidfd};
use crate::{Member, ScopeStats};

/// The keeper of a scope.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// So often a signal looks for newcomers: somebody who forks for ever must not keep us for ever.
const ROUNDS: usize = 32;

impl Root {
    pub(super) fn has_ended(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure.
        unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
    }

    /// Whether it was reaped: if it was killed, the nursery does that when all that it has left is gone.
    fn is_reaped(&self) -> bool {
        // If orphans come to us, and the nursery is gone, it is ours.
        // SAFETY: no structure is given, so none is written.
        let _ = unsafe {
            let (kind, options) = (libc::P_PIDFD, libc::WEXITED | libc::WNOHANG | libc::__WALL);
            libc::waitid(kind, self.pidfd.as_raw_fd() as libc::id_t, std::ptr::null_mut(), options)
        };
        pidfd::send(&self.pidfd, 0, 0).is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH))
    }

    /// Whether nobody is below it. A list is read from its beginning in one go, so an empty one is so.
    pub(super) fn is_childless(&self) -> io::Result<bool> {
        loop {
            if self.has_ended() {
                return Ok(self.is_reaped());
            }
            let list = fs::read(format!("/proc/{0}/task/{0}/children", self.pid));
            // It was the keeper's, if that lives still.
            if self.has_ended() {
                continue;
            }
            return list.map(|list| list.is_empty());
        }
    }

    /// All below it, from the top. Dead ones are among them.
    pub(super) fn pids(&self) -> io::Result<Vec<i32>> {
        let mut all = children(self.pid);
        if self.has_ended() {
            return Ok(Vec::new());
        }
        let mut next = 0;
        while let Some(&pid) = all.get(next) {
            next += 1;
            // Who loses his parent meanwhile may be seen twice.
            let new: Vec<i32> = children(pid).into_iter().filter(|pid| !all.contains(pid)).collect();
            all.extend(new);
        }
        Ok(all)
    }

    /// To all below it, newcomers included.
    pub(super) fn send_to_all(&self, signal: i32) -> io::Result<()> {
        self.send_where(signal, |_| true)
    }

    /// To those below it that are in this process group, newcomers included: for a kernel that can't do it by a pidfd.
    /// ESRCH: nobody is.
    ///
    /// The number is that of a leader who was born here. When the group is gone it may become another process's, and mean
    /// another group; whoever is below us even then is in the same scope.
    pub(super) fn send_to_group(&self, group: i32, signal: i32) -> io::Result<()> {
        let some = Cell::new(false);
        self.send_where(signal, |pid| {
            let meant = stat(pid).is_some_and(|(_, fields)| {
                fields.get(GROUP).and_then(|text| text.parse().ok()) == Some(group)
            });
            some.set(some.get() | meant);
            meant
        })?;
        if some.get() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    }

    fn send_where(&self, signal: i32, is_meant: impl Fn(i32) -> bool) -> io::Result<()> {
        let mut done = HashSet::new();
        let mut result = Ok(());
        for _ in 0..ROUNDS {
            let new: Vec<i32> = self.pids()?.into_iter().filter(|pid| !done.contains(pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                if is_meant(pid) {
                    match self.send(pid, signal) {
                        // Its place in the tree changed while it was looked at, as somebody above it ended.
                        Ok(false) => continue,
                        Ok(true) => {}
                        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                        Err(error) => result = Err(error),
                    }
                }
                done.insert(pid);
            }
        }
        result
    }

    /// Signals a process if it is below us still: between the list and now its number may have become another's.
    ///
    /// First the pidfd, then the look: whoever the number means then, either it is the process that we hold, or that
    /// one is gone, and the signal with it. `false`: it is not, or that could not be seen.
    fn send(&self, pid: i32, signal: i32) -> io::Result<bool> {
        let held = pidfd::open(pid)?;
        if !self.is_above(pid) {
            return Ok(false);
        }
        pidfd::send(&held, signal, 0).map(|()| true)
    }

    /// Whether a chain of parents leads from the process to us.
    ///
    /// It is read upwards and then once more downwards. A process whose parent is the same in both looks has had that
    /// parent all the time between, so the parent's number meant that one process; so all links were there at once, at
    /// the moment when the last was read.
    fn is_above(&self, pid: i32) -> bool {
        let mut chain = vec![pid];
        while let Some(parent) = chain.last().copied().and_then(parent) {
            if parent <= 1 {
                return false;
            }
            chain.push(parent);
            if parent == self.pid {
                let links = chain.iter().zip(chain.iter().skip(1)).rev();
                return links.into_iter().all(|(child, above)| parent_is(*child, *above))
                    && !self.has_ended();
            }
            // No such chain is longer, unless it was read while it changed.
            if chain.len() > 1 << 16 {
                return false;
            }
        }
        false
    }

    pub(super) fn members(&self) -> io::Result<Vec<Member>> {
        let member = |pid| {
            let (command, fields) = stat(pid)?;
            let is_dead = matches!(fields.get(STATE).map(String::as_str), Some("Z" | "X"));
            (!is_dead).then_some(Member { pid, command })
        };
        Ok(self.pids()?.into_iter().filter_map(member).collect())
    }

    /// What the keeper has reaped, and what lives.
    pub(super) fn stats(&self) -> io::Result<ScopeStats> {
        let mut stats = ScopeStats::default();
        let (mut user, mut system) = (0, 0);
        let Some((_, own)) = stat(self.pid).filter(|_| !self.has_ended()) else {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        };
        let number =
            |fields: &[String], at: usize| fields.get(at).and_then(|text| text.parse().ok()).unwrap_or(0);
        user += number(&own, CHILDREN_USER);
        system += number(&own, CHILDREN_SYSTEM);
        for pid in self.pids()? {
            let Some((_, fields)) = stat(pid) else { continue };
            if matches!(fields.get(STATE).map(String::as_str), Some("Z" | "X")) {
                continue;
            }
            stats.processes += 1;
            user += number(&fields, USER) + number(&fields, CHILDREN_USER);
            system += number(&fields, SYSTEM) + number(&fields, CHILDREN_SYSTEM);
        }
        (stats.user, stats.system) = (ticks(user), ticks(system));
        Ok(stats)
    }
}

fn ticks(count: u64) -> Duration {
    // SAFETY: a question.
    let a_second = cvt(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1) as u64;
    Duration::from_millis(count.saturating_mul(1000) / a_second)
}

/// Who is gone has none.
fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    // 0 is somebody whom our PID namespace does not show.
    let pids = |list: String| -> Vec<i32> {
        list.split_whitespace().filter_map(|word| word.parse().ok()).filter(|pid| *pid > 1).collect()
    };
    lists.flat_map(pids).collect()
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.1.get(PARENT)?.parse().ok()
}

fn parent_is(pid: i32, expected: i32) -> bool {
    parent(pid) == Some(expected)
}

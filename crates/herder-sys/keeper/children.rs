//! The children that were registered, each by its pidfd, and their end.

use crate::sys;

/// More children than this are not taken; the owner is told.
const MOST: u32 = 1 << 16;

/// Descriptors that the keeper needs for itself.
const SPARE: u32 = 32;

/// Rounds in which a group is killed: once is enough for all that are in it, and catches forks; the others are for
/// members that join it late.
const GROUP_ROUNDS: u32 = 3;

#[repr(C)]
struct Child {
    /// All zeroes, as the memory comes from the kernel, is nobody.
    used: bool,
    leads_group: bool,
    pid: i32,
    pidfd: i32,
}

pub(crate) struct Children {
    /// By the number that the owner chose. It is memory only as far as it is used.
    slots: &'static mut [Child],
    /// No used slot is this high, nor higher.
    end: usize,
}

impl Children {
    /// For as many as there can be descriptors.
    pub(crate) fn new(descriptors: u64) -> Self {
        let room = descriptors.min(u64::from(MOST + SPARE)).saturating_sub(u64::from(SPARE)) as usize;
        let bytes = room * size_of::<Child>();
        let slots: &'static mut [Child] = match sys::map(bytes) {
            // SAFETY: as many bytes were mapped, aligned to a page, for us alone and for good; all zeroes is a
            // valid child.
            Some(memory) => unsafe { core::slice::from_raw_parts_mut(memory.cast(), room) },
            None => &mut [],
        };
        Self { slots, end: 0 }
    }

    pub(crate) fn room(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn watch(&mut self, slot: u32, pidfd: i32, pid: i32, leads_group: bool) {
        self.forget(slot);
        match self.slots.get_mut(slot as usize) {
            Some(child) => {
                *child = Child { used: true, leads_group, pid, pidfd };
                self.end = self.end.max(slot as usize + 1);
            }
            None => sys::close(pidfd),
        }
    }

    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(child) = self.slots.get_mut(slot as usize)
            && child.used
        {
            child.used = false;
            sys::close(child.pidfd);
        }
    }

    /// One round. Whether all children are gone.
    pub(crate) fn end(&self, round: u32, pidfd_group: bool) -> bool {
        let mut gone = true;
        for child in self.slots.iter().take(self.end).filter(|child| child.used) {
            gone &= child.end(round, pidfd_group);
        }
        gone
    }
}

impl Child {
    /// The group first: that is one atomic step against forks of its members, and the living leader still proves
    /// that the number of the group is its own.
    fn end(&self, round: u32, pidfd_group: bool) -> bool {
        let late = round >= GROUP_ROUNDS;
        if self.leads_group && !late {
            self.kill_group(pidfd_group);
        }
        match sys::pidfd_signal(self.pidfd, sys::SIGKILL, 0) {
            // It may not be ours to kill any more: it has another user.
            Err(sys::ESRCH | sys::EPERM) => {}
            _ if sys::is_readable(self.pidfd) => {}
            _ => return false,
        }
        late || !self.leads_group
    }

    fn kill_group(&self, by_pidfd: bool) {
        let flags = sys::PIDFD_SIGNAL_PROCESS_GROUP;
        if by_pidfd && sys::pidfd_signal(self.pidfd, sys::SIGKILL, flags) != Err(sys::EINVAL) {
            return;
        }
        // Before Linux 6.9 by number, while it is proved to be the child's: a stopped process does not end on its
        // own, so it leads its group still when that is killed.
        let stopped = sys::pidfd_signal(self.pidfd, sys::SIGSTOP, 0).is_ok();
        if stopped && self.pid > 1 && !sys::is_readable(self.pidfd) && sys::getpgid(self.pid) == Ok(self.pid)
        {
            sys::kill(-self.pid, sys::SIGKILL);
        }
    }
}

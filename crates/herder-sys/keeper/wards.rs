//! Our own children: listed by the kernel, and killed.
//!
//! The first process of a PID namespace needs no list: whom it can signal is its own, and all of them at once.
//!
//! Only we reap them, so the pid of one that was listed, and the group it leads, are its own until we do. That is why
//! no pidfd is needed; and a child's own children become ours when it is dead.

use crate::abi;
use crate::processes::{self, Policy, quiet};
use crate::sys::{self, Errno, syscall};

/// A round of kills is followed by a pause of so many microseconds for each that was killed.
const KILL_US: u64 = 10;

/// The kernel's list of our children, and what tells that one of them died.
#[derive(Clone, Copy)]
pub(crate) struct Wards {
    /// -1: all but ourselves are ours.
    list: i32,
    pub(crate) signals: i32,
}

impl Wards {
    /// `ENOENT`: the kernel was built without that list (`CONFIG_PROC_CHILDREN`), or /proc is not there.
    pub(crate) fn new(signals: i32) -> Result<Self, Errno> {
        Ok(Self { list: sys::open_file(abi::AT_FDCWD, c"/proc/thread-self/children")?, signals })
    }

    /// All in the PID namespace whose first process we are.
    pub(crate) fn all(signals: i32) -> Self {
        Self { list: -1, signals }
    }

    pub(crate) fn close(self) {
        sys::close(self.list);
    }

    pub(crate) fn for_each(&self, mut visit: impl FnMut(i32)) {
        let mut buffer = [0u8; 1024];
        let (mut at, mut pid) = (0, 0i32);
        loop {
            let args = [self.list as usize, buffer.as_mut_ptr().addr(), buffer.len(), at, 0, 0];
            // SAFETY: at most as many bytes are written as there are.
            let Ok(filled @ 1..) = (unsafe { syscall(abi::SYS_pread64, args) }) else { return };
            at += filled;
            for byte in buffer.get(..filled).unwrap_or_default() {
                match byte {
                    b'0'..=b'9' => pid = pid.wrapping_mul(10).wrapping_add(i32::from(byte - b'0')),
                    _ => {
                        let pid = core::mem::take(&mut pid);
                        // 0 is somebody of another pid namespace.
                        if pid > 1 {
                            visit(pid);
                        }
                    }
                }
            }
        }
    }

    /// Kills each with the group that it leads, which is one atomic step against forks in there. Gives how many.
    fn kill(&self, is_meant: impl Fn(i32) -> bool) -> u64 {
        if self.list < 0 {
            // One atomic step against forks, as with a group (kill_something_info, kernel/signal.c).
            sys::kill(-1, sys::SIGKILL);
            return 1;
        }
        let mut count = 0;
        self.for_each(|pid| {
            if is_meant(pid) {
                count += 1;
                if sys::getpgid(pid) == Ok(pid) {
                    sys::kill(-pid, sys::SIGKILL);
                }
                sys::kill(pid, sys::SIGKILL);
            }
        });
        count
    }

    /// Kills, in rounds, until `is_over`, or the time is over. Whether it is. It asks after each death, and from time to
    /// time; the answer may need a look at all our children.
    pub(crate) fn kill_until(
        &self,
        limit_ms: u64,
        is_meant: impl Fn(i32) -> bool,
        is_over: impl FnMut() -> bool,
    ) -> bool {
        let before = processes::hurry();
        let over = self.kill_in_rounds(limit_ms, is_meant, is_over);
        before.into_iter().for_each(Policy::restore);
        over
    }

    fn kill_in_rounds(
        &self,
        limit_ms: u64,
        is_meant: impl Fn(i32) -> bool,
        mut is_over: impl FnMut() -> bool,
    ) -> bool {
        let start = sys::now_ms();
        let mut pause_us = 50;
        // Many take their time to die: nobody is helped by a kill of all after each death.
        let mut next_us = 0;
        for round in 0.. {
            if sys::now_us() >= next_us {
                next_us = self.kill(&is_meant) * KILL_US + sys::now_us();
            }
            if is_over() {
                return true;
            }
            if round >= crate::LEAST_ROUNDS && sys::now_ms().wrapping_sub(start) > limit_ms {
                return false;
            }
            if sys::wait_readable([self.signals], Some(pause_us * 1000)) {
                quiet(self.signals);
            } else {
                pause_us = (pause_us * 2).min(4000);
            }
        }
        false
    }
}

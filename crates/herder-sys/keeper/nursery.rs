//! The nursery: it bears the keepers of scopes, and what one of them leaves when somebody has killed it comes here, and
//! is killed.

use crate::lifeline;
use crate::namespace::{self, Inside};
use crate::processes;
use crate::protocol::{LIFELINE, NAMESPACE, SCOPE};
use crate::scope;
use crate::sys;
use crate::wards::Wards;
use crate::{Heritage, LIMIT_MS};

const MOST: usize = 1 << 16;

/// The keepers get so long for their own ends, in milliseconds.
const PATIENCE_MS: u64 = 450;

const SIGCONT: i32 = 18;

struct Nursery {
    owner: i32,
    heritage: Heritage,
    wards: Wards,
    /// The keepers' pids, 0 in place of one that is gone.
    keepers: &'static mut [i32],
    end: usize,
}

/// Never returns.
pub(crate) fn run(owner: i32, heritage: Heritage) -> ! {
    let memory = sys::map(MOST * size_of::<i32>());
    let ready = processes::become_subreaper().and_then(|()| processes::child_signals());
    if let (Ok(wards), Some(memory)) = (ready.and_then(Wards::new), memory) {
        // SAFETY: as many bytes were mapped, aligned to a page, for us alone and for good; zeroes are numbers.
        let keepers = unsafe { core::slice::from_raw_parts_mut(memory.cast(), MOST) };
        Nursery { owner, heritage, wards, keepers, end: 0 }.listen();
    }
    sys::exit(0)
}

impl Nursery {
    /// Until the owner is gone; or has no more use for us, and the last keeper is gone.
    fn listen(&mut self) {
        let mut lifeline = LIFELINE;
        loop {
            if sys::wait_readable([lifeline, self.owner, self.wards.signals], None) {
                processes::quiet(self.wards.signals);
            }
            let empty = self.reap();
            if sys::is_readable(self.owner) {
                return self.end();
            }
            if lifeline < 0 {
                if empty {
                    return;
                }
                continue;
            }
            match lifeline::receive(lifeline) {
                Ok(Some((message, fd))) if message.kind == SCOPE && fd >= 0 => {
                    self.bear(fd, message.flags & NAMESPACE != 0);
                }
                Ok(Some((_, fd))) => sys::close(fd),
                Err(sys::EAGAIN | sys::EINTR) => {}
                Ok(None) | Err(_) => {
                    sys::close(core::mem::replace(&mut lifeline, -1));
                    if empty {
                        return;
                    }
                }
            }
        }
    }

    fn bear(&mut self, socket: i32, is_namespace: bool) {
        let Some(slot) = self.keepers.iter().position(|pid| *pid == 0) else {
            lifeline::refuse(socket, sys::EAGAIN);
            return sys::close(socket);
        };
        let forked = if is_namespace {
            namespace::fork().map(|(pid, inside)| (pid, Some(inside)))
        } else {
            sys::fork().map(|pid| (pid, None::<Inside>))
        };
        match forked {
            Ok((0, inside)) => {
                // The owner must see the end of the nursery, whoever is left of it.
                sys::close(LIFELINE);
                self.wards.close();
                scope::run(socket, self.owner, self.wards.signals, self.heritage, inside)
            }
            Ok((pid, _)) => {
                if let Some(keeper) = self.keepers.get_mut(slot) {
                    *keeper = pid as i32;
                }
                self.end = self.end.max(slot + 1);
            }
            Err(errno) => lifeline::refuse(socket, errno),
        }
        sys::close(socket);
    }

    /// Reaps whoever is dead. A keeper that was killed only after all that it has left: the owner takes its being reaped
    /// for the end of its scope. Whether nobody is left.
    fn reap(&mut self) -> bool {
        loop {
            match processes::see_any() {
                Ok(Some(dead)) => {
                    let keeper = self.keepers.iter().take(self.end).position(|pid| *pid == dead.pid);
                    if let Some(slot) = keeper {
                        if !dead.is_success() {
                            self.kill_orphans(LIMIT_MS);
                        }
                        if let Some(keeper) = self.keepers.get_mut(slot) {
                            *keeper = 0;
                        }
                    }
                    processes::reap(dead.pid);
                }
                Ok(None) => return false,
                Err(sys::EINTR) => {}
                Err(_) => return true,
            }
        }
    }

    /// All our children but the keepers.
    fn kill_orphans(&self, limit_ms: u64) {
        let keepers = self.keepers.get(..self.end).unwrap_or_default();
        let is_orphan = |pid| !keepers.contains(&pid);
        let none_left = || {
            let mut none = true;
            self.wards.for_each(|pid| {
                if is_orphan(pid) {
                    processes::reap(pid);
                    none = false;
                }
            });
            none
        };
        self.wards.kill_until(limit_ms, is_orphan, none_left);
    }

    /// The owner is gone. The keepers see that too; those that can't act are killed, and then what they leave.
    fn end(&mut self) {
        for pid in self.keepers.iter().take(self.end).filter(|pid| **pid > 0) {
            sys::kill(*pid, SIGCONT);
        }
        let start = sys::now_ms();
        while sys::now_ms().wrapping_sub(start) < PATIENCE_MS {
            if self.reap() {
                return;
            }
            if sys::wait_readable([self.wards.signals], Some(10_000_000)) {
                processes::quiet(self.wards.signals);
            }
        }
        let wards = self.wards;
        wards.kill_until(
            LIMIT_MS - PATIENCE_MS,
            |_| true,
            || loop {
                match processes::reap_any() {
                    Ok(Some(_)) | Err(sys::EINTR) => {}
                    Ok(None) => return false,
                    Err(_) => return true,
                }
            },
        );
    }
}

//! The keeper of one scope: what is born here, and all that it starts, is below this process and stays there.
//!
//! Whoever loses his parent becomes our child (prctl(2), `PR_SET_CHILD_SUBREAPER`). So, as soon as there are no children
//! (waitid(2) says `ECHILD`), nobody is left.
//!
//! As the first process of a PID namespace it does the same there, and its end is the end of all in it.

use crate::lifeline::{self, Inbox};
use crate::namespace::{Inside, Outside};
use crate::order::{CORD, Ended, FIRST, Order};
use crate::plan::{self, Body};
use crate::processes::{self, Dead};
use crate::protocol::{BEAR, BORN, EMPTY, ENDED, HELLO, KILL, Message, RELEASE, UNBORN};
use crate::sys;
use crate::wards::Wards;
use crate::{Heritage, LIMIT_MS};

/// A child that was ordered, and the socket on which its owner is told of its end.
#[repr(C)]
struct Ordered {
    /// 0 is nobody, as the memory comes from the kernel.
    pid: i32,
    cord: i32,
}

const MOST: usize = 1 << 16;

/// So many dead ones are reaped before something else has its turn.
const MOST_AT_ONCE: u32 = 1 << 10;

struct Scope {
    socket: i32,
    /// The pidfd of the owner.
    owner: i32,
    outside: Option<Outside>,
    heritage: Heritage,
    wards: Wards,
    ordered: &'static mut [Ordered],
    /// No slot that is used is this high, nor higher.
    end: usize,
    /// Whether children live, as far as the owner was told.
    populated: bool,
    released: bool,
    /// Whether there may be dead ones that were not looked at.
    has_more: bool,
}

/// Never returns. `socket` is the owner's way to this scope.
///
/// With `inside` we are the first process of a PID namespace, which is to be made ready.
pub(crate) fn run(socket: i32, owner: i32, signals: i32, heritage: Heritage, inside: Option<Inside>) -> ! {
    processes::leave_session();
    let ready = || {
        let (wards, outside) = match inside {
            Some(inside) => (Wards::all(signals), Some(inside.enter()?)),
            None => (processes::become_subreaper().and_then(|()| Wards::new(signals))?, None),
        };
        let own = sys::pidfd_open(sys::getpid())?;
        let pid = named(outside.as_ref(), sys::getpid(), own)?;
        Ok((wards, outside, own, pid))
    };
    let (wards, outside, own, pid) = match ready() {
        Ok(ready) => ready,
        Err(errno) => {
            lifeline::refuse(socket, errno);
            sys::exit(0)
        }
    };
    let mut hello = Message::new(HELLO);
    hello.pid = pid;
    let greeted = lifeline::send(socket, &hello, own);
    sys::close(own);
    let memory = sys::map(MOST * size_of::<Ordered>());
    let ordered: &'static mut [Ordered] = match memory {
        // SAFETY: as many bytes were mapped, aligned to a page, for us alone and for good; all zeroes is nobody.
        Some(memory) => unsafe { core::slice::from_raw_parts_mut(memory.cast(), MOST) },
        None => &mut [],
    };
    let mut scope = Scope {
        socket,
        owner,
        outside,
        heritage,
        wards,
        ordered,
        end: 0,
        populated: false,
        released: false,
        has_more: false,
    };
    if greeted.is_ok() {
        scope.listen();
    }
    sys::exit(0)
}

/// The number that a process of ours has for the owner.
fn named(outside: Option<&Outside>, pid: i32, pidfd: i32) -> Result<i32, sys::Errno> {
    outside.map_or(Ok(pid), |outside| outside.pid_of(pidfd))
}

impl Scope {
    fn listen(&mut self) {
        let mut inbox = Inbox::new();
        loop {
            let time = core::mem::take(&mut self.has_more).then_some(0);
            let has_died = sys::wait_readable([self.socket, self.owner, self.wards.signals], time);
            if has_died {
                processes::quiet(self.wards.signals);
            }
            let empty = self.reap();
            if sys::is_readable(self.owner) {
                self.end(LIMIT_MS);
                return;
            }
            // Released and closed: until the last has gone.
            if self.socket < 0 {
                if empty {
                    return;
                }
                continue;
            }
            match inbox.receive(self.socket) {
                Ok(Some(bytes)) => self.take(&mut inbox, bytes),
                Ok(None) if self.released => {
                    sys::close(core::mem::replace(&mut self.socket, -1));
                    if empty {
                        return;
                    }
                }
                Ok(None) => {
                    // However long it takes: the owner lives, and may be told that somebody can't be killed.
                    while !self.end(LIMIT_MS) && !sys::is_readable(self.owner) {}
                    return;
                }
                // Reset, as the owner has not read all that was said to it: what it has said itself is there still.
                Err(sys::EAGAIN | sys::EINTR | sys::ECONNRESET) => {}
                Err(_) => {
                    self.end(LIMIT_MS);
                    return;
                }
            }
        }
    }

    fn take(&mut self, inbox: &mut Inbox, bytes: usize) {
        match inbox.kind(bytes) {
            KILL => _ = self.end(LIMIT_MS),
            RELEASE => self.released = true,
            BEAR => self.bear(inbox, bytes),
            _ => {}
        }
        inbox.close_all();
    }

    /// Kills until nobody is left, or the time is over. Whether nobody is.
    fn end(&mut self, limit_ms: u64) -> bool {
        let wards = self.wards;
        wards.kill_until(limit_ms, |_| true, || self.reap())
    }

    /// Reaps whoever is dead, and tells who waits for that. Whether nobody is left at all.
    fn reap(&mut self) -> bool {
        let mut count = 0;
        loop {
            match processes::reap_any() {
                // Who forks and ends faster than we reap does not keep us from what is asked for.
                Ok(Some(dead)) => {
                    self.tell(&dead);
                    count += 1;
                    self.has_more = count == MOST_AT_ONCE;
                    if self.has_more {
                        return false;
                    }
                }
                Ok(None) => return false,
                Err(sys::EINTR) => {}
                Err(_) => break,
            }
        }
        if core::mem::take(&mut self.populated) && self.socket >= 0 {
            // With no room for it, the owner has such news to read already.
            let _ = lifeline::send(self.socket, &Message::new(EMPTY), -1);
        }
        true
    }

    fn tell(&mut self, dead: &Dead) {
        let used = self.ordered.iter_mut().take(self.end);
        let Some(child) = used.into_iter().find(|child| child.pid == dead.pid) else { return };
        let ended = Ended { kind: ENDED, code: dead.code, status: dead.status, unused: 0, usage: dead.usage };
        // The owner may not care any more.
        let _ = lifeline::send_plain(child.cord, &ended);
        sys::close(child.cord);
        *child = Ordered { pid: 0, cord: -1 };
    }

    fn bear(&mut self, inbox: &mut Inbox, bytes: usize) {
        let order = inbox.order();
        let Some(&cord) = inbox.fds().get(CORD) else { return };
        if bytes < size_of::<Order>() {
            return;
        }
        let born = match self.free_slot() {
            Some(slot) => self.fork(&order, inbox, bytes).map(|born| (slot, born)),
            None => Err(sys::EAGAIN),
        };
        match born {
            Ok((slot, (pid, pidfd))) => {
                self.populated = true;
                let mut message = Message::new(BORN);
                let told = named(self.outside.as_ref(), pid, pidfd).and_then(|pid| {
                    message.pid = pid;
                    lifeline::send(cord, &message, pidfd)
                });
                if told.is_err() {
                    // Nobody waits for it any more, or can have it.
                    sys::kill(pid, sys::SIGKILL);
                }
                sys::close(pidfd);
                if let Some(ordered) = self.ordered.get_mut(slot) {
                    *ordered = Ordered { pid, cord: inbox.take(CORD) };
                    self.end = self.end.max(slot + 1);
                }
            }
            Err(errno) => {
                let mut message = Message::new(UNBORN);
                message.pid = errno;
                let _ = lifeline::send(cord, &message, -1);
            }
        }
    }

    fn free_slot(&self) -> Option<usize> {
        self.ordered.iter().position(|ordered| ordered.pid == 0)
    }

    fn fork(&self, order: &Order, inbox: &Inbox, bytes: usize) -> Result<(i32, i32), sys::Errno> {
        if inbox.fds().len() < FIRST {
            return Err(sys::EINVAL);
        }
        let keeper = sys::getpid();
        let mut pidfd = -1;
        match processes::fork_with_pidfd(&mut pidfd)? {
            0 => {
                let body = Body { inline: inbox.body(bytes), fds: inbox.fds() };
                plan::carry_out(order, &body, keeper, &self.heritage)
            }
            pid => Ok((pid, pidfd)),
        }
    }
}

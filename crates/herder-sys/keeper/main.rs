//! The keeper: a helper process that ends everything that its owner has started when the owner is gone.
//!
//! A program without the standard library, the C library and an allocator: a few pages of memory, and nothing that
//! can fail at the moment when it is needed. The build script of the crate builds it; the library carries it and
//! starts it from memory. See `docs/design/keeper.md`.
//!
//! | file | holds |
//! |---|---|
//! | `main` | becoming the keeper; the loop |
//! | `protocol` | the messages, shared with the library |
//! | `lifeline` | receiving and sending them |
//! | `children` | the children that were registered, and their end |
//! | `house` | the directory of cgroups, and its end |
//! | `nursery` | the other role: bearing the keepers of scopes, and guarding what they leave |
//! | `scope` | the keeper of one scope: all that its children start stays below it |
//! | `namespace` | the keeper of a scope as the first process of a PID namespace |
//! | `plan` | from an order to a child |
//! | `wards` | our own children: listed, killed |
//! | `order` | orders and answers, shared with the library |
//! | `child`, `step` | what a child does before its `execve`: the library's own code, with `abi` below it |
//! | `processes` | the system calls that make processes and wait for them |
//! | `sys` | the system calls |
//! | `start` | the first instructions, and what the compiler expects of a C library |

#![no_std]
#![no_main]
// The lints of the workspace reach packages only.
#![warn(unreachable_pub, unused_qualifications, clippy::use_self, clippy::semicolon_if_nothing_returned)]
#![deny(unsafe_op_in_unsafe_fn, clippy::multiple_unsafe_ops_per_block, clippy::undocumented_unsafe_blocks)]

mod abi;
#[path = "../src/linux/child/mod.rs"]
#[expect(dead_code, reason = "some of it is for births in the library")]
mod child;
mod children;
mod house;
mod lifeline;
mod namespace;
mod nursery;
mod order;
mod plan;
mod processes;
mod protocol;
mod scope;
mod start;
#[path = "../src/step.rs"]
#[expect(unreachable_pub, dead_code, reason = "public in the library")]
mod step;
mod sys;
mod wards;

/// What the code of `child` expects beside it.
mod syscall {
    pub(crate) use crate::sys::Errno;

    /// # Safety
    ///
    /// As the call itself.
    pub(crate) unsafe fn syscall(number: i64, args: [usize; 5]) -> Result<usize, Errno> {
        let [a, b, c, d, e] = args;
        // SAFETY: the caller vouches for the arguments.
        unsafe { crate::sys::syscall(number, [a, b, c, d, e, 0]) }
    }
}

/// What the code of `child` expects beside it: nobody's code runs here.
mod pre_exec {
    #[derive(Debug)]
    pub(crate) enum PreExec {}

    impl PreExec {
        pub(crate) fn run(&self) -> Result<(), crate::sys::Errno> {
            match *self {}
        }
    }
}

use children::Children;
use house::House;
use protocol::{
    FORGET, HELLO, HOUSE, LEADS_GROUP, LIFELINE, Message, NO_CGROUP_KILL, NO_PIDFD_GROUP, NURSERY, OWNER,
    WATCH,
};
use step::{Group, SpawnStep};
use sys::Errno;

/// The keeper is gone this long after its owner, whatever could not be ended: what it removes on disk the next
/// program of the kind removes too, and a process that has been killed and does not go is stuck in the kernel.
const LIMIT_MS: u64 = 900;
/// Unless it was not given the processor: so often it tries in any case.
const LEAST_ROUNDS: u32 = 50;

/// Runs after [`start`], and never returns.
pub(crate) fn main() -> ! {
    // Before anything can be sent to us: none of the signals that end programs is meant for this one.
    sys::block_signals();
    // The owner reaps its own child at once and never has to think of the keeper, which is nobody's child: a
    // program that waits for all its children would wait for it.
    match sys::fork() {
        Ok(0) => keep(),
        Ok(_) => sys::exit(0),
        Err(_) => sys::exit(1),
    }
}

fn keep() -> ! {
    let heritage = Heritage::take();
    sys::set_up();
    let mut keeper = Keeper {
        heritage,
        owner: -1,
        cgroup_kill: true,
        pidfd_group: true,
        house: None,
        children: Children::new(sys::raise_descriptor_limit()),
    };
    if keeper.greet().is_ok() {
        keeper.listen();
    }
    keeper.end();
    sys::exit(0)
}

/// What the owner has left us, and is to be that of a child that is born here, but that we have changed for ourselves.
#[derive(Clone, Copy)]
struct Heritage {
    /// Text, and zeroes behind it.
    oom_score: [u8; 8],
    ignores_sigchld: bool,
}

impl Heritage {
    fn take() -> Self {
        let mut oom_score = [0; 8];
        sys::oom_score(&mut oom_score);
        Self { oom_score, ignores_sigchld: processes::see_children() }
    }
}

struct Keeper {
    heritage: Heritage,
    /// The pidfd of the owner, -1 where there are none: then the lifeline alone tells.
    owner: i32,
    cgroup_kill: bool,
    pidfd_group: bool,
    house: Option<House>,
    children: Children,
}

impl Keeper {
    fn greet(&self) -> Result<(), Errno> {
        let pid = sys::getpid();
        let mut hello = Message::new(HELLO);
        hello.pid = pid;
        hello.slot = self.children.room();
        let own = sys::pidfd_open(pid).unwrap_or(-1);
        let sent = lifeline::send(LIFELINE, &hello, own);
        sys::close(own);
        sent
    }

    /// Takes messages until the owner is gone.
    ///
    /// A copy of the owner that was forked and has not called `execve` has the other end of the lifeline too, and
    /// may outlive the owner: so its pidfd is looked at as well.
    fn listen(&mut self) {
        loop {
            let gone = sys::wait_readable([LIFELINE, self.owner], None);
            // What was said before the end counts: read it all.
            loop {
                match lifeline::receive(LIFELINE) {
                    Ok(Some((message, fd))) => self.take(&message, fd),
                    Ok(None) => return,
                    Err(sys::EAGAIN) => break,
                    // The owner has not read all that we said. It is told once, and hides nothing that was sent to us.
                    Err(sys::EINTR | sys::ECONNRESET) => {}
                    Err(_) => return,
                }
            }
            if gone {
                return;
            }
        }
    }

    fn take(&mut self, message: &Message, fd: i32) {
        match message.kind {
            OWNER => {
                self.owner = fd;
                self.cgroup_kill = message.flags & NO_CGROUP_KILL == 0;
                self.pidfd_group = message.flags & NO_PIDFD_GROUP == 0;
                if message.flags & NURSERY != 0 {
                    nursery::run(fd, self.heritage);
                }
                // From now on, as nobody is born here: so it does not wait for its turn when the owner ends, either.
                processes::hurry();
            }
            HOUSE if fd >= 0 => {
                if let Some(old) = self.house.replace(House::new(fd, message.name)) {
                    old.close();
                }
            }
            WATCH if fd >= 0 => {
                let leads_group = message.flags & LEADS_GROUP != 0;
                self.children.watch(message.slot, fd, message.pid, leads_group);
            }
            FORGET => self.children.forget(message.slot),
            _ => sys::close(fd),
        }
    }

    /// Round for round, until all is gone: one write of `cgroup.kill` may miss a process that forks meanwhile.
    fn end(&mut self) {
        let start = sys::now_ms();
        let mut pause_us = 50;
        for round in 0.. {
            let children = self.children.end(round, self.pidfd_group);
            let house = self.house.as_ref().is_none_or(|house| house.end(self.cgroup_kill));
            if children && house {
                return;
            }
            if round >= LEAST_ROUNDS && sys::now_ms().wrapping_sub(start) > LIMIT_MS {
                return;
            }
            sys::pause_us(pause_us);
            pause_us = (pause_us * 2).min(4000);
        }
    }
}

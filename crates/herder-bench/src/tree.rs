//! A tree of a hundred processes: how long until all of them are dead, and how many are not.

use std::env;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::spec::program;
use crate::worker::WORKER;

/// The processes of a tree, the first included: that one, nine below it, and ten below each of these.
pub(crate) const TREE: usize = 100;
const MIDDLE: usize = 9;
const LEAVES: usize = 10;

/// How long is waited for those that were not killed: a hundred times as long as it takes.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };

/// The arguments that let the benchmark be the first of a tree.
pub(crate) fn arguments() -> Vec<String> {
    vec![WORKER.to_owned(), "tree".to_owned(), MIDDLE.to_string()]
}

/// A tree that has grown to its full size.
pub(crate) struct Tree {
    members: Vec<OwnedFd>,
}

/// What came of a tree that was killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeEnd {
    /// From the first step of the kill until the child was reaped and nobody that was killed was alive.
    pub(crate) took: Duration,
    /// How many of the hundred were alive long after.
    pub(crate) alive: usize,
}

impl Tree {
    /// Waits until the tree below a child has its full size.
    pub(crate) fn grown(first: Option<u32>) -> io::Result<Self> {
        let first = first.ok_or_else(|| io::Error::other("a child without a process id"))?;
        let patience = Instant::now() + Duration::from_secs(20);
        while Instant::now() < patience {
            let members = family(first);
            if members.len() == TREE {
                return Ok(Self { members: members.iter().map(open).collect::<io::Result<_>>()? });
            }
            thread::sleep(Duration::from_millis(2));
        }
        drop(Self { members: family(first).iter().map(open).collect::<io::Result<_>>()? });
        Err(io::Error::other("the tree did not grow"))
    }

    /// Waits until those that were killed are dead. The others end with this.
    pub(crate) fn end(mut self, begin: Instant) -> io::Result<TreeEnd> {
        let mut took = begin.elapsed();
        while !self.members.is_empty() {
            let mut set: Vec<_> = self.members.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            if poll(&mut set, Some(&PATIENCE))? == 0 {
                break;
            }
            took = begin.elapsed();
            let dead: Vec<_> = set.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut dead = dead.into_iter();
            self.members.retain(|_| !dead.next().unwrap_or(false));
        }
        Ok(TreeEnd { took, alive: self.members.len() })
    }
}

fn open(pid: &u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no process id"))?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

impl Drop for Tree {
    fn drop(&mut self) {
        for member in &self.members {
            // One that is dead already is as it should be.
            _ = pidfd_send_signal(member, Signal::KILL);
        }
    }
}

/// The process and all below it. Those that come or go meanwhile may be missing.
fn family(first: u32) -> Vec<u32> {
    let mut members = vec![first];
    let mut next = 0;
    while let Some(pid) = members.get(next) {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        members.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        next += 1;
    }
    members
}

/// Grows a tree below this process, and waits until it is killed. `middle` is 0 for those that have only leaves.
#[expect(clippy::disallowed_methods, reason = "what is killed does not matter; that it is killed does")]
pub(crate) fn grow(middle: usize) -> io::Result<()> {
    let mut children = Vec::new();
    if middle == 0 {
        for _ in 0..LEAVES {
            children.push(Command::new(program::wait()?).spawn()?);
        }
    }
    for _ in 0..middle {
        let mut command = Command::new(env::current_exe()?);
        children.push(command.args([WORKER, "tree", "0"]).spawn()?);
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

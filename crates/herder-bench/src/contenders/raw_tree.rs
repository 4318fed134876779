//! Killing a tree with bare system calls: by its process group, and by its cgroup.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::raw::reap;
use super::raw_capture::pid;
use crate::raw::{How, Plan, Slot};
use crate::tree::{Tree, TreeEnd};

/// The plan must make the child the leader of a group.
pub(super) fn by_group(slot: &mut Slot, plan: &Rc<Plan>) -> io::Result<TreeEnd> {
    let child = slot.spawn(plan, How::Vfork, [None; 2])?;
    let id = pid(&child)?;
    let tree = Tree::grown(id)?;
    let group = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let group = group.ok_or_else(|| io::Error::other("a child without a process id"))?;
    let begin = Instant::now();
    kill_process_group(group, Signal::KILL)?;
    reap(&child)?;
    tree.end(begin)
}

/// The child is born into a cgroup made for it below our own.
pub(super) fn by_cgroup(slot: &mut Slot, plan: &Rc<Plan>) -> io::Result<TreeEnd> {
    let leaf = Leaf::new()?;
    slot.set_cgroup(Some(OwnedFd::from(File::open(&leaf.0)?)));
    let child = slot.spawn(plan, How::Vfork, [None; 2]);
    slot.set_cgroup(None);
    let child = child?;
    let tree = Tree::grown(pid(&child)?)?;
    let begin = Instant::now();
    fs::write(leaf.0.join("cgroup.kill"), "1")?;
    reap(&child)?;
    tree.end(begin)
}

struct Leaf(PathBuf);

impl Leaf {
    fn new() -> io::Result<Self> {
        let missing = || io::Error::other("no cgroup of version 2");
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        // The fifth field is where it is mounted; see proc_pid_mountinfo(5).
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let mount = mount.and_then(|line| line.split(' ').nth(4)).ok_or_else(missing)?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(missing)?;
        let leaf = PathBuf::from(mount).join(own);
        let leaf = leaf.join(format!("herder-bench-{}", std::process::id()));
        fs::create_dir(&leaf)?;
        Ok(Self(leaf))
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        // Those that were reparented may take a moment to be reaped.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

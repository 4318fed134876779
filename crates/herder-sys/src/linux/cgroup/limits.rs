//! Limits by controllers, where they are to be had, and else why not.
//!
//! The kernel lets a cgroup hand controllers on only if it has no processes itself, the root excepted. So they can be
//! had if the house stands in the root, or in a delegated cgroup beside our own (see `house`).

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use super::house::House;
use super::{files, find};
use crate::{Limit, Refusal};

/// What is known about a controller, above the leaves.
#[derive(Clone, Copy, Debug)]
struct Control {
    /// The house can hand it on to the leaves.
    in_house: bool,
    /// The cgroup that the house stands in has it.
    in_parent: bool,
    /// That cgroup may hand it on: it is the root, or without processes.
    parent_may: bool,
    /// A hierarchy of the first version has it.
    in_first_version: bool,
}

/// What has to be done before a limit can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The house has it.
    House,
    /// First the cgroup that the house stands in must hand it on.
    Parent,
    No(&'static str),
}

fn way(control: Control) -> Way {
    match control {
        Control { in_house: true, .. } => Way::House,
        Control { in_parent: true, parent_may: true, .. } => Way::Parent,
        Control { in_parent: true, .. } => Way::No(
            "our own cgroup has processes and so can't hand it on; start the program in a sub-cgroup of a delegated one, \
             for one by `systemd-run -p Delegate=yes -p DelegateSubgroup=main`",
        ),
        Control { in_first_version: true, .. } => {
            Way::No("cgroup v1 has it on this host; boot with `systemd.unified_cgroup_hierarchy=1`")
        }
        _ => Way::No("it is not delegated to our own cgroup; enable it in cgroup.subtree_control above"),
    }
}

/// The controller, the file and what to write to it.
fn setting(limit: Limit) -> (&'static str, &'static std::ffi::CStr, String) {
    /// In microseconds: the kernel's default.
    const PERIOD: u64 = 100_000;
    /// The kernel takes no less.
    const LEAST: u64 = 1_000;
    match limit {
        Limit::Memory(bytes) => ("memory", c"memory.max", bytes.to_string()),
        Limit::Processes(count) => ("pids", c"pids.max", count.to_string()),
        Limit::Cpu(thousandths) => {
            let quota = (u64::from(thousandths) * (PERIOD / 1000)).max(LEAST);
            ("cpu", c"cpu.max", format!("{quota} {PERIOD}"))
        }
    }
}

fn has(list: &str, controller: &str) -> bool {
    list.split_whitespace().any(|name| name == controller)
}

fn look(house: &House, controller: &str) -> Control {
    let (parent, house) = (house.parent.as_fd(), house.dir());
    let lists = |dir, name| files::read(dir, name).is_ok_and(|list| has(&list, controller));
    // The root has no type; asking it for its processes would be a long answer.
    let is_root = files::open_file(parent, c"cgroup.type").is_err();
    let is_free = || files::read(parent, c"cgroup.procs").is_ok_and(|pids| pids.is_empty());
    Control {
        in_house: lists(house, c"cgroup.controllers"),
        in_parent: lists(parent, c"cgroup.controllers"),
        parent_may: is_root || is_free(),
        in_first_version: fs::read("/proc/self/cgroup")
            .is_ok_and(|cgroup| find::is_in_first_version(&cgroup, controller)),
    }
}

pub(super) fn apply(house: &House, leaf: BorrowedFd<'_>, limit: Limit) -> Result<(), Refusal> {
    let (controller, file, value) = setting(limit);
    let enable = |dir| {
        if files::read(dir, c"cgroup.subtree_control").is_ok_and(|list| has(&list, controller)) {
            return Ok(());
        }
        files::write(dir, c"cgroup.subtree_control", &format!("+{controller}"))
    };
    let set = |through_parent: bool| {
        if through_parent {
            enable(house.parent.as_fd())?;
        }
        house.controlled.store(true, Ordering::Relaxed);
        enable(house.dir())?;
        files::write(leaf, file, &value)
    };
    let done = match way(look(house, controller)) {
        Way::House => set(false),
        Way::Parent => set(true),
        Way::No(why) => {
            let error = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
            return Err(Refusal::of(format!("the {controller} controller can't be had"), &error, why));
        }
    };
    done.map_err(|error| {
        let file = file.to_string_lossy();
        Refusal::of(format!("{file} can't be set to {value}"), &error, "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Control =
        Control { in_house: false, in_parent: false, parent_may: false, in_first_version: false };

    #[test]
    fn a_controller_comes_from_above_or_not_at_all() {
        assert_eq!(way(Control { in_house: true, ..NOTHING }), Way::House);
        assert_eq!(way(Control { in_parent: true, parent_may: true, ..NOTHING }), Way::Parent);
        let why = |control| match way(control) {
            Way::No(why) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(Control { in_parent: true, ..NOTHING }).contains("processes"));
        assert!(why(Control { in_first_version: true, parent_may: true, ..NOTHING }).contains("v1"));
        assert!(why(Control { parent_may: true, ..NOTHING }).contains("delegated"));
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        assert_eq!(setting(Limit::Memory(1 << 20)), ("memory", c"memory.max", "1048576".to_owned()));
        assert_eq!(setting(Limit::Processes(7)), ("pids", c"pids.max", "7".to_owned()));
        assert_eq!(setting(Limit::Cpu(1500)), ("cpu", c"cpu.max", "150000 100000".to_owned()));
        assert_eq!(setting(Limit::Cpu(1)).2, "1000 100000");
    }

    #[test]
    fn controllers_are_whole_words() {
        assert!(has("cpu memory pids\n", "memory") && !has("cpuset\n", "cpu") && !has("", "cpu"));
    }
}

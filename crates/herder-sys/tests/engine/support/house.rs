//! A directory of cgroups for a test: where the host has cgroup v2, and we may write there.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use herder_sys::keeper;

/// Removed when dropped, with what lives in it, by whoever made it.
pub(crate) struct House {
    pub(crate) path: PathBuf,
    dir: File,
    ours: bool,
}

impl House {
    /// `None` where none can be made: the test says so, and passes.
    pub(crate) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let made = mount_point().and_then(|root| {
            let path = root.join(format!("herder-test-{}-{count}", std::process::id()));
            fs::create_dir(&path).ok()?;
            Some(Self { dir: File::open(&path).ok()?, path, ours: true })
        });
        if made.is_none() {
            drop(writeln!(std::io::stdout(), "not tested: no cgroup can be made here"));
        }
        made
    }

    /// One that another process has made.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { dir: File::open(&path).expect("a house"), path, ours: false }
    }

    pub(crate) fn ensure(&self) {
        let name = self.path.file_name().expect("a name");
        keeper::ensure(Some(keeper::House::new(self.dir.as_fd(), name))).expect("a keeper");
    }

    /// A script that goes into a new cgroup of the house first.
    pub(crate) fn inside(&self, cgroup: &str, script: &str) -> String {
        let path = self.path.join(cgroup);
        fs::create_dir_all(&path).expect("a cgroup");
        format!("echo $$ > {}/cgroup.procs || exit 9\n{script}", path.display())
    }

    /// The processes in a cgroup of the house.
    pub(crate) fn members(&self, cgroup: &str) -> Vec<i32> {
        let list = fs::read_to_string(self.path.join(cgroup).join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if self.ours {
            remove(&self.path);
        }
    }
}

/// Ends and removes a cgroup and those in it, if it is there.
fn remove(path: &Path) {
    for _ in 0..1000 {
        drop(fs::write(path.join("cgroup.kill"), "1"));
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
        if fs::remove_dir(path).is_ok() || !path.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The first cgroup v2 mount.
fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        kind.starts_with("cgroup2 ").then(|| PathBuf::from(point))
    })
}

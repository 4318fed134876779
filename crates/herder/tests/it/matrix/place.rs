//! Where an owner lives: what it may do, and what of the host it sees.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use tempfile::TempDir;

use super::NOBODY;
use super::owner::mounted;
use crate::support::eventually;

/// An environment for owners.
pub(super) struct Place {
    pub(super) name: &'static str,
    /// What executes the owner there, without a fork: the number of the process stays.
    pub(super) wrap: Vec<String>,
    /// The program of the tests, where an owner can reach it.
    pub(super) program: PathBuf,
    /// Where the leashes are.
    pub(super) folder: TempDir,
    /// In which folders a cgroup of the owner would be.
    pub(super) houses: Vec<PathBuf>,
    pub(super) root: bool,
    /// The owner asks for a PID namespace, and not for the strongest of the others.
    pub(super) namespace: bool,
    /// The cgroup that was made for it, and is removed with it.
    _own: Option<Own>,
}

impl Place {
    /// As this test itself lives.
    pub(super) fn here() -> Self {
        let root = Uid::effective().is_root();
        let own = own_cgroup();
        let houses = [own.as_deref(), own.as_deref().and_then(Path::parent)];
        Self {
            name: if root { "root" } else { "ordinary user" },
            wrap: Vec::new(),
            program: std::env::current_exe().unwrap(),
            folder: open_folder(),
            houses: houses.into_iter().flatten().map(Path::to_owned).collect(),
            root,
            namespace: false,
            _own: None,
        }
    }

    /// An ordinary user with a cgroup of its own, as a service manager gives to a login. `None` without the rights, or
    /// the hierarchy, to make one.
    pub(super) fn delegated() -> Option<Self> {
        let parent = own_cgroup().filter(|_| Uid::effective().is_root())?;
        let own = parent.join(format!("matrix-{}", std::process::id()));
        fs::create_dir(&own).ok()?;
        for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            chown(own.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$@\"", own.display());
        let mut wrap: Vec<_> = ["sh", "-c", &enter, "sh"].map(str::to_owned).into();
        wrap.extend(as_nobody());
        let houses = vec![own.clone()];
        Some(Self {
            wrap,
            houses,
            _own: Some(Own(own)),
            ..Self::of_nobody("ordinary user, delegated cgroup")
        })
    }

    /// An ordinary user that may not write to any cgroup.
    pub(super) fn ordinary() -> Option<Self> {
        Uid::effective().is_root().then(|| Self::of_nobody("ordinary user, no cgroup"))
    }

    /// Root without any file system of cgroups, as in many containers.
    pub(super) fn container() -> Option<Self> {
        let hide = "umount --recursive /sys/fs/cgroup && exec \"$@\"";
        let wrap = ["unshare", "--mount", "sh", "-c", hide, "sh"].map(str::to_owned).into();
        let able = Uid::effective().is_root() && mounted().is_some_and(|at| at.starts_with("/sys/fs/cgroup"));
        able.then(|| Self { name: "container without cgroups", wrap, ..Self::here() })
    }

    /// Those who ask for PID namespaces: an ordinary user where there is a choice, whose namespace is one of users, too.
    pub(super) fn namespaces() -> Self {
        let place = Self::ordinary().unwrap_or_else(Self::here);
        Self { name: "ordinary user who asks for PID namespaces", namespace: true, ..place }
    }

    /// Root that asks for them: without a namespace of users, so that all that root may do outside it may do inside.
    pub(super) fn namespaces_of_root() -> Option<Self> {
        let place = Self { name: "root that asks for PID namespaces", namespace: true, ..Self::here() };
        place.root.then_some(place)
    }

    fn of_nobody(name: &'static str) -> Self {
        let folder = open_folder();
        // The folder of the build may be closed for others.
        let (program, fixture) = (folder.path().join("deps/it"), folder.path().join("test-child"));
        fs::create_dir(folder.path().join("deps")).unwrap();
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::copy(test_child::path(), fixture).unwrap();
        Self { name, wrap: as_nobody(), program, folder, root: false, ..Self::here() }
    }

    /// The cgroups that a program of this number has left.
    pub(super) fn left_by(&self, owner: u32) -> Vec<PathBuf> {
        let name = format!("herder-{owner}-");
        let entries = self.houses.iter().flat_map(fs::read_dir).flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&name)).collect()
    }
}

/// A cgroup for owners.
struct Own(PathBuf);

impl Drop for Own {
    fn drop(&mut self) {
        // The last keeper leaves it a moment after the last owner. A test that fails may leave more.
        let removed = || fs::remove_dir(&self.0).is_ok() || std::thread::panicking();
        eventually("the cgroup of the owners is empty", removed);
    }
}

fn as_nobody() -> Vec<String> {
    let user = NOBODY.to_string();
    let words = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"];
    words.map(str::to_owned).into()
}

/// A folder that everybody may enter.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The cgroup that this test is in.
fn own_cgroup() -> Option<PathBuf> {
    let ours = fs::read_to_string("/proc/self/cgroup").unwrap();
    let inside = ours.lines().find_map(|line| line.strip_prefix("0::/"))?.to_owned();
    mounted().map(|mounted| mounted.join(inside))
}

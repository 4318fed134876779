//! What a command can be told on Unix only.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use herder_sys::{FdSource, Group, PreExec, Resource, SpawnRequest};

/// So many descriptors of the command's own fit into an order to a keeper, with room for the others.
const MOST_FDS: usize = 240;

/// Settings that only Unix has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) arg0: Option<OsString>,
    pub(crate) group: Group,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) groups: Option<Vec<u32>>,
    pub(crate) umask: Option<u32>,
    pub(crate) nice: Option<i32>,
    pub(crate) affinity: Option<Vec<usize>>,
    pub(crate) rlimits: Vec<(Resource, u64, u64)>,
    pub(crate) fds: Vec<(RawFd, Arc<OwnedFd>)>,
    pub(crate) inherit_fds: bool,
    pub(crate) inherit_signal_mask: bool,
    pub(crate) reset_ignored_signals: bool,
    pub(crate) pre_exec: Vec<PreExec>,
}

impl Settings {
    /// What can't be, if anything.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.fds.iter().any(|(target, _)| (0..=2).contains(target)) {
            return Err("descriptors 0, 1 and 2 are set by stdin, stdout and stderr");
        }
        Ok(())
    }

    /// The name that the program sees as its own, if it is not that of its file.
    pub(crate) fn arg0(&self) -> Option<&OsStr> {
        self.arg0.as_deref()
    }

    /// The process group that was asked for.
    pub(crate) fn group(&self) -> Group {
        self.group
    }

    /// Why a keeper can't bear the child, which runs the first of `files` in `dir`.
    pub(crate) fn unkeepable(&self, files: &[PathBuf], dir: Option<&Path>) -> Option<&'static str> {
        let through_descriptors = |path: &Path| path.starts_with("/proc/self") || path.starts_with("/dev/fd");
        let mut paths = files.iter().map(PathBuf::as_path).chain(dir);
        if paths.any(through_descriptors) {
            return Some("its program or folder is a path that means something else to the keeper");
        }
        if !self.pre_exec.is_empty() {
            return Some("the code that runs before the program is ours, and not the keeper's");
        }
        (self.fds.len() > MOST_FDS).then_some("so many descriptors can't be sent to it")
    }

    /// Why a keeper had better not bear the child, given whether a standard stream of it is a terminal.
    pub(crate) fn ill_kept(&self, terminal: bool) -> Option<&'static str> {
        if terminal || self.fds.iter().any(|(_, fd)| fd.is_terminal()) {
            return Some("the child is given a terminal, which it would not be in the session of");
        }
        self.inherit_fds.then_some("the child gets all our descriptors, which may be too many to be sent")
    }

    /// Why no limit of ours may stand in for one on the memory of a tree.
    pub(crate) fn own_memory_limit(&self) -> Option<&'static str> {
        let is_set = self.rlimits.iter().any(|(resource, ..)| *resource == Resource::Data);
        is_set.then_some("the command sets RLIMIT_DATA itself")
    }

    /// The soft limit on the child's stack, if one was set.
    pub(super) fn stack_limit(&self) -> Option<u64> {
        let stack = |(resource, ..): &&(Resource, u64, u64)| *resource == Resource::Stack;
        self.rlimits.iter().rev().find(stack).map(|(_, soft, _)| *soft)
    }

    /// Hands all to the engine.
    pub(crate) fn copy_to(&self, request: &mut SpawnRequest) {
        request.uid = self.uid;
        request.gid = self.gid;
        request.groups.clone_from(&self.groups);
        request.umask = self.umask;
        request.nice = self.nice;
        request.affinity.clone_from(&self.affinity);
        request.rlimits.clone_from(&self.rlimits);
        request.inherit_fds = self.inherit_fds;
        request.inherit_signal_mask = self.inherit_signal_mask;
        request.reset_ignored_signals = self.reset_ignored_signals;
        request.pre_exec.clone_from(&self.pre_exec);
        request.fds = self.fds.iter().map(|(fd, source)| (*fd, FdSource::Fd(Arc::clone(source)))).collect();
    }
}

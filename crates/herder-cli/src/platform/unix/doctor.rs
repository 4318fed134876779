//! What `doctor` tells of the kernel, beside scopes and limits.

use std::path::PathBuf;

use herder::contain::{self, Facts};
use serde::Serialize;

use super::cgroup;
use crate::doctor::row;

/// The kernel, and on Linux its control groups, and the calls that starting a program builds on.
#[derive(Debug, Serialize)]
pub(crate) struct Host {
    #[serde(skip)]
    system: String,
    kernel: String,
    cgroup_mount: Option<PathBuf>,
    own_cgroup: Option<PathBuf>,
    facts: Primitives,
}

#[derive(Debug, Serialize)]
struct Primitives {
    clone3: bool,
    clone_pidfd: bool,
    pidfd: bool,
    shared_memory: bool,
    close_range: bool,
}

impl Host {
    /// # Errors
    ///
    /// What keeps us from looking.
    pub(crate) fn look() -> Result<Self, String> {
        let names = rustix::system::uname();
        let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        let &Facts { clone3, clone_pidfd, pidfd, shared_memory, close_range, .. } = contain::facts();
        Ok(Self {
            system: text(names.sysname()),
            kernel: text(names.release()),
            cgroup_mount: cgroup::mount(),
            own_cgroup: cgroup::own(),
            facts: Primitives { clone3, clone_pidfd, pidfd, shared_memory, close_range },
        })
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.system, self.kernel)
    }

    /// Adds it to what people read.
    pub(crate) fn tell(&self, text: &mut String) {
        if !cfg!(target_os = "linux") {
            return;
        }
        text.push_str("\nControl groups (v2):\n");
        let place = |path: &Option<PathBuf>, none: &str| match path {
            Some(path) => path.display().to_string(),
            None => none.to_owned(),
        };
        row(text, "mounted at", &place(&self.cgroup_mount, "nowhere; mount -t cgroup2 none /sys/fs/cgroup"));
        row(text, "our own", &place(&self.own_cgroup, "not to be seen from here"));
        text.push_str("\nThe kernel's calls:\n");
        let Primitives { clone3, clone_pidfd, pidfd, shared_memory, close_range } = self.facts;
        for (name, has, without) in [
            ("clone3", clone3, "Linux 5.5 has it, and some sandboxes deny it; needed for cgroups"),
            ("CLONE_PIDFD", clone_pidfd, "Linux 5.2 has it"),
            ("pidfd", pidfd, "Linux 5.4 has it; without it a thread waits for each program"),
            ("CLONE_VM", shared_memory, "an emulator makes forks of it, which are slower"),
            ("close_range", close_range, "Linux 5.11 has it; descriptors are closed one by one"),
        ] {
            row(text, name, &if has { "yes".to_owned() } else { format!("no: {without}") });
        }
    }
}

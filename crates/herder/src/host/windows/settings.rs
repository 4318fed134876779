//! What a command can be told on Windows only.

use std::ffi::OsStr;
use std::os::windows::io::OwnedHandle;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use herder_sys::{Console, Group, SpawnRequest};

/// Settings that only Windows has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) console: Console,
    pub(crate) creation_flags: u32,
    pub(crate) handles: Vec<Arc<OwnedHandle>>,
}

impl Settings {
    /// What can't be, if anything.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on the other systems")]
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// The name that the program sees as its own, if it is not that of its file.
    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn arg0(&self) -> Option<&OsStr> {
        None
    }

    /// The process group that was asked for.
    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn group(&self) -> Group {
        Group::Inherit
    }

    /// Why a keeper can't bear the child: there is none to ask.
    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn unkeepable(&self, _files: &[PathBuf], _dir: Option<&Path>) -> Option<&'static str> {
        None
    }

    /// Why a keeper had better not bear the child: there is none to ask.
    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn ill_kept(&self, _terminal: bool) -> Option<&'static str> {
        None
    }

    /// Why no limit of ours may stand in for one on the memory of a tree: none does.
    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn own_memory_limit(&self) -> Option<&'static str> {
        None
    }

    /// Hands all to the engine.
    pub(crate) fn copy_to(&self, request: &mut SpawnRequest) {
        request.windows.console = self.console;
        request.windows.creation_flags = self.creation_flags;
        request.windows.handles.clone_from(&self.handles);
    }
}

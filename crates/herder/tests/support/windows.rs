//! The same looks on Windows.

use std::io::PipeWriter;
use std::os::windows::io::OwnedHandle;

use herder::os::windows::{CommandExt, KILL_CODE};
use herder::{Command, ExitStatus};

/// Gives it to a child, and to all that the child starts: what was inherited is inherited again.
pub(super) fn hand_down(command: &mut Command, end: PipeWriter) {
    command.handle(OwnedHandle::from(end));
}

/// There are no zombies here.
pub(crate) fn no_zombie(_pid: u32) {}

/// Whether a kill ended it.
pub(crate) fn was_killed(status: ExitStatus) -> bool {
    status.code() == Some(KILL_CODE.cast_signed())
}

/// Runs `body` as it is: what a test does to its process, and what it leaves there, is looked at on Unix.
pub(crate) mod alone {
    pub(crate) fn alone(body: impl FnOnce()) {
        body();
    }
}

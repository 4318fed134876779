//! Whether anybody is left in the group that a child led.

use super::cvt;
use crate::ProcessHandle;
use crate::sys::{any_stray, dead_members_only};

impl ProcessHandle {
    /// Whether nobody runs any more in the group that the child led, and nobody who left it where that is known (FreeBSD);
    /// `None` if it led none, or was not reaped yet: it is a member itself.
    ///
    /// Those that were killed take a moment to end, and some kernels count them until their parent has reaped them: ask
    /// again. Long afterwards the number may be another group's, which is `false`, too. `true` is always so.
    #[must_use]
    pub fn group_is_empty(&self) -> Option<bool> {
        if !self.leads_group() || self.is_held() {
            return None;
        }
        // A number is nobody's pid as long as it is that of a group, so whoever left this one empty did so before.
        let group = self.pid();
        // SAFETY: numbers only; no signal is sent.
        match cvt(unsafe { libc::kill(-group, 0) }) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Some(!any_stray(self)),
            // A member that we may not signal: another user's. On macOS, whose kernel passes over the dead and says this
            // of a group in which nobody else is, it is soon ESRCH.
            Err(_) => Some(false),
            // Linux, FreeBSD, NetBSD and OpenBSD count the dead.
            Ok(_) => Some(dead_members_only(group)),
        }
    }
}

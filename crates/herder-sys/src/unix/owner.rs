//! The owner of one child process, and what its drop does.

use crate::sys::{adopt, leave};
use crate::{ProcessHandle, Scope};

/// The owner of a child. Dropped before the child was reaped, it ends the child (and the group that the child
/// leads) and leaves the rest to the reaper thread: two or three system calls, no waiting. In a forked copy of the
/// program a drop does nothing.
#[derive(Debug)]
pub struct Process {
    handle: ProcessHandle,
    owner: u32,
    end: End,
}

/// What a drop does.
#[derive(Debug)]
enum End {
    Kill,
    /// The reaper thread kills it, and then everything in the scope.
    With(Scope),
    Release,
    /// Another value owns the child.
    Moved,
}

impl Process {
    pub(crate) fn new(handle: ProcessHandle) -> Self {
        Self { handle, owner: std::process::id(), end: End::Kill }
    }

    /// A handle that others may keep.
    #[must_use]
    pub fn handle(&self) -> ProcessHandle {
        self.handle.clone()
    }

    /// Chooses what a drop does: end the child (`false`, as born) or let it go on (`true`). Either way it is
    /// reaped when it ends.
    pub fn set_release(&mut self, release: bool) {
        self.end = if release { End::Release } else { End::Kill };
        if release {
            self.handle.set_keep_survivors(true);
        }
    }

    /// Has a drop leave the kill of the child, and of all that is in `scope`, to the reaper thread: hundreds of drops
    /// don't wait for each other's end in the kernel then. The keeper does it if our program ends before.
    ///
    /// Without a scope a drop does not do that: if the program ended at once, the others in the child's group would
    /// live on. (A keeper that watches the group can be relied on from Linux 6.9 only: before, it finds the group by
    /// its leader, which dies with us.)
    pub fn end_with(&mut self, scope: Scope) {
        self.end = End::With(scope);
    }

    /// Moves the ownership out; the drop of what stays here does nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let end = std::mem::replace(&mut self.end, End::Moved);
        Self { handle: self.handle.clone(), owner: self.owner, end }
    }
}

impl std::ops::Deref for Process {
    type Target = ProcessHandle;

    fn deref(&self) -> &ProcessHandle {
        &self.handle
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::Moved);
        // In this order: one that was reaped, as nearly all are, costs no getpid(2).
        if matches!(end, End::Moved) || !self.is_held() || self.owner != std::process::id() {
            return;
        }
        if matches!(end, End::Kill) {
            // Nobody is left to tell; the reaper sees to it that the process goes.
            drop(self.kill_all());
        }
        if !matches!(self.reap(), Ok(None)) {
            return;
        }
        match end {
            End::With(scope) => leave(self.handle.clone(), scope),
            _ => adopt(self.handle.clone()),
        }
    }
}

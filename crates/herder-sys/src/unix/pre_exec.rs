//! The escape hatch: the caller's own code between fork and `execve`.

use std::fmt;
use std::io;
use std::sync::Arc;

type Hook = dyn Fn() -> io::Result<()> + Send + Sync;

/// Code that runs in the child just before its `execve`.
///
/// A command with such code is forked, which takes time in proportion to the memory of the parent (some 40 ms a
/// GiB). Look for a declarative option first: the user, groups, limits, session, descriptors and signal actions of
/// a child need none.
#[derive(Clone)]
pub struct PreExec(Arc<Hook>);

impl PreExec {
    /// Wraps `hook`. An error that it returns fails the spawn; its `raw_os_error` is what is reported.
    ///
    /// # Safety
    ///
    /// `hook` runs in a forked child of a process that may have many threads: it may only do what is
    /// async-signal-safe (signal-safety(7)). No allocation, no locks, no panics; and it must not touch memory
    /// shared with the parent in a way that the parent does not expect.
    pub unsafe fn new(hook: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(hook))
    }

    /// Runs it. In the child only.
    pub(crate) fn run(&self) -> Result<(), i32> {
        (self.0)().map_err(|error| error.raw_os_error().unwrap_or(libc::EINVAL))
    }
}

impl fmt::Debug for PreExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreExec(..)")
    }
}

//! Signal masks.

/// The set of no signals.
pub(super) fn none() -> libc::sigset_t {
    // SAFETY: all zeroes is a valid signal set.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes to a live local.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

/// The set of all signals.
pub(super) fn all() -> libc::sigset_t {
    let mut set = none();
    // SAFETY: writes to a live local.
    unsafe { libc::sigfillset(&raw mut set) };
    set
}

/// The mask of the calling thread.
pub(super) fn current() -> libc::sigset_t {
    let mut before = none();
    // SAFETY: only asks; writes to a live local.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &raw mut before) };
    before
}

/// Blocks all signals of the calling thread while it lives.
pub(super) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    pub(super) fn new() -> Self {
        let before = current();
        set(&all());
        Self { before }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set(&self.before);
    }
}

/// Sets the mask of the calling thread. Fit for a forked child.
pub(super) fn set(mask: &libc::sigset_t) {
    // SAFETY: one set is read; it can't fail with a valid `how`.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

//! Keeps our own "dumpable" flag as it is.
//!
//! A child that shares our memory and changes its ids takes the flag (prctl(2), `PR_SET_DUMPABLE`) from that
//! memory: without care, one child under another user would end our core dumps and hide /proc/self from us for good.
//!
//! The flag is put back by the parent, when the child has let go of our memory, and never by the child: until its
//! `execve` it runs under the other user with our memory, and the cleared flag is what keeps that user from tracing
//! it, and from having our memory in its core dump.

use std::sync::{Mutex, PoisonError};

struct State {
    guards: usize,
    saved: i32,
}

static STATE: Mutex<State> = Mutex::new(State { guards: 0, saved: 0 });

/// Restores the flag when the last of its kind is dropped.
#[derive(Debug)]
pub(super) struct KeepDumpable(());

impl KeepDumpable {
    pub(super) fn new() -> Self {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        if state.guards == 0 {
            // SAFETY: reads a flag.
            state.saved = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
        }
        state.guards += 1;
        Self(())
    }
}

impl Drop for KeepDumpable {
    fn drop(&mut self) {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.guards -= 1;
        // The kernel takes 0 and 1 only; 2 can't be set by anyone.
        if state.guards == 0 && matches!(state.saved, 0 | 1) {
            // SAFETY: sets a flag to the value it had. It can't fail for 0 and 1.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, state.saved) };
        }
    }
}

//! How the start of a child ended.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cvt;
use crate::{LaunchError, SpawnStep};

/// The time from a child's birth to the end of its `execve`.
#[derive(Debug)]
pub struct Launch {
    /// End of file: the `execve` is over. Eight bytes: what failed.
    pipe: Option<OwnedFd>,
    outcome: Mutex<Option<Result<(), LaunchError>>>,
}

impl Launch {
    /// It is over, and went well; `latch` is readable for ever.
    pub(super) fn over(latch: Option<OwnedFd>) -> Self {
        Self { pipe: latch, outcome: Mutex::new(Some(Ok(()))) }
    }

    /// `pipe` will tell. It does not block.
    pub(super) fn told_by(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), outcome: Mutex::new(None) }
    }

    /// Whether the `execve` succeeded, or what failed; `None` while it is not over. Does not block.
    ///
    /// A child that was ended by a signal on its way counts as launched: its exit status tells.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), LaunchError>> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(pipe)) = (&*outcome, &self.pipe) {
            *outcome = read(pipe);
        }
        *outcome
    }

    /// Blocks until the `execve` is over, `limit` at most. `None`: it still is not.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Result<(), LaunchError>> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            if let Some(outcome) = self.outcome() {
                return Some(outcome);
            }
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            self.poll(left);
        }
    }

    fn poll(&self, limit: Duration) {
        let fd = self.pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let milliseconds = limit.as_millis().clamp(1, 60_000) as i32;
        // SAFETY: one structure. Errors (a signal) are the caller's next look.
        unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
    }

    /// A descriptor that becomes readable when the `execve` is over, if one was asked for.
    ///
    /// Readable is a hint: ask [`outcome`](Self::outcome) for the truth. It may also come late: a child that somebody
    /// else forks in the same moment has the other end too, until its own `execve`.
    #[must_use]
    pub fn latch(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }
}

/// Step and error number, or only an end of file if the `execve` succeeded.
fn read(pipe: &OwnedFd) -> Option<Result<(), LaunchError>> {
    let mut message = [0u32; 2];
    // SAFETY: eight bytes of a live local are written at most.
    let read = cvt(unsafe { libc::read(pipe.as_raw_fd(), (&raw mut message).cast(), 8) });
    match read {
        Ok(8) => {
            let [step, errno] = message;
            Some(Err(LaunchError { step: SpawnStep::from_code(step), errno: errno.cast_signed() }))
        }
        Ok(_) => Some(Ok(())),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
        Err(_) => Some(Err(LaunchError::last(SpawnStep::Exec))),
    }
}

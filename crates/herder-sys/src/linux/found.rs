//! Whether something can be had on this host, found out once.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::pidfd::is_shortage;
use crate::Refusal;

/// The answer, and shortages that were met on the way to it.
#[derive(Debug)]
pub(super) struct Found {
    answer: OnceLock<Result<(), Refusal>>,
    shortages: Mutex<Vec<&'static Refusal>>,
}

impl Found {
    pub(super) const fn new() -> Self {
        Self { answer: OnceLock::new(), shortages: Mutex::new(Vec::new()) }
    }

    /// The answer that was found, or what `find` finds. A shortage may be over at the next call.
    pub(super) fn find(
        &'static self,
        find: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<(), &'static Refusal> {
        if let Some(answer) = self.answer.get() {
            return answer.as_ref().copied();
        }
        match find() {
            Err(refusal) if is_shortage(&io::Error::from_raw_os_error(refusal.errno())) => {
                let mut known = self.shortages.lock().unwrap_or_else(PoisonError::into_inner);
                let same = known.iter().find(|known| known.errno() == refusal.errno()).copied();
                Err(same.unwrap_or_else(|| {
                    let kept: &'static Refusal = Box::leak(Box::new(refusal));
                    known.push(kept);
                    kept
                }))
            }
            answer => self.answer.get_or_init(|| answer).as_ref().copied(),
        }
    }
}

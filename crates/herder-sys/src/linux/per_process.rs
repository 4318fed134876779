//! State that a forked copy of the program does not share.

use std::sync::atomic::{AtomicPtr, Ordering};

/// A value that each process has for itself.
///
/// A forked copy begins with a new one: the old may be locked for ever, by a thread that the copy does not have. It
/// stays where it is, and so do its descriptors.
#[derive(Debug)]
pub(super) struct PerProcess<T: 'static>(AtomicPtr<(u32, T)>);

impl<T: Default + Sync> PerProcess<T> {
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    pub(super) fn get(&self) -> &'static T {
        let process = std::process::id();
        let mut known = self.0.load(Ordering::Acquire);
        loop {
            // SAFETY: null, or from `Box::into_raw` and never freed.
            if let Some((owner, value)) = unsafe { known.as_ref() }
                && *owner == process
            {
                return value;
            }
            let new = Box::into_raw(Box::new((process, T::default())));
            match self.0.compare_exchange(known, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => known = new,
                Err(other) => {
                    // SAFETY: made above, and nobody else has seen it.
                    drop(unsafe { Box::from_raw(new) });
                    known = other;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn all_threads_see_one() {
        static COUNT: PerProcess<Mutex<u32>> = PerProcess::new();
        std::thread::scope(|threads| {
            for _ in 0..16 {
                threads.spawn(|| *COUNT.get().lock().unwrap() += 1);
            }
        });
        assert_eq!(*COUNT.get().lock().unwrap(), 16);
    }
}

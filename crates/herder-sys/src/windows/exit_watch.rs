//! Being told of an exit, without a thread for each child.
//!
//! The system's thread pool waits for the process, many to a thread (`RegisterWaitForSingleObject`), and calls a
//! function of ours, which does nothing but wake. That function gets a number and no pointer: it looks up what there
//! is to wake, and finds nothing if the watch was dropped. So a watch may be dropped at any time and anywhere, in the
//! very call that it makes too, without waiting for it.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEONLYONCE,
};

use super::cvt;
use super::handle::{duplicate, own, wait};

type Wake = Box<dyn FnOnce() + Send>;

/// What is woken by which number. No number is used twice.
static WATCHES: LazyLock<Mutex<HashMap<usize, Wake>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

fn watches() -> MutexGuard<'static, HashMap<usize, Wake>> {
    WATCHES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a function once when a process has exited, unless it is dropped before that.
///
/// It has a handle of its own, so that it does not matter what is closed first. A drop never waits.
pub struct ExitWatch {
    number: usize,
    registration: Registration,
    process: Option<OwnedHandle>,
}

/// The system's handle of a wait. It is no handle of the kernel, and closed by unregistering only.
struct Registration(HANDLE);

// SAFETY: a name for a wait, which any thread may unregister.
unsafe impl Send for Registration {}
// SAFETY: as above.
unsafe impl Sync for Registration {}

impl ExitWatch {
    /// Calls `wake` on a thread of the system when the process has exited; at once if it has. `wake` must be short:
    /// others wait behind it. Where it panics, the panic ends there.
    pub(super) fn new(process: &OwnedHandle, wake: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        sweep();
        let process = duplicate(process.as_raw_handle(), false)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        watches().insert(number, Box::new(wake));
        let mut wait: HANDLE = null_mut();
        // SAFETY: the handle is open until the wait is unregistered, and the number is looked up and no more.
        let registered = cvt(unsafe {
            RegisterWaitForSingleObject(
                &raw mut wait,
                process.as_raw_handle(),
                Some(exited),
                number as *const c_void,
                INFINITE,
                WT_EXECUTEONLYONCE,
            )
        });
        if let Err(error) = registered {
            drop(take(number));
            return Err(error);
        }
        Ok(Self { number, registration: Registration(wait), process: Some(process) })
    }
}

/// Its own statement, so that the lock is free when the answer is used or dropped.
fn take(number: usize) -> Option<Wake> {
    watches().remove(&number)
}

unsafe extern "system" fn exited(number: *mut c_void, _timed_out: bool) {
    if let Some(wake) = take(number as usize) {
        // There is nobody above us to take a panic.
        drop(catch_unwind(AssertUnwindSafe(wake)));
    }
}

impl Drop for ExitWatch {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        let Some(wake) = take(self.number) else {
            // It has been called, or is being called, perhaps by the very function that drops this: the wait for the
            // process is over in any case.
            // SAFETY: once, and without an event it does not wait.
            unsafe { UnregisterWaitEx(self.registration.0, null_mut()) };
            return;
        };
        drop(wake);
        // SAFETY: no names and no attributes.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        let event = own(event).ok();
        let raw = event.as_ref().map_or(null_mut(), AsRawHandle::as_raw_handle);
        // SAFETY: once; the event lives until it is set.
        unsafe { UnregisterWaitEx(self.registration.0, raw) };
        let left = Leaving { process, event };
        if !left.is_over() {
            // The system may look at the handles until it sets the event, whatever the call has returned.
            leaving().push(left);
        }
    }
}

/// A wait that is on its way out.
struct Leaving {
    process: OwnedHandle,
    event: Option<OwnedHandle>,
}

impl Leaving {
    fn is_over(&self) -> bool {
        let over = match &self.event {
            Some(event) => wait(event, Some(Duration::ZERO)),
            // Without an event (there was no memory for one) the end of the process is what ends the wait.
            None => wait(&self.process, Some(Duration::ZERO)),
        };
        over.unwrap_or(false)
    }
}

fn leaving() -> MutexGuard<'static, Vec<Leaving>> {
    static LEAVING: Mutex<Vec<Leaving>> = Mutex::new(Vec::new());
    LEAVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes what nobody looks at any more.
fn sweep() {
    leaving().retain(|left| !left.is_over());
}

impl fmt::Debug for ExitWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitWatch").field("number", &self.number).finish_non_exhaustive()
    }
}

//! Our own environment, as children inherit it: read once, and looked at again for each of them.
//!
//! Only `std` can read the environment safely, under the lock that its writers take, and only by making two strings
//! for each variable: 4 microseconds for 35 of them, a tenth of a spawn. So what it gave is kept, and taken again as
//! long as the C library's list has the very same pointers and behind them the same text.
//!
//! What is passed on was always read by `std`. The comparison takes no lock, as getenv(3) takes none: nobody may
//! change the environment beside it (see [`std::env::set_var`]). If somebody does, glibc at least never frees the
//! text of a variable. Other C libraries do, so with them nothing is kept.

use std::ffi::{OsStr, c_char};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Strings;

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    strings: Arc<Strings>,
    /// Where the C library has each of them: to be compared first.
    addresses: Vec<usize>,
}

/// Our environment as it is now, as `KEY=value`.
#[must_use]
pub fn environment() -> Arc<Strings> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_current()) {
        return Arc::clone(&kept.strings);
    }
    let strings = Arc::new(read());
    *kept = keep(&strings);
    strings
}

fn read() -> Strings {
    let mut strings = Strings::new();
    for (key, value) in std::env::vars_os() {
        let parts: [&OsStr; 3] = [&key, "=".as_ref(), &value];
        // None of them has a NUL: it would have ended there.
        drop(strings.push(&parts));
    }
    strings
}

fn keep(strings: &Arc<Strings>) -> Option<Kept> {
    if cfg!(not(target_env = "gnu")) {
        return None;
    }
    let addresses =
        (0..).map(variable).take_while(|entry| !entry.is_null()).map(|entry| entry as usize).collect();
    let kept = Kept { strings: Arc::clone(strings), addresses };
    kept.is_current().then_some(kept)
}

impl Kept {
    fn is_current(&self) -> bool {
        let same = |(index, address): (usize, &usize)| variable(index) as usize == *address;
        self.addresses.len() == self.strings.len()
            && self.addresses.iter().enumerate().all(same)
            && variable(self.addresses.len()).is_null()
            && self.strings.iter_c().zip(&self.addresses).all(|(text, address)| {
                // SAFETY: the address was a variable's when the text was read, and still is; glibc frees none.
                unsafe { libc::strcmp(text.as_ptr(), *address as *const c_char) == 0 }
            })
    }
}

/// Variable `index` in the C library's list, null behind the last one. To be asked in order, up to the first null.
fn variable(index: usize) -> *const c_char {
    // SAFETY: a pointer is read, as getenv(3) does.
    let list = unsafe { (&raw const environ).read_volatile() };
    if list.is_null() {
        return std::ptr::null();
    }
    // SAFETY: none of the entries before was null, so this one is in the list.
    let entry = unsafe { list.add(index) };
    // SAFETY: as above.
    unsafe { entry.read_volatile() }
}

unsafe extern "C" {
    static environ: *const *const c_char;
}

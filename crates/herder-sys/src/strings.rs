//! Lists of strings that cross the line between the library and a backend.

use std::ffi::OsStr;
#[cfg(unix)]
use std::ffi::{CStr, c_char};
use std::fmt;
use std::io;

/// A list of NUL-terminated strings in one buffer, as `execve` wants them: on Windows in the encoding of `OsStr`.
///
/// One allocation for all strings: a `Vec<CString>` would make one for each of some hundred variables, at each
/// spawn.
#[derive(Clone, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one string, made of `parts` put together.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if a part holds a NUL byte; the list is unchanged then. The error does not repeat the string.
    pub fn push(&mut self, parts: &[&OsStr]) -> io::Result<()> {
        let start = self.bytes.len();
        for part in parts {
            let part = part.as_encoded_bytes();
            if part.contains(&0) {
                self.bytes.truncate(start);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in a string"));
            }
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
        self.starts.push(start);
        Ok(())
    }

    /// How many strings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// String `index`, without its NUL.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&OsStr> {
        let start = *self.starts.get(index)?;
        let end = self.starts.get(index + 1).copied().unwrap_or(self.bytes.len()) - 1;
        Some(os_str(self.bytes.get(start..end)?))
    }

    /// All strings, without their NULs.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &OsStr> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// All strings as variables: what stands before and behind the first `=` (one at the very front belongs to the
    /// name, as in `std`).
    pub fn pairs(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.iter().filter_map(|text| {
            let bytes = text.as_encoded_bytes();
            let equals = 1 + bytes.get(1..)?.iter().position(|byte| *byte == b'=')?;
            Some((os_str(&bytes[..equals]), os_str(&bytes[equals + 1..])))
        })
    }

    /// All strings, as C has them.
    #[cfg(unix)]
    pub(crate) fn iter_c(&self) -> impl Iterator<Item = &CStr> {
        self.starts.iter().filter_map(|&start| CStr::from_bytes_until_nul(&self.bytes[start..]).ok())
    }

    /// Pointers to all strings and a null pointer: valid while `self` lives and is not changed.
    #[cfg(unix)]
    pub(crate) fn pointers(&self) -> Vec<*const c_char> {
        let mut pointers = Vec::with_capacity(self.starts.len() + 1);
        pointers.extend(self.starts.iter().map(|&start| self.bytes[start..].as_ptr().cast()));
        pointers.push(std::ptr::null());
        pointers
    }
}

#[cfg(unix)]
fn os_str(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

#[cfg(windows)]
fn os_str(bytes: &[u8]) -> &OsStr {
    // SAFETY: what `push` got as a whole `OsStr`s' encoding, cut before or behind an ASCII letter at most.
    unsafe { OsStr::from_encoded_bytes_unchecked(bytes) }
}

/// Shows the number of strings only: arguments and variables may be secrets.
impl fmt::Debug for Strings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Strings({})", self.len())
    }
}

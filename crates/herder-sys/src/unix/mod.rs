//! What the engines for Unix have in common.
//!
//! | file | holds |
//! |---|---|
//! | `owner` | the owner of a child, and what its drop does |
//! | `thread` | the thread that starts children for threads that may end before them, or that should not block |
//! | `pre_exec` | the caller's own code between fork and `execve` |
//! | `environ` | our own environment, for children that inherit it |
//! | `fd` | pipes, descriptor flags, and small questions |
//! | `group` | whether anybody is left in the group that a child led |
//! | `refused` | why there is no keeper |
//! | `subtree` | what FreeBSD's list of those below us says |
//! | `stamp` | pipes whose writes have times, on Linux |
//! | `sizes` | how large arguments and environment may be |

pub(crate) mod environ;
pub(crate) mod fd;
mod group;
pub(crate) mod owner;
pub(crate) mod pre_exec;
pub(crate) mod refused;
pub(crate) mod sizes;
#[cfg(target_os = "linux")]
pub(crate) mod stamp;
#[cfg(any(target_os = "freebsd", test))]
pub(crate) mod subtree;
pub(crate) mod thread;

use std::io;

/// The result of a C library call that gives -1 and sets `errno`.
pub(crate) fn cvt<T: Default + PartialOrd>(result: T) -> io::Result<T> {
    if result < T::default() { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A number in the type that this system's C library wants it in: these differ in width and sign.
pub(crate) fn number<A, B: TryFrom<A> + Default>(number: A) -> B {
    B::try_from(number).unwrap_or_default()
}

/// Error numbers that the library itself gives.
pub mod errno {
    /// There is no such file.
    pub const NOT_FOUND: i32 = libc::ENOENT;
    /// It lacks something for the moment.
    pub const TRY_AGAIN: i32 = libc::EAGAIN;
    /// It makes no sense.
    pub const INVALID: i32 = libc::EINVAL;
    /// It took too long.
    pub const TIMED_OUT: i32 = libc::ETIMEDOUT;
}

//! What the code of `child` is built on here: the C library's constants, and memory that a plan owns. The keeper, which
//! has neither, has a file of the same name and the same names in it.

pub(super) use libc::*;
pub(super) use std::os::fd::RawFd;

use std::ffi::CString;
use std::sync::Arc;

use crate::Strings;

pub(super) type List<T> = Vec<T>;
pub(super) type Text = CString;
/// What the pointers of a plan point into.
pub(super) type Owned = (Strings, Strings, Arc<Strings>);

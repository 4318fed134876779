//! Why there is no keeper.

use std::{fmt, io};

/// Why there is no keeper: one sentence, and the error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The step that failed.
    pub(crate) what: &'static str,
    pub(crate) errno: i32,
}

impl Refused {
    /// The error number of the step that failed.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// What an error of this step means.
    pub(crate) fn because(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self { what, errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the keeper can't be started: {}: {}", self.what, io::Error::from_raw_os_error(self.errno))
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        Self::new(Self::from_raw_os_error(refused.errno).kind(), refused)
    }
}

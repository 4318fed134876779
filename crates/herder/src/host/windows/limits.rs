//! Whether a child can get its arguments unchanged, checked before anything is started.

use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use herder_sys::{Strings, WideError};

use super::Settings;

/// The longest `KEY=value` in UTF-16 units, its NUL included, as the documentation of environment variables has it.
const LONGEST_VARIABLE: usize = 32_767;

/// What can't be passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    /// The command line.
    #[error(transparent)]
    Line(#[from] WideError),
    /// One environment variable.
    #[error(
        "environment variable {key:?} is {size} UTF-16 units long with its NUL, and the limit for one is {LONGEST_VARIABLE}"
    )]
    Variable { key: OsString, size: usize },
}

impl SizeError {
    /// Whether it is only too long.
    pub(crate) fn is_too_long(&self) -> bool {
        matches!(self, Self::Variable { .. } | Self::Line(WideError::TooLong { .. }))
    }
}

/// Checks what a child is to receive, by the first of `files` that is there: batch files take less than programs.
///
/// # Errors
///
/// What can't be passed, and why.
pub(crate) fn check_sizes<'a>(
    files: &[PathBuf],
    arguments: impl IntoIterator<Item = &'a OsStr>,
    variables: &Strings,
    _settings: &Settings,
) -> Result<(), SizeError> {
    for (key, value) in variables.pairs() {
        let size = key.encode_wide().count() + value.encode_wide().count() + 2;
        if size > LONGEST_VARIABLE {
            return Err(SizeError::Variable { key: key.to_owned(), size });
        }
    }
    let file = files.iter().find(|file| file.exists()).map(PathBuf::as_path);
    Ok(herder_sys::check_command_line(file.unwrap_or_else(|| Path::new("")), arguments)?)
}

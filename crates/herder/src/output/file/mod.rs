//! Output written to a file, beside what is kept in memory.

use std::io;
use std::path::{Path, PathBuf};

mod log_file;
mod rotate;
#[cfg(test)]
mod rotate_tests;
mod spill;

pub use log_file::LogFile;
pub use rotate::Rotation;
pub(crate) use spill::Spill;

/// What became of a file that output was written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    path: PathBuf,
    written: u64,
    error: Option<Failure>,
    rotated: Rotated,
}

/// The kind of an error, and the words of the operating system.
type Failure = (io::ErrorKind, String);

/// How often a file has been rotated, and the last time that it could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rotated {
    times: u64,
    error: Option<Failure>,
}

fn failure(error: &io::Error) -> Failure {
    (error.kind(), error.to_string())
}

impl FileReport {
    fn new(path: PathBuf) -> Self {
        Self { path, written: 0, error: None, rotated: Rotated::default() }
    }

    /// The report on a file that could not be made.
    pub(super) fn not_made(path: PathBuf, error: &io::Error) -> Self {
        Self { error: Some(failure(error)), ..Self::new(path) }
    }

    /// The file; that which is written to, if it is rotated.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes were written to it, and to those that it was before; they are not synced to the disk.
    ///
    /// Less than the total of the stream only if there is an error.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The kind of the error after which nothing more was written.
    #[must_use]
    pub fn error_kind(&self) -> Option<io::ErrorKind> {
        self.error.as_ref().map(|(kind, _)| *kind)
    }

    /// The words of the operating system on that error.
    #[must_use]
    pub fn error_message(&self) -> Option<&str> {
        self.error.as_ref().map(|(_, message)| message.as_str())
    }

    /// How many times it was rotated: see [`Rotation`].
    #[must_use]
    pub fn rotations(&self) -> u64 {
        self.rotated.times
    }

    /// The kind of the last error that kept it from being rotated. Nothing was lost by it: the file has grown on.
    #[must_use]
    pub fn rotation_error_kind(&self) -> Option<io::ErrorKind> {
        self.rotated.error.as_ref().map(|(kind, _)| *kind)
    }

    /// The words of the operating system on that error.
    #[must_use]
    pub fn rotation_error_message(&self) -> Option<&str> {
        self.rotated.error.as_ref().map(|(_, message)| message.as_str())
    }
}

//! The steps on Windows: those that it has anything like.

pub(crate) mod family;
pub(crate) mod inspect;
pub(crate) mod signals;

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

pub(crate) use std::os::windows::io::AsHandle as AsStream;

use crate::step::Standard;

/// An exit code, as a number without a sign.
pub(crate) type Code = u32;

/// There are no signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {}

/// There are no such limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {}

pub(crate) fn signal(_name: &str) -> Option<Signal> {
    None
}

pub(crate) fn can_be_caught(signal: Signal) -> bool {
    match signal {}
}

pub(crate) fn resource(_name: &str) -> Option<Resource> {
    None
}

pub(crate) fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows has nothing like it"))
}

/// A file for the same thing: it buffers nothing.
fn file(stream: &impl AsStream) -> io::Result<File> {
    Ok(stream.as_handle().try_clone_to_owned()?.into())
}

/// The end of a pipe that nobody writes to is the end of the file.
pub(crate) fn read(from: &impl AsStream, into: &mut [u8]) -> io::Result<usize> {
    match file(from)?.read(into) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        result => result,
    }
}

/// One write, of which a part may be done; an end that nobody reads is `BrokenPipe`.
pub(crate) fn write(to: &impl AsStream, bytes: &[u8]) -> io::Result<usize> {
    /// What a pipe says that is being closed.
    const ERROR_NO_DATA: i32 = 232;
    match file(to)?.write(bytes) {
        Err(error) if error.raw_os_error() == Some(ERROR_NO_DATA) => Err(io::ErrorKind::BrokenPipe.into()),
        result => result,
    }
}

pub(crate) fn numbered(_number: i32, _write: bool) -> io::Result<File> {
    unsupported()
}

pub(crate) fn close(_which: Standard) -> io::Result<()> {
    unsupported()
}

pub(crate) fn kill_self(with: Signal) -> io::Result<()> {
    match with {}
}

pub(crate) fn stop_self() -> io::Result<()> {
    unsupported()
}

pub(crate) fn setsid() -> io::Result<()> {
    unsupported()
}

pub(crate) fn setpgid() -> io::Result<()> {
    unsupported()
}

pub(crate) fn exit(code: Code) -> ! {
    std::process::exit(code.cast_signed())
}

/// Codes beyond a byte are for `exit` alone.
pub(crate) fn exit_code(code: Code) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(crate::FAILED_STEP))
}

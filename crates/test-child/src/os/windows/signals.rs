//! The steps about signals, of which there are none.

use std::ffi::OsString;
use std::io;

use super::{Signal, unsupported};
use crate::step::Step;

pub(crate) fn ignore(_signals: &[Signal], _rest: &[OsString]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

pub(crate) fn catch(_signals: &[Signal]) -> io::Result<()> {
    unsupported()
}

pub(crate) fn block(_signals: &[Signal]) -> io::Result<()> {
    unsupported()
}

pub(crate) fn on(signal: Signal, _script: &[Step]) -> io::Result<()> {
    match signal {}
}

pub(crate) fn segv() -> io::Result<()> {
    unsupported()
}

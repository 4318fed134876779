//! Streams whose writes have times: there are none.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;

use super::streams::Reader;

/// There is none.
pub(crate) enum Stamped {}

/// Refused.
pub(crate) fn stamped_from_child() -> io::Result<(Reader, OwnedHandle)> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Reader {
    /// Never.
    pub(crate) fn into_stamped(self) -> Option<Stamped> {
        None
    }
}

#[expect(clippy::needless_pass_by_ref_mut, reason = "as on the other systems")]
impl Stamped {
    pub(crate) fn poll_write(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<Option<(SystemTime, Bytes)>>> {
        match *self {}
    }

    pub(crate) fn try_write(&mut self) -> io::Result<Option<(SystemTime, Bytes)>> {
        match *self {}
    }
}

//! Our end of a stream whose writes have times.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::io::Interest;

use super::end::End;
use super::streams::Reader;

/// What a child writes, write by write.
pub(crate) struct Stamped {
    end: End<PipeReader>,
    /// As large as the largest write. Memory that no write was large enough for is not touched.
    buffer: Vec<u8>,
    /// What was received and not given out.
    rest: Bytes,
    at: SystemTime,
}

/// A stream that the child writes to: our end and the child's.
pub(crate) fn stamped_from_child() -> io::Result<(Reader, OwnedFd)> {
    let pipe = herder_sys::stamped_pipe()?;
    let buffer = vec![0; herder_sys::largest_stamped_write(pipe.ours.as_fd())?];
    let end = End::new(pipe.ours.into(), Interest::READABLE);
    let stamped = Stamped { end, buffer, rest: Bytes::new(), at: SystemTime::UNIX_EPOCH };
    Ok((stamped.into(), pipe.theirs))
}

impl Stamped {
    /// The next write that is not empty, with its time; `None` at the end of file.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Option<(SystemTime, Bytes)>>> {
        if self.rest.is_empty() {
            let (end, buffer) = (&mut self.end, &mut self.buffer);
            let received = ready!(end.poll_io(context, |socket| receive(socket, buffer), |_| false))?;
            self.took(received);
        }
        Poll::Ready(Ok(self.take()))
    }

    /// The same, without waiting: what the kernel has at this moment, whatever the reactor knows.
    ///
    /// `WouldBlock` if there is nothing.
    pub(crate) fn try_write(&mut self) -> io::Result<Option<(SystemTime, Bytes)>> {
        if self.rest.is_empty() {
            let received = receive(self.end.pipe()?, &mut self.buffer)?;
            self.took(received);
        }
        Ok(self.take())
    }

    /// Up to `most` of its bytes, without their times; none at the end of file.
    pub(super) fn poll_bytes(&mut self, context: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        if self.rest.is_empty() {
            self.rest = ready!(self.poll_write(context))?.map(|(_, bytes)| bytes).unwrap_or_default();
        }
        Poll::Ready(Ok(self.rest.split_to(self.rest.len().min(most))))
    }

    fn took(&mut self, received: Option<(SystemTime, usize)>) {
        if let Some((at, len)) = received {
            self.at = at;
            self.rest = Bytes::copy_from_slice(&self.buffer[..len]);
        }
    }

    fn take(&mut self) -> Option<(SystemTime, Bytes)> {
        (!self.rest.is_empty()).then(|| (self.at, std::mem::take(&mut self.rest)))
    }
}

impl AsRawFd for Stamped {
    fn as_raw_fd(&self) -> RawFd {
        self.end.as_raw_fd()
    }
}

/// Receives the next write that is not empty.
fn receive(socket: &PipeReader, buffer: &mut [u8]) -> io::Result<Option<(SystemTime, usize)>> {
    loop {
        match herder_sys::receive_stamped(socket.as_fd(), buffer) {
            Ok(Some(write)) if write.len > buffer.len() => {
                // Not to be had, unless the child has enlarged the queue of its own stream.
                let message = "a write was larger than what was agreed on; a part of it is lost";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            Ok(Some(write)) if write.len == 0 => {}
            Ok(write) => return Ok(write.map(|write| (write.at, write.len))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

//! Our ends of a child's pipes.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use tokio::io::Interest;

use super::end::End;
use super::stamped::Stamped;

/// What a child writes, as it arrives.
pub(crate) struct Reader(Kind);

enum Kind {
    Pipe(End<PipeReader>),
    Stamped(Box<Stamped>),
}

/// What a child is to read.
#[derive(Debug)]
pub(crate) struct Writer(End<PipeWriter>);

/// A pipe that the child writes to: our end and the child's.
pub(crate) fn pipe_from_child() -> io::Result<(Reader, OwnedFd)> {
    let pipe = herder_sys::pipe(false)?;
    Ok((Reader(Kind::Pipe(End::new(pipe.ours.into(), Interest::READABLE))), pipe.theirs))
}

/// A pipe that the child reads from: our end and the child's.
pub(crate) fn pipe_to_child() -> io::Result<(Writer, OwnedFd)> {
    let pipe = herder_sys::pipe(true)?;
    Ok((Writer(End::new(pipe.ours.into(), Interest::WRITABLE)), pipe.theirs))
}

impl Reader {
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Pipe(end) => {
                let room = buffer.len();
                end.poll_io(context, |mut pipe| pipe.read(buffer), |&read| is_drained(read, room))
            }
            Kind::Stamped(stamped) => stamped.poll_bytes(context, buffer.len()).map_ok(|bytes| {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            }),
        }
    }

    /// Reads up to `most` bytes, and no more than `buffer` has room for, behind those that it has.
    pub(crate) fn poll_read_behind(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Pipe(end) => {
                let room = most.min(buffer.capacity() - buffer.len());
                let read = |pipe: &PipeReader| herder_sys::read_behind(pipe.as_fd(), buffer, most);
                end.poll_io(context, read, |&read| is_drained(read, room))
            }
            Kind::Stamped(stamped) => {
                let most = most.min(buffer.capacity() - buffer.len());
                stamped.poll_bytes(context, most).map_ok(|bytes| {
                    buffer.extend_from_slice(&bytes);
                    bytes.len()
                })
            }
        }
    }

    /// The end, to be given to another process: its calls block from now on.
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedFd> {
        match self.0 {
            Kind::Pipe(end) => blocking(end.into_pipe()?.into()),
            // Whoever reads with a buffer smaller than a write would lose the rest of it (recv(2)).
            Kind::Stamped(_) => {
                let message = "a stamped stream can't be a stream of another process; copy the bytes";
                Err(io::Error::new(io::ErrorKind::Unsupported, message))
            }
        }
    }

    /// The same, write by write, if the writes have times.
    pub(crate) fn into_stamped(self) -> Option<Stamped> {
        match self.0 {
            Kind::Pipe(_) => None,
            Kind::Stamped(stamped) => Some(*stamped),
        }
    }
}

impl From<Stamped> for Reader {
    fn from(stamped: Stamped) -> Self {
        Self(Kind::Stamped(Box::new(stamped)))
    }
}

/// The number of the descriptor.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_raw_fd().fmt(f)
    }
}

impl AsRawFd for Reader {
    fn as_raw_fd(&self) -> RawFd {
        match &self.0 {
            Kind::Pipe(end) => end.as_raw_fd(),
            Kind::Stamped(stamped) => stamped.as_raw_fd(),
        }
    }
}

impl Writer {
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_io(context, |mut pipe| pipe.write(bytes), |_| false)
    }

    /// As [`Reader::into_descriptor`].
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedFd> {
        blocking(self.0.into_pipe()?.into())
    }
}

/// Whether a read has emptied the pipe: it has taken less than it had room for. (At the end of file there is no wait.)
///
/// A short one may have taken just one packet of several: whoever writes to a pipe may make packets of what it writes,
/// of at most `PIPE_BUF` bytes each, and the reader is not told (pipe(2), `O_DIRECT`). There is no other event for those
/// behind it.
fn is_drained(read: usize, room: usize) -> bool {
    PIPE_BUF < read && read < room
}

/// Of Linux, which alone has packets: limits.h.
const PIPE_BUF: usize = 4096;

fn blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    herder_sys::set_nonblocking(&fd, false)?;
    Ok(fd)
}

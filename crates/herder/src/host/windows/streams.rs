//! Our ends of a child's pipes: named pipes, as anonymous ones can't be waited for.
//!
//! The name is nobody's to guess, there is one instance only, and both ends are open before anybody learns of it.

use std::fs::OpenOptions;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::OwnedHandle;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use tokio::runtime::Handle;

/// Bytes that a pipe holds in each direction.
const BUFFER: u32 = 64 * 1024;

/// `ERROR_PIPE_NOT_CONNECTED`.
const NOT_CONNECTED: i32 = 233;

/// What a child writes, as it arrives.
#[derive(Debug)]
pub(crate) struct Reader(NamedPipeServer);

/// What a child is to read.
#[derive(Debug)]
pub(crate) struct Writer(NamedPipeServer);

/// A pipe that the child writes to: our end and the child's.
pub(crate) fn pipe_from_child() -> io::Result<(Reader, OwnedHandle)> {
    let (ours, theirs) = pipe(false)?;
    Ok((Reader(ours), theirs))
}

/// A pipe that the child reads from: our end and the child's.
pub(crate) fn pipe_to_child() -> io::Result<(Writer, OwnedHandle)> {
    let (ours, theirs) = pipe(true)?;
    Ok((Writer(ours), theirs))
}

fn pipe(child_reads: bool) -> io::Result<(NamedPipeServer, OwnedHandle)> {
    let missing = || {
        let message = "pipes need a Tokio runtime with enable_io or enable_all on Windows; enter one first";
        io::Error::new(io::ErrorKind::Unsupported, message)
    };
    Handle::try_current().map_err(|_| missing())?;
    // Seeded anew each time, from the system's random numbers.
    let name = RandomState::new().hash_one(std::process::id());
    let name = format!(r"\\.\pipe\herder-{}-{name:016x}", std::process::id());
    let create = || {
        ServerOptions::new()
            .access_inbound(!child_reads)
            .access_outbound(child_reads)
            .first_pipe_instance(true)
            .max_instances(1)
            .in_buffer_size(BUFFER)
            .out_buffer_size(BUFFER)
            .create(&name)
    };
    // Tokio panics in a runtime without its I/O driver, and has no way to ask beforehand.
    let ours = catch_unwind(AssertUnwindSafe(create)).unwrap_or_else(|_| Err(missing()))?;
    let theirs = OpenOptions::new().read(child_reads).write(!child_reads).share_mode(0).open(&name)?;
    // Tokio wants to be told of the other end, even if it is open: that is known at once.
    match pin!(ours.connect()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(connected) => connected?,
        Poll::Pending => return Err(io::ErrorKind::NotConnected.into()),
    }
    Ok((ours, theirs.into()))
}

/// Our ends work as long as the runtime runs that they were made in. No other process can use them as it uses a file.
fn not_for_others<T>() -> io::Result<T> {
    let message = "our end of a child's pipe can't be a stream of another process on Windows; copy the bytes";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

impl Reader {
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let read = Pin::new(&mut self.0).poll_read(context, &mut buffer);
        read.map(|read| or_end(read.map(|()| buffer.filled().len())))
    }

    /// Reads up to `most` bytes, and no more than `buffer` has room for, behind those that it has.
    pub(crate) fn poll_read_behind(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Vec<u8>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let most = most.min(buffer.capacity() - buffer.len());
        let mut buffer = buffer.limit(most);
        // It keeps nothing between two polls.
        pin!(self.0.read_buf(&mut buffer)).poll(context).map(or_end)
    }

    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedHandle> {
        not_for_others()
    }
}

impl Writer {
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0)
            .poll_write(context, bytes)
            .map_err(|error| if is_end(&error) { io::ErrorKind::BrokenPipe.into() } else { error })
    }

    #[expect(clippy::unused_self, reason = "as on the other systems")]
    pub(crate) fn into_descriptor(self) -> io::Result<OwnedHandle> {
        not_for_others()
    }
}

/// The end of file, if nobody has the other end any more.
fn or_end(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(error) if is_end(&error) => Ok(0),
        read => read,
    }
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(NOT_CONNECTED)
}

//! Where a stream of a child goes.

use std::fmt;
use std::fs::File;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use herder_sys::OwnedDescriptor;
use tokio::io::AsyncRead;

/// Where a child's standard input comes from, or where its output goes.
///
/// As in `std`, and more: what a child is fed can be given as [bytes](Self::bytes) or a [reader](Self::reader), and
/// standard error can go [where standard output goes](Self::to_stdout). A value may be cloned, and a command with it
/// be run many times.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Command, Stdio};
///
/// let sorted = Command::new("sort").stdin(Stdio::bytes("b\na\n")).read().await?;
/// assert_eq!(sorted, "a\nb");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Stdio(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Inherit,
    Null,
    Piped,
    Stamped,
    Fd(Arc<OwnedDescriptor>),
    Bytes(Bytes),
    Reader(Arc<Mutex<Option<SharedReader>>>),
    ToStdout,
}

pub(crate) type SharedReader = Pin<Box<dyn AsyncRead + Send>>;

impl Stdio {
    /// The child shares our stream.
    #[must_use]
    pub fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// The null device: end of file at once, and output that is thrown away.
    #[must_use]
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// A new pipe, whose other end is [`Child::stdin`](crate::Child::stdin), `stdout` or `stderr`.
    #[must_use]
    pub fn piped() -> Self {
        Self(Kind::Piped)
    }

    /// Output only, and only on Linux: as [`piped`](Self::piped), and the kernel writes down when each write was made. With
    /// both streams like this, what is written to them can be read in its exact order, with the stream of each piece:
    /// see [`ChildStdout::in_order_with`](crate::ChildStdout::in_order_with).
    ///
    /// It is not the default, because the child can tell the difference: its stream is no pipe, but a local socket
    /// (unix(7), `SOCK_SEQPACKET`).
    ///
    /// - One write of more than 1 MiB fails (`EMSGSIZE`), and of more than 416 KiB where `net.core.wmem_max` has its
    ///   usual 208 KiB. Programs that write a large text in one piece, as Python does, fail with it.
    /// - `/dev/stdout` and `/dev/stderr` can't be opened (`ENXIO`): `echo >/dev/stderr` in a shell fails; `>&2` does not.
    /// - Who writes when nobody reads any more gets `ECONNRESET` once and `EPIPE` then, and no SIGPIPE: a program that
    ///   does not look at its errors, and would die in a pipe, goes on.
    /// - Programs that look at what they write to may not know it: Node.js throws such output away without a word.
    /// - A program that uses [`Child::stdout`](crate::Child::stdout) as standard input of another gets an error.
    /// - What waits to be read is bounded as a pipe is, by bytes of the kernel: small writes count for 768 bytes each,
    ///   and some 1300 of them wait.
    ///
    /// The descriptor is open for writing, no terminal, and inherited like any other. Each write comes as a piece of its
    /// own: reading costs a system call for each of them.
    ///
    /// # Platform notes
    ///
    /// Elsewhere than on Linux, and where the kernel does not do it (gVisor), the command is not started:
    /// [`SpawnErrorKind::Unsupported`](crate::error::SpawnErrorKind::Unsupported).
    #[must_use]
    pub fn stamped() -> Self {
        Self(Kind::Stamped)
    }

    /// Standard input only: these bytes and then the end of input. A child that does not read them all, or none,
    /// does no harm.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Bytes(bytes.into()))
    }

    /// Standard input only: what `reader` gives, until its end. It is read as fast as the child takes it.
    ///
    /// Good for one child: a second one that is started from the same command, or a clone of it, gets an error.
    #[must_use]
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self(Kind::Reader(Arc::new(Mutex::new(Some(Box::pin(reader))))))
    }

    /// Standard error only: wherever standard output goes. Both then are one stream, whose order is exact.
    #[must_use]
    pub fn to_stdout() -> Self {
        Self(Kind::ToStdout)
    }
}

impl From<OwnedDescriptor> for Stdio {
    fn from(fd: OwnedDescriptor) -> Self {
        Self(Kind::Fd(Arc::new(fd)))
    }
}

/// The child writes to the file itself, or reads it: nothing passes through our memory.
impl From<File> for Stdio {
    fn from(file: File) -> Self {
        OwnedDescriptor::from(file).into()
    }
}

impl From<std::io::PipeReader> for Stdio {
    fn from(pipe: std::io::PipeReader) -> Self {
        OwnedDescriptor::from(pipe).into()
    }
}

impl From<std::io::PipeWriter> for Stdio {
    fn from(pipe: std::io::PipeWriter) -> Self {
        OwnedDescriptor::from(pipe).into()
    }
}

macro_rules! from_std_ends {
    ($($end:ident),*) => {$(
        /// The end of a pipe of a child that `std` started.
        impl From<std::process::$end> for Stdio {
            fn from(end: std::process::$end) -> Self {
                OwnedDescriptor::from(end).into()
            }
        }
    )*};
}

from_std_ends!(ChildStdin, ChildStdout, ChildStderr);

impl From<std::io::Stdout> for Stdio {
    /// Our standard output, whatever it is when the child is started.
    fn from(_: std::io::Stdout) -> Self {
        Self(Kind::Inherit)
    }
}

impl From<std::io::Stderr> for Stdio {
    /// Our standard error, whatever it is when the child is started.
    fn from(_: std::io::Stderr) -> Self {
        Self(Kind::Inherit)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inherit => f.write_str("inherit"),
            Self::Null => f.write_str("null"),
            Self::Piped => f.write_str("piped"),
            Self::Stamped => f.write_str("stamped"),
            Self::Fd(fd) => fmt::Debug::fmt(fd, f),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Reader(_) => f.write_str("reader"),
            Self::ToStdout => f.write_str("to stdout"),
        }
    }
}

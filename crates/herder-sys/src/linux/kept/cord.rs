//! What a scope's keeper tells of one child: its birth, and its end with status and usage.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::super::keeper::lifeline;
use super::super::keeper::order::Ended;
use super::super::keeper::protocol::ENDED;
use super::super::waitid::{convert, status_from};
use super::tree::Root;
use crate::Exit;

/// Our end of the socket that came with the order: readable when the child has ended, or the keeper has.
#[derive(Debug)]
pub(in super::super) struct Cord {
    pub(super) socket: OwnedFd,
    /// The keeper, which has said who it is before it bore the child.
    pub(super) root: Option<Arc<Root>>,
}

/// What there is to be read.
#[derive(Debug)]
pub(in super::super) enum News {
    /// The child lives, as far as the keeper knows.
    None,
    /// The child has been reaped.
    Ended(Exit),
    /// The keeper is gone, and has not told the end of the child.
    Cut,
}

impl AsFd for Cord {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Cord {
    /// Takes the news. The end is told once.
    pub(in super::super) fn read(&self) -> io::Result<News> {
        let mut ended = Ended::default();
        match lifeline::receive_into(&self.socket, &mut ended, Duration::ZERO) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(News::None),
            // Whoever reset it is gone.
            Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => Ok(News::Cut),
            Err(error) => Err(error),
            Ok((read, _)) if read == size_of::<Ended>() && ended.kind == ENDED => {
                Ok(News::Ended(exit(&ended)))
            }
            Ok(_) => Ok(News::Cut),
        }
    }

    /// Signals those of the scope that are in the child's process group, dead as the child may be.
    pub(in super::super) fn signal_group(&self, group: i32, signal: i32) -> io::Result<()> {
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        self.root.as_ref().ok_or_else(gone)?.send_to_group(group, signal)
    }

    /// Whether the child, which is `pidfd`, has ended. With `wait` it waits for that, and until the end was told.
    pub(in super::super) fn has_ended(&self, pidfd: &OwnedFd, wait: bool) -> io::Result<bool> {
        if !wait {
            return is_readable(pidfd, false);
        }
        is_readable(&self.socket, true)?;
        let mut kind = 0u32;
        // SAFETY: four bytes are written at most.
        let read = unsafe {
            let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
            libc::recv(self.socket.as_raw_fd(), (&raw mut kind).cast(), size_of::<u32>(), flags)
        };
        // Else the keeper is gone, and the child perhaps not yet.
        if read > 0 { Ok(true) } else { is_readable(pidfd, true) }
    }
}

fn is_readable(fd: &OwnedFd, wait: bool) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure.
    let count = super::cvt(unsafe { libc::poll(&raw mut poll, 1, if wait { -1 } else { 0 }) })?;
    Ok(count > 0)
}

fn exit(ended: &Ended) -> Exit {
    let status: ExitStatus = ExitStatusExt::from_raw(status_from(ended.code, ended.status));
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let bytes = size_of_val(&ended.usage).min(size_of_val(&usage));
    let to = (&raw mut usage).cast::<u8>();
    // SAFETY: as many bytes as both have; any bytes are valid numbers.
    unsafe { ended.usage.as_ptr().cast::<u8>().copy_to_nonoverlapping(to, bytes) };
    Exit { status, usage: Some(convert(&usage)) }
}

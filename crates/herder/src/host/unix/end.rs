//! Our end of a pipe, in the reactor only once it has to be waited for.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Handle, Id};

use super::reactor::register;

/// A pipe end that does not block: `PipeReader` or `PipeWriter` of `std`.
///
/// Most small outputs are there, whole, when the child has exited: a pipe that never has to be waited for is never
/// registered, which saves two system calls each. It also may be made outside of any runtime.
#[derive(Debug)]
pub(super) struct End<P: AsRawFd> {
    state: State<P>,
    interest: Interest,
}

#[derive(Debug)]
enum State<P: AsRawFd> {
    Idle(P),
    Registered(Id, AsyncFd<P>),
    /// Between two states; stays so only if registering fails, which gives the pipe up.
    Lost,
}

impl<P: AsRawFd> End<P> {
    pub(super) fn new(pipe: P, interest: Interest) -> Self {
        Self { state: State::Idle(pipe), interest }
    }

    pub(super) fn pipe(&self) -> io::Result<&P> {
        match &self.state {
            State::Idle(pipe) => Ok(pipe),
            State::Registered(_, fd) => Ok(fd.get_ref()),
            State::Lost => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    pub(super) fn into_pipe(self) -> io::Result<P> {
        match self.state {
            State::Idle(pipe) => Ok(pipe),
            State::Registered(_, fd) => Ok(fd.into_inner()),
            State::Lost => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Does `io` until it gives something else than `WouldBlock`. Where its result tells that nothing is left to be done
    /// for now, it is not tried again before the reactor says so, which saves a system call.
    pub(super) fn poll_io<T>(
        &mut self,
        context: &mut Context<'_>,
        mut io: impl FnMut(&P) -> io::Result<T>,
        is_done: impl Fn(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        if let State::Idle(pipe) = &self.state {
            match io(pipe) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
        loop {
            let interest = self.interest;
            let fd = self.registered()?;
            let mut guard = if interest.is_readable() {
                ready!(fd.poll_read_ready(context))?
            } else {
                ready!(fd.poll_write_ready(context))?
            };
            if let Ok(result) = guard.try_io(|fd| io(fd.get_ref())) {
                if result.as_ref().is_ok_and(&is_done) {
                    guard.clear_ready();
                }
                return Poll::Ready(result);
            }
        }
    }

    /// The pipe in the reactor of the current runtime; another runtime, gone or not driven, would not wake us.
    fn registered(&mut self) -> io::Result<&AsyncFd<P>> {
        let runtime = Handle::try_current().map_err(io::Error::other)?.id();
        if !matches!(&self.state, State::Registered(id, _) if *id == runtime) {
            let pipe = match std::mem::replace(&mut self.state, State::Lost) {
                State::Idle(pipe) => pipe,
                State::Registered(_, fd) => fd.into_inner(),
                State::Lost => return Err(io::ErrorKind::BrokenPipe.into()),
            };
            self.state = State::Registered(runtime, register(pipe, self.interest)?);
        }
        match &self.state {
            State::Registered(_, fd) => Ok(fd),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<P: AsRawFd> AsRawFd for End<P> {
    fn as_raw_fd(&self) -> RawFd {
        self.pipe().map_or(-1, AsRawFd::as_raw_fd)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_pipe_that_was_emptied_is_read_again_only_when_there_is_more() {
        let pipe = herder_sys::pipe(false).unwrap();
        let mut writer = io::PipeWriter::from(pipe.theirs);
        let mut end = End::new(io::PipeReader::from(pipe.ours), Interest::READABLE);
        let mut calls = 0;
        let mut poll = |context: &mut Context<'_>| {
            let read = |mut pipe: &io::PipeReader| {
                calls += 1;
                pipe.read(&mut [0; 16])
            };
            end.poll_io(context, read, |&count| count < 16).map(|read| (read.unwrap(), calls))
        };
        let mut read = async || std::future::poll_fn(&mut poll).await;
        // Not in the reactor yet: it is tried, and waited for.
        let wait = async {
            tokio::task::yield_now().await;
            writer.write_all(b"moo").unwrap();
        };
        let ((count, first), ()) = tokio::join!(read(), wait);
        assert_eq!(count, 3);
        let wait = async {
            tokio::task::yield_now().await;
            writer.write_all(b"more").unwrap();
        };
        let (next, ()) = tokio::join!(read(), wait);
        assert_eq!(next, (4, first + 1));
        drop(writer);
        assert_eq!(read().await.0, 0);
    }
}

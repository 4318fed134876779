//! Capturing with bare system calls, in two ways.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

use super::raw::reap;
use crate::raw::{How, Plan, Slot};

/// A pipe's capacity unless it is set, and the room of the buffer: one read of it empties the pipe.
pub(super) const PIPE: usize = 64 * 1024;
/// How long `exit_first` waits for a child that may be over in a moment.
const EXIT_FIRST: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

pub(super) struct Capture {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

struct Running {
    pidfd: OwnedFd,
    streams: [Stream; 2],
}

struct Stream {
    pipe: OwnedFd,
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    fn new(pipe: OwnedFd) -> Self {
        Self { pipe, bytes: Vec::new(), ended: false }
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        self.ended = rustix::io::read(&self.pipe, spare_capacity(buffer))? == 0;
        self.bytes.extend_from_slice(buffer);
        Ok(())
    }
}

fn start(slot: &mut Slot, plan: &Rc<Plan>) -> io::Result<Running> {
    let (stdout, child_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, child_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let pidfd = slot.spawn(plan, How::Vfork, [Some(child_stdout.as_fd()), Some(child_stderr.as_fd())])?;
    Ok(Running { pidfd, streams: [Stream::new(stdout), Stream::new(stderr)] })
}

impl Running {
    fn read_to_end(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let open = self.streams.iter_mut().filter(|stream| !stream.ended);
            let (mut streams, mut set): (Vec<_>, Vec<_>) = (open.collect(), Vec::new());
            if streams.is_empty() {
                return Ok(());
            }
            set.extend(
                streams.iter().map(|stream| PollFd::from_borrowed_fd(stream.pipe.as_fd(), PollFlags::IN)),
            );
            poll(&mut set, None)?;
            let ready: Vec<_> = set.iter().map(|fd| !fd.revents().is_empty()).collect();
            for (stream, _) in streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
                stream.read(buffer)?;
            }
        }
    }

    fn finish(self) -> io::Result<Capture> {
        let success = reap(&self.pidfd)?;
        let [stdout, stderr] = self.streams.map(|stream| stream.bytes);
        Ok(Capture { success, stdout, stderr })
    }
}

/// Reads both pipes to their end, then waits for the exit: what every library does.
pub(super) fn to_end(slot: &mut Slot, plan: &Rc<Plan>, buffer: &mut Vec<u8>) -> io::Result<Capture> {
    let mut running = start(slot, plan)?;
    running.read_to_end(buffer)?;
    running.finish()
}

/// Waits a moment for the exit alone, then takes what the pipes hold with one read each.
pub(super) fn exit_first(slot: &mut Slot, plan: &Rc<Plan>, buffer: &mut Vec<u8>) -> io::Result<Capture> {
    let mut running = start(slot, plan)?;
    let over = poll(&mut [PollFd::new(&running.pidfd, PollFlags::IN)], Some(&EXIT_FIRST))? > 0;
    if over {
        for stream in &mut running.streams {
            stream.read(buffer)?;
        }
    } else {
        running.read_to_end(buffer)?;
    }
    running.finish()
}

/// The process id behind a pidfd.
pub(super) fn pid(pidfd: &OwnedFd) -> io::Result<Option<u32>> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    Ok(info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()))
}

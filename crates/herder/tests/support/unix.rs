//! Looks at the processes of this host, by the means of Unix.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use herder::Command;
use herder::os::unix::CommandExt;

use super::LIMIT;

/// The number under which a leashed child holds its leash.
const LEASH: i32 = 9;

/// The state of a process, or `None` if there is none with this id.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether nothing is left of it, not even a zombie.
pub(crate) fn is_gone(pid: u32) -> bool {
    state(pid).is_none()
}

/// Whether it runs no more: gone, or a zombie.
pub(crate) fn is_dead(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// The time that this thread has spent on a processor.
pub(crate) fn cpu_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).unwrap().into()
}

/// Held by a child and everything that it starts: tells, without asking for process ids, when the last is gone.
#[derive(Debug)]
pub(crate) struct Leash(std::io::PipeReader);

impl Leash {
    /// Puts `command` and whatever it starts on a leash.
    pub(crate) fn tie(command: &mut Command) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        command.fd(LEASH, OwnedFd::from(writer));
        Self(reader)
    }

    /// Waits until nobody is left; the command must be gone too, as it holds an end itself.
    pub(crate) fn wait_free(self) {
        use std::io::Read;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let Self(mut reader) = self;
            let read = reader.read(&mut [0]);
            drop(reader);
            drop(sender.send(read));
        });
        let read = receiver.recv_timeout(Duration::from_secs(20)).expect("a process is left");
        assert_eq!(read.unwrap(), 0);
    }
}

/// Blocks this thread until something is so that nobody tells us of.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < LIMIT, "not so: {what}");
        std::thread::sleep(Duration::from_micros(500));
    }
}

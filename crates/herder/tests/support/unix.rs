//! Looks at the processes of this host, by the means of Unix.

use std::fs;
use std::io::PipeWriter;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use herder::os::unix::CommandExt;
use herder::{Command, ExitStatus};

use super::eventually;

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

/// Gives it to a child, and to all that the child starts.
pub(super) fn hand_down(command: &mut Command, end: PipeWriter) {
    command.fd(LEASH, OwnedFd::from(end));
}

/// Waits until not even a zombie is left of a child that was dropped.
pub(crate) fn no_zombie(pid: u32) {
    eventually("it is reaped", || is_gone(pid));
}

/// Whether a kill ended it.
pub(crate) fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

//! waitid(2), which looks, and wait4(2), which reaps.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::{cvt, number};
use crate::{Exit, Usage};

/// Whether this child of ours has exited. It is not reaped. With `wait` it is waited for: a signal that is handled
/// meanwhile gives `Interrupted`.
pub(super) fn has_exited(pid: i32, wait: bool) -> io::Result<bool> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOWAIT | if wait { 0 } else { libc::WNOHANG };
    // SAFETY: one structure is written.
    cvt(unsafe { libc::waitid(libc::P_PID, number(pid), &raw mut info, options) })?;
    // Left at zero where there is nothing to be told.
    Ok(info.si_signo != 0)
}

/// Reaps this child of ours if it has exited.
pub(super) fn reap(pid: i32) -> io::Result<Option<Exit>> {
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    // SAFETY: two live locals are written.
    let reaped = cvt(unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) })?;
    let exit = || Exit { status: ExitStatus::from_raw(status), usage: Some(convert(&usage)) };
    Ok((reaped == pid).then(exit))
}

/// What a child has used.
fn convert(usage: &libc::rusage) -> Usage {
    // In bytes on macOS, in KiB elsewhere (getrusage(2)).
    const UNIT: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    let time = |time: libc::timeval| {
        let microseconds: u32 = number(time.tv_usec);
        Duration::new(number(time.tv_sec), microseconds * 1000)
    };
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        max_rss: number::<_, u64>(usage.ru_maxrss) * UNIT,
        minor_faults: number(usage.ru_minflt),
        major_faults: number(usage.ru_majflt),
        blocks_in: number(usage.ru_inblock),
        blocks_out: number(usage.ru_oublock),
        voluntary_switches: number(usage.ru_nvcsw),
        involuntary_switches: number(usage.ru_nivcsw),
    }
}

//! waitid(2), and what it says.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::cvt;
use crate::Usage;

/// The system call itself, as the C library's lacks the resource usage. `None`: there is nothing to report.
pub(super) fn waitid(
    kind: u32,
    id: i32,
    options: i32,
    usage: Option<&mut libc::rusage>,
) -> io::Result<Option<ExitStatus>> {
    // SAFETY: all zeroes is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let usage = usage.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: both structures live through the call.
    cvt(unsafe { libc::syscall(libc::SYS_waitid, kind, id, &raw mut info, options, usage) })?;
    // SAFETY: set by waitid, or still zero.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: set by waitid.
    let value = unsafe { info.si_status() };
    Ok(Some(ExitStatus::from_raw(status_from(info.si_code, value))))
}

/// A wait status from what a `siginfo_t` says.
pub(super) fn status_from(code: i32, value: i32) -> i32 {
    match code {
        libc::CLD_EXITED => (value & 0xff) << 8,
        libc::CLD_DUMPED => value | 0x80,
        _ => value,
    }
}

/// What a child has used.
pub(super) fn convert(usage: &libc::rusage) -> Usage {
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        // In KiB (getrusage(2)).
        max_rss: usage.ru_maxrss as u64 * 1024,
        minor_faults: usage.ru_minflt as u64,
        major_faults: usage.ru_majflt as u64,
        blocks_in: usage.ru_inblock as u64,
        blocks_out: usage.ru_oublock as u64,
        voluntary_switches: usage.ru_nvcsw as u64,
        involuntary_switches: usage.ru_nivcsw as u64,
    }
}

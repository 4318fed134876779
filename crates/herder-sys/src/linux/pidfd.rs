//! What pidfds are asked, beside being polled.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{cvt, fd};

/// The process group whose id is the pid, however dead its leader: no reuse of the number can mislead it (Linux 6.9,
/// `PIDFD_SIGNAL_PROCESS_GROUP`).
pub(super) const TO_GROUP: u32 = 1 << 2;

/// `struct pidfd_info` in its first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`
const PIDFD_GET_INFO: u64 = (3 << 30) | ((size_of::<PidfdInfo>() as u64) << 16) | (0xFF << 8) | 11;

/// pidfd_open(2).
pub(super) fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: numbers only.
    cvt(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).map(|new| fd::own(new as RawFd))
}

/// Whether this is a child of ours, dead or alive, and not reaped.
pub(super) fn is_child(pidfd: &OwnedFd) -> bool {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let id = pidfd.as_raw_fd() as libc::id_t;
    // SAFETY: no structure is given, so none is written.
    cvt(unsafe { libc::waitid(libc::P_PIDFD, id, std::ptr::null_mut(), options) }).is_ok()
}

/// pidfd_send_signal(2). Signal 0 is a question.
pub(super) fn send(pidfd: &OwnedFd, signal: i32, flags: u32) -> io::Result<()> {
    let pidfd = pidfd.as_raw_fd();
    // SAFETY: numbers only.
    cvt(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, 0, flags) }).map(drop)
}

/// The status of a child that somebody else reaped: the pidfd still knows it (ioctl_pidfd(2), Linux 6.15).
///
/// waitid(2) says ECHILD a moment before the kernel has written it down, if the kernel itself reaps the child: as
/// long as the process is there without a status, that moment is not over. It takes microseconds.
pub(super) fn recover(pidfd: &OwnedFd) -> Option<ExitStatus> {
    let deadline = Instant::now() + RELEASE;
    loop {
        let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
        let request = (pidfd.as_raw_fd(), PIDFD_GET_INFO);
        // SAFETY: the structure has the size that is coded in the request.
        let result = unsafe { libc::syscall(libc::SYS_ioctl, request.0, request.1, &raw mut info) };
        if result != 0 {
            return None;
        }
        if info.mask & PIDFD_INFO_EXIT != 0 {
            return Some(ExitStatus::from_raw(info.exit_code));
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// Longer than a dead process takes to be released by the kernel on a busy machine.
const RELEASE: Duration = Duration::from_millis(50);

/// Whether a call was refused by a kernel that lacks it or by a sandbox, rather than failed. A sandbox may begin
/// after a pidfd was made.
pub(super) fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::EOPNOTSUPP))
}

/// Whether the host lacks something now that it has at other times.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE))
}

//! What the code of `child` is built on here: the constants of the C library, by the names that they have in the crate
//! `libc`, and memory that a plan only borrows. The library has a file of the same name.

#![expect(non_upper_case_globals, non_camel_case_types, reason = "as in the crate libc")]

use core::ffi::CStr;

pub(crate) type RawFd = i32;
pub(crate) type c_long = i64;
pub(crate) type List<T> = &'static [T];
pub(crate) type Text = &'static CStr;
/// The message that the plan was read from is there until the `execve`.
pub(crate) type Owned = ();

/// `struct timespec`
#[repr(C)]
pub(crate) struct timespec {
    pub(crate) tv_sec: i64,
    pub(crate) tv_nsec: i64,
}

/// `struct rlimit64`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct rlimit64 {
    pub(crate) rlim_cur: u64,
    pub(crate) rlim_max: u64,
}

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const EBADF: i32 = 9;
pub(crate) const EACCES: i32 = 13;
pub(crate) const ENODEV: i32 = 19;
pub(crate) const ENOTDIR: i32 = 20;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ETXTBSY: i32 = 26;
pub(crate) const ENOSYS: i32 = 38;
pub(crate) const ETIMEDOUT: i32 = 110;
pub(crate) const ESTALE: i32 = 116;

pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGPIPE: i32 = 13;
pub(crate) const SIGSTOP: i32 = 19;
pub(crate) const SIG_DFL: usize = 0;
pub(crate) const SIG_IGN: usize = 1;
pub(crate) const SIG_SETMASK: i32 = 2;

pub(crate) const AT_FDCWD: i32 = -100;
pub(crate) const F_GETFD: i32 = 1;
pub(crate) const F_SETFD: i32 = 2;
pub(crate) const F_DUPFD_CLOEXEC: i32 = 1030;
pub(crate) const FD_CLOEXEC: i32 = 1;
pub(crate) const O_RDONLY: i32 = 0;
pub(crate) const O_RDWR: i32 = 2;
pub(crate) const O_CLOEXEC: i32 = 0o2_000_000;
pub(crate) const CLOSE_RANGE_UNSHARE: u32 = 2;
pub(crate) const CLOSE_RANGE_CLOEXEC: u32 = 4;
pub(crate) const CLONE_FILES: i32 = 0x400;
pub(crate) const RLIMIT_NOFILE: u32 = 7;
pub(crate) const FUTEX_WAIT: i32 = 0;
pub(crate) const PRIO_PROCESS: i32 = 0;
pub(crate) const PR_SET_PDEATHSIG: i32 = 1;

pub(crate) const SYS_pidfd_send_signal: i64 = 424;
pub(crate) const SYS_pidfd_open: i64 = 434;
pub(crate) const SYS_close_range: i64 = 436;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(crate) const O_DIRECTORY: i32 = 0o200_000;
    pub(crate) const O_NOFOLLOW: i32 = 0o400_000;
    pub(crate) const SYS_read: i64 = 0;
    pub(crate) const SYS_write: i64 = 1;
    pub(crate) const SYS_close: i64 = 3;
    pub(crate) const SYS_mmap: i64 = 9;
    pub(crate) const SYS_rt_sigaction: i64 = 13;
    pub(crate) const SYS_rt_sigprocmask: i64 = 14;
    pub(crate) const SYS_pread64: i64 = 17;
    pub(crate) const SYS_nanosleep: i64 = 35;
    pub(crate) const SYS_getpid: i64 = 39;
    pub(crate) const SYS_sendmsg: i64 = 46;
    pub(crate) const SYS_recvmsg: i64 = 47;
    pub(crate) const SYS_clone: i64 = 56;
    pub(crate) const SYS_execve: i64 = 59;
    pub(crate) const SYS_kill: i64 = 62;
    pub(crate) const SYS_fcntl: i64 = 72;
    pub(crate) const SYS_chdir: i64 = 80;
    pub(crate) const SYS_fchdir: i64 = 81;
    pub(crate) const SYS_umask: i64 = 95;
    pub(crate) const SYS_setuid: i64 = 105;
    pub(crate) const SYS_setgid: i64 = 106;
    pub(crate) const SYS_geteuid: i64 = 107;
    pub(crate) const SYS_getegid: i64 = 108;
    pub(crate) const SYS_setpgid: i64 = 109;
    pub(crate) const SYS_getppid: i64 = 110;
    pub(crate) const SYS_setsid: i64 = 112;
    pub(crate) const SYS_setgroups: i64 = 116;
    pub(crate) const SYS_getpgid: i64 = 121;
    pub(crate) const SYS_setpriority: i64 = 141;
    pub(crate) const SYS_sched_setscheduler: i64 = 144;
    pub(crate) const SYS_sched_getscheduler: i64 = 145;
    pub(crate) const SYS_prctl: i64 = 157;
    pub(crate) const SYS_mount: i64 = 165;
    pub(crate) const SYS_futex: i64 = 202;
    pub(crate) const SYS_sched_setaffinity: i64 = 203;
    pub(crate) const SYS_getdents64: i64 = 217;
    pub(crate) const SYS_clock_gettime: i64 = 228;
    pub(crate) const SYS_exit_group: i64 = 231;
    pub(crate) const SYS_waitid: i64 = 247;
    pub(crate) const SYS_openat: i64 = 257;
    pub(crate) const SYS_unlinkat: i64 = 263;
    pub(crate) const SYS_ppoll: i64 = 271;
    pub(crate) const SYS_unshare: i64 = 272;
    pub(crate) const SYS_signalfd4: i64 = 289;
    pub(crate) const SYS_dup3: i64 = 292;
    pub(crate) const SYS_prlimit64: i64 = 302;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(crate) const O_DIRECTORY: i32 = 0o40_000;
    pub(crate) const O_NOFOLLOW: i32 = 0o100_000;
    pub(crate) const SYS_dup3: i64 = 24;
    pub(crate) const SYS_fcntl: i64 = 25;
    pub(crate) const SYS_unlinkat: i64 = 35;
    pub(crate) const SYS_mount: i64 = 40;
    pub(crate) const SYS_chdir: i64 = 49;
    pub(crate) const SYS_fchdir: i64 = 50;
    pub(crate) const SYS_openat: i64 = 56;
    pub(crate) const SYS_close: i64 = 57;
    pub(crate) const SYS_getdents64: i64 = 61;
    pub(crate) const SYS_read: i64 = 63;
    pub(crate) const SYS_write: i64 = 64;
    pub(crate) const SYS_pread64: i64 = 67;
    pub(crate) const SYS_ppoll: i64 = 73;
    pub(crate) const SYS_signalfd4: i64 = 74;
    pub(crate) const SYS_exit_group: i64 = 94;
    pub(crate) const SYS_waitid: i64 = 95;
    pub(crate) const SYS_unshare: i64 = 97;
    pub(crate) const SYS_futex: i64 = 98;
    pub(crate) const SYS_nanosleep: i64 = 101;
    pub(crate) const SYS_clock_gettime: i64 = 113;
    pub(crate) const SYS_sched_setscheduler: i64 = 119;
    pub(crate) const SYS_sched_getscheduler: i64 = 120;
    pub(crate) const SYS_sched_setaffinity: i64 = 122;
    pub(crate) const SYS_kill: i64 = 129;
    pub(crate) const SYS_rt_sigaction: i64 = 134;
    pub(crate) const SYS_rt_sigprocmask: i64 = 135;
    pub(crate) const SYS_setpriority: i64 = 140;
    pub(crate) const SYS_setgid: i64 = 144;
    pub(crate) const SYS_setuid: i64 = 146;
    pub(crate) const SYS_setpgid: i64 = 154;
    pub(crate) const SYS_getpgid: i64 = 155;
    pub(crate) const SYS_setsid: i64 = 157;
    pub(crate) const SYS_setgroups: i64 = 159;
    pub(crate) const SYS_umask: i64 = 166;
    pub(crate) const SYS_prctl: i64 = 167;
    pub(crate) const SYS_getpid: i64 = 172;
    pub(crate) const SYS_getppid: i64 = 173;
    pub(crate) const SYS_geteuid: i64 = 175;
    pub(crate) const SYS_getegid: i64 = 177;
    pub(crate) const SYS_sendmsg: i64 = 211;
    pub(crate) const SYS_recvmsg: i64 = 212;
    pub(crate) const SYS_clone: i64 = 220;
    pub(crate) const SYS_execve: i64 = 221;
    pub(crate) const SYS_mmap: i64 = 222;
    pub(crate) const SYS_prlimit64: i64 = 261;
}

pub(crate) use number::*;

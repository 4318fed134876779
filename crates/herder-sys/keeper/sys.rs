//! The system calls.

use core::arch::asm;
use core::ffi::CStr;

use crate::abi;
use crate::lifeline::Header;

/// An error number of the kernel.
pub(crate) type Errno = i32;

pub(crate) const EPERM: Errno = 1;
pub(crate) const ENOENT: Errno = 2;
pub(crate) const ESRCH: Errno = 3;
pub(crate) const EINTR: Errno = 4;
pub(crate) const EAGAIN: Errno = 11;
pub(crate) const EINVAL: Errno = 22;
pub(crate) const ECONNRESET: Errno = 104;
pub(crate) const ENODEV: Errno = 19;

pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGSTOP: i32 = 19;
pub(crate) const SIGCHLD: usize = 17;

/// Linux 6.9.
pub(crate) const PIDFD_SIGNAL_PROCESS_GROUP: usize = 1 << 2;

pub(crate) const O_RDONLY: usize = 0;
pub(crate) const O_WRONLY: usize = 1;
const O_CLOEXEC: usize = 0o2_000_000;

/// Makes system call `number`.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the kernel does with them.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn syscall(number: i64, args: [usize; 6]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel's calling convention (syscall(2)): rcx and r11 are overwritten, the caller vouches for
    // the arguments.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) { Err(-result as Errno) } else { Ok(result as usize) }
}

/// Makes system call `number`.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the kernel does with them.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn syscall(number: i64, args: [usize; 6]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel's calling convention (syscall(2)): the caller vouches for the arguments.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number as isize,
            inlateout("x0") args[0] as isize => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x5") args[5],
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) { Err(-result as Errno) } else { Ok(result as usize) }
}

/// A call whose arguments are numbers, not addresses.
pub(crate) fn numbers(number: i64, args: [usize; 4]) -> Result<usize, Errno> {
    // SAFETY: none of the calls that use this reads or writes memory of ours.
    unsafe { syscall(number, [args[0], args[1], args[2], args[3], 0, 0]) }
}

pub(crate) fn exit(code: usize) -> ! {
    loop {
        let _ = numbers(abi::SYS_exit_group, [code, 0, 0, 0]);
    }
}

pub(crate) fn getpid() -> i32 {
    numbers(abi::SYS_getpid, [0; 4]).unwrap_or(0) as i32
}

pub(crate) fn getpgid(pid: i32) -> Result<i32, Errno> {
    numbers(abi::SYS_getpgid, [pid as usize, 0, 0, 0]).map(|pid| pid as i32)
}

/// Our effective user and group.
pub(crate) fn ids() -> [u32; 2] {
    [abi::SYS_geteuid, abi::SYS_getegid].map(|call| numbers(call, [0; 4]).unwrap_or(0) as u32)
}

/// mount(2), with nothing but flags to be said of the file system.
pub(crate) fn mount(kind: &CStr, target: &CStr, flags: usize) -> Result<(), Errno> {
    let kind = kind.as_ptr().addr();
    // SAFETY: NUL-terminated strings are read.
    unsafe { syscall(abi::SYS_mount, [kind, target.as_ptr().addr(), kind, flags, 0, 0]) }.map(drop)
}

/// The copy returns 0.
pub(crate) fn fork() -> Result<usize, Errno> {
    // SAFETY: memory is copied, the stack too: the copy goes on as if alone. No address is given.
    unsafe { syscall(abi::SYS_clone, [SIGCHLD, 0, 0, 0, 0, 0]) }
}

/// All signals but the two that can't be.
pub(crate) fn block_signals() {
    const SIG_SETMASK: usize = 2;
    let all = u64::MAX;
    // SAFETY: eight bytes are read.
    let _ = unsafe { syscall(abi::SYS_rt_sigprocmask, [SIG_SETMASK, (&raw const all).addr(), 0, 8, 0, 0]) };
}

/// Leaves what ties the keeper to its owner. Each step may fail, and is worth nothing then but the step itself.
pub(crate) fn set_up() {
    const PR_SET_PDEATHSIG: usize = 1;
    const PR_SET_NAME: usize = 15;
    let _ = numbers(abi::SYS_setsid, [0; 4]);
    let _ = numbers(abi::SYS_prctl, [PR_SET_PDEATHSIG, 0, 0, 0]);
    // SAFETY: a NUL-terminated string is read.
    let _ = unsafe { syscall(abi::SYS_prctl, [PR_SET_NAME, c"herder-keeper".as_ptr().addr(), 0, 0, 0, 0]) };
    // SAFETY: a NUL-terminated string is read.
    let _ = unsafe { syscall(abi::SYS_chdir, [c"/".as_ptr().addr(), 0, 0, 0, 0, 0]) };
    // The thread that started us may be bound to one processor, and a busy one.
    let all = [u64::MAX; 128];
    // SAFETY: as many bytes as there are are read.
    let _ =
        unsafe { syscall(abi::SYS_sched_setaffinity, [0, size_of_val(&all), all.as_ptr().addr(), 0, 0, 0]) };
    // The first needs a right that few have; the second undoes what the owner chose for itself.
    for score in [b"-1000".as_slice(), b"0"] {
        if set_oom_score(score).is_ok() {
            break;
        }
    }
}

pub(crate) fn set_oom_score(score: &[u8]) -> Result<(), Errno> {
    write_file(abi::AT_FDCWD, OOM_SCORE, score)
}

/// How likely the OOM killer takes us: as our children should have it.
pub(crate) fn oom_score(buffer: &mut [u8]) -> &[u8] {
    read_file(abi::AT_FDCWD, OOM_SCORE, buffer).unwrap_or_default()
}

const OOM_SCORE: &CStr = c"/proc/self/oom_score_adj";

/// Lets us have as many descriptors as we may, and tells how many that is.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let mut limit = [0u64; 2];
    let number = abi::RLIMIT_NOFILE as usize;
    // SAFETY: one structure of two numbers is written.
    let _ = unsafe { syscall(abi::SYS_prlimit64, [0, number, 0, (&raw mut limit).addr(), 0, 0]) };
    match set_descriptor_limit([limit[1]; 2]) {
        Ok(()) => limit[1],
        Err(_) => limit[0],
    }
}

pub(crate) fn set_descriptor_limit(limit: [u64; 2]) -> Result<(), Errno> {
    let args = [0, abi::RLIMIT_NOFILE as usize, (&raw const limit).addr(), 0, 0, 0];
    // SAFETY: one structure of two numbers is read.
    unsafe { syscall(abi::SYS_prlimit64, args) }.map(drop)
}

/// Zeroed memory, ours for good, taken from the system page by page as it is used.
pub(crate) fn map(bytes: usize) -> Option<*mut u8> {
    const PROT_READ_WRITE: usize = 1 | 2;
    const MAP_PRIVATE_ANONYMOUS_NORESERVE: usize = 0x2 | 0x20 | 0x4000;
    let args = [0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, usize::MAX, 0];
    // SAFETY: a new mapping, nothing of ours is replaced.
    let address = unsafe { syscall(abi::SYS_mmap, args) }.ok()?;
    Some(core::ptr::with_exposed_provenance_mut(address))
}

/// The first bytes of a file, to be read.
pub(crate) fn map_file(fd: i32, bytes: usize) -> Option<*mut u8> {
    const PROT_READ: usize = 1;
    const MAP_PRIVATE: usize = 2;
    // SAFETY: a new mapping, nothing of ours is replaced.
    let address =
        unsafe { syscall(abi::SYS_mmap, [0, bytes, PROT_READ, MAP_PRIVATE, fd as usize, 0]) }.ok()?;
    Some(core::ptr::with_exposed_provenance_mut(address))
}

pub(crate) fn close(fd: i32) {
    if fd >= 0 {
        let _ = numbers(abi::SYS_close, [fd as usize, 0, 0, 0]);
    }
}

pub(crate) fn pidfd_open(pid: i32) -> Result<i32, Errno> {
    numbers(abi::SYS_pidfd_open, [pid as usize, 0, 0, 0]).map(|fd| fd as i32)
}

pub(crate) fn pidfd_signal(pidfd: i32, signal: i32, flags: usize) -> Result<(), Errno> {
    numbers(abi::SYS_pidfd_send_signal, [pidfd as usize, signal as usize, 0, flags]).map(drop)
}

pub(crate) fn kill(whom: i32, signal: i32) {
    let _ = numbers(abi::SYS_kill, [whom as usize, signal as usize, 0, 0]);
}

/// `struct pollfd`
#[repr(C)]
struct Poll {
    fd: i32,
    events: i16,
    happened: i16,
}

const POLLIN: i16 = 1;

fn poll(polls: &mut [Poll], nanoseconds: Option<u64>) {
    let time = [0, nanoseconds.unwrap_or(0)];
    let time = if nanoseconds.is_some() { (&raw const time).addr() } else { 0 };
    // SAFETY: as many structures as there are are read and written, and one time is read.
    let _ = unsafe { syscall(abi::SYS_ppoll, [polls.as_mut_ptr().addr(), polls.len(), time, 0, 8, 0]) };
}

/// Waits until something can be read from one of `fds`, which may be -1, or has ended there. Whether it was the last.
pub(crate) fn wait_readable<const COUNT: usize>(fds: [i32; COUNT], nanoseconds: Option<u64>) -> bool {
    let mut polls = fds.map(|fd| Poll { fd, events: POLLIN, happened: 0 });
    poll(&mut polls, nanoseconds);
    polls.last().is_some_and(|poll| poll.happened != 0)
}

/// Whether something can be read now: of a pidfd, that the process has ended.
pub(crate) fn is_readable(fd: i32) -> bool {
    wait_readable([fd], Some(0))
}

pub(crate) fn pause_us(microseconds: u64) {
    let time = [0, microseconds * 1000];
    // SAFETY: one structure of two numbers is read.
    let _ = unsafe { syscall(abi::SYS_nanosleep, [(&raw const time).addr(), 0, 0, 0, 0, 0]) };
}

pub(crate) fn now_ms() -> u64 {
    now_us() / 1000
}

pub(crate) fn now_us() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0u64; 2];
    // SAFETY: one structure of two numbers is written.
    let _ = unsafe { syscall(abi::SYS_clock_gettime, [CLOCK_MONOTONIC, (&raw mut time).addr(), 0, 0, 0, 0]) };
    time[0] * 1_000_000 + time[1] / 1000
}

pub(crate) fn recvmsg(socket: i32, header: &mut Header, flags: usize) -> Result<usize, Errno> {
    let header = core::ptr::from_mut(header).addr();
    // SAFETY: the header and what it points at live through the call and have the sizes that it tells.
    unsafe { syscall(abi::SYS_recvmsg, [socket as usize, header, flags, 0, 0, 0]) }
}

pub(crate) fn sendmsg(socket: i32, header: &Header, flags: usize) -> Result<(), Errno> {
    let header = core::ptr::from_ref(header).addr();
    // SAFETY: the header and what it points at live through the call and have the sizes that it tells.
    unsafe { syscall(abi::SYS_sendmsg, [socket as usize, header, flags, 0, 0, 0]) }.map(drop)
}

fn openat(dir: i32, name: &CStr, flags: usize) -> Result<i32, Errno> {
    let args = [dir as usize, name.as_ptr().addr(), flags | O_CLOEXEC, 0, 0, 0];
    // SAFETY: a NUL-terminated string is read.
    unsafe { syscall(abi::SYS_openat, args) }.map(|fd| fd as i32)
}

pub(crate) fn open_dir(dir: i32, name: &CStr) -> Result<i32, Errno> {
    openat(dir, name, O_RDONLY | (abi::O_DIRECTORY | abi::O_NOFOLLOW) as usize)
}

pub(crate) fn remove_dir(dir: i32, name: &CStr) -> Result<(), Errno> {
    const AT_REMOVEDIR: usize = 0x200;
    let args = [dir as usize, name.as_ptr().addr(), AT_REMOVEDIR, 0, 0, 0];
    // SAFETY: a NUL-terminated string is read.
    unsafe { syscall(abi::SYS_unlinkat, args) }.map(drop)
}

/// Fills the buffer with entries of a directory. 0 bytes: there are no more.
pub(crate) fn entries(dir: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
    let args = [dir as usize, buffer.as_mut_ptr().addr(), buffer.len(), 0, 0, 0];
    // SAFETY: at most as many bytes are written as there are.
    unsafe { syscall(abi::SYS_getdents64, args) }
}

pub(crate) fn write_file(dir: i32, name: &CStr, text: &[u8]) -> Result<(), Errno> {
    let fd = openat(dir, name, O_WRONLY)?;
    // SAFETY: as many bytes as there are are read.
    let result = unsafe { syscall(abi::SYS_write, [fd as usize, text.as_ptr().addr(), text.len(), 0, 0, 0]) };
    close(fd);
    result.map(drop)
}

pub(crate) fn open_file(dir: i32, name: &CStr) -> Result<i32, Errno> {
    openat(dir, name, O_RDONLY)
}

pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> Result<&[u8], Errno> {
    // SAFETY: at most as many bytes are written as there are.
    let result =
        unsafe { syscall(abi::SYS_read, [fd as usize, buffer.as_mut_ptr().addr(), buffer.len(), 0, 0, 0]) };
    result.map(|bytes| buffer.get(..bytes).unwrap_or_default())
}

pub(crate) fn read_file<'a>(dir: i32, name: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let fd = open_file(dir, name)?;
    let result = read(fd, buffer);
    close(fd);
    result
}

/// Puts a number in place of the ten zeroes at `at`, without leading ones: so /proc has them.
pub(crate) fn put_pid(path: &mut [u8], at: usize, pid: i32) -> &CStr {
    let mut rest = pid;
    let mut zeroes = 0;
    if let Some(digits) = path.get_mut(at..at + 10) {
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        zeroes = digits.iter().take_while(|digit| **digit == b'0').count();
    }
    path.copy_within(at + zeroes.., at);
    CStr::from_bytes_until_nul(path).unwrap_or(c"")
}

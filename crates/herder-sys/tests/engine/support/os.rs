//! Small questions and requests to the kernel.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

fn check(result: i64) -> i64 {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}

/// In the type that this C library wants it in.
fn number<B: TryFrom<u32> + Default>(number: u32) -> B {
    B::try_from(number).unwrap_or_default()
}

pub(crate) fn is_root() -> bool {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() == 0 }
}

/// Becomes an ordinary user, for good. For a process of its own only.
pub(crate) fn drop_root() {
    if !is_root() {
        return;
    }
    // SAFETY: an empty list.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }.into());
    // SAFETY: numbers only.
    check(unsafe { libc::setgid(65534) }.into());
    // SAFETY: numbers only.
    check(unsafe { libc::setuid(65534) }.into());
    // SAFETY: numbers only. As after an execve.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) }.into());
}

pub(crate) fn alarm(seconds: u32) {
    // SAFETY: numbers only.
    unsafe { libc::alarm(seconds) };
}

pub(crate) fn memory_file() -> File {
    // SAFETY: a NUL-terminated name.
    let fd = check(unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC) }.into());
    // SAFETY: fresh from the kernel.
    unsafe { File::from_raw_fd(fd as RawFd) }
}

/// The signal mask of the calling thread, all 64 bits.
pub(crate) fn mask() -> u64 {
    let mut mask = 0u64;
    let nothing = std::ptr::null::<u64>();
    // SAFETY: eight bytes are written to a live local.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, 0, nothing, &raw mut mask, 8) });
    mask
}

pub(crate) fn set_mask(mask: u64) {
    let nothing = std::ptr::null_mut::<u64>();
    // SAFETY: eight bytes are read.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, nothing, 8) });
}

/// The two signals that the C library keeps for itself (32 and 33): what goes through its functions can't change them,
/// and its posix_spawn(3) leaves the second ignored.
pub(crate) const OUT_OF_REACH: u64 = if cfg!(herder_portable) { 3 << 31 } else { 0 };

/// Handlers, flags and masks of all signals.
pub(crate) fn actions() -> Vec<[usize; 4]> {
    let action = |signal: i32| {
        let mut action = [0usize; 4];
        let nothing = std::ptr::null::<usize>();
        // SAFETY: the kernel's structure is as large.
        check(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, nothing, &raw mut action, 8) });
        action
    };
    (1..=64).map(action).collect()
}

/// `SIG_DFL`, `SIG_IGN` or a handler.
pub(crate) fn set_action(signal: i32, action: libc::sighandler_t, flags: i32) {
    // SAFETY: all zeroes is a valid sigaction.
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = action;
    new.sa_flags = flags;
    // SAFETY: one structure is read.
    check(unsafe { libc::sigaction(signal, &raw const new, std::ptr::null_mut()) }.into());
}

pub(crate) fn dumpable() -> i32 {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }
}

/// What is open, but for what this question needs.
pub(crate) fn open_fds() -> BTreeMap<RawFd, String> {
    let numbers: Vec<RawFd> = fs::read_dir("/proc/self/fd")
        .expect("procfs")
        .map(|entry| {
            entry.expect("an entry").file_name().to_str().expect("a number").parse().expect("a number")
        })
        .collect();
    // The folder's own is closed by now.
    let link =
        |fd: RawFd| Some((fd, fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.display().to_string()));
    numbers.into_iter().filter_map(link).collect()
}

/// The state letter of a process, `None` if it is gone.
pub(crate) fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process runs, sleeps or is stopped: not a zombie, not gone.
pub(crate) fn lives(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// When a process was started, in ticks: with its number it is this process, and no other that has the number later.
/// Chains that fork as fast as they can use up all numbers in seconds.
pub(crate) fn start_of(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// All children that this process has, zombies too.
pub(crate) fn children() -> Vec<i32> {
    let me = std::process::id().to_string();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc").expect("procfs") {
        let Ok(name) = entry.expect("an entry").file_name().into_string() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{name}/stat")) else { continue };
        let parent = stat.rsplit_once(") ").and_then(|(_, behind)| behind.split(' ').nth(1));
        if parent == Some(&*me) {
            children.extend(name.parse::<i32>());
        }
    }
    children
}

pub(crate) fn kill(pid: i32, signal: i32) {
    // SAFETY: numbers only.
    check(unsafe { libc::kill(pid, signal) }.into());
}

/// Whether the kernel signals the group of a process by its pidfd (Linux 6.9).
pub(crate) fn can_signal_groups() -> bool {
    // SAFETY: numbers only.
    let own = check(unsafe { libc::syscall(libc::SYS_pidfd_open, std::process::id(), 0) });
    // SAFETY: fresh from the kernel.
    let own = unsafe { OwnedFd::from_raw_fd(own as RawFd) };
    const PROCESS_GROUP: u32 = 1 << 2;
    let nothing = std::ptr::null::<u8>();
    // SAFETY: signal 0 is a question, without a structure.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, own.as_raw_fd(), 0, nothing, PROCESS_GROUP) == 0 }
}

/// fork(2), for copies that call only what is fit for them.
pub(crate) fn fork() -> i32 {
    // SAFETY: the callers vouch for what the copy does; it ends by `exit_now`.
    check(unsafe { libc::fork() }.into()) as i32
}

pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process without running anything of ours.
    unsafe { libc::_exit(code) }
}

/// Orphans below us come to us from now on.
pub(crate) fn adopt_orphans() {
    // SAFETY: numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }.into());
}

/// The wait status of a child of the tests' own.
pub(crate) fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: one number is written to a live local.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) }.into());
    status
}

/// Waits for anybody, as careless programs do. `None`: there are no children.
pub(crate) fn wait_for_anybody(options: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: one number is written to a live local.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, options) };
    (pid > 0).then_some(pid)
}

pub(crate) fn limit_fds(soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one structure is written.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }.into());
    limit.rlim_cur = soft.min(limit.rlim_max);
    // SAFETY: one structure is read.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into());
}

/// Puts `fd` at exactly this number, without close-on-exec.
pub(crate) fn duplicate_to(fd: &impl AsRawFd, target: RawFd) {
    // SAFETY: numbers only; the callers own the target.
    check(unsafe { libc::dup2(fd.as_raw_fd(), target) }.into());
}

pub(crate) fn close(fd: RawFd) {
    // SAFETY: numbers only; the callers own it.
    unsafe { libc::close(fd) };
}

/// Takes a number that the caller has put a descriptor at.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: as the caller says.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

pub(crate) fn exists(pid: i32) -> bool {
    // SAFETY: a question.
    unsafe { libc::kill(pid, 0) == 0 }
}

/// Processor time that this process has used.
pub(crate) fn processor_time() -> std::time::Duration {
    // SAFETY: all zeroes is valid.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: one structure is written.
    check(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) }.into());
    std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A memory file that shows its name in /proc.
pub(crate) fn named_file(name: &str) -> File {
    let name = std::ffi::CString::new(name).expect("no NUL");
    // SAFETY: a NUL-terminated name.
    let fd = check(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) }.into());
    // SAFETY: fresh from the kernel.
    unsafe { File::from_raw_fd(fd as RawFd) }
}

/// The same file under a number that is not below `floor`.
pub(crate) fn above(file: File, floor: RawFd) -> File {
    // SAFETY: numbers only.
    let fd = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, floor) }.into());
    // SAFETY: fresh from the kernel.
    unsafe { File::from_raw_fd(fd as RawFd) }
}

pub(crate) fn duplicate(file: &impl AsRawFd) -> RawFd {
    // SAFETY: numbers only.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 3) }.into()) as RawFd
}

pub(crate) fn keep_on_exec(file: &impl AsRawFd) {
    // SAFETY: numbers only.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) }.into());
}

/// Whether an event of that kind comes in time.
pub(crate) fn wait_news(fd: &impl AsRawFd, events: i16, milliseconds: i32) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    // SAFETY: one structure.
    check(unsafe { libc::poll(&raw mut poll, 1, milliseconds) }.into()) == 1
}

/// A pseudo-terminal: our end and the other.
pub(crate) fn terminal() -> (File, File) {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: numbers only.
    let ours = own(check(unsafe { libc::posix_openpt(flags) }.into()) as RawFd);
    // SAFETY: numbers only.
    check(unsafe { libc::grantpt(ours.as_raw_fd()) }.into());
    // SAFETY: numbers only.
    check(unsafe { libc::unlockpt(ours.as_raw_fd()) }.into());
    // SAFETY: numbers only; opens the other end, by no name.
    let theirs =
        own(check(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags) }.into()) as RawFd);
    (File::from(ours), File::from(theirs))
}

/// Makes the terminal on descriptor 0 the controlling terminal of a child that leads a session.
pub(crate) fn take_terminal() -> herder_sys::PreExec {
    let hook = || {
        // SAFETY: numbers only.
        let result = unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: one system call.
    unsafe { herder_sys::PreExec::new(hook) }
}

pub(crate) fn set_attribute(path: &std::path::Path, name: &std::ffi::CStr, value: &[u8]) {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL");
    // SAFETY: NUL-terminated names, and as many bytes are read as there are.
    let result =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    check(result.into());
}

/// One write of `bytes` on a local socket, with a descriptor as a present.
pub(crate) fn send_with(socket: &OwnedFd, bytes: &[u8], present: &File) {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0u64; 8];
    // SAFETY: zero is a value of every field.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: arithmetic only.
    message.msg_controllen = number(unsafe { libc::CMSG_SPACE(4) });
    // SAFETY: the control buffer has room for a header.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    // SAFETY: as above; nobody else looks at it.
    let head = unsafe { header.as_mut() }.expect("a header");
    head.cmsg_level = libc::SOL_SOCKET;
    head.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: arithmetic only.
    head.cmsg_len = number(unsafe { libc::CMSG_LEN(4) });
    // SAFETY: the data stand behind the header.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: there is room for one number.
    unsafe { data.cast::<RawFd>().write_unaligned(present.as_raw_fd()) };
    // SAFETY: both buffers are as long as the header says.
    check(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) } as i64);
}

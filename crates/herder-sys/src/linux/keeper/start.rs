//! Starting a keeper: its program in a file of memory, one end of the lifeline, and its word that it is ready.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::spawn::spawn;
use super::super::{cvt, facts, fd, pidfd};
use super::protocol::{HELLO, LIFELINE, Message, NO_CGROUP_KILL, NO_PIDFD_GROUP, NURSERY, OWNER};
use super::{Refused, lifeline};
use crate::{FdSource, Group, SpawnRequest, Strings};

/// The program, built by `build.rs`. Empty where it can't be built.
static PROGRAM: &[u8] = include_bytes!(env!("HERDER_KEEPER"));

/// For what takes a millisecond on a machine that has nothing else to do.
pub(in super::super) const LIMIT: Duration = Duration::from_secs(10);

/// A keeper that has said that it is ready.
#[derive(Debug)]
pub(in super::super) struct Running {
    pub(in super::super) lifeline: OwnedFd,
    pub(in super::super) pid: i32,
    /// Where there are pidfds.
    pidfd: Option<OwnedFd>,
    /// How many children it can hold.
    pub(in super::super) room: u32,
    pub(in super::super) since: Instant,
}

impl Running {
    /// Whether its end of the lifeline is open.
    pub(in super::super) fn is_alive(&self) -> bool {
        let received = lifeline::receive(&self.lifeline, Duration::ZERO);
        received.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Lets go of one that is gone.
    ///
    /// It is nobody's child, so whoever takes in orphans reaps it. That may be us, as the first process of a
    /// container or a subreaper: then we must, and by pidfd only, as its number may be another's by now.
    pub(in super::super) fn reap(&self) {
        let Some(pidfd) = &self.pidfd else { return };
        // SAFETY: all zeroes is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let (kind, options) = (libc::P_PIDFD, libc::WEXITED | libc::WNOHANG | libc::__WALL);
        // SAFETY: one structure is written.
        unsafe { libc::waitid(kind, pidfd.as_raw_fd() as libc::id_t, &raw mut info, options) };
    }
}

/// What the program is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Role {
    /// It ends what it is told of.
    Keeper,
    /// It bears the keepers of scopes.
    Nursery,
}

/// Starts one and waits for its word.
pub(in super::super) fn start(role: Role) -> Result<Running, Refused> {
    if PROGRAM.is_empty() {
        return Err(Refused { what: "this build has none for this processor", errno: libc::ENOSYS });
    }
    let [ours, theirs] = lifeline::pair().map_err(Refused::because("no socket is to be had"))?;
    let program = program()?;
    let spawned = spawn(request(&program, theirs)?)
        .map_err(|error| Refused { what: "no process is to be had", errno: error.errno })?;
    let mut process = spawned.process;
    // The process that we make only makes the keeper, and ends: what it leaves behind is meant to stay.
    process.set_release(true);
    match spawned.launch.wait(LIMIT) {
        Some(Ok(())) => {}
        Some(Err(error)) => return Err(Refused { what: why_not_executed(error.errno), errno: error.errno }),
        None => {
            process.set_release(false);
            return Err(Refused { what: "its program does not start in time", errno: libc::ETIMEDOUT });
        }
    }
    greet(ours, role)
}

/// A sealed file in memory that holds the program.
fn program() -> Result<OwnedFd, Refused> {
    // Linux 6.3, which may refuse files that don't ask for it.
    const MFD_EXEC: u32 = 0x10;
    let create = |flags: u32| {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING | flags;
        // SAFETY: a NUL-terminated string is read.
        cvt(unsafe { libc::memfd_create(c"herder-keeper".as_ptr(), flags) }).map(fd::own)
    };
    let file = match create(MFD_EXEC) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create(0),
        file => file,
    };
    let file = file.map_err(|error| match error.raw_os_error() {
        Some(errno @ (libc::EACCES | libc::EPERM)) => {
            Refused { what: "the host forbids programs in memory (sysctl vm.memfd_noexec)", errno }
        }
        _ => Refused::because("no file in memory is to be had")(error),
    })?;
    write(&file).map_err(Refused::because("its program can't be written to memory"))?;
    Ok(file)
}

fn write(file: &OwnedFd) -> io::Result<()> {
    fd::write_all(file, PROGRAM)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: numbers only.
    cvt(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }).map(drop)
}

fn why_not_executed(errno: i32) -> &'static str {
    match errno {
        libc::EACCES | libc::EPERM => {
            "the host forbids programs in memory (sysctl vm.memfd_noexec, or a security module)"
        }
        libc::ENOENT | libc::ENOTDIR => "its program can't be reached, as /proc is not there",
        _ => "its program can't be executed",
    }
}

fn request(program: &OwnedFd, lifeline: OwnedFd) -> Result<SpawnRequest, Refused> {
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let list = |text: &str| {
        let mut list = Strings::new();
        list.push(&[OsStr::new(text)]).map(|()| list).map_err(Refused::because("its path is wrong"))
    };
    let mut request = SpawnRequest::new(list(&path)?, list("herder-keeper")?);
    request.env = Some(Arc::default());
    request.cwd = Some("/".into());
    // Not in our session from the start: a terminal that closes, or a Ctrl-C, is not meant for it.
    request.group = Group::NewSession;
    request.fds = (0..=2).map(|number: RawFd| (number, FdSource::Null)).collect();
    request.fds.push((LIFELINE, FdSource::Fd(Arc::new(lifeline))));
    Ok(request)
}

/// Tells it who we are, and waits for its word.
fn greet(lifeline: OwnedFd, role: Role) -> Result<Running, Refused> {
    let what = "it ended before it was ready, or was not ready in time";
    let mut message = Message::new(OWNER);
    message.pid = std::process::id() as i32;
    if facts::is_disabled("cgroup_kill") {
        message.flags |= NO_CGROUP_KILL;
    }
    if facts::is_disabled("pidfd_group") {
        message.flags |= NO_PIDFD_GROUP;
    }
    if role == Role::Nursery {
        message.flags |= NURSERY;
    }
    let own = if facts().pidfd { pidfd::open(message.pid).ok() } else { None };
    lifeline::send(&lifeline, &message, own.as_ref().map(AsFd::as_fd), LIMIT)
        .map_err(Refused::because(what))?;
    let (hello, pidfd) = lifeline::receive(&lifeline, LIMIT).map_err(Refused::because(what))?;
    if hello.kind != HELLO {
        return Err(Refused { what, errno: libc::EPROTO });
    }
    Ok(Running { lifeline, pid: hello.pid, pidfd, room: hello.slot, since: Instant::now() })
}

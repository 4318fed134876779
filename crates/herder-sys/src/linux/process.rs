//! One child process: observe its exit, reap it once, signal it while it is ours.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::waitid::{convert, waitid};
use super::{Scope, cvt, doomed, launch, pidfd, reaper};
use crate::{Exit, Signal};

/// The owner of a child. Dropped before the child was reaped, it ends the child (and the group that the child
/// leads) and leaves the rest to the reaper thread: two or three system calls, no waiting. In a forked copy of the
/// program a drop does nothing.
#[derive(Debug)]
pub struct Process {
    handle: ProcessHandle,
    owner: u32,
    end: End,
}

/// What a drop does.
#[derive(Debug)]
enum End {
    Kill,
    /// The reaper thread kills it, and then everything in the scope.
    With(Scope),
    Release,
    /// Another value owns the child.
    Moved,
}

/// What may be done to a child by anyone, while someone owns it.
#[derive(Clone, Debug)]
pub struct ProcessHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: i32,
    pidfd: Option<OwnedFd>,
    leads_group: bool,
    keep_survivors: AtomicBool,
    life: Mutex<Life>,
}

#[derive(Clone, Copy, Debug)]
enum Life {
    /// Running, or a zombie: its pid, and the id of the group it leads, are its own until it is reaped.
    Held,
    Reaped(Exit),
    /// Somebody else reaped it, and the kernel could not tell the status any more.
    Lost,
}

impl Exit {
    /// Whether SIGKILL ended it, whoever sent that.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        std::os::unix::process::ExitStatusExt::signal(&self.status) == Some(libc::SIGKILL)
    }
}

impl Process {
    pub(super) fn new(pid: i32, pidfd: Option<OwnedFd>, leads_group: bool) -> Self {
        let inner = Inner {
            pid,
            pidfd,
            leads_group,
            keep_survivors: AtomicBool::new(false),
            life: Mutex::new(Life::Held),
        };
        Self { handle: ProcessHandle(Arc::new(inner)), owner: std::process::id(), end: End::Kill }
    }

    /// A handle that others may keep.
    #[must_use]
    pub fn handle(&self) -> ProcessHandle {
        self.handle.clone()
    }

    /// Chooses what a drop does: end the child (`false`, as born) or let it go on (`true`). Either way it is
    /// reaped when it ends.
    pub fn set_release(&mut self, release: bool) {
        self.end = if release { End::Release } else { End::Kill };
        self.handle.0.keep_survivors.fetch_or(release, Ordering::Relaxed);
    }

    /// Has a drop leave the kill of the child, and of all that is in `scope`, to the reaper thread: hundreds of drops
    /// don't wait for each other's end in the kernel then. The keeper does it if our program ends before.
    ///
    /// Without a scope a drop does not do that: if the program ended at once, the others in the child's group would
    /// live on.
    pub fn end_with(&mut self, scope: Scope) {
        self.end = End::With(scope);
    }

    /// Moves the ownership out; the drop of what stays here does nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let end = std::mem::replace(&mut self.end, End::Moved);
        Self { handle: self.handle.clone(), owner: self.owner, end }
    }
}

impl std::ops::Deref for Process {
    type Target = ProcessHandle;

    fn deref(&self) -> &ProcessHandle {
        &self.handle
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::Moved);
        if matches!(end, End::Moved) || self.owner != std::process::id() || !self.is_held() {
            return;
        }
        if matches!(end, End::Kill) {
            // Nobody is left to tell; the reaper sees to it that the process goes.
            drop(self.kill_all());
        }
        if !matches!(self.reap(), Ok(None)) {
            return;
        }
        match end {
            End::With(scope) => doomed::leave(self.handle.clone(), scope),
            _ => reaper::adopt(self.handle.clone()),
        }
    }
}

impl ProcessHandle {
    /// The process id. It stays this child's until it has been reaped.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// The descriptor that becomes readable when the child has exited (pidfd_open(2)), where the host has it.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.0.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Whether the child was born as the leader of a process group of its own.
    #[must_use]
    pub fn leads_group(&self) -> bool {
        self.0.leads_group
    }

    /// Lets what is left of the child's group live on when the child is reaped; otherwise it is killed then, in the
    /// last moment at which the id of the group is known to be the child's.
    pub fn set_keep_survivors(&self, keep: bool) {
        self.0.keep_survivors.store(keep, Ordering::Relaxed);
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the child has not been reaped yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(*self.life(), Life::Held)
    }

    /// Whether the child has exited. It is not reaped.
    ///
    /// `false` although the pidfd is readable: another process traces the dead child and has not let go of it.
    ///
    /// # Errors
    ///
    /// As waitid(2), none of which is to be expected.
    pub fn has_exited(&self) -> io::Result<bool> {
        let life = self.life();
        if !matches!(*life, Life::Held) {
            return Ok(true);
        }
        self.look(libc::WNOHANG)
    }

    /// Blocks the calling thread until the child has exited. It is not reaped.
    ///
    /// # Errors
    ///
    /// As waitid(2), none of which is to be expected.
    pub fn wait_exited(&self) -> io::Result<()> {
        while self.is_held() {
            match self.look(0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// waitid(2) without reaping. A child that is no more (reaped by somebody) has exited.
    fn look(&self, options: i32) -> io::Result<bool> {
        match self.waitid(options | libc::WEXITED | libc::WNOWAIT, None) {
            Ok(status) => Ok(status.is_some()),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Reaps the child if it has exited, once; later calls give the same answer. `None`: it has not exited.
    ///
    /// What is left of the group that it leads is killed first, unless it shall be kept.
    ///
    /// # Errors
    ///
    /// `ECHILD`: somebody else reaped it (a `waitpid(-1)`, or SIGCHLD is ignored) and this kernel does not tell its
    /// status (Linux before 6.15).
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        self.reap_seen(false)
    }

    /// As [`reap`](Self::reap), for a caller that has seen the pidfd readable: that was the look, and none is needed.
    ///
    /// # Errors
    ///
    /// As [`reap`](Self::reap).
    pub fn reap_exited(&self) -> io::Result<Option<Exit>> {
        self.reap_seen(true)
    }

    fn reap_seen(&self, seen: bool) -> io::Result<Option<Exit>> {
        let exit = self.reap_held(seen);
        if matches!(exit, Ok(Some(_))) {
            // A child that is gone has let go of our memory, however it went.
            launch::sweep();
        }
        exit
    }

    fn reap_held(&self, seen: bool) -> io::Result<Option<Exit>> {
        let mut life = self.life();
        match *life {
            Life::Reaped(exit) => return Ok(Some(exit)),
            Life::Lost => return Err(io::Error::from_raw_os_error(libc::ECHILD)),
            Life::Held => {}
        }
        if self.0.leads_group && !self.0.keep_survivors.load(Ordering::Relaxed) {
            if !seen && !self.look(libc::WNOHANG)? {
                return Ok(None);
            }
            // ESRCH: nothing is left, or the child never came to lead a group.
            drop(self.kill_group(libc::SIGKILL));
        }
        // SAFETY: all zeroes is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let exit = match self.waitid(libc::WEXITED | libc::WNOHANG, Some(&mut usage)) {
            Ok(Some(status)) => Exit { status, usage: Some(convert(&usage)) },
            Ok(None) => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                match self.0.pidfd.as_ref().and_then(pidfd::recover) {
                    Some(status) => Exit { status, usage: None },
                    None => {
                        *life = Life::Lost;
                        return Err(error);
                    }
                }
            }
            Err(error) => return Err(error),
        };
        *life = Life::Reaped(exit);
        Ok(Some(exit))
    }

    /// waitid(2) by pidfd, or by pid where that is refused: as long as the child is ours, the two mean the same.
    fn waitid(&self, options: i32, mut usage: Option<&mut libc::rusage>) -> io::Result<Option<ExitStatus>> {
        if let Some(fd) = &self.0.pidfd {
            match waitid(libc::P_PIDFD, fd.as_raw_fd(), options, usage.as_deref_mut()) {
                Err(error) if pidfd::is_refused(&error) => {}
                result => return result,
            }
        }
        waitid(libc::P_PID, self.0.pid, options, usage)
    }

    /// Whether the child is ours still, dead or alive, so that its pid can't mean anybody else.
    fn is_pinned(&self) -> bool {
        let looked = self.waitid(libc::WNOHANG | libc::WEXITED | libc::WNOWAIT, None);
        !looked.is_err_and(|error| error.raw_os_error() == Some(libc::ECHILD))
    }

    /// Does something with the pid of a child that has not exited, while it can't mean anybody else.
    pub(super) fn while_held(&self, act: impl FnOnce(i32) -> io::Result<()>) -> io::Result<()> {
        let life = self.life();
        if !matches!(*life, Life::Held) || self.look(libc::WNOHANG)? {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        act(self.0.pid)
    }

    /// Sends `signal` to the child. One that has exited gets none, and that is no error.
    ///
    /// # Errors
    ///
    /// As kill(2): no permission, for a child that changed its user.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let life = self.life();
        match *life {
            Life::Held => forgive_gone(self.send(signal.as_raw())),
            _ => Ok(()),
        }
    }

    /// Sends `signal` to the group that the child leads, or to the child alone if it leads none.
    ///
    /// # Errors
    ///
    /// As kill(2): no permission for any of its members.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        let life = self.life();
        match *life {
            Life::Held => forgive_gone(self.send_all(signal.as_raw())),
            _ => Ok(()),
        }
    }

    /// Kills the child and the group that it leads.
    ///
    /// # Errors
    ///
    /// As kill(2): no permission.
    pub fn kill_all(&self) -> io::Result<()> {
        let life = self.life();
        if !matches!(*life, Life::Held) {
            return Ok(());
        }
        // The group first: one atomic step against forks of its members. Then the child itself, which may not have
        // come to lead its group yet, or may have left it.
        let group = if self.0.leads_group { self.kill_group(libc::SIGKILL) } else { Ok(()) };
        let own = self.send(libc::SIGKILL);
        forgive_gone(own).and_then(|()| forgive_gone(group))
    }

    fn send_all(&self, signal: i32) -> io::Result<()> {
        if self.0.leads_group {
            match self.kill_group(signal) {
                // Not there yet: the child is on its way to setpgid(2).
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                // SAFETY: a question about a number that is ours while the child is held.
                Ok(()) if unsafe { libc::getpgid(self.0.pid) } == self.0.pid => return Ok(()),
                // The others of its group have theirs; the child has left it.
                Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        self.send(signal)
    }

    fn send(&self, signal: i32) -> io::Result<()> {
        if let Some(fd) = &self.0.pidfd {
            match pidfd::send(fd, signal, 0) {
                Err(error) if pidfd::is_refused(&error) => {}
                result => return result,
            }
        }
        self.kill(self.0.pid, signal)
    }

    /// By the pidfd, which can't mean another group, or else while the child pins the number.
    fn kill_group(&self, signal: i32) -> io::Result<()> {
        /// Whether the kernel is older than 6.9.
        static BY_NUMBER: AtomicBool = AtomicBool::new(false);
        debug_assert!(self.0.pid > 1, "kill(-1) is everybody");
        if let Some(fd) = self.0.pidfd.as_ref().filter(|_| !BY_NUMBER.load(Ordering::Relaxed)) {
            match pidfd::send(fd, signal, pidfd::TO_GROUP) {
                Err(error) if pidfd::is_refused(&error) => {
                    BY_NUMBER.fetch_or(error.raw_os_error() == Some(libc::EINVAL), Ordering::Relaxed);
                }
                result => return result,
            }
        }
        self.kill(-self.0.pid, signal)
    }

    /// kill(2), unless somebody else reaped the child: its number may be another's by now.
    fn kill(&self, whom: i32, signal: i32) -> io::Result<()> {
        if !self.is_pinned() {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // SAFETY: numbers only.
        cvt(unsafe { libc::kill(whom, signal) }).map(drop)
    }
}

/// A process that is gone needs no signal.
fn forgive_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

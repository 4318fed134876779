//! What may be done to one child process: observe its exit, reap it once, signal it while it is ours.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::keeper::{self, Watch};
use super::kept::{Cord, News};
use super::waitid::{convert, waitid};
use super::{cvt, launch, pidfd};
use crate::{Exit, Signal};

/// What may be done to a child by anyone, while someone owns it.
#[derive(Clone, Debug)]
pub struct ProcessHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: i32,
    pidfd: Option<OwnedFd>,
    /// If the child is that of its scope's keeper, and not ours to wait for.
    cord: Option<Cord>,
    leads_group: bool,
    keep_survivors: AtomicBool,
    /// Until it is reaped.
    watch: Mutex<Option<Watch>>,
    /// Not there while the child runs, or is a zombie: its pid, and the id of the group it leads, are its own until it
    /// is reaped. In a box, as most of those who are alive at once have none.
    end: OnceLock<End>,
    /// Taken by who reaps it, and by who relies on that nobody does.
    turn: Mutex<()>,
}

#[derive(Debug)]
enum End {
    Reaped(Box<Exit>),
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

impl ProcessHandle {
    pub(super) fn new(pid: i32, pidfd: Option<OwnedFd>, leads_group: bool) -> Self {
        Self::make(pid, pidfd, None, leads_group)
    }

    /// A child of its scope's keeper, the leader of a group.
    pub(super) fn kept(pid: i32, pidfd: OwnedFd, cord: Cord) -> Self {
        Self::make(pid, Some(pidfd), Some(cord), true)
    }

    fn make(pid: i32, pidfd: Option<OwnedFd>, cord: Option<Cord>, leads_group: bool) -> Self {
        Self(Arc::new(Inner {
            pid,
            pidfd,
            cord,
            leads_group,
            keep_survivors: AtomicBool::new(false),
            watch: Mutex::new(None),
            end: OnceLock::new(),
            turn: Mutex::new(()),
        }))
    }

    /// The process id. It stays this child's until it has been reaped.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// The descriptor that becomes readable when the child has exited, where the host has it: its pidfd
    /// (pidfd_open(2)), or that on which the keeper of its scope tells its end.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.0.cord.as_ref().map(AsFd::as_fd).or_else(|| self.own_pidfd())
    }

    /// The child itself.
    pub(super) fn own_pidfd(&self) -> Option<BorrowedFd<'_>> {
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

    /// Has the keeper end the child, and the group that it leads, if our program ends before the child was reaped. A
    /// keeper is started if there is none.
    ///
    /// # Errors
    ///
    /// As [`keeper::watch`].
    pub fn end_with_owner(&self) -> io::Result<()> {
        if self.0.watch.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let watch = keeper::watch(self)?;
        // Who reaps it meanwhile looks here afterwards.
        let mut slot = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = self.is_held().then_some(watch);
        Ok(())
    }

    /// Keeps it from being reaped while the answer lives; `None` if it was reaped.
    fn hold(&self) -> Option<MutexGuard<'_, ()>> {
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_held().then_some(turn)
    }

    /// Whether the child has not been reaped yet. Waits for nobody.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.end.get().is_none()
    }

    /// Whether the child has exited. It is not reaped.
    ///
    /// `false` although the pidfd is readable: another process traces the dead child and has not let go of it. `true`
    /// although [`reap`](Self::reap) has no answer yet: the keeper of its scope is about to give it.
    ///
    /// # Errors
    ///
    /// As waitid(2), none of which is to be expected.
    pub fn has_exited(&self) -> io::Result<bool> {
        let Some(_held) = self.hold() else { return Ok(true) };
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
        if let Some((cord, pidfd)) = self.0.cord.as_ref().zip(self.0.pidfd.as_ref()) {
            return cord.has_ended(pidfd, options & libc::WNOHANG == 0);
        }
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
        if !matches!(exit, Ok(None)) {
            let watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
            watch.into_iter().for_each(Watch::outlive);
        }
        if matches!(exit, Ok(Some(_))) {
            // A child that is gone has let go of our memory, however it went.
            launch::sweep();
        }
        exit
    }

    fn reap_held(&self, seen: bool) -> io::Result<Option<Exit>> {
        let held = self.hold();
        match self.0.end.get() {
            Some(End::Reaped(exit)) => return Ok(Some(**exit)),
            Some(End::Lost) => return Err(io::Error::from_raw_os_error(libc::ECHILD)),
            None => {}
        }
        if self.0.leads_group && !self.0.keep_survivors.load(Ordering::Relaxed) {
            if !seen && !self.look(libc::WNOHANG)? {
                return Ok(None);
            }
            // ESRCH: nothing is left, or the child never came to lead a group.
            drop(self.kill_group(libc::SIGKILL));
        }
        let exit = match &self.0.cord {
            None => self.take_exit(),
            Some(cord) => self.take_told(cord),
        };
        let end = match &exit {
            Ok(Some(exit)) => Some(End::Reaped(Box::new(*exit))),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Some(End::Lost),
            _ => None,
        };
        // Under the guard nobody else has set it.
        end.into_iter().for_each(|end| drop(self.0.end.set(end)));
        drop(held);
        exit
    }

    /// What the keeper of its scope says, or what the kernel can say when that is gone.
    fn take_told(&self, cord: &Cord) -> io::Result<Option<Exit>> {
        match cord.read()? {
            News::None => Ok(None),
            News::Ended(exit) => Ok(Some(exit)),
            // It is about to be ended.
            News::Cut if !self.look(libc::WNOHANG)? => Ok(None),
            News::Cut => self.recover().map(Some),
        }
    }

    /// The status of a child that somebody else reaped.
    fn recover(&self) -> io::Result<Exit> {
        let status = self.0.pidfd.as_ref().and_then(pidfd::recover);
        let status = status.ok_or_else(|| io::Error::from_raw_os_error(libc::ECHILD))?;
        Ok(Exit { status, usage: None })
    }

    /// Reaps it.
    fn take_exit(&self) -> io::Result<Option<Exit>> {
        // SAFETY: all zeroes is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        match self.waitid(libc::WEXITED | libc::WNOHANG, Some(&mut usage)) {
            Ok(Some(status)) => Ok(Some(Exit { status, usage: Some(convert(&usage)) })),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => self.recover().map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
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
    ///
    /// Not with the pid of a keeper's child: that keeper reaps it whenever it likes.
    pub(super) fn while_held(&self, act: impl FnOnce(i32) -> io::Result<()>) -> io::Result<()> {
        if self.0.cord.is_some() {
            return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
        }
        let held = self.hold();
        if held.is_none() || self.look(libc::WNOHANG)? {
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
        let Some(_held) = self.hold() else { return Ok(()) };
        forgive_gone(self.send(signal.as_raw()))
    }

    /// Sends `signal` to the group that the child leads, or to the child alone if it leads none.
    ///
    /// # Errors
    ///
    /// As kill(2): no permission for any of its members.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        let Some(_held) = self.hold() else { return Ok(()) };
        forgive_gone(self.send_all(signal.as_raw()))
    }

    /// Kills the child and the group that it leads.
    ///
    /// # Errors
    ///
    /// As kill(2): no permission.
    pub fn kill_all(&self) -> io::Result<()> {
        let Some(_held) = self.hold() else { return Ok(()) };
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

    /// By the pidfd, which can't mean another group; else by who is in the scope of a keeper's child, or while the child
    /// pins the number.
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
        match &self.0.cord {
            Some(cord) => cord.signal_group(self.0.pid, signal),
            None => self.kill(-self.0.pid, signal),
        }
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

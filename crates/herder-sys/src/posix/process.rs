//! What may be done to one child process: observe its exit, reap it once, signal it while it is ours.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::keeper::{self, Slot};
use super::{cvt, descent, exit_watch, wait};
use crate::{Exit, Signal};

/// What may be done to a child by anyone, while someone owns it.
#[derive(Clone, Debug)]
pub struct ProcessHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: i32,
    exit: Option<OwnedFd>,
    leads_group: bool,
    /// Whether those who came of it are known, wherever they went.
    followed: bool,
    keep_survivors: AtomicBool,
    life: Mutex<Life>,
    /// Whether the life is `Held`, for those who may not wait for the lock: a forked copy of us would for ever.
    held: AtomicBool,
}

#[derive(Debug)]
enum Life {
    /// Running, or a zombie: its pid, and the id of the group it leads, are its own until it is reaped. And its line in
    /// the keeper's list.
    Held(Option<Slot>),
    Reaped(Exit),
    /// Somebody else reaped it, and took the status.
    Lost,
}

impl Exit {
    /// Whether SIGKILL ended it, whoever sent that.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        std::os::unix::process::ExitStatusExt::signal(&self.status) == Some(libc::SIGKILL)
    }
}

/// After the event of a kqueue a process takes some microseconds more to become a zombie, on macOS (libuv#3521).
const LOOKS: u32 = 20;

impl ProcessHandle {
    /// A child that was just born.
    pub(super) fn new(pid: i32, leads_group: bool, followed: bool) -> Self {
        Self(Arc::new(Inner {
            pid,
            exit: exit_watch::watch(pid),
            leads_group,
            followed,
            keep_survivors: AtomicBool::new(false),
            life: Mutex::new(Life::Held(None)),
            held: AtomicBool::new(true),
        }))
    }

    /// The process id. It stays this child's until it has been reaped.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// The descriptor that becomes readable when the child has exited, where the host has such: a kqueue(2) of its own
    /// here. Elsewhere it has to be [waited for](Self::wait_exited) by a thread.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.0.exit.as_ref().map(AsFd::as_fd)
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
    /// Why there is no keeper, or why it can't be told.
    pub fn end_with_owner(&self) -> io::Result<()> {
        let target = if self.0.leads_group { -self.0.pid } else { self.0.pid };
        self.list(target, None)
    }

    /// Has the keeper end the child alone.
    pub(super) fn end_alone(&self, slot: Slot) -> io::Result<()> {
        self.list(self.0.pid, Some(slot))
    }

    fn list(&self, target: i32, fresh: Option<Slot>) -> io::Result<()> {
        let mut life = self.life();
        let Life::Held(slot) = &mut *life else { return Ok(()) };
        match (fresh, &mut *slot) {
            (None, Some(old)) => old.set(target),
            (fresh, slot) => {
                let new = fresh.map_or_else(keeper::reserve, Ok)?;
                new.set(target)?;
                *slot = Some(new);
                Ok(())
            }
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the child has not been reaped yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.held.load(Ordering::Acquire)
    }

    /// Whether the child has exited. It is not reaped.
    ///
    /// # Errors
    ///
    /// As waitid(2), none of which is to be expected.
    pub fn has_exited(&self) -> io::Result<bool> {
        let life = self.life();
        if !matches!(*life, Life::Held(_)) {
            return Ok(true);
        }
        self.look(false)
    }

    /// Blocks the calling thread until the child has exited. It is not reaped.
    ///
    /// # Errors
    ///
    /// As waitid(2), none of which is to be expected.
    pub fn wait_exited(&self) -> io::Result<()> {
        while self.is_held() {
            match self.look(true) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A child that is no more (reaped by somebody) has exited.
    fn look(&self, wait: bool) -> io::Result<bool> {
        match wait::has_exited(self.0.pid, wait) {
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(true),
            result => result,
        }
    }

    /// Reaps the child if it has exited, once; later calls give the same answer. `None`: it has not exited.
    ///
    /// What is left of the group that it leads is killed first, unless it shall be kept.
    ///
    /// # Errors
    ///
    /// `ECHILD`: somebody else reaped it (a `waitpid(-1)`, or SIGCHLD is ignored).
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        let mut life = self.life();
        let slot = match &mut *life {
            Life::Reaped(exit) => return Ok(Some(*exit)),
            Life::Lost => return Err(io::Error::from_raw_os_error(libc::ECHILD)),
            Life::Held(slot) => slot,
        };
        if !self.look(false)? {
            return Ok(None);
        }
        if self.0.leads_group && !self.0.keep_survivors.load(Ordering::Relaxed) {
            // ESRCH: nothing is left, or the child never came to lead a group.
            drop(self.kill(-self.0.pid, libc::SIGKILL));
            drop(self.kill_strays());
        }
        // Before its number may be another's.
        *slot = None;
        let exit = wait::reap(self.0.pid);
        match exit {
            Ok(Some(exit)) => *life = Life::Reaped(exit),
            Err(ref error) if error.raw_os_error() == Some(libc::ECHILD) => *life = Life::Lost,
            _ => return exit,
        }
        self.0.held.store(false, Ordering::Release);
        exit
    }

    /// As [`reap`](Self::reap), for a caller that has seen the descriptor readable.
    ///
    /// # Errors
    ///
    /// As [`reap`](Self::reap).
    pub fn reap_exited(&self) -> io::Result<Option<Exit>> {
        for _ in 1..LOOKS {
            match self.reap() {
                Ok(None) => std::thread::yield_now(),
                result => return result,
            }
        }
        self.reap()
    }

    /// Sends `signal` to the child. One that has exited gets none, and that is no error.
    ///
    /// # Errors
    ///
    /// As kill(2): no permission, for a child that changed its user.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let life = self.life();
        match *life {
            Life::Held(_) => forgive_gone(self.kill(self.0.pid, signal.as_raw())),
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
            Life::Held(_) => forgive_gone(self.send_all(signal.as_raw())),
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
        if !matches!(*life, Life::Held(_)) {
            return Ok(());
        }
        // The group first: one atomic step against forks of its members. Then the child itself, which may have left it.
        let group = if self.0.leads_group { self.kill(-self.0.pid, libc::SIGKILL) } else { Ok(()) };
        let own = self.kill(self.0.pid, libc::SIGKILL);
        let strays = self.kill_strays();
        forgive_gone(own).and_then(|()| forgive_gone(group)).and_then(|()| forgive_gone(strays))
    }

    /// Kills those who came of the child and have left its group, where they are known. The child is held: its number
    /// stands for them.
    fn kill_strays(&self) -> io::Result<()> {
        // Somebody else may have reaped it (ECHILD).
        if !self.0.followed || wait::has_exited(self.0.pid, false).is_err() {
            return Ok(());
        }
        descent::kill(self.0.pid)
    }

    /// Whether somebody runs who came of it.
    pub(super) fn any_stray(&self) -> bool {
        self.0.followed && descent::any_runs(self.0.pid)
    }

    fn send_all(&self, signal: i32) -> io::Result<()> {
        if self.0.leads_group {
            match self.kill(-self.0.pid, signal) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                // SAFETY: a question about a number that is ours while the child is held.
                Ok(()) if unsafe { libc::getpgid(self.0.pid) } == self.0.pid => return Ok(()),
                // The others of its group have theirs; the child has left it.
                Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        self.kill(self.0.pid, signal)
    }

    /// kill(2), unless somebody else reaped the child: its number may be another's by now.
    fn kill(&self, whom: i32, signal: i32) -> io::Result<()> {
        debug_assert!(self.0.pid > 1, "kill(-1) is everybody");
        let exited = match wait::has_exited(self.0.pid, false) {
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            looked => looked.unwrap_or(false),
        };
        // SAFETY: numbers only.
        let sent = cvt(unsafe { libc::kill(whom, signal) }).map(drop);
        match sent {
            // XNU passes over the dead, and says this of a group in which nobody else is (killpg1 in kern_sig.c).
            Err(error) if is_alone_in_group(whom, exited, &error) => {
                Err(io::Error::from_raw_os_error(libc::ESRCH))
            }
            sent => sent,
        }
    }
}

/// Whether a signal for the group of a child that has exited found nobody but that child.
fn is_alone_in_group(whom: i32, exited: bool, error: &io::Error) -> bool {
    cfg!(target_vendor = "apple") && whom < 0 && exited && error.raw_os_error() == Some(libc::EPERM)
}

/// A process that is gone needs no signal.
fn forgive_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

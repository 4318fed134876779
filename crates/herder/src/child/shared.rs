//! The part of a child that its owner and all handles look at together: waiting and signalling.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use herder_sys::{Exit, ProcessHandle, Signal};
use tokio::runtime::{Handle, Id};
use tokio::sync::{Notify, watch};

use super::Reach;
use super::stdin::StdinCell;
use crate::contain::Leak;
use crate::error::{SignalError, WaitError};
use crate::host::{self, InReactor, Telling};
use crate::terminate::{Attempt, Step};

/// Shared state of one child.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) process: ProcessHandle,
    pub(crate) name: Arc<str>,
    /// Our end of its standard input, wherever that is now.
    pub(crate) stdin: Option<Arc<StdinCell>>,
    pub(crate) reach: Reach,
    leak: Leak,
    /// Told when a ladder is over.
    over: Notify,
    watch: Mutex<Watch>,
    record: Mutex<Record>,
}

/// What we did to the child.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) asked: Asked,
    /// Whether the kill was sent. One is not always enough for what forks all the time.
    pub(crate) killed: bool,
    /// How many ladders are being walked.
    pub(crate) ladders: usize,
    /// Whether a join sees it through, which deals with what is left in its scope.
    pub(crate) joined: bool,
}

/// How its end was asked for, by a handle or the owner; the harder way is the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asked {
    #[default]
    Nothing,
    Terminate,
    Kill,
}

/// How we learn that it has exited.
#[derive(Debug)]
enum Watch {
    None,
    /// By the reactor of a runtime.
    Reactor(Id, Arc<InReactor>),
    /// From elsewhere: where the reactor does not know of exits, outside of any runtime, and for a dead child that a
    /// debugger holds, whose pidfd says "readable" for ever.
    Told {
        done: watch::Receiver<bool>,
        _telling: Telling,
    },
}

#[derive(Clone)]
enum Waiter {
    Reactor(Arc<InReactor>),
    Told(watch::Receiver<bool>),
}

impl Shared {
    pub(crate) fn new(
        process: ProcessHandle,
        name: Arc<str>,
        stdin: Option<Arc<StdinCell>>,
        reach: Reach,
        leak: Leak,
    ) -> Self {
        let (watch, record) = (Mutex::new(Watch::None), Mutex::default());
        Self { process, name, stdin, reach, leak, over: Notify::new(), watch, record }
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process id, until the child has been reaped.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.is_held().then(|| self.process.pid().unsigned_abs())
    }

    /// Waits until the child has exited, without reaping it.
    pub(crate) async fn exited(&self) -> Result<(), WaitError> {
        // A readable pidfd says just that.
        let look = |process: &ProcessHandle, seen| Ok((seen || process.has_exited()?).then_some(()));
        self.until(look).await
    }

    /// Waits until the child has exited, and reaps it.
    pub(crate) async fn wait(&self) -> Result<Exit, WaitError> {
        let reap = |process: &ProcessHandle, seen| if seen { process.reap_exited() } else { process.reap() };
        let exit = self.until(reap).await;
        self.reaped();
        exit
    }

    /// Reaps the child if it has exited.
    pub(crate) fn reap(&self) -> io::Result<Option<Exit>> {
        let exit = self.process.reap()?;
        if exit.is_some() {
            self.reaped();
        }
        Ok(exit)
    }

    /// The child is gone: what it has left behind in its scope goes too, or is let go.
    pub(super) fn reaped(&self) {
        let busy = {
            let record = self.record();
            record.ladders > 0 || record.joined
        };
        if busy {
            // What is left is being asked to end, or looked at: whoever does that comes here afterwards.
        } else if self.leak.kills() {
            self.reach.hold.end();
        } else {
            self.reach.hold.release();
        }
    }

    /// Waits until the child has exited and, if it has a scope of its own, nobody is left in it.
    pub(crate) async fn ended(&self) -> Result<(), WaitError> {
        self.exited().await?;
        self.reach.hold.emptied(|| self.record().killed).await;
        Ok(())
    }

    /// Asks `look` whenever the child may have exited, and tells it whether that was seen.
    async fn until<T>(
        &self,
        look: impl Fn(&ProcessHandle, bool) -> io::Result<Option<T>>,
    ) -> Result<T, WaitError> {
        let failed = |error| WaitError::new(&self.name, "learn how it ended:", error);
        loop {
            if !self.process.is_held() {
                // Reaped by another waiter, or by the reaper: the answer is there.
                if let Some(answer) = look(&self.process, false).map_err(failed)? {
                    return Ok(answer);
                }
            }
            match self.waiter() {
                Waiter::Reactor(exit) => match exit.exited().await {
                    Ok(()) => {
                        if let Some(answer) = look(&self.process, true).map_err(failed)? {
                            return Ok(answer);
                        }
                        // Dead, but not ours to reap yet: a debugger holds it.
                        self.watch_elsewhere();
                    }
                    // That runtime is gone; another one polls us now.
                    Err(_) => *self.watch() = Watch::None,
                },
                Waiter::Told(mut done) => {
                    // An error says that nobody tells us (any more), which is so only when the child has exited, or
                    // where nobody can be had who would: then we look again and again.
                    drop(done.wait_for(|done| *done).await);
                    if let Some(answer) = look(&self.process, false).map_err(failed)? {
                        return Ok(answer);
                    }
                    *self.watch() = Watch::None;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiter(&self) -> Waiter {
        let mut watch = self.watch();
        let runtime = Handle::try_current().ok().map(|runtime| runtime.id());
        match &*watch {
            Watch::Told { done, .. } => return Waiter::Told(done.clone()),
            // A runtime that nobody drives any more would never tell us.
            Watch::Reactor(id, fd) if Some(*id) == runtime => return Waiter::Reactor(Arc::clone(fd)),
            _ => {}
        }
        let fd = runtime.and_then(|id| Some((id, Arc::new(InReactor::new(&self.process)?))));
        if let Some((id, fd)) = fd {
            *watch = Watch::Reactor(id, Arc::clone(&fd));
            return Waiter::Reactor(fd);
        }
        drop(watch);
        Waiter::Told(self.watch_elsewhere())
    }

    fn watch_elsewhere(&self) -> watch::Receiver<bool> {
        let mut watch = self.watch();
        if let Watch::Told { done, .. } = &*watch {
            return done.clone();
        }
        let (sender, done) = watch::channel(false);
        let telling = host::tell_exit(&self.process, sender);
        *watch = Watch::Told { done: done.clone(), _telling: telling };
        done
    }

    /// Sends a signal to everything that the strength in force reaches.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), SignalError> {
        self.send(signal)
            .map_err(|error| SignalError::new(&self.name, format_args!("send {signal} to"), error))
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        self.reach.hold.signal(signal).unwrap_or_else(|| self.process.signal_group(signal))
    }

    /// Kills the scope, if there is one, and the child and its group in any case: root may have left the scope.
    fn kill_all(&self) -> io::Result<()> {
        self.record().killed = true;
        let scope = self.reach.hold.kill().unwrap_or(Ok(()));
        self.process.kill_all().and(scope)
    }

    /// Kills everything that the strength in force reaches, and writes it down.
    pub(crate) fn kill(&self) -> Result<(), SignalError> {
        self.ask(Asked::Kill);
        self.kill_all().map_err(|error| SignalError::new(&self.name, "kill", error))
    }

    /// Writes down that its end is asked for: of no account for a child that has exited already.
    pub(crate) fn ask(&self, how: Asked) {
        let exited = self.process.has_exited().unwrap_or(false);
        let mut record = self.record();
        if !exited && record.asked < how {
            record.asked = how;
        }
    }

    pub(crate) fn attempt(&self, attempt: Attempt) {
        tracing::debug!(name = &*self.name, pid = self.process.pid(), %attempt, "stopping");
        self.record().attempts.push(attempt);
    }

    /// A ladder is walked while the answer lives.
    pub(crate) fn walk(&self) -> Walk<'_> {
        self.record().ladders += 1;
        Walk(self)
    }

    pub(crate) fn is_walked(&self) -> bool {
        self.record().ladders > 0
    }

    /// Waits until no ladder is walked.
    pub(crate) async fn walks_over(&self) {
        loop {
            let over = self.over.notified();
            if !self.is_walked() {
                return;
            }
            over.await;
        }
    }

    /// Takes one step of a ladder.
    pub(crate) fn take(&self, step: Step) -> io::Result<()> {
        match step {
            Step::Signal(signal) => {
                self.send(signal)?;
                // One that is stopped would not get to handle it. Of no effect on the others, and no failed step.
                if signal != Signal::STOP {
                    drop(self.send(Signal::CONT));
                }
                Ok(())
            }
            Step::Kill => self.kill_all(),
            Step::CloseStdin => {
                let closed = self.stdin.as_ref().is_some_and(|stdin| stdin.close());
                let none =
                    || io::Error::new(io::ErrorKind::NotFound, "there is no open pipe to its standard input");
                if closed { Ok(()) } else { Err(none()) }
            }
        }
    }
}

/// See [`Shared::walk`].
pub(crate) struct Walk<'a>(&'a Shared);

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.0.record().ladders -= 1;
        self.0.over.notify_waiters();
    }
}

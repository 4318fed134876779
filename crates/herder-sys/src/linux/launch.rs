//! What a child reads until its `execve`, kept alive until then, and how that ended.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::birth::{Birth, Entry};
use super::child::{self, Plan};
use super::dumpable::KeepDumpable;
use super::stack::Stack;
use crate::{LaunchError, SpawnStep};

/// The time from a child's birth to the end of its `execve`.
///
/// A child with shared memory reads its arguments and runs on a stack that belong to this value; where it is
/// dropped early, they are kept until the child has let go.
#[derive(Debug)]
pub struct Launch(Option<Box<Block>>);

/// The memory that a child and its parent look at together.
#[derive(Debug)]
struct Block {
    plan: Plan,
    /// Not 0 while the child uses our memory. The kernel clears it and wakes waiters at the child's `execve` or
    /// exit, whichever comes first (`CLONE_CHILD_CLEARTID`).
    busy: AtomicU32,
    failed_step: AtomicU32,
    failed_errno: AtomicI32,
    stack: Option<Stack>,
    /// End of file: the `execve` is over. Eight bytes: what failed, from a child that does not share our memory.
    pipe: Option<OwnedFd>,
    forked: bool,
    #[expect(dead_code, reason = "it restores the flag when it is dropped")]
    dumpable: Option<KeepDumpable>,
}

// SAFETY: the raw pointers in the plan point into the plan's own strings, and nothing is tied to a thread.
unsafe impl Send for Block {}
// SAFETY: shared references give out atomics and the pipe only.
unsafe impl Sync for Block {}

impl Launch {
    pub(super) fn new(plan: Plan, dumpable: Option<KeepDumpable>) -> Self {
        Self(Some(Box::new(Block {
            plan,
            busy: AtomicU32::new(0),
            failed_step: AtomicU32::new(0),
            failed_errno: AtomicI32::new(0),
            stack: None,
            pipe: None,
            forked: false,
            dumpable,
        })))
    }

    fn block(&self) -> &Block {
        self.0.as_deref().expect("taken by drop only")
    }

    fn block_mut(&mut self) -> &mut Block {
        self.0.as_deref_mut().expect("taken by drop only")
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.block().plan
    }

    pub(super) fn plan_mut(&mut self) -> &mut Plan {
        &mut self.block_mut().plan
    }

    pub(super) fn set_pipe(&mut self, pipe: Option<OwnedFd>) {
        self.block_mut().pipe = pipe;
    }

    pub(super) fn set_forked(&mut self) {
        self.block_mut().forked = true;
    }

    /// Gets ready for a child that shares our memory: what to give to the clone call. `busy` is set before the
    /// child exists; [`not_born`](Self::not_born) takes that back.
    pub(super) fn prepare_shared(&mut self) -> io::Result<(Birth, Entry, *mut ())> {
        sweep();
        if self.block().stack.is_none() {
            self.block_mut().stack = Some(Stack::take()?);
        }
        let block = self.block_mut();
        block.forked = false;
        block.busy.store(1, Ordering::Relaxed);
        let stack = block.stack.as_ref().expect("taken above");
        let birth = Birth {
            stack_top: stack.top(),
            stack_size: stack.size(),
            clear_tid: block.busy.as_ptr(),
            pidfd: false,
            cgroup: None,
            exit_signal: libc::SIGCHLD,
        };
        Ok((birth, enter as Entry, std::ptr::from_mut(block).cast()))
    }

    /// The clone call failed.
    pub(super) fn not_born(&self) {
        self.block().busy.store(0, Ordering::Relaxed);
    }

    /// Whether the `execve` succeeded, or what failed; `None` while it is not over. Does not block.
    ///
    /// A child that was ended by a signal on its way counts as launched: its exit status tells.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), LaunchError>> {
        let block = self.block();
        if block.forked && block.failed_step.load(Ordering::Acquire) == 0 {
            match read_failure(block.pipe.as_ref()?) {
                Ok(None) => {}
                Ok(Some([step, errno])) => {
                    block.failed_errno.store(errno as i32, Ordering::Release);
                    block.failed_step.store(step, Ordering::Release);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) => {
                    let errno = error.raw_os_error().unwrap_or(libc::EIO);
                    return Some(Err(LaunchError { step: SpawnStep::Exec, errno }));
                }
            }
        }
        if block.busy.load(Ordering::Acquire) != 0 {
            return None;
        }
        match block.failed_step.load(Ordering::Acquire) {
            0 => Some(Ok(())),
            step => Some(Err(LaunchError {
                step: SpawnStep::from_code(step),
                errno: block.failed_errno.load(Ordering::Acquire),
            })),
        }
    }

    /// Blocks until the `execve` is over, `limit` at most. `None`: it still is not.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Result<(), LaunchError>> {
        let deadline = Instant::now().checked_add(limit);
        loop {
            if let Some(outcome) = self.outcome() {
                return Some(outcome);
            }
            let left = deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            match &self.block().pipe {
                Some(pipe) if self.block().forked => wait_readable(pipe.as_raw_fd(), left),
                _ => wait_zero(&self.block().busy, left),
            }
        }
    }

    /// A descriptor that becomes readable when the `execve` is over, if one was asked for.
    ///
    /// Readable is a hint: ask [`outcome`](Self::outcome) for the truth, and [`wait`](Self::wait) a moment where
    /// it is still `None`.
    #[must_use]
    pub fn latch(&self) -> Option<BorrowedFd<'_>> {
        self.block().pipe.as_ref().map(AsFd::as_fd)
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        let Some(block) = self.0.take() else { return };
        if block.busy.load(Ordering::Acquire) == 0 {
            block.release();
        } else {
            LIMBO.lock().unwrap_or_else(PoisonError::into_inner).push(block);
            IN_LIMBO.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Block {
    fn release(mut self: Box<Self>) {
        if let Some(stack) = self.stack.take() {
            stack.recycle();
        }
    }
}

/// Blocks whose owner is gone but whose child is not through yet. Each spawn looks here once.
static LIMBO: Mutex<Vec<Box<Block>>> = Mutex::new(Vec::new());
static IN_LIMBO: AtomicUsize = AtomicUsize::new(0);

fn sweep() {
    if IN_LIMBO.load(Ordering::Relaxed) == 0 {
        return;
    }
    let mut limbo = LIMBO.lock().unwrap_or_else(PoisonError::into_inner);
    let over: Vec<_> = limbo.extract_if(.., |block| block.busy.load(Ordering::Acquire) == 0).collect();
    IN_LIMBO.store(limbo.len(), Ordering::Relaxed);
    drop(limbo);
    over.into_iter().for_each(Block::release);
}

/// Where a child that shares our memory begins.
///
/// # Safety
///
/// `block` is the `Block` of a `Launch` and lives until its `busy` is 0.
unsafe extern "C" fn enter(block: *mut ()) -> ! {
    // SAFETY: as promised; the parent has only shared references to it by now.
    let block = unsafe { &*block.cast::<Block>() };
    let (step, errno) = child::run(&block.plan);
    block.failed_errno.store(errno, Ordering::Release);
    block.failed_step.store(step as u32, Ordering::Release);
    child::exit(127)
}

/// Reads what a forked child wrote: step and error number, or only an end of file if its `execve` succeeded.
fn read_failure(pipe: &OwnedFd) -> io::Result<Option<[u32; 2]>> {
    let mut message = [0u32; 2];
    // SAFETY: eight bytes of a live local are written.
    let read = super::cvt(unsafe { libc::read(pipe.as_raw_fd(), (&raw mut message).cast(), 8) })?;
    Ok((read == 8).then_some(message))
}

fn wait_readable(fd: RawFd, limit: Duration) {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let milliseconds = limit.as_millis().clamp(1, 60_000) as i32;
    // SAFETY: one structure. Errors (a signal) are the caller's next look.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
}

/// futex(2), not private: that is how the kernel wakes at the end of a child.
fn wait_zero(word: &AtomicU32, limit: Duration) {
    let limit = limit.min(Duration::from_secs(60));
    let time = libc::timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
    // SAFETY: the word and the time live through the call. Any return is a reason to look again.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 1u32, &raw const time) };
}

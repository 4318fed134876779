//! What a child reads until its `execve`, kept alive until then, and how that ended.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::birth::{Birth, Entry};
use super::child::{self, Plan};
use super::dumpable::KeepDumpable;
use super::reaper;
use super::stack::Stack;
use crate::{LaunchError, SpawnStep};

/// The time from a child's birth to the end of its `execve`.
///
/// A child with shared memory reads its arguments and runs on a stack that belong to this value; where it is
/// dropped early, they are kept until the child has let go.
pub struct Launch {
    hold: Arc<Hold>,
    /// End of file: the `execve` is over. Eight bytes: what failed, from a child that does not share our memory.
    pipe: Option<OwnedFd>,
    forked: bool,
}

/// The memory that a child and its parent look at together.
struct Block {
    plan: Plan,
    /// Not 0 while the child uses our memory. The kernel clears it and wakes one waiter at the child's `execve` or
    /// exit, whichever comes first (`CLONE_CHILD_CLEARTID`).
    busy: AtomicU32,
    /// How many of our threads wait for that: who is woken wakes the others.
    waiters: AtomicU32,
    failed_step: AtomicU32,
    failed_errno: AtomicI32,
}

/// Owns what the child uses. It may be dropped only when the child has let go.
struct Hold {
    /// From `Box::into_raw`. Not a box: whoever moves or passes on a box claims that nobody else looks into it.
    block: NonNull<Block>,
    stack: Option<Stack>,
    /// Taken, and so restored, when the child has let go.
    dumpable: Mutex<Option<KeepDumpable>>,
}

// SAFETY: the block is ours alone, and nothing in it is tied to a thread. The raw pointers in the plan point into the
// plan's own strings.
unsafe impl Send for Hold {}
// SAFETY: after the birth, shared references give out atomics only; the cells of the plan are the child's.
unsafe impl Sync for Hold {}

impl Hold {
    fn block(&self) -> &Block {
        // SAFETY: it lives as long as `self`. The one exclusive reference (`plan_mut`) is gone before the birth.
        unsafe { self.block.as_ref() }
    }

    fn is_busy(&self) -> bool {
        self.block().busy.load(Ordering::Acquire) != 0
    }

    fn restore_dumpable(&self) {
        drop(self.dumpable.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn has_dumpable(&self) -> bool {
        self.dumpable.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`, dropped once, and no child uses it any more.
        drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        if let Some(stack) = self.stack.take() {
            stack.recycle();
        }
    }
}

impl Launch {
    pub(super) fn new(plan: Plan, dumpable: Option<KeepDumpable>, pipe: Option<OwnedFd>) -> Self {
        let block = Box::new(Block {
            plan,
            busy: AtomicU32::new(0),
            waiters: AtomicU32::new(0),
            failed_step: AtomicU32::new(0),
            failed_errno: AtomicI32::new(0),
        });
        let block = NonNull::from(Box::leak(block));
        Self {
            hold: Arc::new(Hold { block, stack: None, dumpable: Mutex::new(dumpable) }),
            pipe,
            forked: false,
        }
    }

    /// Before the birth only: later the reaper thread may have it too.
    fn hold_mut(&mut self) -> &mut Hold {
        Arc::get_mut(&mut self.hold).expect("shared after the birth only")
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.hold.block().plan
    }

    /// Before the birth only.
    pub(super) fn plan_mut(&mut self) -> &mut Plan {
        // SAFETY: `&mut self` excludes our other threads, and there is no child yet.
        unsafe { &mut self.hold_mut().block.as_mut().plan }
    }

    pub(super) fn set_forked(&mut self) {
        self.forked = true;
    }

    /// Gets ready for a child that shares our memory: what to give to the clone call. `busy` is set before the
    /// child exists; [`not_born`](Self::not_born) takes that back.
    pub(super) fn prepare_shared(&mut self) -> io::Result<(Birth, Entry, *mut ())> {
        sweep();
        let hold = self.hold_mut();
        let stack = Stack::take()?;
        let block = hold.block.as_ptr();
        hold.block().busy.store(1, Ordering::Relaxed);
        let birth = Birth {
            stack_top: stack.top(),
            stack_size: stack.size(),
            // SAFETY: the block is alive; no reference is made.
            clear_tid: unsafe { &raw mut (*block).busy }.cast(),
            pidfd: false,
            cgroup: None,
            share_files: false,
            exit_signal: libc::SIGCHLD,
        };
        hold.stack = Some(stack);
        Ok((birth, enter as Entry, block.cast()))
    }

    /// The child may go on to its `execve`, if it was held.
    pub(super) fn let_go(&self) {
        let held = &self.plan().held;
        if held.swap(0, Ordering::AcqRel) != 0 {
            // SAFETY: the word lives through the call.
            unsafe { libc::syscall(libc::SYS_futex, held.as_ptr(), libc::FUTEX_WAKE, 1) };
        }
    }

    /// The clone call failed.
    pub(super) fn not_born(&self) {
        self.hold.block().busy.store(0, Ordering::Relaxed);
    }

    /// The clone call succeeded. A flag of ours that must be put back is, even if nobody looks at this value.
    pub(super) fn born(&self) {
        if self.hold.has_dumpable() {
            keep(Arc::clone(&self.hold));
            reaper::look_after_launches();
        }
    }

    /// Whether the `execve` succeeded, or what failed; `None` while it is not over. Does not block.
    ///
    /// A child that was ended by a signal on its way counts as launched: its exit status tells.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), LaunchError>> {
        let hold = &self.hold;
        let block = hold.block();
        if self.forked && block.failed_step.load(Ordering::Acquire) == 0 {
            match read_failure(self.pipe.as_ref()?) {
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
        if hold.is_busy() {
            return None;
        }
        hold.restore_dumpable();
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
            match &self.pipe {
                Some(pipe) if self.forked => wait_readable(pipe.as_raw_fd(), left),
                _ => self.hold.block().wait_free(left),
            }
        }
    }

    /// A descriptor that becomes readable when the `execve` is over, if one was asked for.
    ///
    /// Readable is a hint: ask [`outcome`](Self::outcome) for the truth, and [`wait`](Self::wait) a moment where
    /// it is still `None`. It may also come late: another child that was born in the same moment has the other end
    /// too, until its own `execve`. Look at the outcome from time to time.
    #[must_use]
    pub fn latch(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }
}

/// Says little: the plan is the child's to read and write.
impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("forked", &self.forked)
            .field("pipe", &self.pipe)
            .finish_non_exhaustive()
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if self.hold.is_busy() {
            keep(Arc::clone(&self.hold));
            // The child may have let go in between, and have been reaped: then nobody else looks.
            sweep();
        }
    }
}

impl Block {
    fn wait_free(&self, limit: Duration) {
        self.waiters.fetch_add(1, Ordering::AcqRel);
        wait_zero(&self.busy, limit);
        let others = self.waiters.fetch_sub(1, Ordering::AcqRel) > 1;
        if others && self.busy.load(Ordering::Acquire) == 0 {
            // SAFETY: the word lives through the call.
            unsafe { libc::syscall(libc::SYS_futex, self.busy.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
        }
    }
}

/// What was dropped before its child was through, and what holds a flag of ours. Each spawn, each reap and, for those
/// flags, the reaper thread look here.
static LIMBO: Mutex<Vec<Arc<Hold>>> = Mutex::new(Vec::new());
static IN_LIMBO: AtomicUsize = AtomicUsize::new(0);

fn keep(hold: Arc<Hold>) {
    let mut limbo = LIMBO.lock().unwrap_or_else(PoisonError::into_inner);
    limbo.push(hold);
    IN_LIMBO.store(limbo.len(), Ordering::SeqCst);
}

/// Lets go of what no child uses any more. Whether a flag is left to put back.
pub(super) fn sweep() -> bool {
    if IN_LIMBO.load(Ordering::SeqCst) == 0 {
        return false;
    }
    let mut limbo = LIMBO.lock().unwrap_or_else(PoisonError::into_inner);
    let over: Vec<_> = limbo.extract_if(.., |hold| !hold.is_busy()).collect();
    let urgent = limbo.iter().any(|hold| hold.has_dumpable());
    IN_LIMBO.store(limbo.len(), Ordering::SeqCst);
    drop(limbo);
    over.iter().for_each(|hold| hold.restore_dumpable());
    urgent
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

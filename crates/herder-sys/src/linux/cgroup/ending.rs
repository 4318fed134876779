//! Cgroups that nobody holds any more: killed again and again until they are empty, then pooled or removed.
//!
//! One write to `cgroup.kill` is not enough: a chain of forks, each ending as soon as it has forked, slips through one
//! in about a thousand. So the reaper thread repeats it until the kernel says that nobody is left.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::per_process::PerProcess;
use super::super::reaper;
use super::files;
use super::house::{DeadHouse, House};
use super::leaf::{Leaf, State, kill, read_state};

#[derive(Debug)]
struct Ending {
    what: What,
    round: u32,
    due: Instant,
}

#[derive(Debug)]
enum What {
    Leaf(Arc<House>, Leaf),
    /// Nobody's, until the last that lives in it has ended by itself.
    Released(Arc<House>, Leaf),
    House(DeadHouse),
}

#[derive(Debug, Default)]
struct List {
    all: Vec<Ending>,
    /// When the reaper thread of this process will look without being woken.
    promise: Option<Instant>,
}

static LIST: PerProcess<Mutex<List>> = PerProcess::new();
static ANY: AtomicBool = AtomicBool::new(false);

/// A process that is killed needs about so long to be gone.
const FIRST: Duration = Duration::from_millis(1);
/// What was killed without its cgroup has so long to be gone: a cgroup that was not killed can be used again.
const SOON: Duration = Duration::from_millis(5);
/// What can't be killed (it sleeps uninterruptibly) is looked at so often.
const LAST_DOUBLING: u32 = 8;

/// How often a leaf is looked at whose members were let go.
const PATIENT: Duration = Duration::from_secs(1);

/// Ends what is in `leaf`, now or, if `soon`, in the reaper thread some milliseconds later; or leaves it to itself.
/// Does not wait.
pub(super) fn end(house: &Arc<House>, leaf: Leaf, released: bool, soon: bool) {
    match leaf.state() {
        Ok(state) if !state.populated => {
            if let Some(leaf) = house.put_or_remove(leaf, state) {
                push(What::Leaf(Arc::clone(house), leaf), FIRST);
            }
        }
        // Removed by somebody, with all that was in it.
        Err(error) if files::is_gone(&error) => {}
        _ if released => push(What::Released(Arc::clone(house), leaf), FIRST),
        _ => {
            // Nobody is left to tell; the rounds that follow see to it.
            if !soon {
                drop(leaf.kill());
            }
            push(What::Leaf(Arc::clone(house), leaf), if soon { SOON } else { FIRST });
        }
    }
}

/// Ends what the owner of a house left behind. Does not wait.
pub(super) fn end_house(house: DeadHouse) {
    drop(kill(house.dir.as_fd()));
    push(What::House(house), FIRST);
}

fn push(what: What, pause: Duration) {
    let due = Instant::now() + pause;
    let mut list = lock();
    list.all.push(Ending { what, round: 0, due });
    ANY.store(true, Ordering::SeqCst);
    let promised = list.promise.is_some_and(|at| at <= due);
    drop(list);
    // A thread that is woken gets the processor of the one that drops: once for many drops is enough.
    if !promised {
        // Without a thread, the next spawn tries again.
        reaper::wake();
    }
}

fn lock() -> MutexGuard<'static, List> {
    LIST.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the reaper thread look, if something waits that it may not know of.
pub(in super::super) fn retry() {
    if ANY.load(Ordering::Relaxed) && lock().all.iter().any(|ending| ending.due < Instant::now()) {
        reaper::wake();
    }
}

/// Looks at what is due, in the reaper thread. Gives the time until the next look, if something is left.
pub(in super::super) fn sweep() -> Option<Duration> {
    if !ANY.load(Ordering::SeqCst) {
        return None;
    }
    let now = Instant::now();
    let mut list = lock();
    list.promise = None;
    let due: Vec<_> = list.all.extract_if(.., |ending| ending.due <= now).collect();
    drop(list);
    // Without the lock: a drop must not wait for a kill of thousands.
    let left: Vec<_> = due.into_iter().filter_map(Ending::look).collect();
    let mut list = lock();
    list.all.extend(left);
    ANY.store(!list.all.is_empty(), Ordering::SeqCst);
    let next = list.all.iter().map(|ending| ending.due).min()?;
    list.promise = Some(next);
    Some(next.saturating_duration_since(Instant::now()))
}

impl Ending {
    fn look(mut self) -> Option<Self> {
        self.what = match self.what {
            What::Leaf(house, leaf) => What::Leaf(Arc::clone(&house), look_at_leaf(&house, leaf)?),
            What::Released(house, leaf) => {
                What::Released(Arc::clone(&house), look_at_released(&house, leaf)?)
            }
            What::House(house) => What::House(house.remove_if_empty()?),
        };
        let pause = FIRST * (1 << self.round.min(LAST_DOUBLING));
        self.due = Instant::now() + if matches!(self.what, What::Released(..)) { PATIENT } else { pause };
        self.round += 1;
        Some(self)
    }
}

fn look_at_released(house: &House, leaf: Leaf) -> Option<Leaf> {
    match leaf.state() {
        Ok(state) if !state.populated => house.put_or_remove(leaf, state),
        Err(error) if files::is_gone(&error) => None,
        _ => Some(leaf),
    }
}

fn look_at_leaf(house: &House, leaf: Leaf) -> Option<Leaf> {
    match leaf.state() {
        Ok(state) if !state.populated => house.put_or_remove(leaf, state),
        Err(error) if files::is_gone(&error) => None,
        _ => {
            drop(leaf.kill());
            Some(leaf)
        }
    }
}

/// What a folder says about its inside.
pub(super) fn state_of(dir: BorrowedFd<'_>) -> io::Result<State> {
    read_state(&files::open_file(dir, c"cgroup.events")?)
}

impl DeadHouse {
    /// Kills once more, or removes what is empty. Gives it back if that is not all.
    fn remove_if_empty(self) -> Option<Self> {
        match state_of(self.dir.as_fd()) {
            Ok(state) if !state.populated => {
                let below = files::walk(self.dir.as_fd(), true, &mut |_| Ok(()));
                let removed = below.and_then(|()| files::remove_dir(self.parent.as_fd(), &self.name));
                // What we may not remove, somebody else has to.
                let again = removed.is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy);
                again.then_some(self)
            }
            Err(error) if files::is_gone(&error) => None,
            _ => match kill(self.dir.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
                _ => Some(self),
            },
        }
    }
}

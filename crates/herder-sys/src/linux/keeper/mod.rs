//! The keeper: a helper process that ends what we have started when we are gone, however we went.
//!
//! It is started once, when first asked for, from a program of a few KiB that stands in this library. It holds one
//! end of a socket, the lifeline, whose other end closes with us. If it is ended itself, the reaper thread
//! notices, starts another one and tells it everything anew. What it needs of our `main`: nothing. What was weighed
//! stands in `docs/design/keeper.md`; the program itself is in the folder `keeper` of this crate.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | what others ask of it |
//! | `book` | what it is told, and that there is always one |
//! | `start` | starting one |
//! | `lifeline` | sending and receiving messages |

mod book;
pub(super) mod lifeline;
#[path = "../../../keeper/order.rs"]
pub(super) mod order;
#[path = "../../../keeper/protocol.rs"]
pub(super) mod protocol;
pub(super) mod start;

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;

use super::process::ProcessHandle;
use book::lock;

pub use crate::unix::refused::Refused;

/// The directory of cgroups that the keeper ends and removes when we are gone: all that lives in it or below.
#[derive(Clone, Copy, Debug)]
pub struct House<'a> {
    dir: BorrowedFd<'a>,
    name: &'a OsStr,
}

impl<'a> House<'a> {
    /// The cgroup v2 directory `dir` (`O_PATH` is enough), whose `name` in the directory above no other cgroup of
    /// the host has.
    #[must_use]
    pub fn new(dir: BorrowedFd<'a>, name: &'a OsStr) -> Self {
        Self { dir, name }
    }
}

/// What is known of the keeper.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// Nothing has asked for one yet.
    Idle,
    /// It is being started: for the first time, or as another one was ended.
    Starting,
    /// It watches over us.
    Running {
        /// Its process id. It may be gone in the next moment, and another one be there.
        pid: i32,
    },
    /// It can't be started.
    Refused(Refused),
}

/// Makes sure that a keeper watches over us, and over `house` if there is one. The first call takes a millisecond;
/// later ones find it running, and take it on trust: one that is ended is replaced as soon as that is noticed.
///
/// It is one process for the whole program, whichever threads ask. A forked copy of the program gets its own.
///
/// # Errors
///
/// Why a keeper can't be started, as a sentence: see [`Refused`]. The next call tries again. `InvalidInput`: the name
/// of the house is none.
pub fn ensure(house: Option<House<'_>>) -> io::Result<()> {
    match house {
        Some(house) => lock().set_house(house),
        None => lock().running().map(drop),
    }
}

/// What is known of the keeper now.
#[must_use]
pub fn state() -> State {
    lock().state()
}

/// Has the keeper kill a child, and the group that it leads, when we are gone, until the result is dropped. A keeper
/// is started if there is none.
///
/// Whom it kills is certain: the pidfd means this child for ever, and its group with it (before Linux 6.9: only
/// if the child lives still).
///
/// # Errors
///
/// `Unsupported`: the child has no pidfd. `WouldBlock`: the keeper has more to read than it can take in, as it does
/// not run. Too many children (`EMFILE`). Or why there is no keeper.
pub fn watch(child: &ProcessHandle) -> io::Result<Watch> {
    if child.own_pidfd().is_none() {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    let slot = lock().watch(child)?;
    Ok(Watch { owner: std::process::id(), slot, reaped: false })
}

/// A child that the keeper kills when we are gone. Dropped, the keeper forgets the child: at once, without waiting
/// for it.
#[derive(Debug)]
#[must_use = "the keeper forgets the child when this is dropped"]
pub struct Watch {
    owner: u32,
    slot: u32,
    reaped: bool,
}

impl Watch {
    /// The end of a watch over a child that was reaped: the keeper need not hear of it at once, which saves a message
    /// for each.
    pub(super) fn outlive(mut self) {
        self.reaped = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // In a forked copy it is not the copy's to say.
        if std::process::id() != self.owner {
            return;
        }
        let mut book = lock();
        if self.reaped { book.outlive(self.slot) } else { book.forget(self.slot) }
    }
}

/// The reaper thread saw something happen on the lifeline.
pub(super) fn lifeline_changed() {
    lock().look_after();
}

//! The keeper: a helper process that ends what we have started when we are gone, however we went.
//!
//! A shell. It waits on a pipe whose other end closes with us, and then kills whom a list names: a file without a name,
//! which both have open, with one line of the same length for each child. We write the lines, at any time, without its
//! doing anything; it reads them once. So it has no memory of ours, no code of ours, and nothing to keep up with.
//!
//! It is in a session of its own and nobody's child: the shell that we start puts it into the background and ends. If it
//! is ended itself, the next child that is to be watched gets another one, with the same list.
//!
//! Between our end and its kills, a number could come to mean another process if the system went through all its numbers
//! in that millisecond. A copy of us that was forked and goes on (without an `execve`) holds the other end, too: then our
//! end is noticed when that has ended as well.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fd;
use super::spawn::spawn;
pub use crate::unix::refused::Refused;
use crate::{FdSource, Group, SpawnRequest, Strings};

/// Descriptor 3 is the list, 4 the pipe. All shells keep descriptors below 10 that they were born with.
///
/// Twice: somebody who was forking in the first round is there in the second.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM TSTP
{
    read -r end <&4
    all=
    while read -r one <&3; do
        [ "$one" = 0 ] || all="$all $one"
    done
    [ -z "$all" ] || { kill -s KILL -- $all; kill -s KILL -- $all; }
} 2>/dev/null >/dev/null &
echo $!
"#;

/// Room for a sign, ten digits and the end of the line.
const LINE: usize = 12;

/// What is known of the keeper.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum State {
    /// Nothing has asked for one yet.
    Idle,
    /// It watches over us.
    Running {
        /// Its process id. It may be gone in the next moment.
        pid: i32,
    },
    /// It can't be started.
    Refused(Refused),
}

/// The list, who reads it, and which lines are taken.
#[derive(Debug, Default)]
struct Book {
    /// Whose book it is: a forked copy of us begins anew.
    owner: u32,
    list: Option<Arc<List>>,
    running: Option<Running>,
    refused: Option<Refused>,
}

#[derive(Debug)]
struct List {
    file: File,
    lines: Mutex<Lines>,
}

/// Which lines of the list are taken. Locked for a moment only, and never while anything of others is done: lines are
/// given back wherever a child is reaped.
#[derive(Debug, Default)]
struct Lines {
    /// To be used again.
    free: Vec<u32>,
    count: u32,
}

#[derive(Debug)]
struct Running {
    pid: i32,
    /// Our end of its pipe.
    lifeline: OwnedFd,
}

static BOOK: Mutex<Option<Book>> = Mutex::new(None);

fn with_book<T>(act: impl FnOnce(&mut Book) -> T) -> T {
    let mut slot: MutexGuard<'_, Option<Book>> = BOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let me = std::process::id();
    if slot.as_ref().is_none_or(|book| book.owner != me) {
        *slot = None;
    }
    act(slot.get_or_insert_with(|| Book { owner: me, ..Book::default() }))
}

/// A line in the list. Dropped, it is cleared, and another child's.
#[derive(Debug)]
pub(super) struct Slot {
    owner: u32,
    list: Arc<List>,
    line: u32,
}

impl Slot {
    /// Names who is to be killed: a process, or a group by its negative number.
    pub(super) fn set(&self, target: i32) -> io::Result<()> {
        self.list.write(self.line, target)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // In a forked copy it is not the copy's to say. Else there is room for it on the disk, as it was written before;
        // a line that stays nevertheless is never used again.
        if self.owner == std::process::id() && self.set(0).is_ok() {
            self.list.lines().free.push(self.line);
        }
    }
}

impl List {
    fn write(&self, line: u32, target: i32) -> io::Result<()> {
        let text = format!("{target:>width$}\n", width = LINE - 1);
        self.file.write_all_at(text.as_bytes(), u64::from(line) * LINE as u64)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> io::Result<u32> {
        let mut lines = self.lines();
        if let Some(line) = lines.free.pop() {
            return Ok(line);
        }
        // Now, so that there is room when it counts.
        self.write(lines.count, 0)?;
        lines.count += 1;
        Ok(lines.count - 1)
    }
}

/// Makes sure that a keeper watches over us. The first call takes some milliseconds.
///
/// # Errors
///
/// Why a keeper can't be started: no shell, no folder for temporary files, no descriptors. The next call tries again.
pub fn ensure(_house: Option<std::convert::Infallible>) -> io::Result<()> {
    with_book(Book::run).map_err(Into::into)
}

/// What is known of the keeper now.
#[must_use]
pub fn state() -> State {
    with_book(|book| match (&book.running, book.refused) {
        (Some(running), _) if running.is_there() => State::Running { pid: running.pid },
        (_, Some(refused)) => State::Refused(refused),
        _ => State::Idle,
    })
}

/// A line in the list of a keeper that runs. Nobody stands in it.
pub(super) fn reserve() -> io::Result<Slot> {
    with_book(|book| {
        book.run()?;
        let list = book.list.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(Slot { owner: book.owner, line: list.take()?, list: Arc::clone(list) })
    })
}

impl Book {
    fn run(&mut self) -> Result<(), Refused> {
        if self.running.as_ref().is_some_and(Running::is_there) {
            return Ok(());
        }
        let list = match &self.list {
            Some(list) => Arc::clone(list),
            None => {
                let file = unnamed().map_err(Refused::because("no temporary file"))?;
                Arc::new(List { file, lines: Mutex::default() })
            }
        };
        self.list = Some(Arc::clone(&list));
        let running = start(&list.file);
        self.refused = running.as_ref().err().copied();
        self.running = Some(running?);
        Ok(())
    }
}

impl Running {
    /// Whether somebody holds the other end.
    fn is_there(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.lifeline.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one structure.
        unsafe { libc::poll(&raw mut poll, 1, 0) };
        poll.revents & (libc::POLLERR | libc::POLLHUP) == 0
    }
}

/// A file for reading and writing that is in no folder any more.
fn unnamed() -> io::Result<File> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!(".herder-{}-{count}", std::process::id()));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => {
                fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn start(list: &File) -> Result<Running, Refused> {
    let pipes = fd::pipe_ends().and_then(|lifeline| Ok((lifeline, fd::pipe_ends()?)));
    let ([theirs, lifeline], [said, says]) = pipes.map_err(Refused::because("no pipe"))?;
    let list = list.try_clone().map_err(Refused::because("no descriptor"))?;
    let source = |fd: OwnedFd| FdSource::Fd(Arc::new(fd));
    let mut request = SpawnRequest::new(words(&["/bin/sh"]), words(&["herder-keeper", "-c", SCRIPT]));
    request.env = Some(Arc::new(words(&["PATH=/bin:/usr/bin"])));
    request.group = Group::NewSession;
    request.reset_ignored_signals = true;
    request.fds = vec![
        (0, FdSource::Null),
        (1, source(says)),
        (2, FdSource::Null),
        (3, source(list.into())),
        (4, source(theirs)),
    ];
    let failed = |error: crate::LaunchError| Refused { what: "no shell", errno: error.errno };
    let spawned = spawn(request).map_err(failed)?;
    // What it has put into the background is in its group.
    spawned.process.set_keep_survivors(true);
    let mut text = String::new();
    File::from(said).read_to_string(&mut text).map_err(Refused::because("it does not answer"))?;
    if let Some(Err(error)) = spawned.launch.outcome() {
        return Err(failed(error));
    }
    spawned.process.wait_exited().map_err(Refused::because("it does not begin"))?;
    drop(spawned.process.reap());
    // It says why on no stream of ours: no process was to be had for the background.
    let pid = text.trim().parse().map_err(|_| Refused { what: "it does not answer", errno: libc::EAGAIN })?;
    Ok(Running { pid, lifeline })
}

fn words(words: &[&str]) -> Strings {
    let mut strings = Strings::new();
    for word in words {
        // None of them has a NUL.
        drop(strings.push(&[OsStr::new(word)]));
    }
    strings
}

//! FreeBSD's reaper, procctl(2): the kernel notes of which child of ours a process came, and keeps that when its parents
//! end, and when it leaves their group and session.
//!
//! It is not had for one child alone: our whole program becomes the parent of all orphans below it. Nobody expects those,
//! so a thread reaps them. It is told of them by a kqueue that sees each SIGCHLD and takes none away from handlers.
//!
//! A program that is a reaper already (PID 1 of a jail, a supervisor) reaps its orphans itself, and is left to it. One
//! that a forked copy of us becomes is none: the status is not inherited.
//!
//! None of this has been run: it is type-checked.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use super::super::{cvt, fd, number, thread, wait};
use crate::unix::subtree::{self, Below};

/// The process that was made a reaper, and whether it is one.
static REAPER: Mutex<Option<(u32, bool)>> = Mutex::new(None);

/// Whether children that are born from now on are followed. The first call makes us a reaper.
pub(in super::super) fn begin() -> bool {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    let me = std::process::id();
    match *reaper {
        Some((owner, is_one)) if owner == me => is_one,
        _ => {
            let is_one = acquire().is_ok();
            *reaper = Some((me, is_one));
            is_one
        }
    }
}

/// Whether we, and not a process that we are a copy of, are a reaper.
fn is_one() -> bool {
    let reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    *reaper == Some((std::process::id(), true))
}

fn acquire() -> io::Result<()> {
    match control(libc::PROC_REAP_ACQUIRE, std::ptr::null_mut::<()>()) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => return Ok(()),
        result => result?,
    }
    let begun = exits().and_then(|exits| thread::start("herder-adopt", move || reap_adopted(&exits)));
    if begun.is_err() {
        // Orphans that nobody reaps would be worse than orphans that go to init.
        control(libc::PROC_REAP_RELEASE, std::ptr::null_mut::<()>())?;
    }
    begun.map(drop)
}

/// Kills all who came of this child of ours, the child included. Nobody may have reaped the child yet: its number is that
/// of a subtree.
///
/// The kernel goes through them until it finds no new ones, and down to those that are reapers themselves.
pub(in super::super) fn kill(child: i32) -> io::Result<()> {
    if !is_one() {
        return Ok(());
    }
    let mut order = Kill {
        signal: libc::SIGKILL,
        flags: KILL_SUBTREE,
        subtree: child,
        killed: 0,
        failed: 0,
        room: [0; 15],
    };
    control(libc::PROC_REAP_KILL, &raw mut order)
}

/// Whether anybody runs who came of this child. What can't be told is taken for nobody: the group was asked before.
pub(in super::super) fn any_runs(child: i32) -> bool {
    is_one() && below().is_ok_and(|below| subtree::any_runs(&below, child))
}

/// A kqueue that tells when a child has ended, whatever the program does with SIGCHLD (kqueue(2), `EVFILT_SIGNAL`). Where
/// that is ignored the kernel tells nobody, and reaps by itself.
fn exits() -> io::Result<OwnedFd> {
    // SAFETY: no arguments.
    let queue = fd::own(cvt(unsafe { libc::kqueue() })?);
    // SAFETY: numbers only.
    cvt(unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: all zeroes is a valid kevent.
    let mut change: libc::kevent = unsafe { std::mem::zeroed() };
    change.ident = number(libc::SIGCHLD);
    change.filter = libc::EVFILT_SIGNAL;
    change.flags = libc::EV_ADD;
    // SAFETY: one structure is read, none is written.
    cvt(unsafe {
        libc::kevent(queue.as_raw_fd(), &raw const change, 1, std::ptr::null_mut(), 0, std::ptr::null())
    })?;
    Ok(queue)
}

/// Reaps those that came to us, as long as the program lives.
fn reap_adopted(exits: &OwnedFd) {
    loop {
        // SAFETY: all zeroes is a valid kevent.
        let mut event: libc::kevent = unsafe { std::mem::zeroed() };
        // SAFETY: none is read, one structure is written.
        let told = cvt(unsafe {
            libc::kevent(exits.as_raw_fd(), std::ptr::null(), 0, &raw mut event, 1, std::ptr::null())
        });
        match told {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Somebody closed a descriptor that is not theirs; nothing tells us any more.
            Err(_) => return release(),
            Ok(_) => {}
        }
        // No memory: the next exit is another occasion.
        let Ok(below) = below() else { continue };
        for orphan in subtree::adopted(&below) {
            // One that runs stays, and how it ended matters to nobody.
            drop(wait::reap(orphan));
        }
    }
}

/// Lets the next reaper above have the orphans; nobody is followed any more.
fn release() {
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    *reaper = Some((std::process::id(), false));
    // EINVAL: we are none any more.
    drop(control(libc::PROC_REAP_RELEASE, std::ptr::null_mut::<()>()));
}

/// Who is below us.
fn below() -> io::Result<Vec<Below>> {
    loop {
        let mut status = Status::default();
        control(libc::PROC_REAP_STATUS, &raw mut status)?;
        // Some may be born meanwhile.
        let room = status.descendants as usize + 16;
        let mut infos = vec![Info::default(); room];
        let mut list = Pids { count: number(room), room: [0; 15], pids: infos.as_mut_ptr() };
        control(libc::PROC_REAP_GETPIDS, &raw mut list)?;
        let told = infos.iter().take_while(|info| info.flags & VALID != 0);
        let below: Vec<_> = told.map(Info::read).collect();
        if below.len() < room {
            return Ok(below);
        }
    }
}

/// procctl(2) for ourselves. `data` is what the command wants.
fn control<T>(command: libc::c_int, data: *mut T) -> io::Result<()> {
    let me = number(std::process::id());
    // SAFETY: `data` is null for a command that takes none, or else the live structure of this command.
    cvt(unsafe { libc::procctl(libc::P_PID, me, command, data.cast()) }).map(drop)
}

// The structures and flags of sys/procctl.h, which the libc crate does not have.

/// `struct procctl_reaper_status`.
#[repr(C)]
#[derive(Default)]
struct Status {
    flags: libc::c_uint,
    children: libc::c_uint,
    descendants: libc::c_uint,
    reaper: libc::pid_t,
    pid: libc::pid_t,
    room: [libc::c_uint; 15],
}

/// `struct procctl_reaper_pidinfo`.
#[repr(C)]
#[derive(Clone, Default)]
struct Info {
    pid: libc::pid_t,
    subtree: libc::pid_t,
    flags: libc::c_uint,
    room: [libc::c_uint; 15],
}

impl Info {
    fn read(&self) -> Below {
        Below {
            pid: self.pid,
            subtree: self.subtree,
            child: self.flags & CHILD != 0,
            zombie: self.flags & ZOMBIE != 0,
        }
    }
}

/// `REAPER_PIDINFO_VALID`.
const VALID: libc::c_uint = 0x1;
/// `REAPER_PIDINFO_CHILD`.
const CHILD: libc::c_uint = 0x2;
/// `REAPER_PIDINFO_ZOMBIE`.
const ZOMBIE: libc::c_uint = 0x8;

/// `struct procctl_reaper_pids`.
#[repr(C)]
struct Pids {
    count: libc::c_uint,
    room: [libc::c_uint; 15],
    pids: *mut Info,
}

/// `struct procctl_reaper_kill`.
#[repr(C)]
struct Kill {
    signal: libc::c_int,
    flags: libc::c_uint,
    subtree: libc::pid_t,
    killed: libc::c_uint,
    failed: libc::pid_t,
    room: [libc::c_uint; 15],
}

/// `REAPER_KILL_SUBTREE`.
const KILL_SUBTREE: libc::c_uint = 0x2;

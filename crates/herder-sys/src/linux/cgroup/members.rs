//! Who is in a cgroup, and signals to them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::super::{cvt, pidfd};
use super::{files, find, house};
use crate::{Member, facts};

/// So often a call looks for newcomers: somebody who forks for ever must not keep us for ever.
const ROUNDS: usize = 32;

/// The processes in `dir` and below. Dead ones that wait to be reaped are not counted.
pub(super) fn pids(dir: BorrowedFd<'_>) -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    files::walk(dir, false, &mut |dir| {
        match files::read(dir, c"cgroup.procs") {
            // 0 is somebody whom our PID namespace does not show.
            Ok(text) => {
                pids.extend(text.lines().filter_map(|line| line.parse().ok()).filter(|pid: &i32| *pid > 0));
            }
            // A cgroup for threads: the processes are listed where the threads come from.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) if files::is_gone(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    })?;
    Ok(pids)
}

pub(super) fn list(dir: BorrowedFd<'_>) -> io::Result<Vec<Member>> {
    let command = |pid: i32| {
        let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
        Some(String::from_utf8_lossy(&name).trim_end_matches('\n').to_owned())
    };
    // Who is gone by now is no member.
    let member = |pid| Some(Member { pid, command: command(pid)? });
    Ok(pids(dir)?.into_iter().filter_map(member).collect())
}

/// Sends `signal` to every process in `dir` and below, newcomers included.
pub(super) fn signal(dir: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let names = names_of(dir)?;
    let mut done = HashSet::new();
    let mut result = Ok(());
    for _ in 0..ROUNDS {
        let new: Vec<i32> = pids(dir)?.into_iter().filter(|pid| done.insert(*pid)).collect();
        if new.is_empty() {
            break;
        }
        for pid in new {
            match send(&names, pid, signal) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => result = Err(error),
                _ => {}
            }
        }
    }
    result
}

/// One round of a kill without `cgroup.kill`: nobody who is frozen can fork, and who is killed dies though frozen.
pub(super) fn kill(dir: BorrowedFd<'_>) -> io::Result<()> {
    let frozen = files::read(dir, c"cgroup.freeze")?.trim() == "1";
    files::write(dir, c"cgroup.freeze", "1")?;
    let result = signal(dir, libc::SIGKILL);
    if !frozen {
        files::write(dir, c"cgroup.freeze", "0")?;
    }
    result
}

/// Signals a process if it is a member still: between the list and now its number may have become another's.
///
/// First the pidfd, then the look: whoever the number means then, either it is the process that we hold, or that one is
/// gone, and the signal with it.
fn send(names: &[Vec<u8>], pid: i32, signal: i32) -> io::Result<()> {
    let held = if facts().pidfd { Some(pidfd::open(pid)?) } else { None };
    if !is_in(names, pid) {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    match held {
        Some(held) => pidfd::send(&held, signal, 0),
        // SAFETY: numbers only; the pid is greater than 0.
        None => cvt(unsafe { libc::kill(pid, signal) }).map(drop),
    }
}

/// The names from our house on: they name a cgroup in `/proc/PID/cgroup` too, and no mount or namespace changes them.
fn names_of(dir: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let dir = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))?;
    let mut names: Vec<_> = dir.iter().map(|name| name.as_encoded_bytes().to_owned()).collect();
    // The last: another program's leaf may hold our house.
    let house = names.iter().rposition(|name| house::parse(name).is_some());
    Ok(names.split_off(house.ok_or(io::ErrorKind::NotFound)?))
}

/// Whether a process is in the cgroup with these names, or below it.
fn is_in(names: &[Vec<u8>], pid: i32) -> bool {
    let Ok(cgroup) = fs::read(format!("/proc/{pid}/cgroup")) else { return false };
    let Some(path) = find::own_path(&cgroup) else { return false };
    let path: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    path.windows(names.len()).any(|part| part.iter().eq(names))
}

//! Descriptors that `herder` was given, by number.

use std::fs;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

/// A copy of the open descriptor `number`: the same open file, with its position.
///
/// To take over a descriptor by its number can't be safe in general, as somebody else in the program may own it. To
/// ask the kernel for a copy is, whosever it is.
///
/// # Errors
///
/// `EBADF` if there is none, and whatever a kernel before Linux 5.6, or a sandbox, has to say. `Unsupported` elsewhere.
#[cfg(target_os = "linux")]
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(own, number, PidfdGetfdFlags::empty())?)
}

/// There is no such call: to open its file in /dev/fd copies a descriptor there.
#[cfg(not(target_os = "linux"))]
pub(crate) fn duplicate(_number: RawFd) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Copies of all descriptors above the standard streams that a child would inherit, but `except`.
pub(crate) fn inherited_but(except: RawFd) -> io::Result<Vec<(RawFd, OwnedFd)>> {
    // Collected first: the listing has a descriptor of its own while it goes on.
    let numbers: Vec<RawFd> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number > 2 && *number != except)
        .collect();
    let mut copies = Vec::new();
    for number in numbers {
        if is_inherited(number) {
            copies.push((number, duplicate(number)?));
        }
    }
    Ok(copies)
}

/// Whether it is open, and not to be closed by an `execve`.
fn is_inherited(number: RawFd) -> bool {
    const CLOEXEC: u32 = 0o2_000_000;
    let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{number}")) else { return false };
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & CLOEXEC == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_copy_shares_the_position() {
        use std::io::{Read, Seek, Write};
        let mut file = tempfile::tempfile().unwrap();
        let copy = duplicate(file.as_raw_fd()).unwrap();
        fs::File::from(copy).write_all(b"moo").unwrap();
        assert_eq!(file.stream_position().unwrap(), 3);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "moo");
    }

    #[test]
    fn what_is_not_open_is_refused_and_what_is_ours_is_not_inherited() {
        assert_eq!(duplicate(1_000_000).unwrap_err().raw_os_error(), Some(9));
        let file = tempfile::tempfile().unwrap();
        assert!(!is_inherited(file.as_raw_fd()));
        assert!(!is_inherited(1_000_000));
    }
}

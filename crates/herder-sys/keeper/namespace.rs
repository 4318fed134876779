//! A PID namespace, whose first process is the keeper of a scope: the kernel lets nobody leave it, and ends all in it
//! with the first process. pid_namespaces(7)
//!
//! A mount namespace comes with it, for a /proc that shows those inside; and, where we have no right to make these, a
//! user namespace, in which our own user and group are the only ones.

use core::ffi::CStr;

use crate::abi;
use crate::processes;
use crate::sys::{self, Errno};

const CLONE_NEWNS: usize = 0x2_0000;
const CLONE_NEWUSER: usize = 0x1000_0000;
const CLONE_NEWPID: usize = 0x2000_0000;

const MS_NOSUID_NODEV_NOEXEC: usize = 2 | 4 | 8;
const MS_REC: usize = 0x4000;
const MS_SLAVE: usize = 1 << 19;

/// What its first process knows of itself.
pub(crate) struct Inside {
    /// User and group, before they had other numbers; `None` where they have not.
    ids: Option<[u32; 2]>,
}

/// Forks the first process of a new PID namespace. It returns 0 there, with what is to be [entered](Inside::enter).
pub(crate) fn fork() -> Result<(usize, Inside), Errno> {
    match processes::fork_into(CLONE_NEWPID | CLONE_NEWNS) {
        Ok(pid) => Ok((pid, Inside { ids: None })),
        Err(sys::EPERM) => {
            let ids = sys::ids();
            let pid = processes::fork_into(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)?;
            Ok((pid, Inside { ids: Some(ids) }))
        }
        Err(errno) => Err(errno),
    }
}

impl Inside {
    /// Makes it fit to be born in.
    pub(crate) fn enter(self) -> Result<Outside, Errno> {
        // The nursery watches over us, and we over the owner. If somebody ends the one and stops the other, this is
        // left: a signal from outside that the first process can't refuse.
        processes::die_with_parent();
        if let Some([user, group]) = self.ids {
            // Without that nobody may have a group of one's own choice (user_namespaces(7)).
            write(c"/proc/self/setgroups", b"deny")?;
            map(c"/proc/self/uid_map", user)?;
            map(c"/proc/self/gid_map", group)?;
        }
        let outside = Outside { fdinfo: sys::open_dir(abi::AT_FDCWD, c"/proc/self/fdinfo")? };
        // What others mount later is to be seen here too, and nothing of ours there. Where the kernel allows no /proc,
        // as parts of the one that is there are hidden from us, that one stays.
        if sys::mount(c"none", c"/", MS_REC | MS_SLAVE).is_ok() {
            let _ = sys::mount(c"proc", c"/proc", MS_NOSUID_NODEV_NOEXEC);
        }
        Ok(outside)
    }
}

/// The same number inside and outside.
fn map(file: &CStr, id: u32) -> Result<(), Errno> {
    let mut line = *b"0000000000 0000000000 1\0";
    let mut rest = id;
    for at in (0..10).rev() {
        let digit = b'0' + (rest % 10) as u8;
        for at in [at, at + 11] {
            if let Some(place) = line.get_mut(at) {
                *place = digit;
            }
        }
        rest /= 10;
    }
    write(file, line.split_last().map_or(&[], |(_, line)| line))
}

fn write(file: &CStr, text: &[u8]) -> Result<(), Errno> {
    sys::write_file(abi::AT_FDCWD, file, text)
}

/// The way to see what is inside as it is seen from outside.
pub(crate) struct Outside {
    /// The directory of what is known of our descriptors, in the /proc that was there before.
    fdinfo: i32,
}

impl Outside {
    /// The number that the process of a pidfd, which was not reaped yet, has outside.
    pub(crate) fn pid_of(&self, pidfd: i32) -> Result<i32, Errno> {
        let mut name = *b"0000000000\0";
        let name = sys::put_pid(&mut name, 0, pidfd);
        let mut buffer = [0; 512];
        let text = sys::read_file(self.fdinfo, name, &mut buffer)?;
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Pid:"));
        let digits = line.unwrap_or_default().iter().filter(|byte| byte.is_ascii_digit());
        let pid = digits.fold(0i32, |pid, digit| pid.wrapping_mul(10).wrapping_add(i32::from(digit - b'0')));
        // -1 or 0 is one that has no number there.
        if pid > 1 { Ok(pid) } else { Err(sys::ESRCH) }
    }
}

//! The owner's directory of cgroups, and its end.

use core::ffi::CStr;

use crate::protocol::NAME_BYTES;
use crate::sys::{self, Errno};

pub(crate) struct House {
    dir: i32,
    /// Its name in the directory above; ends with a NUL.
    name: [u8; NAME_BYTES],
}

impl House {
    pub(crate) fn new(dir: i32, name: [u8; NAME_BYTES]) -> Self {
        Self { dir, name }
    }

    pub(crate) fn close(self) {
        sys::close(self.dir);
    }

    /// One round: kills all that lives in it, and removes it if nothing does. Whether it is removed.
    pub(crate) fn end(&self, cgroup_kill: bool) -> bool {
        let by_file =
            if cgroup_kill { sys::write_file(self.dir, c"cgroup.kill", b"1") } else { Err(sys::ENOENT) };
        match (by_file, self.is_populated()) {
            // Removed by the owner already.
            (_, Err(sys::ENODEV | sys::ENOENT)) => return true,
            (_, Ok(false)) => {}
            (Ok(()), _) => return false,
            (Err(_), _) => {
                // Before Linux 5.14. In a frozen cgroup nobody forks, and whoever is killed there dies.
                let _ = sys::write_file(self.dir, c"cgroup.freeze", b"1");
                self.kill_listed(self.dir);
            }
        }
        self.remove(by_file.is_err())
    }

    fn is_populated(&self) -> Result<bool, Errno> {
        let mut buffer = [0; 256];
        let text = sys::read_file(self.dir, c"cgroup.events", &mut buffer)?;
        let empty = b"populated 0";
        Ok(!text.windows(empty.len()).any(|window| window == empty))
    }

    /// Removes the directories from the deepest up, in no more memory however deep they are: a child may have made
    /// some. With `kill`, what lives in those that can't be removed is killed.
    fn remove(&self, kill: bool) -> bool {
        let Ok(mut here) = sys::open_dir(self.dir, c".") else { return false };
        let mut depth = 0u32;
        let mut came_up = false;
        loop {
            let mut deeper = -1;
            let removed = self.remove_inner(here, kill, &mut deeper);
            if deeper >= 0 && !(came_up && removed == 0) {
                sys::close(here);
                here = deeper;
                depth += 1;
                came_up = false;
                continue;
            }
            sys::close(deeper);
            if deeper >= 0 || depth == 0 {
                break;
            }
            let above = sys::open_dir(here, c"..");
            sys::close(here);
            here = above.unwrap_or(-1);
            depth -= 1;
            came_up = true;
        }
        sys::close(here);
        let name = CStr::from_bytes_until_nul(&self.name).unwrap_or(c"");
        let Ok(above) = sys::open_dir(self.dir, c"..") else { return false };
        let result = sys::remove_dir(above, name);
        sys::close(above);
        matches!(result, Ok(()) | Err(sys::ENOENT))
    }

    /// Removes what can be removed in `here`, and tells how many; opens one that can't be.
    fn remove_inner(&self, here: i32, kill: bool, deeper: &mut i32) -> u32 {
        let mut removed = 0;
        for_each_dir(here, |name| match sys::remove_dir(here, name) {
            Ok(()) => removed += 1,
            Err(_) => {
                let Ok(inner) = sys::open_dir(here, name) else { return };
                if kill {
                    self.kill_listed(inner);
                }
                sys::close(*deeper);
                *deeper = inner;
            }
        });
        removed
    }

    /// Kills the processes that are directly in this cgroup, each only if it is in the house still once we hold its
    /// pidfd.
    fn kill_listed(&self, dir: i32) {
        let Ok(list) = sys::open_file(dir, c"cgroup.procs") else { return };
        let mut buffer = [0; 512];
        let mut pid = 0i32;
        loop {
            match sys::read(list, &mut buffer) {
                Ok(text) if !text.is_empty() => {
                    for byte in text {
                        match byte {
                            b'0'..=b'9' => pid = pid.wrapping_mul(10).wrapping_add(i32::from(byte - b'0')),
                            _ => self.kill(core::mem::take(&mut pid)),
                        }
                    }
                }
                _ => break,
            }
        }
        sys::close(list);
    }

    fn kill(&self, pid: i32) {
        // 0 is somebody of another pid namespace.
        if pid <= 1 {
            return;
        }
        match sys::pidfd_open(pid) {
            Ok(pidfd) => {
                if self.holds(pid) {
                    let _ = sys::pidfd_signal(pidfd, sys::SIGKILL, 0);
                }
                sys::close(pidfd);
            }
            Err(sys::ESRCH) => {}
            // No pidfds: frozen, it does not end between the question and the signal.
            Err(_) if self.holds(pid) => sys::kill(pid, sys::SIGKILL),
            Err(_) => {}
        }
    }

    /// Whether the process is in a cgroup of the house: the name of the house is like no other.
    fn holds(&self, pid: i32) -> bool {
        let mut path = *b"/proc/0000000000/cgroup\0";
        let path = sys::put_pid(&mut path, 6, pid);
        let Ok(name) = CStr::from_bytes_until_nul(&self.name) else { return false };
        let mut buffer = [0; 4096];
        let Ok(text) = sys::read_file(crate::abi::AT_FDCWD, path, &mut buffer) else { return false };
        let name = name.to_bytes();
        text.split(|byte| matches!(byte, b'/' | b'\n')).any(|part| part == name)
    }
}

/// Calls `visit` with the name of each directory in `dir`.
fn for_each_dir(dir: i32, mut visit: impl FnMut(&CStr)) {
    const DT_DIR: u8 = 4;
    let mut buffer = [0u8; 2048];
    loop {
        let Ok(filled @ 1..) = sys::entries(dir, &mut buffer) else { return };
        let mut rest = buffer.get(..filled).unwrap_or_default();
        // `struct linux_dirent64`: inode and offset (8 bytes each), length (2), type (1), name.
        while let Some([low, high, kind]) = rest.get(16..19).and_then(|head| <[u8; 3]>::try_from(head).ok()) {
            let length = usize::from(u16::from_ne_bytes([low, high]));
            let name = rest.get(19..length).and_then(|name| CStr::from_bytes_until_nul(name).ok());
            rest = rest.get(length.max(19)..).unwrap_or_default();
            if let Some(name) = name
                && kind == DT_DIR
                && name != c"."
                && name != c".."
            {
                visit(name);
            }
        }
    }
}

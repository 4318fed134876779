//! Small files and folders of cgroupfs, by descriptors: a path would follow whoever renames what lies above.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::super::{cvt, fd, number};

/// Opens a folder by its path.
pub(super) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    open_raw(libc::AT_FDCWD, &path, libc::O_RDONLY | libc::O_DIRECTORY)
}

/// Opens a folder in `dir`.
pub(super) fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    open_raw(dir.as_raw_fd(), name, libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW)
}

/// Opens a file in `dir` for reading.
pub(super) fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<File> {
    open_raw(dir.as_raw_fd(), name, libc::O_RDONLY).map(File::from)
}

fn open_raw(dir: RawFd, name: &CStr, flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: a NUL-terminated name that lives through the call.
    cvt(unsafe { libc::openat(dir, name.as_ptr(), flags | libc::O_CLOEXEC) }).map(fd::own)
}

/// What a file in `dir` says.
pub(super) fn read(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<String> {
    let mut file = open_file(dir, name)?;
    let mut text = Vec::new();
    // Not `read_to_end`, which asks for the size first: it is always 0 here.
    let mut piece = [0u8; 4096];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => text.extend_from_slice(&piece[..count]),
        }
    }
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Writes to a file in `dir`, in one piece as the kernel wants it.
pub(super) fn write(dir: BorrowedFd<'_>, name: &CStr, text: &str) -> io::Result<()> {
    let file = open_raw(dir.as_raw_fd(), name, libc::O_WRONLY)?;
    File::from(file).write_all(text.as_bytes())
}

pub(super) fn make_dir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: a NUL-terminated name that lives through the call.
    cvt(unsafe { libc::mkdirat(dir.as_raw_fd(), name.as_ptr(), 0o755) }).map(drop)
}

/// Removes a folder of `dir`. That it is gone already is no error.
pub(super) fn remove_dir(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: a NUL-terminated name that lives through the call.
    match cvt(unsafe { libc::unlinkat(dir.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) }) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// Whether `dir` is in a cgroup v2 hierarchy.
pub(super) fn is_cgroup2(dir: BorrowedFd<'_>) -> bool {
    let mut found = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: one structure is written to a live local.
    if unsafe { libc::fstatfs(dir.as_raw_fd(), found.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: written by the call.
    number::<_, i64>(unsafe { found.assume_init() }.f_type) == number::<_, i64>(libc::CGROUP2_SUPER_MAGIC)
}

/// What the file system knows about a file in `dir`, or about `dir` itself under an empty name.
pub(super) fn attributes(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<libc::stat> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: a NUL-terminated name that lives through the call; one structure is written to a live local.
    cvt(unsafe { libc::fstatat(dir.as_raw_fd(), name.as_ptr(), found.as_mut_ptr(), libc::AT_EMPTY_PATH) })?;
    // SAFETY: written by the call.
    Ok(unsafe { found.assume_init() })
}

/// Whether there are cgroups in `dir`: cgroupfs counts them in the link count.
pub(super) fn has_dirs(dir: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(attributes(dir, c"")?.st_nlink > 2)
}

/// The same for the cgroup `name` in `dir`.
pub(super) fn has_dirs_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    Ok(attributes(dir, name)?.st_nlink > 2)
}

/// The names of the cgroups in `dir`.
pub(super) fn dirs(dir: BorrowedFd<'_>) -> io::Result<Vec<CString>> {
    if !has_dirs(dir)? {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(CString::new(entry.file_name().into_vec())?);
        }
    }
    Ok(names)
}

/// Calls `visit` with `top` and every cgroup below it, and, if they are to be removed, removes those below from the
/// bottom up; `top` stays.
///
/// It needs two descriptors however deep the tree is, and no stack: who made it may mean us no good. What vanishes
/// meanwhile is passed over.
pub(super) fn walk(
    top: BorrowedFd<'_>,
    remove: bool,
    visit: &mut dyn FnMut(BorrowedFd<'_>) -> io::Result<()>,
) -> io::Result<()> {
    visit(top)?;
    let mut here = top.try_clone_to_owned()?;
    // The names still to be entered in each folder on the way, and the name that was entered there.
    let mut way: Vec<(Vec<CString>, CString)> = Vec::new();
    let mut names = dirs(top)?;
    loop {
        if let Some(name) = names.pop() {
            let inner = match open_dir(here.as_fd(), &name) {
                Ok(inner) => inner,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            let inside = visit(inner.as_fd()).and_then(|()| dirs(inner.as_fd()));
            way.push((std::mem::take(&mut names), name));
            names = match inside {
                Ok(inside) => inside,
                Err(error) if is_gone(&error) => Vec::new(),
                Err(error) => return Err(error),
            };
            here = inner;
        } else {
            let Some((left, name)) = way.pop() else { return Ok(()) };
            here = open_dir(here.as_fd(), c"..")?;
            if remove {
                remove_dir(here.as_fd(), &name)?;
            }
            names = left;
        }
    }
}

/// Whether a cgroup was removed while we looked: its files answer with ENODEV then.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// The value behind `key` in a file of lines `key value`.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

/// An extended attribute of a folder, if it has it.
pub(super) fn attribute(dir: BorrowedFd<'_>, name: &CStr) -> Option<Vec<u8>> {
    let mut value = [0u8; 16];
    // SAFETY: at most as many bytes are written as there is room for.
    let size =
        unsafe { libc::fgetxattr(dir.as_raw_fd(), name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    Some(value.get(..usize::try_from(size).ok()?)?.to_vec())
}

/// Locks a folder until its descriptor is closed. `false`: somebody else has.
pub(super) fn lock(dir: BorrowedFd<'_>) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::flock(dir.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// A number as the name of a folder.
pub(super) fn number_name(number: u64) -> CString {
    c_name(OsStr::new(&number.to_string()))
}

/// A name that has no NUL.
pub(super) fn c_name(name: &OsStr) -> CString {
    CString::new(name.as_bytes()).unwrap_or_default()
}

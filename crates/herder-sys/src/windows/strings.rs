//! Our strings as UTF-16, and questions about them.

use std::cmp::Ordering;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windows_sys::Win32::Globalization::{
    CSTR_EQUAL, CSTR_GREATER_THAN, CSTR_LESS_THAN, CompareStringOrdinal,
};
use windows_sys::Win32::System::SystemInformation::{GetSystemDirectoryW, GetWindowsDirectoryW};

use crate::Strings;
use crate::wide::{WideError, batch, command_line, environment as block, search};

pub(super) fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().collect()
}

pub(super) fn wide_nul(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

pub(super) fn os_string(units: &[u16]) -> OsString {
    OsString::from_wide(units)
}

/// Our environment as it is now, as `KEY=value`.
#[must_use]
pub fn environment() -> Arc<Strings> {
    let mut strings = Strings::new();
    for (key, value) in env::vars_os() {
        let parts: [&OsStr; 3] = [&key, "=".as_ref(), &value];
        // None of them has a NUL: it would have ended there.
        drop(strings.push(&parts));
    }
    Arc::new(strings)
}

/// How the names of two environment variables stand to each other: without regard to case, as Windows has it.
#[must_use]
pub fn compare_names(one: &OsStr, other: &OsStr) -> Ordering {
    compare(&wide(one), &wide(other))
}

fn compare(one: &[u16], other: &[u16]) -> Ordering {
    let length = |text: &[u16]| i32::try_from(text.len()).unwrap_or(i32::MAX);
    // SAFETY: two slices, with their lengths.
    match unsafe { CompareStringOrdinal(one.as_ptr(), length(one), other.as_ptr(), length(other), 1) } {
        CSTR_LESS_THAN => Ordering::Less,
        CSTR_EQUAL => Ordering::Equal,
        CSTR_GREATER_THAN => Ordering::Greater,
        _ => block::compare(one, other),
    }
}

/// The block of the child's variables.
pub(super) fn environment_block(variables: &Strings) -> Vec<u16> {
    block::block(variables.pairs().map(|(key, value)| (wide(key), wide(value))), compare)
}

/// The files that a program name may mean, to be tried in turn.
///
/// A name with a separator or a drive is a path. Any other is looked up in the folders of `path`, and behind them in
/// those of the system; never in the current folder. Extensions are those of `path_ext` that are programs.
#[must_use]
pub fn candidates(program: &OsStr, path: Option<&OsStr>, path_ext: Option<&OsStr>) -> Vec<PathBuf> {
    let mut folders = path.map(|path| search::folders(&wide(path))).unwrap_or_default();
    folders.extend(folder(GetSystemDirectoryW));
    folders.extend(folder(GetWindowsDirectoryW));
    let path_ext = path_ext.map(wide);
    let files = search::candidates(&wide(program), &folders, path_ext.as_deref());
    files.iter().map(|file| os_string(file).into()).collect()
}

/// One of the two functions that tell a folder of the system.
type Folder = unsafe extern "system" fn(*mut u16, u32) -> u32;

fn folder(ask: Folder) -> Option<Vec<u16>> {
    let mut path = vec![0; 300];
    // SAFETY: at most that many units are written to a live local.
    let length = unsafe { ask(path.as_mut_ptr(), 300) };
    // Neither an error nor a path that was too long.
    (1..300).contains(&length).then(|| {
        path.truncate(length as usize);
        path
    })
}

/// The shell that reads batch files: that of the system, whatever `COMSPEC` and `PATH` say.
pub(super) fn shell() -> io::Result<Vec<u16>> {
    let folder = folder(GetSystemDirectoryW).ok_or_else(io::Error::last_os_error)?;
    Ok(search::join(&folder, &wide("cmd.exe".as_ref())))
}

/// The command line for a file and its arguments (`argv[0]` first), with its NUL; and whether it is for the shell.
pub(super) fn command_line(file: &[u16], argv: &[Vec<u16>]) -> Result<(Vec<u16>, bool), WideError> {
    if !batch::is_batch(file) {
        return Ok((command_line::join(argv.iter().map(Vec::as_slice))?, false));
    }
    // Dots and blanks at the end of a name mean nothing to the system, and something to the shell.
    let file =
        std::path::absolute(os_string(file)).map_or_else(|_| file.to_vec(), |path| wide(path.as_os_str()));
    Ok((batch::join(&file, argv.iter().skip(1).map(Vec::as_slice))?, true))
}

/// Whether these arguments, `argv[0]` first, can be passed to this file. Batch files take less than programs do.
///
/// # Errors
///
/// Why not.
pub fn check_command_line<'a>(
    file: &Path,
    argv: impl IntoIterator<Item = &'a OsStr>,
) -> Result<(), WideError> {
    let argv: Vec<_> = argv.into_iter().map(wide).collect();
    command_line(&wide(file.as_os_str()), &argv).map(drop)
}

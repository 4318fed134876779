//! Which files a program name may mean, and why none of them could be executed.
//!
//! The engine tries the [`candidates`] in turn, as `execvp` does. The kernel's answer to a failure is one number,
//! and "no such file" stands for a missing program, a missing interpreter and a missing loader alike; [`diagnose`]
//! looks at the files afterwards and tells them apart.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::super::{Diagnosis, ProgramError, check_name};
use super::file_format::{self, Format};

/// Where programs are looked up without a `PATH`: the `_CS_PATH` of the C library, as `execvp` does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// `ENOEXEC`, which no `io::ErrorKind` stands for; the same number on every Unix.
const ENOEXEC: i32 = 8;

/// How many interpreters of interpreters the kernel follows.
const MOST_INTERPRETERS: u32 = 5;

/// The files to try in turn for a program, given the variables of the child.
///
/// A name with a slash is a path. Any other is looked up in each entry of `PATH`, where an empty entry is the
/// current directory: an old trap, but one that POSIX prescribes, and a lookup that differs from that of every
/// shell would be another. Relative candidates are meant in the directory that the child has changed to.
///
/// # Errors
///
/// If the name is empty or has a NUL byte in it.
pub(crate) fn candidates<'a>(
    program: &OsStr,
    variable: impl Fn(&str) -> Option<&'a OsStr>,
) -> Result<Vec<PathBuf>, ProgramError> {
    check_name(program)?;
    // What is a path already needs no search of the environment.
    if program.as_encoded_bytes().contains(&b'/') {
        return Ok(vec![program.into()]);
    }
    let path = variable("PATH");
    let (here, default) = (Path::new("."), OsStr::new(DEFAULT_PATH));
    let in_entry =
        |entry: PathBuf| if entry.as_os_str().is_empty() { here.join(program) } else { entry.join(program) };
    Ok(env::split_paths(path.unwrap_or(default)).map(in_entry).collect())
}

/// Why a file is not one that can be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotExecutable {
    #[error("it is a directory")]
    Directory,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it has no execute permission; chmod +x gives it")]
    NoPermissionBit,
    #[error("permission denied, for it or for a directory above it")]
    PermissionDenied,
    #[error("its file system is mounted noexec")]
    NoExecMount,
    #[error("it is empty")]
    Empty,
    #[error("it has no '#!' line and is no binary")]
    NoFormat,
    #[error("it is a binary for another kind of machine, or damaged")]
    ForeignBinary,
    #[error("it is open for writing")]
    Busy,
}

/// Finds out why no candidate could be executed, given the error number of the failed attempt.
///
/// Blocks as looking at files does, and sees them as we do: a child with another user or root directory may have
/// seen them differently. To be called after a failed `execve` only; the answer is for people, not for decisions.
pub(crate) fn diagnose(errno: i32, candidates: &[PathBuf], cwd: Option<&Path>) -> Diagnosis {
    let kind = io::Error::from_raw_os_error(errno).kind();
    let resolve = |path: &Path| cwd.map_or_else(|| path.to_owned(), |cwd| cwd.join(path));
    let mut first_denied = None;
    let mut any_exists = false;
    for candidate in candidates {
        let file = resolve(candidate);
        let metadata = match fs::metadata(&file) {
            Ok(metadata) => metadata,
            // A directory of `PATH` that we may not look into says nothing about the program.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && candidates.len() == 1 => {
                let why = NotExecutable::PermissionDenied;
                first_denied.get_or_insert_with(|| Diagnosis::NotExecutable {
                    path: candidate.clone(),
                    why: why.to_string(),
                });
                continue;
            }
            Err(_) => continue,
        };
        any_exists = true;
        let not_executable =
            |why: NotExecutable| Diagnosis::NotExecutable { path: candidate.clone(), why: why.to_string() };
        let found = match kind {
            io::ErrorKind::NotFound => missing_interpreter(candidate, &file, &resolve),
            io::ErrorKind::PermissionDenied => denied(&file, &metadata)
                .map(not_executable)
                .or_else(|| denied_interpreter(&file, &resolve))
                .or_else(|| Some(not_executable(NotExecutable::PermissionDenied))),
            io::ErrorKind::ExecutableFileBusy => Some(not_executable(NotExecutable::Busy)),
            _ if errno == ENOEXEC => unrecognised(&file, &metadata).map(not_executable),
            _ => None,
        };
        if let Some(diagnosis) = found {
            return diagnosis;
        }
    }
    match kind {
        io::ErrorKind::PermissionDenied if first_denied.is_some() => {
            first_denied.unwrap_or(Diagnosis::Unexplained)
        }
        // Of several, only a directory of `PATH` was refused.
        io::ErrorKind::PermissionDenied if !any_exists && candidates.len() > 1 => not_found(candidates),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory if !any_exists => not_found(candidates),
        _ => Diagnosis::Unexplained,
    }
}

fn not_found(candidates: &[PathBuf]) -> Diagnosis {
    Diagnosis::ProgramNotFound { searched: candidates.to_vec() }
}

/// The interpreter or loader that a chain of scripts ends in, if it does not exist.
fn missing_interpreter(
    candidate: &Path,
    file: &Path,
    resolve: &impl Fn(&Path) -> PathBuf,
) -> Option<Diagnosis> {
    let (mut path, mut file) = (candidate.to_owned(), file.to_owned());
    for _ in 0..MOST_INTERPRETERS {
        let interpreter = interpreter(&file)?;
        file = resolve(&interpreter);
        if fs::metadata(&file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Some(Diagnosis::InterpreterNotFound { path, interpreter });
        }
        path = interpreter;
    }
    None
}

/// The interpreter that a chain of scripts ends in, if it exists and can't be executed.
fn denied_interpreter(file: &Path, resolve: &impl Fn(&Path) -> PathBuf) -> Option<Diagnosis> {
    let mut file = file.to_owned();
    for _ in 0..MOST_INTERPRETERS {
        let interpreter = interpreter(&file)?;
        file = resolve(&interpreter);
        if let Some(why) = denied(&file, &fs::metadata(&file).ok()?) {
            return Some(Diagnosis::NotExecutable { path: interpreter, why: why.to_string() });
        }
    }
    None
}

fn interpreter(file: &Path) -> Option<PathBuf> {
    match file_format::read(file).ok()? {
        Format::Script { interpreter } | Format::Elf { interpreter: Some(interpreter) } => Some(interpreter),
        Format::Elf { interpreter: None } | Format::Empty | Format::Other => None,
    }
}

/// Why the kernel denies to execute a file that exists, if that can be seen.
fn denied(file: &Path, metadata: &Metadata) -> Option<NotExecutable> {
    if metadata.is_dir() {
        Some(NotExecutable::Directory)
    } else if !metadata.is_file() {
        Some(NotExecutable::NotAFile)
    } else if no_permission_bit(metadata) {
        Some(NotExecutable::NoPermissionBit)
    } else if is_on_noexec_mount(file) {
        Some(NotExecutable::NoExecMount)
    } else {
        None
    }
}

/// Why the kernel does not know how to execute a file.
fn unrecognised(file: &Path, metadata: &Metadata) -> Option<NotExecutable> {
    if !metadata.is_file() || no_permission_bit(metadata) {
        // Passed over: not the one that the kernel gave up on.
        return None;
    }
    Some(match file_format::read(file) {
        Ok(Format::Empty) => NotExecutable::Empty,
        Ok(Format::Elf { .. }) => NotExecutable::ForeignBinary,
        _ => NotExecutable::NoFormat,
    })
}

fn no_permission_bit(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 == 0
}

/// Whether the kernel's list of mounts (proc_pid_mountinfo(5)) says so; without the list, no.
fn is_on_noexec_mount(file: &Path) -> bool {
    let Ok(file) = fs::canonicalize(file) else { return false };
    fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| is_noexec(&mounts, &file))
}

/// The mount of a file is the deepest one above it, of several at one place the last.
fn is_noexec(mounts: &str, file: &Path) -> bool {
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let (point, options) = (unescape(fields.next()?), fields.next()?);
        file.starts_with(&point).then_some((point.len(), options))
    });
    above
        .max_by_key(|(depth, _)| *depth)
        .is_some_and(|(_, options)| options.split(',').any(|option| option == "noexec"))
}

/// Mount points have spaces, tabs, line ends and backslashes as octal numbers.
fn unescape(point: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(point.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;

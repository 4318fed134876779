//! Which files a program name may mean, and why none of them could be executed.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::super::{Diagnosis, ProgramError, check_name};

/// `ERROR_BAD_EXE_FORMAT`, which no `io::ErrorKind` stands for.
const BAD_FORMAT: i32 = 193;

/// `ERROR_ELEVATION_REQUIRED`.
const ELEVATION_REQUIRED: i32 = 740;

/// The files to try in turn for a program, given the variables of the child.
///
/// # Errors
///
/// If the name is empty or has a NUL in it.
pub(crate) fn candidates<'a>(
    program: &OsStr,
    variable: impl Fn(&str) -> Option<&'a OsStr>,
) -> Result<Vec<PathBuf>, ProgramError> {
    check_name(program)?;
    Ok(herder_sys::candidates(program, variable("PATH"), variable("PATHEXT")))
}

/// Finds out why no candidate could be executed, given the error number of the failed attempt.
///
/// Blocks as looking at files does. The answer is for people, not for decisions.
pub(crate) fn diagnose(errno: i32, candidates: &[PathBuf], cwd: Option<&Path>) -> Diagnosis {
    let resolve = |path: &Path| cwd.map_or_else(|| path.to_owned(), |cwd| cwd.join(path));
    let Some(path) = candidates.iter().find(|candidate| resolve(candidate).exists()) else {
        return Diagnosis::ProgramNotFound { searched: candidates.to_vec() };
    };
    let why = match errno {
        _ if resolve(path).is_dir() => "it is a directory",
        BAD_FORMAT => "it is no program, or one for another kind of machine",
        ELEVATION_REQUIRED => "it has to be run as an administrator, which takes a question to the user",
        _ if io::Error::from_raw_os_error(errno).kind() == io::ErrorKind::PermissionDenied => {
            "permission denied, by its rights or by a policy of this system"
        }
        _ => return Diagnosis::Unexplained,
    };
    Diagnosis::NotExecutable { path: path.clone(), why: why.into() }
}

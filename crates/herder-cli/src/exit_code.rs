//! The exit codes, all of them.
//!
//! | code | meaning |
//! |---|---|
//! | the program's own | it ended by itself |
//! | 124 | a limit ended it |
//! | 125 | `herder` itself failed: wrong usage, a setting that could not be made, a report that could not be written |
//! | 126 | the program was found and can't be executed |
//! | 127 | the program was not found |
//! | 128 + n | it was ended by signal n; on Windows 137, by a kill of ours |
//!
//! Anything finer stands in the JSON report, never in another code.

use std::process::{ExitCode, ExitStatus};

use herder::Cause;
use herder::error::SpawnErrorKind;

use crate::platform;

const LIMIT: u32 = 124;
const OURS: u32 = 125;
const NOT_EXECUTABLE: u32 = 126;
const NOT_FOUND: u32 = 127;
const SIGNALED: u32 = 128;

/// How `herder` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Exit {
    code: u32,
    interrupted: bool,
}

impl Exit {
    pub(crate) const SUCCESS: Self = Self::code(0);
    pub(crate) const FAILURE: Self = Self::code(OURS);

    const fn code(code: u32) -> Self {
        Self { code, interrupted: false }
    }

    /// The exit code.
    #[must_use]
    pub(crate) fn get(self) -> u32 {
        self.code
    }

    /// After a run.
    ///
    /// `preserve`: a limit does not hide the code of the program.
    pub(crate) fn of_run(cause: Cause, status: ExitStatus, preserve: bool) -> Self {
        match cause {
            Cause::TimedOut | Cause::Idle if !preserve => Self::code(LIMIT),
            _ => Self::of_status(status),
        }
    }

    /// The program's own code, or 128 + n.
    pub(crate) fn of_status(status: ExitStatus) -> Self {
        match (status.code(), platform::signal_of(status)) {
            (Some(code), _) => Self::code(code.cast_unsigned()),
            (None, Some(signal)) => Self::code(SIGNALED + signal.unsigned_abs()),
            (None, None) => Self::FAILURE,
        }
    }

    /// After a program that could not be started.
    ///
    /// A script whose interpreter is missing was found and can't be executed, as in the shells; the names of an
    /// argument list that is too long were fine, too.
    pub(crate) fn of_spawn_error(kind: SpawnErrorKind) -> Self {
        Self::code(match kind {
            SpawnErrorKind::ProgramNotFound => NOT_FOUND,
            SpawnErrorKind::NotExecutable
            | SpawnErrorKind::InterpreterNotFound
            | SpawnErrorKind::ArgumentsTooLong => NOT_EXECUTABLE,
            _ => OURS,
        })
    }

    /// After a report that could not be written: a success is none then, a failure stays what it is.
    pub(crate) fn or_failure(self) -> Self {
        if self.code == 0 { Self::FAILURE } else { self }
    }

    /// In the foreground of a terminal: a program that died of SIGINT did so by Ctrl-C, and `herder` does too.
    ///
    /// A shell that runs a loop or a script goes on after a program that *exited* at a Ctrl-C, because that one may
    /// have had a use for it, and ends after one that *died*. To everybody else both are 130.
    pub(crate) fn at_terminal(self) -> Self {
        Self { interrupted: self.code == SIGNALED + 2, ..self }
    }

    /// Ends as this says: with an exit code for `main`, or by SIGINT.
    #[must_use]
    pub(crate) fn take(self) -> ExitCode {
        platform::end(self.code, self.interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    use std::os::unix::process::ExitStatusExt;
    #[cfg(windows)]
    use std::os::windows::process::ExitStatusExt;

    #[cfg(unix)]
    fn exited(code: i32) -> ExitStatus {
        ExitStatus::from_raw(code << 8)
    }

    fn run(cause: Cause, status: ExitStatus) -> u32 {
        Exit::of_run(cause, status, false).get()
    }

    #[cfg(windows)]
    #[test]
    fn codes_are_32_bits_wide() {
        for code in [0, 1, 137, 259, 0xC000_0005] {
            assert_eq!(run(Cause::Exited, ExitStatus::from_raw(code)), code);
            assert_eq!(run(Cause::TimedOut, ExitStatus::from_raw(code)), 124);
            assert_eq!(Exit::of_run(Cause::Idle, ExitStatus::from_raw(code), true).get(), code);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_program_has_its_own_code() {
        for code in [0, 1, 77, 124, 125, 255] {
            assert_eq!(run(Cause::Exited, exited(code)), code.unsigned_abs());
        }
        assert_eq!(run(Cause::Signaled, ExitStatus::from_raw(11 | 0x80)), 139);
        assert_eq!(run(Cause::Terminated, exited(3)), 3);
        assert_eq!(run(Cause::Killed, ExitStatus::from_raw(9)), 137);
        assert_eq!(run(Cause::Signaled, ExitStatus::from_raw(64)), 192);
    }

    #[cfg(unix)]
    #[test]
    fn a_limit_is_124_unless_the_own_code_is_wanted() {
        for cause in [Cause::TimedOut, Cause::Idle] {
            assert_eq!(run(cause, ExitStatus::from_raw(15)), 124);
            assert_eq!(run(cause, exited(0)), 124);
            assert_eq!(Exit::of_run(cause, ExitStatus::from_raw(15), true).get(), 143);
            assert_eq!(Exit::of_run(cause, exited(0), true).get(), 0);
        }
    }

    #[test]
    fn what_could_not_be_started() {
        for (kind, code) in [
            (SpawnErrorKind::ProgramNotFound, 127),
            (SpawnErrorKind::NotExecutable, 126),
            (SpawnErrorKind::InterpreterNotFound, 126),
            (SpawnErrorKind::ArgumentsTooLong, 126),
            (SpawnErrorKind::CurrentDir, 125),
            (SpawnErrorKind::Setup, 125),
            (SpawnErrorKind::OutOfResources, 125),
        ] {
            assert_eq!(Exit::of_spawn_error(kind).get(), code, "{kind:?}");
        }
    }

    #[test]
    fn only_a_death_by_sigint_is_passed_on() {
        assert!(Exit::code(130).at_terminal().interrupted);
        assert!(!Exit::code(0).at_terminal().interrupted);
        assert_eq!(Exit::code(0).or_failure().get(), 125);
        assert_eq!(Exit::code(3).or_failure().get(), 3);
    }
}

//! What can go wrong, one type per verb.
//!
//! Each error names the program and the step, and says what to do where there is something to do. None shows an
//! argument or the value of a variable. All convert to [`std::io::Error`] and keep its kind, so that functions that
//! return `io::Result` need no change.
//!
//! Not errors: an exit code other than 0, death by a signal, a limit that was reached, output that was cut. Those
//! are in the [`Report`](crate::Report).

use std::fmt;
use std::io;

pub use herder_sys::SpawnStep;

/// A program could not be started.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use herder::{Command, error::SpawnErrorKind};
///
/// let error = Command::new("no-such-program").spawn().unwrap_err();
/// assert_eq!(error.kind(), SpawnErrorKind::ProgramNotFound);
/// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
/// # }
/// ```
pub struct SpawnError(Box<SpawnInner>);

struct SpawnInner {
    name: String,
    kind: SpawnErrorKind,
    step: Option<SpawnStep>,
    detail: String,
    source: io::Error,
}

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpawnErrorKind {
    /// The command itself can't be: a NUL byte, an empty name, a variable with `=` in its name, a reader used twice.
    InvalidInput,
    /// One argument or variable, or all together, are larger than the system takes.
    ArgumentsTooLong,
    /// No file of that name where it was looked for.
    ProgramNotFound,
    /// The file is there, but is no program, or there is no permission to execute it.
    NotExecutable,
    /// The script is there, but the interpreter that its first line names is not, or the loader of a binary.
    InterpreterNotFound,
    /// The working directory does not exist, is none, or may not be entered.
    CurrentDir,
    /// A setting of the command could not be made in the child: see [`SpawnError::step`].
    Setup,
    /// No more descriptors, processes, threads or memory.
    OutOfResources,
    /// The child did not get to its program in time: it was stopped, or is frozen. It was killed.
    Stalled,
    /// What was asked for to contain it can't be had on this host, or refuses the child: it is frozen, or full.
    Containment,
    /// The output can't be copied to the file that was named.
    Spill,
    /// There is no Tokio runtime, and feeding standard input, or seeing a program through, needs one.
    NoRuntime,
    /// This system does not have what the command asks for: see [`Stdio::stamped`](crate::Stdio::stamped).
    Unsupported,
    /// Something else; the source says what.
    Other,
}

impl SpawnError {
    pub(crate) fn new(
        name: &str,
        kind: SpawnErrorKind,
        detail: impl fmt::Display,
        source: io::Error,
    ) -> Self {
        let detail = detail.to_string();
        Self(Box::new(SpawnInner { name: name.to_owned(), kind, step: None, detail, source }))
    }

    /// What children are held with could not be made.
    pub(crate) fn of_scope(name: &str, error: io::Error) -> Self {
        let detail = format!("nothing to hold it with can be made: {error}");
        Self::new(name, SpawnErrorKind::Containment, detail, error).at(SpawnStep::Scope)
    }

    pub(crate) fn at(mut self, step: SpawnStep) -> Self {
        self.0.step = Some(step);
        self
    }

    /// The name of the process: that given with [`Command::name`](crate::Command::name), or the program's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> SpawnErrorKind {
        self.0.kind
    }

    /// The step that the engine failed at; `None` if it was found out before anything was started.
    #[must_use]
    pub fn step(&self) -> Option<SpawnStep> {
        self.0.step
    }

    /// The kind of the underlying error, as `std` names it.
    #[must_use]
    pub fn io_kind(&self) -> io::ErrorKind {
        self.0.source.kind()
    }

    /// The error number of the system, if it was the system that refused.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.source.raw_os_error()
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't start {:?}: {}", self.0.name, self.0.detail)
    }
}

impl fmt::Debug for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError")
            .field("name", &self.0.name)
            .field("kind", &self.0.kind)
            .field("step", &self.0.step)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0.source)
    }
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

/// The end of a process could not be learnt.
///
/// The rule is that it can: this happens if somebody else in the program reaped the child (a `waitpid(-1)`, or
/// SIGCHLD is ignored) on a kernel before 6.15, which keeps no record of it.
pub struct WaitError(Box<Failure>);

/// A signal could not be sent, or a process not be ended.
///
/// A process that is gone is no error; this is, above all, one that runs as another user.
pub struct SignalError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    name: String,
    what: String,
    source: io::Error,
}

macro_rules! failure {
    ($error:ident) => {
        impl $error {
            pub(crate) fn new(name: &str, what: impl fmt::Display, source: io::Error) -> Self {
                Self(Box::new(Failure { name: name.to_owned(), what: what.to_string(), source }))
            }

            /// The name of the process.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.0.name
            }

            /// The kind of the underlying error, as `std` names it.
            #[must_use]
            pub fn io_kind(&self) -> io::ErrorKind {
                self.0.source.kind()
            }

            /// The error number of the system, if it was the system that refused.
            #[must_use]
            pub fn raw_os_error(&self) -> Option<i32> {
                self.0.source.raw_os_error()
            }
        }

        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "can't {} {:?}: {}", self.0.what, self.0.name, self.0.source)
            }
        }

        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($error)).field(&self.0).finish()
            }
        }

        impl std::error::Error for $error {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0.source)
            }
        }

        impl From<$error> for io::Error {
            fn from(error: $error) -> Self {
                Self::new(error.io_kind(), error)
            }
        }
    };
}

failure!(WaitError);
failure!(SignalError);

impl WaitError {
    /// Whether somebody else reaped the process, so that nobody can know how it ended.
    #[must_use]
    pub fn is_status_lost(&self) -> bool {
        // ECHILD.
        self.raw_os_error() == Some(10)
    }
}

impl From<WaitError> for SignalError {
    fn from(error: WaitError) -> Self {
        Self(error.0)
    }
}

//! From a command to a request for the engine: checks, and pipes. Nothing is started here.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use herder_sys::{LaunchError, Signal, SpawnRequest, SpawnStep, Strings};

use super::{Command, Stdio, StdioKind};
use crate::contain::{self, Choice, Containment, Wish};
use crate::error::{SpawnError, SpawnErrorKind};
use crate::host::{self, Diagnosis, ProgramError, candidates, diagnose, errno};

/// What streams are that the command does not say anything about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defaults {
    /// Inherited.
    Inherit,
    /// Standard input is null, output is captured.
    Capture,
}

/// A checked command.
pub(crate) struct Lowered {
    pub(crate) request: SpawnRequest,
    /// Standard input, output, error: which are pipes, and what the first is fed.
    pub(crate) streams: [StdioKind; 3],
    pub(crate) name: Arc<str>,
    pub(crate) choice: Choice,
}

/// Checks a command and turns it into a request, without the standard streams that need pipes.
pub(crate) fn lower(command: &Command, defaults: Defaults) -> Result<Lowered, SpawnError> {
    let name = command.display_name();
    let invalid = |detail: String| {
        SpawnError::new(&name, SpawnErrorKind::InvalidInput, detail, io::ErrorKind::InvalidInput.into())
    };
    let inherited = herder_sys::environment();
    let files = files(command, &inherited).map_err(|error| invalid(error.to_string()))?;
    let variables = if command.env.is_unedited() {
        inherited
    } else {
        Arc::new(command.env.resolve(inherited.pairs()).map_err(|error| invalid(error.to_string()))?)
    };
    let arg0 = command.os.arg0().unwrap_or(&command.program);
    let argv = || std::iter::once(arg0).chain(command.args.iter().map(OsString::as_os_str));
    check_sizes(command, &files, argv(), &variables, &name)?;

    let nul = |what: &'static str| move |_| invalid(format!("{what} has a NUL byte in it"));
    let mut request = SpawnRequest::new(
        strings(files.iter().map(|file| file.as_os_str())).map_err(nul("the program"))?,
        strings(argv()).map_err(nul("an argument"))?,
    );
    request.env = Some(variables);
    if let Some(dir) = &command.current_dir {
        if dir.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(invalid("the working directory has a NUL byte in it".into()));
        }
        request.cwd = Some(dir.clone().into());
    }
    command.os.copy_to(&mut request);
    request.die_with_owner = command.die_with_owner.then_some(Signal::KILL);

    let streams = [
        stream(command.stdin.as_ref(), defaults, StdioKind::Null),
        stream(command.stdout.as_ref(), defaults, StdioKind::Piped),
        stream(command.stderr.as_ref(), defaults, StdioKind::Piped),
    ];
    check_streams(&streams).map_err(invalid)?;
    command.os.check().map_err(|what| invalid(what.into()))?;
    // A pipeline of our own would have its terminal on another stream: the input is what a terminal guards.
    let terminal = matches!(streams[0], StdioKind::Inherit)
        && !matches!(command.containment, Containment::Group | Containment::None)
        && host::uses_terminal();
    // In a herd the scope is the herd's, and a group comes on top as always.
    let containment =
        if command.fold.is_some() { command.containment.in_herd() } else { command.containment };
    let may_be_kept = contain::may_be_kept(containment);
    let unkeepable = || command.os.unkeepable(&files, command.current_dir.as_deref());
    let choice = contain::choose_here(Wish {
        containment,
        group: command.os.group(),
        terminal,
        dies_with_owner: command.die_with_owner,
        unkeepable: may_be_kept.then(unkeepable).flatten(),
        ill_kept: may_be_kept.then(|| command.os.ill_kept(gives_terminal(&streams))).flatten(),
    });
    let choice = choice.map_err(|refusal| {
        let detail = format!("what was asked for to contain it can't be had: {refusal}");
        SpawnError::new(&name, SpawnErrorKind::Containment, detail, io::ErrorKind::Unsupported.into())
    })?;
    request.group = choice.group;
    Ok(Lowered { request, streams, name, choice })
}

/// Whether one of the standard streams is a terminal.
fn gives_terminal(streams: &[StdioKind; 3]) -> bool {
    // Asked only of those that the child is given: it is a system call for each.
    let ours: [fn() -> bool; 3] =
        [|| io::stdin().is_terminal(), || io::stdout().is_terminal(), || io::stderr().is_terminal()];
    let is_terminal = |(kind, ours): (&StdioKind, fn() -> bool)| match kind {
        StdioKind::Inherit => ours(),
        StdioKind::Fd(fd) => fd.is_terminal(),
        _ => false,
    };
    streams.iter().zip(ours).any(is_terminal)
}

/// The files that the program may mean.
fn files(command: &Command, inherited: &Strings) -> Result<Vec<PathBuf>, ProgramError> {
    candidates(&command.program, |name| command.env.look_up(name, inherited))
}

fn strings<'a>(list: impl Iterator<Item = &'a OsStr>) -> io::Result<Strings> {
    let mut strings = Strings::new();
    for text in list {
        strings.push(&[text])?;
    }
    Ok(strings)
}

fn stream(asked: Option<&Stdio>, defaults: Defaults, captured: StdioKind) -> StdioKind {
    match (asked, defaults) {
        (Some(Stdio(kind)), _) => kind.clone(),
        (None, Defaults::Inherit) => StdioKind::Inherit,
        (None, Defaults::Capture) => captured,
    }
}

fn check_streams([stdin, stdout, stderr]: &[StdioKind; 3]) -> Result<(), String> {
    let feeds = |kind: &StdioKind| matches!(kind, StdioKind::Bytes(_) | StdioKind::Reader(_));
    if feeds(stdout) || feeds(stderr) {
        return Err("bytes and readers are for standard input".into());
    }
    if matches!(stdin, StdioKind::Stamped) {
        return Err("only output can be stamped".into());
    }
    if matches!(stdin, StdioKind::ToStdout) || matches!(stdout, StdioKind::ToStdout) {
        return Err("only standard error can go where standard output goes".into());
    }
    Ok(())
}

fn check_sizes<'a>(
    command: &Command,
    files: &[PathBuf],
    argv: impl Iterator<Item = &'a OsStr>,
    variables: &Strings,
    name: &str,
) -> Result<(), SpawnError> {
    host::check_sizes(files, argv, variables, &command.os).map_err(|error| {
        let (kind, source) = if error.is_too_long() {
            (SpawnErrorKind::ArgumentsTooLong, io::ErrorKind::ArgumentListTooLong)
        } else {
            (SpawnErrorKind::InvalidInput, io::ErrorKind::InvalidInput)
        };
        SpawnError::new(name, kind, error, source.into())
    })
}

/// What a failed step of the engine means for this command. Looks at files, so it may block.
pub(crate) fn setup_error(command: &Command, failure: LaunchError) -> SpawnError {
    let name = command.display_name();
    let mut source = failure.io();
    let (kind, detail) = match failure.step {
        SpawnStep::Exec => exec_error(command, &failure),
        SpawnStep::Chdir => {
            let dir = command.current_dir.clone().unwrap_or_default();
            let missing = source.kind() == io::ErrorKind::NotFound;
            let what = if missing { "does not exist" } else { "can't be entered" };
            (SpawnErrorKind::CurrentDir, format!("the working directory {} {what}: {source}", dir.display()))
        }
        SpawnStep::Prepare | SpawnStep::Clone => {
            let kind = match source.raw_os_error() {
                Some(errno::INVALID) => SpawnErrorKind::InvalidInput,
                _ => SpawnErrorKind::OutOfResources,
            };
            (kind, format!("no process could be made: {source}"))
        }
        SpawnStep::Scope if failure.errno == errno::SCOPE_FULL => {
            (SpawnErrorKind::Containment, "the limit of processes of its scope is reached".to_owned())
        }
        SpawnStep::Scope => (SpawnErrorKind::Containment, format!("its scope does not take it: {source}")),
        SpawnStep::Stalled => {
            let detail = format!("it was stopped or frozen before it could begin, for {STALL_LIMIT:?}");
            (SpawnErrorKind::Stalled, detail)
        }
        step => (SpawnErrorKind::Setup, format!("{}: {source}", describe(step))),
    };
    if kind == SpawnErrorKind::ProgramNotFound {
        // Not "permission denied", which a directory of `PATH` may have been worth.
        source = io::Error::from_raw_os_error(errno::NOT_FOUND);
    }
    SpawnError::new(&name, kind, detail, source).at(failure.step)
}

/// How long a child may take from its birth to the end of its `execve` before it is given up and killed.
pub(crate) const STALL_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

fn describe(step: SpawnStep) -> &'static str {
    match step {
        SpawnStep::Session => "it can't begin a session",
        SpawnStep::Group => "it can't join the process group",
        SpawnStep::Nice => "its niceness can't be set",
        SpawnStep::Affinity => "its processors can't be set",
        SpawnStep::Fds => "its descriptors can't be put in place",
        SpawnStep::CloseFds => "other descriptors can't be closed",
        SpawnStep::Limits => "its resource limits can't be set",
        SpawnStep::Groups => "its supplementary groups can't be set",
        SpawnStep::Gid => "its group can't be set",
        SpawnStep::Uid => "its user can't be set",
        SpawnStep::DieWithOwner => "it can't be made to die with its owner",
        SpawnStep::PreExec => "the code to run before the program failed",
        _ => "its signals can't be reset",
    }
}

fn exec_error(command: &Command, failure: &LaunchError) -> (SpawnErrorKind, String) {
    let source = failure.io();
    let inherited = herder_sys::environment();
    let files = files(command, &inherited).unwrap_or_default();
    let diagnosis = diagnose(failure.errno, &files, command.current_dir.as_deref());
    let kind = match &diagnosis {
        Diagnosis::ProgramNotFound { .. } => SpawnErrorKind::ProgramNotFound,
        Diagnosis::NotExecutable { .. } => SpawnErrorKind::NotExecutable,
        Diagnosis::InterpreterNotFound { .. } => SpawnErrorKind::InterpreterNotFound,
        Diagnosis::Unexplained => match source.kind() {
            io::ErrorKind::ArgumentListTooLong => SpawnErrorKind::ArgumentsTooLong,
            io::ErrorKind::NotFound => SpawnErrorKind::ProgramNotFound,
            io::ErrorKind::PermissionDenied => SpawnErrorKind::NotExecutable,
            _ => SpawnErrorKind::Other,
        },
    };
    let detail = match diagnosis {
        Diagnosis::Unexplained => format!("{diagnosis}: {source}"),
        _ => diagnosis.to_string(),
    };
    (kind, detail)
}

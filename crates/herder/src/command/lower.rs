//! From a command to a request for the engine: checks, and pipes. Nothing is started here.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use herder_sys::{FdSource, LaunchError, Resource, Signal, SpawnRequest, SpawnStep, Strings};

use super::program::{Diagnosis, ProgramError, candidates, diagnose, is_path};
use super::{Command, Stdio, StdioKind, limits};
use crate::contain::{self, Choice, Containment, Wish};
use crate::error::{SpawnError, SpawnErrorKind};

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
    let arg0 = command.unix.arg0.as_ref().unwrap_or(&command.program);
    let argv = || std::iter::once(arg0).chain(&command.args).map(OsString::as_os_str);
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
    copy_settings(command, &mut request);

    let streams = [
        stream(command.stdin.as_ref(), defaults, StdioKind::Null),
        stream(command.stdout.as_ref(), defaults, StdioKind::Piped),
        stream(command.stderr.as_ref(), defaults, StdioKind::Piped),
    ];
    check_streams(&streams).map_err(invalid)?;
    if command.unix.fds.iter().any(|(target, _)| (0..=2).contains(target)) {
        return Err(invalid("descriptors 0, 1 and 2 are set by stdin, stdout and stderr".into()));
    }
    // A pipeline of our own would have its terminal on another stream: the input is what a terminal guards.
    let stdin = io::stdin();
    let terminal = matches!(streams[0], StdioKind::Inherit)
        && !matches!(command.containment, Containment::Group | Containment::None)
        && herder_sys::foreground_terminal(stdin.as_fd());
    // In a herd the scope is the herd's, and a group comes on top as always.
    let containment =
        if command.fold.is_some() { command.containment.in_herd() } else { command.containment };
    let may_be_kept = contain::may_be_kept(containment);
    let choice = contain::choose_here(Wish {
        containment,
        group: command.unix.group,
        terminal,
        dies_with_owner: command.die_with_owner,
        unkeepable: may_be_kept.then(|| unkeepable(command, &files)).flatten(),
        ill_kept: may_be_kept.then(|| ill_kept(command, &streams)).flatten(),
    });
    let choice = choice.map_err(|refusal| {
        let detail = format!("what was asked for to contain it can't be had: {refusal}");
        SpawnError::new(&name, SpawnErrorKind::Containment, detail, io::ErrorKind::Unsupported.into())
    })?;
    request.group = choice.group;
    Ok(Lowered { request, streams, name, choice })
}

/// So many descriptors of the command's own fit into an order to a keeper, with room for the others.
const MOST_FDS: usize = 240;

fn unkeepable(command: &Command, files: &[PathBuf]) -> Option<&'static str> {
    let through_descriptors = |path: &Path| path.starts_with("/proc/self") || path.starts_with("/dev/fd");
    let mut paths = files.iter().map(PathBuf::as_path).chain(command.current_dir.as_deref());
    if paths.any(through_descriptors) {
        return Some("its program or folder is a path that means something else to the keeper");
    }
    if !command.unix.pre_exec.is_empty() {
        return Some("the code that runs before the program is ours, and not the keeper's");
    }
    (command.unix.fds.len() > MOST_FDS).then_some("so many descriptors can't be sent to it")
}

fn ill_kept(command: &Command, streams: &[StdioKind; 3]) -> Option<&'static str> {
    // Asked only of those that the child is given: it is a system call for each.
    let ours: [fn() -> bool; 3] =
        [|| io::stdin().is_terminal(), || io::stdout().is_terminal(), || io::stderr().is_terminal()];
    let is_terminal = |(kind, ours): (&StdioKind, fn() -> bool)| match kind {
        StdioKind::Inherit => ours(),
        StdioKind::Fd(fd) => fd.is_terminal(),
        _ => false,
    };
    let given = command.unix.fds.iter().any(|(_, fd)| fd.is_terminal());
    if given || streams.iter().zip(ours).any(is_terminal) {
        return Some("the child is given a terminal, which it would not be in the session of");
    }
    command.unix.inherit_fds.then_some("the child gets all our descriptors, which may be too many to be sent")
}

fn copy_settings(command: &Command, request: &mut SpawnRequest) {
    let unix = &command.unix;
    request.uid = unix.uid;
    request.gid = unix.gid;
    request.groups.clone_from(&unix.groups);
    request.umask = unix.umask;
    request.nice = unix.nice;
    request.affinity.clone_from(&unix.affinity);
    request.rlimits.clone_from(&unix.rlimits);
    request.inherit_fds = unix.inherit_fds;
    request.inherit_signal_mask = unix.inherit_signal_mask;
    request.reset_ignored_signals = unix.reset_ignored_signals;
    request.pre_exec.clone_from(&unix.pre_exec);
    request.die_with_owner = command.die_with_owner.then_some(Signal::KILL);
    request.fds = unix.fds.iter().map(|(fd, source)| (*fd, FdSource::Fd(Arc::clone(source)))).collect();
}

/// The files that the program may mean.
fn files(command: &Command, inherited: &Strings) -> Result<Vec<PathBuf>, ProgramError> {
    let inherited = || inherited.pairs().find_map(|(key, value)| (key == "PATH").then_some(value));
    // What is a path already needs no search of the environment.
    let path = if is_path(&command.program) { None } else { command.env.path(inherited()) };
    candidates(&command.program, path)
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
    let longest = files.iter().map(|file| file.as_os_str()).max_by_key(|file| file.len());
    let own_limit = command.unix.rlimits.iter().rev().find(|(resource, ..)| *resource == Resource::Stack);
    let stack = || own_limit.map_or_else(herder_sys::stack_limit, |(_, soft, _)| Some(*soft));
    limits::check(longest.unwrap_or_default(), argv, variables, stack).map_err(|error| {
        let source = io::ErrorKind::ArgumentListTooLong.into();
        SpawnError::new(name, SpawnErrorKind::ArgumentsTooLong, error, source)
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
                Some(EINVAL) => SpawnErrorKind::InvalidInput,
                _ => SpawnErrorKind::OutOfResources,
            };
            (kind, format!("no process could be made: {source}"))
        }
        SpawnStep::Scope if failure.errno == EAGAIN => {
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
        source = io::Error::from_raw_os_error(ENOENT);
    }
    SpawnError::new(&name, kind, detail, source).at(failure.step)
}

const EAGAIN: i32 = 11;

const EINVAL: i32 = 22;

const ENOENT: i32 = 2;

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

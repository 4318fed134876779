//! Windows: control events of the console, job objects, handles.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::path::Path;
use std::process::ExitCode;

use herder::contain::Strength;
use herder::os::windows::stdin_is_console;
use herder::{Cause, Command, ExitStatus};

use crate::args::{InitArgs, LeakKind, Required, ScopeArgs, ScopeKind, SurroundingArgs};
use crate::exit_code::Exit;
use crate::message::say;
use crate::resolve::Plan;
use crate::scope::Left;

mod doctor;
mod signals;

pub(crate) use doctor::Host;
pub(crate) use signals::{Signals, meaning, serve};

/// Whether a process group holds those that are in it: one hears Ctrl-Break, and that is all.
pub(crate) const GROUPS_HOLD: bool = false;

/// Orphans come to nobody.
pub(crate) const ADOPTS: bool = false;

/// Whether the kernel tells when each write was made.
pub(crate) const STAMPS: bool = false;

/// Whether each signal that asks a program to end says something else to it: all are the same Ctrl-Break.
pub(crate) const SIGNALS_DIFFER: bool = false;

/// Refuses what is of another system.
pub(crate) fn check_scope(args: &ScopeArgs) -> Result<(), String> {
    let kind = match args.scope {
        ScopeKind::Cgroup => Some("cgroup"),
        ScopeKind::Pidns => Some("pidns"),
        ScopeKind::Keeper => Some("keeper"),
        ScopeKind::Group => Some("group"),
        ScopeKind::Auto | ScopeKind::Job | ScopeKind::None => None,
    };
    if let Some(kind) = kind {
        return Err(format!(
            "--scope {kind} is not for Windows; --scope job holds all that the program starts"
        ));
    }
    if matches!(args.require_scope, Some(Required::Pidns | Required::Cgroup | Required::Keeper)) {
        return Err(
            "--require-scope: PID namespaces, cgroups and the keeper are not for Windows; write job".into()
        );
    }
    match args.leak {
        LeakKind::Report => {
            Err("--leak report: a job object ends with herder on Windows, and nobody else knows who is left"
                .into())
        }
        LeakKind::Ignore if args.scope != ScopeKind::None => {
            Err("--leak ignore: a job object ends with herder on Windows; it takes --scope none".into())
        }
        _ => Ok(()),
    }
}

/// Makes the program the leader of a process group, which Ctrl-Break is for, or leaves it in ours, which Ctrl-C at the
/// console is for.
pub(crate) fn set_group(command: &mut Command, own: bool, _strength: Strength) {
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    if own {
        command.creation_flags(CREATE_NEW_PROCESS_GROUP);
    }
}

/// Refuses what Windows does not have.
pub(crate) fn surround(_command: &mut Command, args: &SurroundingArgs) -> Result<(), String> {
    let refused =
        [("--uid", args.uid.is_some()), ("--gid", args.gid.is_some()), ("--nice", args.nice.is_some())];
    match refused.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(format!("{option} is not for Windows")),
        None => Ok(()),
    }
}

/// The two sides of the first equals sign.
pub(crate) fn variable(text: &OsStr) -> Option<(OsString, OsString)> {
    let units: Vec<u16> = text.encode_wide().collect();
    let at = units.iter().position(|unit| *unit == u16::from(b'='))?;
    Some((OsString::from_wide(&units[..at]), OsString::from_wide(&units[at + 1..])))
}

/// Nothing: the program gets the streams, and no other handle is anybody's by its number.
pub(crate) fn pass_descriptors(_command: &mut Command, _report: Option<&OsStr>) {}

/// A stream of ours, as a file.
pub(crate) fn descriptor(number: i32) -> io::Result<File> {
    let handle: OwnedHandle = match number {
        1 => io::stdout().as_handle().try_clone_to_owned()?,
        2 => io::stderr().as_handle().try_clone_to_owned()?,
        _ => {
            let message = "Windows has no descriptors by number; name a file";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
    };
    Ok(handle.into())
}

/// Whether we may make files in a folder is told when they are made.
#[expect(clippy::unnecessary_wraps, reason = "as on the other systems")]
pub(crate) fn check_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether somebody may still read our standard output: the next write tells.
pub(crate) fn stdout_has_reader() -> bool {
    true
}

/// The same of our standard error.
pub(crate) fn stderr_has_reader() -> bool {
    true
}

/// Whether the program shares our console, and with it Ctrl-C.
pub(crate) fn has_terminal(gives_input: bool) -> bool {
    gives_input && stdin_is_console()
}

/// It matters to the keeper alone.
pub(crate) fn terminal_is_inherited() -> bool {
    false
}

/// Nobody asks how a program that was interrupted has ended.
pub(crate) fn in_foreground() -> bool {
    false
}

/// Orphans come to nobody.
pub(crate) fn adopt() {}

/// There are none.
pub(crate) fn reap(_program: Option<u32>) {}

/// Nobody knows of any.
#[expect(clippy::unused_async, reason = "as on the other systems")]
pub(crate) async fn settle_orphans(
    _plan: &Plan,
    _cause: Cause,
    _ended: bool,
    _signals: &mut Signals,
) -> (Vec<Left>, bool) {
    (Vec::new(), true)
}

/// Nobody is held who could be let go.
#[expect(clippy::unnecessary_wraps, reason = "as on the other systems")]
pub(crate) fn let_go() -> io::Result<()> {
    Ok(())
}

/// There are no signals that end programs.
pub(crate) fn signal_of(_status: ExitStatus) -> Option<i32> {
    None
}

pub(crate) fn dumped_core(_status: ExitStatus) -> bool {
    false
}

/// Ends us with a code, which has 32 bits here.
pub(crate) fn end(code: u32, _interrupted: bool) -> ExitCode {
    std::process::exit(code.cast_signed())
}

/// Refused: what it does is needed nowhere but on Unix.
pub(crate) fn init(_args: &InitArgs) -> Exit {
    say("init is not for Windows, where orphans need nobody; herder run does the rest");
    Exit::FAILURE
}

//! Unix: signals, process groups, users, descriptors.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitCode;

use herder::contain::Strength;
use herder::os::unix::CommandExt;
use herder::{Command, ExitStatus, Signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, OFlags, access, fcntl_getfl};

use crate::args::{LeakKind, Required, ScopeArgs, ScopeKind, SurroundingArgs};
use crate::sink;

mod accounts;
mod cgroup;
mod doctor;
mod fds;
mod init;
mod leftovers;
mod signals;
mod terminal;

pub(crate) use cgroup::let_go;
pub(crate) use doctor::Host;
pub(crate) use init::run as init;
pub(crate) use leftovers::{adopt, reap, settle_orphans};
pub(crate) use signals::{Signals, meaning, serve};
pub(crate) use terminal::{has_terminal, in_foreground, is_inherited as terminal_is_inherited};

/// Whether a process group holds those that are in it: it can be signalled as a whole.
pub(crate) const GROUPS_HOLD: bool = true;

/// Orphans come to us where nothing else tells who is left.
pub(crate) const ADOPTS: bool = cfg!(target_os = "linux");

/// Whether the kernel tells when each write was made.
pub(crate) const STAMPS: bool = cfg!(target_os = "linux");

/// Whether each signal that asks a program to end says something else to it.
pub(crate) const SIGNALS_DIFFER: bool = true;

/// Refuses what contradicts itself, or is of another system.
pub(crate) fn check_scope(args: &ScopeArgs) -> Result<(), String> {
    if args.scope == ScopeKind::Job || args.require_scope == Some(Required::Job) {
        return Err("job objects are those of Windows; --scope cgroup is what is like them here".into());
    }
    // What a keeper holds ends with us; and a session of its own is not for those that are given a terminal.
    let lives_on = matches!(args.leak, LeakKind::Report | LeakKind::Ignore);
    if let ScopeKind::Keeper | ScopeKind::Pidns = args.scope
        && lives_on
    {
        let name = if args.scope == ScopeKind::Keeper { "keeper" } else { "pidns" };
        return Err(format!("--scope {name} ends all that is left: --leak can only be kill or fail"));
    }
    Ok(())
}

/// Puts the program into a process group of its own, or into ours.
///
/// The rule for the terminal is our own: the library looks at standard input alone.
pub(crate) fn set_group(command: &mut Command, own: bool, strength: Strength) {
    if matches!(strength, Strength::Keeper | Strength::PidNamespace) {
        // A group comes with it, and one that is asked for would be one of ours.
    } else if own {
        command.process_group(0);
    } else if let Some(group) = terminal::own_group() {
        command.process_group(group);
    }
}

/// Sets the niceness and the user.
pub(crate) fn surround(command: &mut Command, args: &SurroundingArgs) -> Result<(), String> {
    if let Some(nice) = args.nice {
        command.nice(nice);
    }
    let root = rustix::process::geteuid().is_root();
    let identity = accounts::identify(args.uid.as_deref(), args.gid.as_deref(), root)?;
    identity.uid.map(|uid| command.uid(uid));
    identity.gid.map(|gid| command.gid(gid));
    identity.groups.map(|groups| command.groups(&groups));
    Ok(())
}

/// The two sides of the first equals sign.
pub(crate) fn variable(text: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = text.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    let part = |bytes| OsStr::from_bytes(bytes).to_owned();
    Some((part(&bytes[..at]), part(&bytes[at + 1..])))
}

/// The program gets every descriptor that we were given, as from a shell, but that of the report: whoever reads the
/// report to its end must not wait for the last descendant of the program.
pub(crate) fn pass_descriptors(command: &mut Command, report: Option<&OsStr>) {
    let number = report.and_then(|place| sink::number(place)?.ok());
    let copies = number.filter(|number| *number > 2).map(fds::inherited_but);
    match copies {
        Some(Ok(copies)) => {
            for (number, copy) in copies {
                command.fd(number, copy);
            }
        }
        // Where the kernel has no copies, one descriptor too many is the lesser evil.
        Some(Err(_)) | None => {
            command.inherit_fds(true);
        }
    }
}

/// An open descriptor, as a file that can be written to.
pub(crate) fn descriptor(number: i32) -> io::Result<File> {
    let fd: OwnedFd = match number {
        1 => io::stdout().as_fd().try_clone_to_owned()?,
        2 => io::stderr().as_fd().try_clone_to_owned()?,
        _ => match fds::duplicate(number) {
            // Not to be had here, unlike "not open". A file opened anew is the next best, but not for sockets.
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::BADF.raw_os_error()) => {
                OpenOptions::new().append(true).open(format!("/dev/fd/{number}"))?.into()
            }
            result => result?,
        },
    };
    if fcntl_getfl(&fd)? & OFlags::ACCMODE == OFlags::RDONLY {
        return Err(io::Error::other("it is open for reading only"));
    }
    Ok(fd.into())
}

/// Whether we may make files in a folder.
pub(crate) fn check_folder(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Whether somebody may still read our standard output; a pipe or a socket says so.
pub(crate) fn stdout_has_reader() -> bool {
    has_reader(io::stdout())
}

/// The same of our standard error.
pub(crate) fn stderr_has_reader() -> bool {
    has_reader(io::stderr())
}

fn has_reader(stream: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&stream, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    // If in doubt, the write will tell.
    poll(&mut fds, Some(&now)).is_err() || !fds[0].revents().intersects(PollFlags::ERR)
}

/// The signal that ended it.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

pub(crate) fn dumped_core(status: ExitStatus) -> bool {
    status.core_dumped()
}

/// Ends us with a code, or, if `interrupted`, by SIGINT.
pub(crate) fn end(code: u32, interrupted: bool) -> ExitCode {
    if interrupted {
        // On failure the code says the same.
        drop(signal_hook::low_level::emulate_default_handler(Signal::INT.as_raw()));
    }
    ExitCode::from(narrow(code))
}

/// Codes have eight bits here.
pub(crate) fn narrow(code: u32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Wanted;

    fn args(scope: ScopeKind, require_scope: Option<Required>) -> ScopeArgs {
        ScopeArgs { scope, require_scope, leak: LeakKind::Kill, leak_grace: None }
    }

    #[test]
    fn what_is_required_is_had_or_refused() {
        let strength = |kind, shares| Wanted::new(&args(kind, None), false, shares).map(|it| it.strength);
        assert_eq!(strength(ScopeKind::Group, false), Ok(Strength::Group));
        assert_eq!(strength(ScopeKind::None, false), Ok(Strength::Child));
        let weak = Wanted::new(&args(ScopeKind::None, Some(Required::Group)), false, false).unwrap_err();
        assert!(weak.contains("--require-scope group") && weak.contains("child alone"), "{weak}");
        assert!(Wanted::new(&args(ScopeKind::Group, Some(Required::Cgroup)), false, false).is_err());
        assert!(Wanted::new(&args(ScopeKind::Group, Some(Required::Group)), false, false).is_ok());
        assert!(Wanted::new(&args(ScopeKind::None, None), true, false).is_err());
        let report = ScopeArgs { leak: LeakKind::Report, ..args(ScopeKind::Keeper, None) };
        assert!(Wanted::new(&report, false, false).unwrap_err().contains("--leak"));
        assert_eq!(strength(ScopeKind::Keeper, false), Ok(Strength::Keeper));
        assert_eq!(strength(ScopeKind::Pidns, false), Ok(Strength::PidNamespace));
        assert!(Wanted::new(&args(ScopeKind::Pidns, Some(Required::Cgroup)), false, false).is_ok());
        let weak = Wanted::new(&args(ScopeKind::Auto, Some(Required::Pidns)), false, false).unwrap_err();
        assert!(weak.contains("--scope pidns"), "{weak}");
    }

    #[test]
    fn a_pipe_tells_whether_it_has_a_reader() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(has_reader(&writer));
        drop(reader);
        assert!(!has_reader(&writer));
    }
}

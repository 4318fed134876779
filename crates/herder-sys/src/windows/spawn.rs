//! One request, from checks to a living child.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::sync::Arc;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_FILENAME_EXCED_RANGE, ERROR_INVALID_NAME,
    ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED, ERROR_PATH_NOT_FOUND, HANDLE,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_CONSOLE, CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED,
    CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DETACHED_PROCESS, EXTENDED_STARTUPINFO_PRESENT,
    PROCESS_INFORMATION, ResumeThread, STARTF_USESTDHANDLES, STARTUPINFOEXW, TerminateProcess,
};

use super::attributes::Attributes;
use super::cvt;
use super::handle::own;
use super::job::Job;
use super::process::{KILL_CODE, Process};
use super::streams::Streams;
use super::strings::{command_line, environment, environment_block, shell, wide, wide_nul};
use crate::disabled::is_disabled;
use crate::wide::WideError;
use crate::{Group, LaunchError, Scope, SpawnRequest, SpawnStep, Spawned};

/// What only Windows has.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WindowsRequest {
    /// The console of the child.
    pub console: Console,
    /// More flags for `CreateProcessW`. Those that the request sets by itself need not be here.
    pub creation_flags: u32,
    /// Handles that the child gets beside its streams, under the numbers that they have here.
    pub handles: Vec<Arc<OwnedHandle>>,
}

/// The console of a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Console {
    /// Ours, if we have one; a new one, which is seen, if we have none.
    #[default]
    Inherit,
    /// A new one, in a window of its own.
    New,
    /// A new one that is not seen.
    Hidden,
    /// None at all. A child that wants one may make it (`AllocConsole`).
    Detached,
}

/// The start of a child, which is over when there is a child: kept for the systems where it is not.
#[derive(Debug)]
pub struct Launch(());

impl Launch {
    /// It succeeded.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), LaunchError>> {
        Some(Ok(()))
    }

    /// It succeeded.
    #[must_use]
    pub fn wait(&self, _limit: Duration) -> Option<Result<(), LaunchError>> {
        self.outcome()
    }

    /// There is nothing to wait for.
    #[must_use]
    pub fn latch(&self) -> Option<BorrowedHandle<'_>> {
        None
    }
}

/// Starts a child. It runs its program when this returns, and was in its scope from its first moment.
///
/// # Errors
///
/// What went wrong; there is no child then.
pub fn spawn(request: SpawnRequest) -> Result<Spawned, LaunchError> {
    let prepare = |error: io::Error| failure(SpawnStep::Prepare, &error);
    refuse_foreign(&request)?;
    let streams = Streams::new(&request).map_err(|error| failure(SpawnStep::Fds, &error))?;
    let scope = request.scope.as_ref();
    // A child without a scope is to die with us all the same, alone.
    let alone = scope.is_none() && request.die_with_owner.is_some();
    let guard = alone.then(Job::for_one).transpose().map_err(prepare)?;
    let job = scope.map(Scope::job).or(guard.as_ref());
    let variables = request.env.clone().unwrap_or_else(environment);
    let plan = Plan {
        argv: request.argv.iter().map(wide).collect(),
        block: environment_block(&variables),
        cwd: request.cwd.as_ref().map(|dir| wide_nul(dir)),
        flags: flags(&request),
        streams,
    };
    let born = first_that_runs(&request, &plan, job)?;
    let leads_group = plan.flags & CREATE_NEW_PROCESS_GROUP != 0;
    let process = Process::new(born.pid, born.process, leads_group, guard);
    if let Some(scope) = scope {
        scope.entered(&process.handle());
    }
    Ok(Spawned { process, launch: Launch(()) })
}

/// What every candidate is started with.
struct Plan {
    argv: Vec<Vec<u16>>,
    block: Vec<u16>,
    cwd: Option<Vec<u16>>,
    flags: u32,
    streams: Streams,
}

struct Born {
    pid: u32,
    process: OwnedHandle,
}

/// What was asked for is done or refused.
fn refuse_foreign(request: &SpawnRequest) -> Result<(), LaunchError> {
    let asked = request.uid.is_some()
        || request.gid.is_some()
        || request.groups.is_some()
        || request.umask.is_some()
        || !request.rlimits.is_empty()
        || request.nice.is_some()
        || request.affinity.is_some()
        || !request.pre_exec.is_empty()
        || matches!(request.group, Group::Join(id) if id != 0);
    if asked { Err(LaunchError::new(SpawnStep::Prepare, ERROR_NOT_SUPPORTED.cast_signed())) } else { Ok(()) }
}

fn flags(request: &SpawnRequest) -> u32 {
    let group = match request.group {
        Group::Inherit => 0,
        _ => CREATE_NEW_PROCESS_GROUP,
    };
    let console = match request.windows.console {
        Console::Inherit => 0,
        Console::New => CREATE_NEW_CONSOLE,
        Console::Hidden => CREATE_NO_WINDOW,
        Console::Detached => DETACHED_PROCESS,
    };
    request.windows.creation_flags
        | group
        | console
        | CREATE_UNICODE_ENVIRONMENT
        | EXTENDED_STARTUPINFO_PRESENT
}

fn failure(step: SpawnStep, error: &io::Error) -> LaunchError {
    let of_kind = || match error.kind() {
        io::ErrorKind::Unsupported => ERROR_NOT_SUPPORTED,
        _ => ERROR_INVALID_PARAMETER,
    };
    LaunchError::new(step, error.raw_os_error().unwrap_or_else(|| of_kind().cast_signed()))
}

fn first_that_runs(request: &SpawnRequest, plan: &Plan, job: Option<&Job>) -> Result<Born, LaunchError> {
    let mut last = LaunchError::new(SpawnStep::Exec, ERROR_FILE_NOT_FOUND.cast_signed());
    for candidate in request.candidates.iter() {
        let file = resolve(candidate.as_ref(), request.cwd.as_ref().map(Path::new));
        match std::fs::metadata(&file) {
            // What `CreateProcessW` would say of it depends on the release.
            Ok(metadata) if metadata.is_dir() => {
                last = LaunchError::new(SpawnStep::Exec, ERROR_ACCESS_DENIED.cast_signed());
            }
            Err(error) if is_absent(&error) => {}
            // The call itself knows better why.
            _ => match create(&file, plan, job) {
                Err(error) if error.step == SpawnStep::Exec && is_absent(&error.io()) => last = error,
                result => return result.map_err(|error| of_folder(error, request)),
            },
        }
    }
    Err(last)
}

/// A relative path is meant in the folder that the child begins in.
fn resolve(file: &Path, cwd: Option<&Path>) -> PathBuf {
    cwd.map_or_else(|| file.to_owned(), |cwd| cwd.join(file))
}

fn is_absent(error: &io::Error) -> bool {
    let absent = [ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_INVALID_NAME];
    error.raw_os_error().is_some_and(|number| absent.contains(&number.cast_unsigned()))
}

/// "The directory name is invalid" is all that the system says of a working directory that is none; some say that a
/// file is missing.
fn of_folder(error: LaunchError, request: &SpawnRequest) -> LaunchError {
    let folder = request.cwd.as_ref().map(Path::new);
    match folder {
        Some(folder) if error.step == SpawnStep::Exec && !folder.is_dir() => {
            let missing = std::fs::metadata(folder).err().and_then(|error| error.raw_os_error());
            LaunchError::new(SpawnStep::Chdir, missing.unwrap_or(error.errno))
        }
        _ => error,
    }
}

fn create(file: &Path, plan: &Plan, job: Option<&Job>) -> Result<Born, LaunchError> {
    let (mut line, is_batch) = command_line(&wide(file.as_os_str()), &plan.argv).map_err(of_strings)?;
    let application = if is_batch {
        shell().map(|shell| shell.into_iter().chain([0]).collect())
    } else {
        Ok(wide_nul(file.as_os_str()))
    };
    let application: Vec<u16> = application.map_err(|error| failure(SpawnStep::Prepare, &error))?;
    let jobs: Vec<HANDLE> = job.iter().map(|job| job.raw()).collect();
    if !is_disabled("job_list") {
        match Attributes::new(&plan.streams.list, &jobs) {
            Ok(mut attributes) => match call(&application, &mut line, plan, &mut attributes, 0) {
                // Before Windows 10 there are no job lists.
                Err(error) if job.is_some() && is_unknown(&error) => {}
                Err(error) => return Err(failure(SpawnStep::Exec, &error)),
                Ok((born, _)) => return Ok(born),
            },
            Err(error) if job.is_some() && is_unknown(&error) => {}
            Err(error) => return Err(failure(SpawnStep::Prepare, &error)),
        }
    }
    suspended(&application, &mut line, plan, job)
}

fn is_unknown(error: &io::Error) -> bool {
    let unknown = [ERROR_INVALID_PARAMETER, ERROR_NOT_SUPPORTED];
    error.raw_os_error().is_some_and(|number| unknown.contains(&number.cast_unsigned()))
}

/// Born without running, put into its job, and let go. Whatever fails on the way ends it.
fn suspended(
    application: &[u16],
    line: &mut [u16],
    plan: &Plan,
    job: Option<&Job>,
) -> Result<Born, LaunchError> {
    let mut attributes =
        Attributes::new(&plan.streams.list, &[]).map_err(|error| failure(SpawnStep::Prepare, &error))?;
    let (born, thread) = call(application, line, plan, &mut attributes, CREATE_SUSPENDED)
        .map_err(|error| failure(SpawnStep::Exec, &error))?;
    let assigned = job.map_or(Ok(()), |job| job.assign(&born.process));
    let resumed = assigned.map_err(|error| failure(SpawnStep::Scope, &error)).and_then(|()| {
        // SAFETY: the handle is open. It was suspended once.
        match unsafe { ResumeThread(thread.as_raw_handle()) } {
            u32::MAX => Err(failure(SpawnStep::Exec, &io::Error::last_os_error())),
            _ => Ok(()),
        }
    });
    if resumed.is_err() {
        // SAFETY: the handle is open.
        unsafe { TerminateProcess(born.process.as_raw_handle(), KILL_CODE) };
    }
    resumed.map(|()| born)
}

fn call(
    application: &[u16],
    line: &mut [u16],
    plan: &Plan,
    attributes: &mut Attributes<'_>,
    more: u32,
) -> io::Result<(Born, OwnedHandle)> {
    let mut startup = STARTUPINFOEXW::default();
    startup.StartupInfo.cb = size_of_val(&startup) as u32;
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    let [input, output, error] = plan.streams.standard;
    startup.StartupInfo.hStdInput = input;
    startup.StartupInfo.hStdOutput = output;
    startup.StartupInfo.hStdError = error;
    startup.lpAttributeList = attributes.as_ptr();
    let mut info = PROCESS_INFORMATION::default();
    // SAFETY: strings with their NULs, a block with two, a list that lives through the call, and two structures of the
    // sizes that they name; the line is ours to be written to.
    cvt(unsafe {
        CreateProcessW(
            application.as_ptr(),
            line.as_mut_ptr(),
            null(),
            null(),
            i32::from(!plan.streams.list.is_empty()),
            plan.flags | more,
            plan.block.as_ptr().cast(),
            plan.cwd.as_ref().map_or(null(), Vec::as_ptr),
            (&raw const startup).cast(),
            &raw mut info,
        )
    })?;
    let thread = own(info.hThread)?;
    Ok((Born { pid: info.dwProcessId, process: own(info.hProcess)? }, thread))
}

/// The reason in words is for those who ask [`check_command_line`](super::check_command_line) first.
fn of_strings(error: WideError) -> LaunchError {
    let number = match error {
        WideError::TooLong { .. } => ERROR_FILENAME_EXCED_RANGE,
        _ => ERROR_INVALID_PARAMETER,
    };
    LaunchError::new(SpawnStep::Prepare, number.cast_signed())
}

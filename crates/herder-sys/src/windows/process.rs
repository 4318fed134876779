//! One child process: observe its exit, tell how it ended, end it.
//!
//! A handle means the same process for ever, so there is nothing to reap and no number that could come to mean
//! another process. "Reaped" here says that the status was taken.

use std::io;
use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::os::windows::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, FILETIME};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, GenerateConsoleCtrlEvent};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetExitCodeProcess, GetProcessTimes, TerminateProcess};

use super::handle::wait;
use super::job::Job;
use super::{ExitWatch, Scope, cvt};
use crate::{Exit, Signal, Usage};

/// The exit code of a process that was killed: that of a shell for a process that SIGKILL ended.
pub const KILL_CODE: u32 = 128 + 9;

/// The exit code of a process that a control event ended, as it did not handle it (`STATUS_CONTROL_C_EXIT`).
const CONTROL_CODE: u32 = 0xC000_013A;

/// Whether a process was ended, by us or a control event, as far as its exit code tells.
#[must_use]
pub fn was_ended(status: ExitStatus) -> bool {
    let code = status.code().map(i32::cast_unsigned);
    matches!(code, Some(KILL_CODE | CONTROL_CODE))
}

/// The owner of a child. Dropped before the child's status was taken, it ends the child.
#[derive(Debug)]
pub struct Process {
    handle: ProcessHandle,
    release: bool,
    scope: Option<Scope>,
    /// Its ownership was moved to another value.
    moved: bool,
}

/// What may be done to a child by anyone, while someone owns it.
#[derive(Clone, Debug)]
pub struct ProcessHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: i32,
    process: OwnedHandle,
    leads_group: bool,
    /// Ends the child alone with our program.
    guard: Option<Job>,
    released: AtomicBool,
    exit: OnceLock<Exit>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.take_if(|_| self.released.load(Ordering::Relaxed)) {
            // Its end would be the child's, which is to be that of our program.
            guard.keep();
        }
    }
}

impl Process {
    pub(super) fn new(pid: u32, process: OwnedHandle, leads_group: bool, guard: Option<Job>) -> Self {
        let inner = Inner {
            // Process ids are small multiples of four.
            pid: pid.cast_signed(),
            process,
            leads_group,
            guard,
            released: AtomicBool::new(false),
            exit: OnceLock::new(),
        };
        Self { handle: ProcessHandle(Arc::new(inner)), release: false, scope: None, moved: false }
    }

    /// A handle that others may keep.
    #[must_use]
    pub fn handle(&self) -> ProcessHandle {
        self.handle.clone()
    }

    /// Has a drop end all that is in `scope`, too.
    pub fn end_with(&mut self, scope: Scope) {
        self.scope = Some(scope);
    }

    /// Moves the ownership out; the drop of what stays here does nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let moved = std::mem::replace(&mut self.moved, true);
        Self { handle: self.handle.clone(), release: self.release, scope: self.scope.take(), moved }
    }

    /// Chooses what a drop does: end the child (`false`, as born) or let it go on (`true`).
    pub fn set_release(&mut self, release: bool) {
        self.release = release;
        self.handle.0.released.store(release, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Process {
    type Target = ProcessHandle;

    fn deref(&self) -> &ProcessHandle {
        &self.handle
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.moved {
            return;
        }
        if !self.release && self.is_held() {
            // Nobody is left to tell.
            drop(self.kill_all());
        }
        if let Some(scope) = self.scope.take() {
            scope.end();
        }
    }
}

impl Exit {
    /// Whether a kill ended it, as far as its exit code tells.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.status.code().map(i32::cast_unsigned) == Some(KILL_CODE)
    }
}

impl ProcessHandle {
    /// The process id. It stays this child's as long as there is a handle.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Whether the child was born as the leader of a process group of its own.
    #[must_use]
    pub fn leads_group(&self) -> bool {
        self.0.leads_group
    }

    /// Whether nobody is in the group that the child led: there is no way to tell.
    #[must_use]
    pub fn group_is_empty(&self) -> Option<bool> {
        None
    }

    /// For processes that a group can end; here it can't.
    pub fn set_keep_survivors(&self, _keep: bool) {}

    /// Has the child, and the group that it leads, end with our program, which no group does here.
    ///
    /// # Errors
    ///
    /// `Unsupported`, always.
    pub fn end_with_owner(&self) -> io::Result<()> {
        let message = "process groups can't be ended on Windows; the child alone ends with it";
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    /// Whether the child's status has not been taken yet.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.exit.get().is_none()
    }

    /// Whether the child has exited.
    ///
    /// # Errors
    ///
    /// As `WaitForSingleObject`, none of which is to be expected.
    pub fn has_exited(&self) -> io::Result<bool> {
        Ok(!self.is_held() || wait(&self.0.process, Some(Duration::ZERO))?)
    }

    /// Blocks the calling thread until the child has exited.
    ///
    /// # Errors
    ///
    /// As `WaitForSingleObject`, none of which is to be expected.
    pub fn wait_exited(&self) -> io::Result<()> {
        wait(&self.0.process, None).map(drop)
    }

    /// Calls `wake` once on a thread of the system when the child has exited, at once if it has, unless the answer is
    /// dropped before. It may be dropped at any time and anywhere, within `wake` too.
    ///
    /// # Errors
    ///
    /// As `RegisterWaitForSingleObject`: no memory, no threads.
    pub fn watch(&self, wake: impl FnOnce() + Send + 'static) -> io::Result<ExitWatch> {
        ExitWatch::new(&self.0.process, wake)
    }

    /// How the child ended, and what it used; `None` if it has not exited. All calls give the same answer.
    ///
    /// The wait tells the exit, and not the code: 259, which `GetExitCodeProcess` has for a process that runs, is a
    /// code as any other.
    ///
    /// # Errors
    ///
    /// As `GetExitCodeProcess`, none of which is to be expected.
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        if let Some(exit) = self.0.exit.get() {
            return Ok(Some(*exit));
        }
        if !wait(&self.0.process, Some(Duration::ZERO))? {
            return Ok(None);
        }
        let mut code = 0;
        // SAFETY: one number is written to a live local.
        cvt(unsafe { GetExitCodeProcess(self.0.process.as_raw_handle(), &raw mut code) })?;
        let exit = Exit { status: ExitStatus::from_raw(code), usage: usage(&self.0.process).ok() };
        Ok(Some(*self.0.exit.get_or_init(|| exit)))
    }

    /// As [`reap`](Self::reap), for a caller that was told of the exit.
    ///
    /// # Errors
    ///
    /// As [`reap`](Self::reap).
    pub fn reap_exited(&self) -> io::Result<Option<Exit>> {
        self.reap()
    }

    /// Does what Windows has for a signal: SIGKILL ends the child; SIGINT, SIGQUIT, SIGHUP and SIGTERM are a
    /// Ctrl-Break for the group that it leads. A child that has exited gets none, and that is no error.
    ///
    /// # Errors
    ///
    /// `Unsupported` for any other signal, and for a Ctrl-Break to a child that leads no group. An error of the system
    /// if the child has another console than we, or none.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.has_exited()? {
            return Ok(());
        }
        match signal {
            Signal::KILL => self.kill_all(),
            Signal::INT | Signal::QUIT | Signal::HUP | Signal::TERM => self.ctrl_break(),
            _ => Err(unsupported("Windows has nothing like this signal")),
        }
    }

    /// The same: the Ctrl-Break is for the group anyway.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        self.signal(signal)
    }

    fn ctrl_break(&self) -> io::Result<()> {
        if !self.0.leads_group {
            return Err(unsupported("a Ctrl-Break is for a process group, and the child leads none"));
        }
        // The id can't mean another group: the handle keeps it.
        // SAFETY: numbers only.
        cvt(unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, self.0.pid.cast_unsigned()) })
    }

    /// Ends the child alone: what it started is held by its scope, and by nothing else.
    ///
    /// # Errors
    ///
    /// As `TerminateProcess`: no permission.
    pub fn kill_all(&self) -> io::Result<()> {
        if !self.is_held() {
            return Ok(());
        }
        // SAFETY: the handle is ours.
        match cvt(unsafe { TerminateProcess(self.0.process.as_raw_handle(), KILL_CODE) }) {
            // That is what it says of a process that has exited, too.
            Err(error)
                if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed())
                    && self.has_exited()? =>
            {
                Ok(())
            }
            result => result,
        }
    }

    pub(super) fn process(&self) -> &OwnedHandle {
        &self.0.process
    }
}

fn unsupported(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn usage(process: &OwnedHandle) -> io::Result<Usage> {
    let zero = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    let [mut created, mut exited, mut system, mut user] = [zero; 4];
    let handle = process.as_raw_handle();
    // SAFETY: four times are written to live locals.
    cvt(unsafe {
        GetProcessTimes(handle, &raw mut created, &raw mut exited, &raw mut system, &raw mut user)
    })?;
    let mut memory = PROCESS_MEMORY_COUNTERS::default();
    memory.cb = size_of_val(&memory) as u32;
    // SAFETY: one structure of the size that it names is written to a live local.
    cvt(unsafe { K32GetProcessMemoryInfo(handle, &raw mut memory, memory.cb) })?;
    Ok(Usage {
        user: duration(user),
        system: duration(system),
        max_rss: memory.PeakWorkingSetSize as u64,
        // Those with I/O and those without are counted together.
        minor_faults: u64::from(memory.PageFaultCount),
        ..Usage::default()
    })
}

/// In units of 100 nanoseconds.
fn duration(time: FILETIME) -> Duration {
    let units = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::new(units / 10_000_000, (units % 10_000_000) as u32 * 100)
}

//! What holds the processes of a scope together: a job.

use std::io;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use std::os::windows::io::{AsHandle, AsRawHandle};

use windows_sys::Win32::Foundation::{
    ERROR_COMMITMENT_LIMIT, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_SUPPORTED,
    ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES,
};
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_QUERY_INFORMATION, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::cvt;
use super::handle::own;
use super::job::Job;
use super::process::ProcessHandle;
use super::strings::os_string;
use crate::{Limit, Mechanism, Member, Refusal, ScopeStats, Signal};

/// Whether this host can do it.
///
/// # Errors
///
/// Why not.
pub fn mechanism(mechanism: Mechanism) -> Result<(), &'static Refusal> {
    static JOB: OnceLock<Result<(), Refusal>> = OnceLock::new();
    static OTHERS: OnceLock<Refusal> = OnceLock::new();
    if mechanism == Mechanism::Job {
        let tried = JOB.get_or_init(|| {
            Job::new().map(drop).map_err(|error| Refusal::of("a job object can't be made", &error, ""))
        });
        return tried.as_ref().copied();
    }
    Err(OTHERS.get_or_init(|| {
        let error = io::Error::from_raw_os_error(ERROR_NOT_SUPPORTED.cast_signed());
        Refusal::of("cgroups and the keeper are Linux's", &error, "a job object does the same")
    }))
}

/// Whether a failure is that of a host which lacks something for the moment: handles or memory.
#[must_use]
pub fn is_shortage(error: &io::Error) -> bool {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>());
    let number = refusal.map(Refusal::errno).or_else(|| error.raw_os_error()).map(i32::cast_unsigned);
    matches!(
        number,
        Some(
            ERROR_TOO_MANY_OPEN_FILES
                | ERROR_NOT_ENOUGH_MEMORY
                | ERROR_OUTOFMEMORY
                | ERROR_NO_SYSTEM_RESOURCES
                | ERROR_COMMITMENT_LIMIT
        )
    )
}

/// Processes that are ended together: those that were born into it, and all that they start.
///
/// A handle, cheap to clone. When the last one is dropped, all members are ended at once; when our program ends,
/// however that comes, the kernel does the same. No member can leave it.
#[derive(Clone, Debug)]
pub struct Scope(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    job: ManuallyDrop<Job>,
    /// Those that lead a process group, for a Ctrl-Break.
    leaders: Mutex<Vec<ProcessHandle>>,
    released: Mutex<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let job = unsafe { ManuallyDrop::take(&mut self.job) };
        if *self.released.get_mut().unwrap_or_else(PoisonError::into_inner) {
            job.keep();
        } else {
            // The close would end them too, with a code that says nothing. Nobody is left to tell.
            drop(job.kill());
        }
    }
}

impl Scope {
    /// A new scope without members.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] inside: the host can't do it (see [`mechanism`]), or lacks something for the moment.
    pub fn new(wanted: Mechanism) -> io::Result<Self> {
        mechanism(wanted).map_err(Clone::clone)?;
        let job = Job::new().map_err(|error| Refusal::of("a job object can't be made", &error, ""))?;
        let inner =
            Inner { job: ManuallyDrop::new(job), leaders: Mutex::default(), released: Mutex::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// The same: accounts cost nothing here.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn without_stats(wanted: Mechanism) -> io::Result<Self> {
        Self::new(wanted)
    }

    /// What holds it together.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        Mechanism::Job
    }

    pub(super) fn job(&self) -> &Job {
        &self.0.job
    }

    fn leaders(&self) -> MutexGuard<'_, Vec<ProcessHandle>> {
        self.0.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who was born into it.
    pub(super) fn entered(&self, process: &ProcessHandle) {
        if process.leads_group() {
            let mut leaders = self.leaders();
            leaders.retain(|leader| !leader.has_exited().unwrap_or(false));
            leaders.push(process.clone());
        }
    }

    /// Ends all members at once.
    ///
    /// # Errors
    ///
    /// As `TerminateJobObject`; none is to be expected.
    pub fn kill(&self) -> io::Result<()> {
        self.job().kill()
    }

    /// SIGKILL ends all members; SIGINT, SIGQUIT, SIGHUP and SIGTERM are a Ctrl-Break for each process group that was
    /// born into it.
    ///
    /// # Errors
    ///
    /// As [`ProcessHandle::signal`]; `Unsupported` too if nobody was born into it as the leader of a group.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if signal == Signal::KILL {
            return self.kill();
        }
        if self.is_empty()? {
            return Ok(());
        }
        let leaders = self.leaders().clone();
        if leaders.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a Ctrl-Break is for a process group, and none was born here",
            ));
        }
        // Every one has its turn, whatever became of the one before.
        let results: Vec<_> = leaders.iter().map(|leader| leader.signal(signal)).collect();
        results.into_iter().collect()
    }

    /// Windows has nothing documented that stops all members and what they start.
    ///
    /// # Errors
    ///
    /// `Unsupported`, always.
    pub fn set_frozen(&self, _frozen: bool) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a job object can't be frozen"))
    }

    /// Whether we froze it: never.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        false
    }

    /// Whether no member runs, by the kernel's own count.
    ///
    /// # Errors
    ///
    /// As `QueryInformationJobObject`; none is to be expected.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.job().accounts()?.ActiveProcesses == 0)
    }

    /// Who is in it now.
    ///
    /// # Errors
    ///
    /// As `QueryInformationJobObject`.
    pub fn members(&self) -> io::Result<Vec<Member>> {
        let pids = self.job().pids()?;
        Ok(pids.into_iter().filter_map(|pid| self.member(pid)).collect())
    }

    /// `None`: it has ended, and the number may be another's.
    fn member(&self, pid: u32) -> Option<Member> {
        let open = |access| {
            // SAFETY: numbers only.
            own(unsafe { OpenProcess(access, 0, pid) })
        };
        // The lesser right is all that it takes on Windows, and Wine asks for the greater one.
        let process =
            open(PROCESS_QUERY_INFORMATION).or_else(|_| open(PROCESS_QUERY_LIMITED_INFORMATION)).ok()?;
        if !self.job().has(process.as_handle()).ok()? {
            return None;
        }
        let mut name = vec![0u16; 1024];
        let mut length = 1024;
        // SAFETY: at most that many units are written to a live local.
        let named = cvt(unsafe {
            QueryFullProcessImageNameW(process.as_raw_handle(), 0, name.as_mut_ptr(), &raw mut length)
        });
        let path = named.map(|()| os_string(&name[..length as usize])).unwrap_or_default();
        let file = Path::new(&path).file_name().unwrap_or_default();
        Some(Member { pid: pid.cast_signed(), command: file.to_string_lossy().into_owned() })
    }

    /// What its members have used, those included that are gone.
    ///
    /// # Errors
    ///
    /// As `QueryInformationJobObject`.
    pub fn stats(&self) -> io::Result<ScopeStats> {
        let accounts = self.job().accounts()?;
        let time = |units: i64| Duration::from_nanos(units.unsigned_abs().saturating_mul(100));
        Ok(ScopeStats {
            processes: accounts.ActiveProcesses as usize,
            user: time(accounts.TotalUserTime),
            system: time(accounts.TotalKernelTime),
            memory: None,
            memory_peak: self.job().peak_memory().ok(),
            oom_kills: None,
        })
    }

    /// How many of its members were killed for want of memory: nothing is. A request for more fails.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        None
    }

    /// Sets a limit for all members together.
    ///
    /// # Errors
    ///
    /// Why this limit can't be had; others may be.
    pub fn limit(&self, limit: Limit) -> Result<(), Refusal> {
        self.job()
            .limit(limit)
            .map_err(|error| Refusal::of(format!("the job object does not take {limit}"), &error, ""))
    }

    /// Puts a child of ours into it, with what it starts from now on; what it has started before stays where it is.
    ///
    /// # Errors
    ///
    /// As `AssignProcessToJobObject`: it has exited, or is in a job that does not allow it.
    pub fn adopt(&self, child: &ProcessHandle) -> io::Result<()> {
        self.job().assign(child.process())?;
        self.entered(child);
        Ok(())
    }

    /// Lets its members go: the end of the last handle does not end them. They still end with our program.
    pub fn release(self) {
        *self.0.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Ends all members at once, whoever has handles still.
    pub fn end(self) {
        // Nobody is left to tell: the drop of the last handle repeats it.
        drop(self.kill());
    }

    /// The same.
    pub fn end_soon(self) {
        self.end();
    }
}

//! Job objects: the kernel's own list of processes that belong together, which none of them leaves.

use std::fmt;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, HANDLE};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, IsProcessInJob, JOB_OBJECT_CPU_RATE_CONTROL_ENABLE,
    JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_JOB_MEMORY,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, JOBOBJECT_BASIC_PROCESS_ID_LIST,
    JOBOBJECT_CPU_RATE_CONTROL_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
    JobObjectBasicAccountingInformation, JobObjectBasicProcessIdList, JobObjectCpuRateControlInformation,
    JobObjectExtendedLimitInformation, QueryInformationJobObject, SetInformationJobObject,
    TerminateJobObject,
};

use super::cvt;
use super::handle::own;
use super::process::KILL_CODE;
use crate::Limit;

/// A job whose last handle's end is the end of all that is in it: that of our program is one, however it comes.
pub(super) struct Job {
    handle: OwnedHandle,
    /// The limits are set all at once.
    limits: Mutex<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>,
}

impl Job {
    /// A job that holds whoever is born into it, and all that they start.
    pub(super) fn new() -> io::Result<Self> {
        Self::with(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)
    }

    /// A job that holds whoever is born into it alone: what they start is not in it.
    pub(super) fn for_one() -> io::Result<Self> {
        Self::with(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK)
    }

    fn with(flags: u32) -> io::Result<Self> {
        // SAFETY: no attributes, so that no child inherits it, and no name.
        let handle = own(unsafe { CreateJobObjectW(null(), null()) })?;
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = flags;
        let job = Self { handle, limits: Mutex::new(limits) };
        job.set(JobObjectExtendedLimitInformation, &limits)?;
        Ok(job)
    }

    pub(super) fn raw(&self) -> HANDLE {
        self.handle.as_raw_handle()
    }

    /// Ends all that is in it, in one step.
    pub(super) fn kill(&self) -> io::Result<()> {
        // SAFETY: the handle is ours.
        cvt(unsafe { TerminateJobObject(self.raw(), KILL_CODE) })
    }

    pub(super) fn assign(&self, process: &OwnedHandle) -> io::Result<()> {
        // SAFETY: both handles are open.
        cvt(unsafe { AssignProcessToJobObject(self.raw(), process.as_raw_handle()) })
    }

    pub(super) fn has(&self, process: BorrowedHandle<'_>) -> io::Result<bool> {
        let mut inside = 0;
        // SAFETY: one number is written to a live local; both handles are open.
        cvt(unsafe { IsProcessInJob(process.as_raw_handle(), self.raw(), &raw mut inside) })?;
        Ok(inside != 0)
    }

    /// What was used, and how many are in it.
    pub(super) fn accounts(&self) -> io::Result<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION> {
        let mut accounts = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        self.query(JobObjectBasicAccountingInformation, &mut accounts)?;
        Ok(accounts)
    }

    /// The most bytes that were committed at once.
    pub(super) fn peak_memory(&self) -> io::Result<u64> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        self.query(JobObjectExtendedLimitInformation, &mut limits)?;
        Ok(limits.PeakJobMemoryUsed as u64)
    }

    /// The ids of all that are in it.
    pub(super) fn pids(&self) -> io::Result<Vec<u32>> {
        let mut room = 62;
        loop {
            // Two numbers of 32 bits, and then the ids, each as wide as a pointer.
            let head =
                std::mem::offset_of!(JOBOBJECT_BASIC_PROCESS_ID_LIST, ProcessIdList) / size_of::<usize>();
            let mut list = vec![0usize; head + room];
            let size = u32::try_from(size_of_val(&*list)).unwrap_or(u32::MAX);
            // SAFETY: at most `size` bytes are written to a live local.
            let asked = cvt(unsafe {
                QueryInformationJobObject(
                    self.raw(),
                    JobObjectBasicProcessIdList,
                    list.as_mut_ptr().cast(),
                    size,
                    null_mut(),
                )
            });
            // How many there are, and how many of them are in the list.
            let counts = match head {
                1 => [list[0] as u32, (list[0] as u64 >> 32) as u32],
                _ => [list[0] as u32, list[1] as u32],
            };
            match asked {
                Ok(()) => {
                    let ids = list[head..].iter().take(counts[1] as usize);
                    return Ok(ids.map(|&id| id as u32).collect());
                }
                Err(error) if error.raw_os_error() == Some(ERROR_MORE_DATA.cast_signed()) => {
                    room = (room * 2).max(counts[0] as usize + 16);
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn limit(&self, limit: Limit) -> io::Result<()> {
        if let Limit::Cpu(thousandths) = limit {
            return self.limit_cpu(thousandths);
        }
        let mut kept = self.limits();
        let mut limits = *kept;
        let basic = &mut limits.BasicLimitInformation;
        match limit {
            Limit::Memory(bytes) => {
                basic.LimitFlags |= JOB_OBJECT_LIMIT_JOB_MEMORY;
                limits.JobMemoryLimit = usize::try_from(bytes).unwrap_or(usize::MAX);
            }
            Limit::Processes(count) => {
                basic.LimitFlags |= JOB_OBJECT_LIMIT_ACTIVE_PROCESS;
                basic.ActiveProcessLimit = u32::try_from(count).unwrap_or(u32::MAX);
            }
            Limit::Cpu(_) => {}
        }
        self.set(JobObjectExtendedLimitInformation, &limits)?;
        *kept = limits;
        Ok(())
    }

    /// The rate is in hundredths of a percent of all processors together.
    fn limit_cpu(&self, thousandths: u32) -> io::Result<()> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let rate = (u64::from(thousandths) * 10 / processors).clamp(1, 10_000);
        let mut control = JOBOBJECT_CPU_RATE_CONTROL_INFORMATION {
            ControlFlags: JOB_OBJECT_CPU_RATE_CONTROL_ENABLE | JOB_OBJECT_CPU_RATE_CONTROL_HARD_CAP,
            ..Default::default()
        };
        control.Anonymous.CpuRate = rate as u32;
        self.set(JobObjectCpuRateControlInformation, &control)
    }

    fn limits(&self) -> MutexGuard<'_, JOBOBJECT_EXTENDED_LIMIT_INFORMATION> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, value: &T) -> io::Result<()> {
        let value: *const T = value;
        // SAFETY: one structure of the class, which is as large as it says.
        cvt(unsafe { SetInformationJobObject(self.raw(), class, value.cast(), size_of::<T>() as u32) })
    }

    fn query<T>(&self, class: JOBOBJECTINFOCLASS, value: &mut T) -> io::Result<()> {
        let (size, value) = (size_of::<T>() as u32, std::ptr::from_mut(value));
        // SAFETY: one structure of the class, which is as large as it says, in a live local.
        cvt(unsafe { QueryInformationJobObject(self.raw(), class, value.cast(), size, null_mut()) })
    }

    /// Lets what is in it live on, to the end of our program at most.
    pub(super) fn keep(self) {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        // What can't be told is taken for somebody.
        kept.retain(|job| job.accounts().map_or(true, |accounts| accounts.ActiveProcesses > 0));
        kept.push(self);
    }
}

/// Jobs that were let go, and end with our program.
static KEPT: Mutex<Vec<Job>> = Mutex::new(Vec::new());

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(&self.handle).finish()
    }
}

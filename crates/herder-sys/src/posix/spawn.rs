//! One request, from checks to a living child.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use super::child;
use super::keeper::{self, Refused, Slot};
use super::launch::Launch;
use super::owner::Process;
use super::plan::Plan;
use super::process::ProcessHandle;
use super::signals::{self, Blocked};
use super::{cvt, descent, fd, posix_spawn, reaper};
use crate::{Group, LaunchError, Signal, SpawnRequest, SpawnStep, Spawned};

/// Starts a child from the calling thread, whose signal mask is unchanged afterwards, whatever happens.
///
/// Where the request can be said to posix_spawn(3), that is done, and the `execve` is over when this returns. Otherwise
/// the child is forked, which takes time in proportion to the memory of the program, and its `execve` goes on
/// meanwhile; [`Launch`] tells how it ended.
///
/// # Errors
///
/// What went wrong before there was a child: no descriptors, no memory, too many processes, no keeper for a child that
/// is to die with us, or something that this backend does not have (processors to run on).
pub fn spawn(request: SpawnRequest) -> Result<Spawned, LaunchError> {
    let mask = kept_mask(&request);
    spawn_with_mask(request, mask)
}

/// The mask that the child is to keep, if it keeps any: that of the thread that asks.
pub(crate) fn kept_mask(request: &SpawnRequest) -> Option<libc::sigset_t> {
    request.inherit_signal_mask.then(signals::current)
}

/// As [`spawn`]; `mask` is what the child keeps.
pub(crate) fn spawn_with_mask(
    mut request: SpawnRequest,
    mask: Option<libc::sigset_t>,
) -> Result<Spawned, LaunchError> {
    if let Some(scope) = request.scope.take() {
        scope.none();
    }
    if request.affinity.is_some() {
        return Err(LaunchError::new(SpawnStep::Affinity, libc::ENOTSUP));
    }
    reaper::retry();
    let slot = dies_with(request.die_with_owner).map_err(at(SpawnStep::DieWithOwner))?;
    let leads_group = matches!(request.group, Group::New | Group::NewSession | Group::Join(0));
    let (latch, whole_group) = (request.latch, request.end_with_owner);
    // Who asks for the strongest that there is has those who leave the group ended, too.
    let followed = whole_group && leads_group && descent::begin();
    let plan = Plan::new(request, mask).map_err(at(SpawnStep::Prepare))?;
    let (pid, launch) = match posix_spawn::spawn(&plan) {
        Some(pid) => (pid, Launch::over(latch.then(fd::at_end).transpose().ok().flatten())),
        None => by_fork(&plan)?,
    };
    if let (true, Group::New | Group::Join(0)) = (leads_group, plan.group) {
        // The child does the same, and whoever is first does it: nobody finds it in our group. That it is beyond its
        // `execve` (EACCES) or gone (ESRCH) says that it did.
        // SAFETY: numbers only; the child is not reaped, so the number is its own.
        unsafe { libc::setpgid(pid, pid) };
    }
    let process = Process::new(ProcessHandle::new(pid, leads_group, followed));
    if let Some(slot) = slot {
        // If that fails, the drop ends the child.
        process.end_alone(slot).map_err(at(SpawnStep::DieWithOwner))?;
    }
    if whole_group {
        // Whoever asked asks again for the error.
        drop(process.end_with_owner());
    }
    Ok(Spawned { process, launch })
}

fn at(step: SpawnStep) -> impl FnOnce(io::Error) -> LaunchError {
    let refused = |error: &io::Error| error.get_ref()?.downcast_ref::<Refused>().map(Refused::errno);
    move |error| LaunchError {
        step,
        errno: refused(&error).or_else(|| error.raw_os_error()).unwrap_or(libc::EINVAL),
    }
}

/// Room in the keeper's list, before there is a child. The keeper can send but one signal.
fn dies_with(signal: Option<Signal>) -> io::Result<Option<Slot>> {
    match signal {
        None => Ok(None),
        Some(Signal::KILL) => keeper::reserve().map(Some),
        Some(_) => Err(io::Error::from_raw_os_error(libc::ENOTSUP)),
    }
}

/// Held from before the pipe of a forked child is made until only the child has its other end: the end of file there is
/// all that tells of its `execve`, and another one that is forked meanwhile would keep it.
static FORKING: Mutex<()> = Mutex::new(());

fn by_fork(plan: &Plan) -> Result<(i32, Launch), LaunchError> {
    let _alone = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
    let [read, write] = fd::pipe_ends().map_err(at(SpawnStep::Prepare))?;
    fd::set_nonblocking(&read, true).map_err(at(SpawnStep::Prepare))?;
    let blocked = Blocked::new();
    // SAFETY: the child runs async-signal-safe code only, and the caller's, which vouched for the same.
    let pid = cvt(unsafe { libc::fork() }).map_err(|_| LaunchError::last(SpawnStep::Clone))?;
    if pid == 0 {
        in_child(plan, &write);
    }
    drop(blocked);
    Ok((pid, Launch::told_by(read)))
}

fn in_child(plan: &Plan, write: &OwnedFd) -> ! {
    let mut guard = EndOnUnwind(write.as_raw_fd());
    let failure = child::run(plan, &mut guard.0);
    child::report(guard.0, failure);
    child::exit(127)
}

/// Ends a forked child whose caller's code panics: it must not go on as a second copy of us.
struct EndOnUnwind(RawFd);

impl Drop for EndOnUnwind {
    fn drop(&mut self) {
        child::report(self.0, (SpawnStep::PreExec, libc::ECANCELED));
        child::exit(127);
    }
}

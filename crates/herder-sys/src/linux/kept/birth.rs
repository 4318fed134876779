//! One child that is born by the keeper of its scope.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::keeper::lifeline;
use super::super::keeper::order as sheet;
use super::super::keeper::order::Order;
use super::super::keeper::protocol::{BORN, UNBORN};
use super::super::launch::Launch;
use super::super::owner::Process;
use super::super::process::ProcessHandle;
use super::super::spawn::{FORKING, plan};
use super::super::{cvt, fd};
use super::order::{self, Letter};
use super::{Cord, Kept, nursery};
use crate::{Group, LaunchError, SpawnRequest, SpawnStep, Spawned};

/// A keeper that does not answer in this time is stopped, or was never there.
const LIMIT: Duration = Duration::from_secs(10);

impl Kept {
    /// Has a child born in this scope. It sleeps until the child is there, a tenth of a millisecond on a machine with
    /// nothing else to do, 10 seconds at most.
    pub(in super::super) fn bear(
        &self,
        mut request: SpawnRequest,
        mask: Option<u64>,
    ) -> Result<Spawned, LaunchError> {
        let refuse = |errno| LaunchError { step: SpawnStep::Scope, errno };
        let _thawed = self.enter()?;
        // The caller's code is here, and so is our session.
        let has_own_group = matches!(request.group, Group::New | Group::NewSession | Group::Join(0));
        if !request.pre_exec.is_empty() || !has_own_group {
            return Err(refuse(libc::EOPNOTSUPP));
        }
        let inherit_fds = std::mem::take(&mut request.inherit_fds);
        let fds = std::mem::take(&mut request.fds);
        let mut plan = plan(request, &fds, mask).map_err(prepare)?;
        order::name_inherited(&mut plan, inherit_fds)?;
        if self.is_namespace {
            order::name_dir(&mut plan);
        }
        let (order, letter) = order::write(&plan);
        // As in a fork: one that is born meanwhile must not get the other end of the pipe too.
        let alone = FORKING.lock().unwrap_or_else(PoisonError::into_inner);
        let [outcome, tell] = fd::pipe_ends().map_err(prepare)?;
        fd::set_nonblocking(&outcome, true).map_err(prepare)?;
        let [ours, theirs] = lifeline::sockets().map_err(prepare)?;
        plan.pipe = Cell::new(-1);
        let deadline = Instant::now() + LIMIT;
        self.post(order, &letter, [&theirs, &tell], deadline)?;
        drop((tell, theirs, fds));
        drop(alone);
        let answer = self.answer(&ours, deadline);
        let answered = !matches!(&answer, Err(error) if error.step != SpawnStep::Clone);
        self.unanswered.fetch_or(!answered, Ordering::SeqCst);
        let (pid, pidfd) = answer?;
        let mut launch = Launch::new(plan, None, Some(outcome));
        launch.set_forked();
        let cord = Cord { socket: ours, root: self.root().cloned() };
        let process = Process::new(ProcessHandle::kept(pid, pidfd, cord));
        Ok(Spawned { process, launch })
    }

    fn post(
        &self,
        mut order: Order,
        letter: &Letter,
        ends: [&OwnedFd; 2],
        deadline: Instant,
    ) -> Result<(), LaunchError> {
        let here = own_dir().map_err(prepare)?;
        let mut fixed = [-1; sheet::FIRST];
        fixed[sheet::CORD] = ends[0].as_raw_fd();
        fixed[sheet::PIPE] = ends[1].as_raw_fd();
        fixed[sheet::CWD] = here.as_raw_fd();
        let mut fds: Vec<RawFd> = fixed.into_iter().chain(letter.fds.iter().copied()).collect();
        let mut bytes = Vec::new();
        let long = letter.body.len() > sheet::INLINE;
        let file = long.then(|| fd::in_memory(c"herder-order", &letter.body)).transpose().map_err(prepare)?;
        if let Some(file) = &file {
            order.has |= sheet::LONG;
            fds.push(file.as_raw_fd());
        }
        if fds.len() > sheet::MOST_FDS {
            return Err(LaunchError { step: SpawnStep::Fds, errno: libc::E2BIG });
        }
        bytes.extend_from_slice(as_bytes(&order));
        if !long {
            bytes.extend_from_slice(&letter.body);
        }
        self.used.store(true, Ordering::SeqCst);
        let limit = deadline.saturating_duration_since(Instant::now());
        match lifeline::send_bytes(&self.socket, &bytes, &fds, limit) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(self.stalled()),
            Err(error) if is_cut(&error) => Err(self.gone()),
            Err(error) => Err(prepare(error)),
        }
    }

    fn answer(&self, cord: &OwnedFd, deadline: Instant) -> Result<(i32, OwnedFd), LaunchError> {
        let limit = deadline.saturating_duration_since(Instant::now());
        match lifeline::receive(cord, limit) {
            Ok((message, Some(pidfd))) if message.kind == BORN => Ok((message.pid, pidfd)),
            Ok((message, _)) if message.kind == UNBORN => {
                Err(LaunchError { step: SpawnStep::Clone, errno: message.pid })
            }
            // There is a child, and no descriptor to hold it by: its keeper kills it when the cord is cut.
            Ok((message, None)) if message.kind == BORN => {
                Err(LaunchError { step: SpawnStep::Prepare, errno: libc::EMFILE })
            }
            Ok(_) => Err(self.gone()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(self.stalled()),
            Err(error) if is_cut(&error) => Err(self.gone()),
            Err(error) => Err(prepare(error)),
        }
    }

    /// The next scope gets a nursery that runs.
    fn stalled(&self) -> LaunchError {
        nursery::give_up(&self.nursery);
        LaunchError { step: SpawnStep::Stalled, errno: libc::ETIMEDOUT }
    }
}

/// All of it: there is no padding.
fn as_bytes(order: &Order) -> &[u8] {
    // SAFETY: it lives as long as the answer, has no padding, and any of its bytes may be looked at.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(order).cast(), size_of::<Order>()) }
}

fn prepare(error: io::Error) -> LaunchError {
    LaunchError { step: SpawnStep::Prepare, errno: error.raw_os_error().unwrap_or(libc::EINVAL) }
}

fn is_cut(error: &io::Error) -> bool {
    let cut = matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN));
    cut || error.kind() == io::ErrorKind::UnexpectedEof
}

/// Our working directory, though it may be one that can't be searched.
fn own_dir() -> io::Result<OwnedFd> {
    let open = |path: &std::ffi::CStr| {
        let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: a NUL-terminated string is read.
        cvt(unsafe { libc::open(path.as_ptr(), flags) }).map(fd::own)
    };
    open(c".").or_else(|_| open(c"/proc/self/cwd"))
}

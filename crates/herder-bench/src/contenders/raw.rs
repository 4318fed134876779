//! Bare system calls: the limit that the libraries are measured against.
//!
//! `raw` clones with VFORK, waits with `poll` on the pidfd and then `waitid`; `raw-block` waits in `waitid` alone,
//! as no program with anything else to do can; `raw-async` clones without VFORK, `raw-sharefd` with the table of
//! open files shared until the exec. `raw-exitfirst` is another way to capture.

use std::env;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, epoll, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::{Contender, Takes, Task, expect_output, expect_success, raw_capture, raw_tree};
use crate::alive::{Alive, Census};
use crate::killer::Killer;
use crate::raw::{How, Plan, PlanOptions, Slot};
use crate::spec::{CWD, NICE, Opt, Spec, Turn, UMASK, VARIABLE, core_limit};
use crate::tree::TreeEnd;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Limit(How),
    Block,
    ExitFirst,
    Cgroup,
}

pub(super) struct Raw {
    kind: Kind,
    slot: Slot,
}

impl Raw {
    pub(super) fn new(kind: Kind) -> io::Result<Self> {
        Ok(Self { kind, slot: Slot::new()? })
    }

    fn how(&self) -> How {
        match self.kind {
            Kind::Limit(how) => how,
            Kind::Block | Kind::ExitFirst | Kind::Cgroup => How::Vfork,
        }
    }
}

/// The plan of a command, made once for all its children.
fn plan(spec: &Spec) -> io::Result<Rc<Plan>> {
    let mut environment = Vec::new();
    let more = (spec.opt == Opt::Env).then(|| (VARIABLE.0.into(), VARIABLE.1.into()));
    for (name, value) in env::vars_os().chain(more) {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        environment.push(CString::new(entry)?);
    }
    let (soft, hard) = core_limit();
    let options = PlanOptions {
        cwd: if spec.opt == Opt::Cwd { Some(CString::new(CWD)?) } else { None },
        uid: (spec.opt == Opt::Uid).then(|| rustix::process::getuid().as_raw()),
        rlimit: (spec.opt == Opt::Rlimit).then_some((libc::RLIMIT_CORE, soft, hard)),
        umask: (spec.opt == Opt::Umask).then_some(UMASK),
        nice: (spec.opt == Opt::Nice).then_some(NICE),
        own_group: spec.opt == Opt::Group,
        own_session: spec.opt == Opt::Session,
    };
    let mut argv = vec![CString::new(spec.program.as_os_str().as_bytes())?];
    for argument in &spec.args {
        argv.push(CString::new(argument.as_str())?);
    }
    Ok(Rc::new(Plan::new(argv, environment, options)))
}

/// Reaps a child, waiting for its end; true when its status was 0.
pub(super) fn reap(pidfd: &OwnedFd) -> io::Result<bool> {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    Ok(status.is_some_and(|status| status.exit_status() == Some(0)))
}

fn until_readable(pidfd: &OwnedFd) -> io::Result<()> {
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None)?;
    Ok(())
}

/// The children of one epoll set, each with its place.
struct Set {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Set {
    fn new(width: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(width) })
    }

    /// One shot, so that a registration that outlives its pidfd in a child before its exec stays silent.
    fn add(&self, pidfd: &OwnedFd, place: usize) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        Ok(epoll::add(&self.epoll, pidfd, epoll::EventData::new_u64(place as u64), flags)?)
    }

    /// The places of those that have ended, at least one.
    fn wait(&mut self) -> io::Result<impl Iterator<Item = usize> + '_> {
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), None)?;
        Ok(self.events.iter().map(|event| event.data.u64() as usize))
    }
}

impl Contender for Raw {
    fn takes(&self, task: Task) -> Takes {
        if task == (Task::Wake { busy: true }) && self.kind == Kind::Limit(How::Vfork) {
            return Takes::Not("there is no runtime to be busy");
        }
        let taken = match self.kind {
            Kind::Limit(How::Vfork) => task != Task::Drop,
            Kind::Limit(How::Async) => matches!(task, Task::SpawnWait(_) | Task::Inflight),
            Kind::Limit(How::SharedFiles) => matches!(task, Task::SpawnWait(_)),
            Kind::Block => matches!(task, Task::SpawnWait(Opt::Plain)),
            Kind::ExitFirst => task == Task::Output,
            Kind::Cgroup => task == Task::Tree,
        };
        if taken { Takes::Yes } else { Takes::Aside }
    }

    fn spawn_wait(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let plan = plan(spec)?;
        while turn.more() {
            let begin = Instant::now();
            let pidfd = self.slot.spawn(&plan, self.how(), [None; 2])?;
            let spawned = Instant::now();
            if self.kind != Kind::Block {
                until_readable(&pidfd)?;
            }
            let success = reap(&pidfd)?;
            drop(pidfd);
            turn.note(begin, spawned);
            self.slot.outcome()?;
            expect_success(success)?;
        }
        Ok(turn)
    }

    fn output(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        let plan = plan(spec)?;
        let mut buffer = Vec::with_capacity(raw_capture::PIPE);
        while turn.more() {
            let begin = Instant::now();
            let capture = match self.kind {
                Kind::ExitFirst => raw_capture::exit_first(&mut self.slot, &plan, &mut buffer)?,
                _ => raw_capture::to_end(&mut self.slot, &plan, &mut buffer)?,
            };
            turn.note(begin, begin);
            expect_output(capture.success, &capture.stdout, &capture.stderr)?;
        }
        Ok(turn)
    }

    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        let plan = plan(spec)?;
        let mut set = Set::new(width)?;
        let mut slots = Vec::new();
        for _ in 0..width {
            slots.push((Slot::new()?, None));
        }
        let (how, mut spawned, mut ended) = (self.how(), 0, 0);
        let mut ready: Vec<_> = (0..width.min(total)).collect();
        while ended < total {
            for place in ready.drain(..) {
                let (slot, child) = &mut slots[place];
                if let Some(pidfd) = child.take() {
                    expect_success(reap(&pidfd)?)?;
                    slot.outcome()?;
                    ended += 1;
                }
                if spawned < total {
                    let pidfd = slot.spawn(&plan, how, [None; 2])?;
                    set.add(&pidfd, place)?;
                    *child = Some(pidfd);
                    spawned += 1;
                }
            }
            if ended < total {
                ready.extend(set.wait()?);
            }
        }
        Ok(())
    }

    fn alive(&mut self, spec: &Spec, mut census: Census) -> io::Result<Alive> {
        let plan = plan(spec)?;
        let mut set = Set::new(64)?;
        let mut children = Vec::with_capacity(census.children);
        for place in 0..census.children {
            let pidfd = self.slot.spawn(&plan, self.how(), [None; 2])?;
            set.add(&pidfd, place)?;
            census.born(raw_capture::pid(&pidfd)?);
            children.push(Some(pidfd));
        }
        census.all_alive()?;
        while let Some(victim) = census.kill_next()? {
            for place in set.wait()? {
                let pidfd = children[place].take().filter(|_| place == victim);
                reap(&pidfd.ok_or_else(|| io::Error::other("another child than the one killed has ended"))?)?;
            }
            census.ended();
        }
        census.result()
    }

    fn wake(&mut self, spec: &Spec, mut turn: Turn, _busy: bool) -> io::Result<Turn> {
        let plan = plan(spec)?;
        let (mut set, killer) = (Set::new(1)?, Killer::start());
        while turn.more() {
            let pidfd = self.slot.spawn(&plan, self.how(), [None; 2])?;
            set.add(&pidfd, 0)?;
            killer.kill_soon(raw_capture::pid(&pidfd)?)?;
            set.wait()?.for_each(drop);
            reap(&pidfd)?;
            let killed = killer.killed_at()?;
            turn.note(killed, killed);
        }
        Ok(turn)
    }

    fn kill_tree(&mut self, spec: &Spec) -> io::Result<TreeEnd> {
        let spec = Spec { opt: Opt::Group, ..spec.clone() };
        let plan = plan(&spec)?;
        if self.kind == Kind::Cgroup {
            return raw_tree::by_cgroup(&mut self.slot, &plan);
        }
        raw_tree::by_group(&mut self.slot, &plan)
    }
}

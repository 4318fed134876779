//! `std::process`; `std-fork` is the same with a `pre_exec` closure that does nothing.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Instant;

use super::{Contender, Task, expect_output, expect_success, not_offered};
use crate::alive::{Alive, Census};
use crate::spec::{CWD, Opt, Spec, Turn, VARIABLE};

pub(super) struct Std {
    pub(super) fork: bool,
}

/// The command as std has it; tokio's and async-process' are made in the same way.
pub(super) fn command(spec: &Spec) -> Command {
    let mut command = Command::new(&spec.program);
    match spec.opt {
        Opt::Plain | Opt::Rlimit => {}
        Opt::Cwd => _ = command.current_dir(CWD),
        Opt::Env => _ = command.env(VARIABLE.0, VARIABLE.1),
        Opt::Uid => _ = command.uid(rustix::process::getuid().as_raw()),
        Opt::Group => _ = command.process_group(0),
    }
    command
}

impl Std {
    fn command(&self, spec: &Spec) -> Command {
        let mut command = command(spec);
        if self.fork {
            crate::raw::add_pre_exec(&mut command);
        }
        command
    }
}

#[expect(clippy::disallowed_methods, reason = "std is one of the contenders")]
impl Contender for Std {
    fn takes(&self, task: Task) -> bool {
        match task {
            Task::SpawnWait(Opt::Rlimit) => self.fork,
            Task::SpawnWait(_) => true,
            Task::Output | Task::Inflight => !self.fork,
            // Ten thousand threads.
            Task::Alive | Task::Drop => false,
        }
    }

    fn spawn_wait(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        while turn.more() {
            let begin = Instant::now();
            let mut child = self.command(spec).spawn()?;
            let spawned = Instant::now();
            let status = child.wait()?;
            turn.note(begin, spawned);
            expect_success(status.success())?;
        }
        Ok(turn)
    }

    fn output(&mut self, spec: &Spec, mut turn: Turn) -> io::Result<Turn> {
        while turn.more() {
            let begin = Instant::now();
            let output = self.command(spec).output()?;
            turn.note(begin, begin);
            expect_output(output.status.success(), &output.stdout, &output.stderr)?;
        }
        Ok(turn)
    }

    /// A thread for each child in flight.
    fn inflight(&mut self, spec: &Spec, total: usize, width: usize) -> io::Result<()> {
        let fork = self.fork;
        thread::scope(|scope| {
            let worker = |_| {
                scope.spawn(move || {
                    (0..total / width).try_for_each(|_| {
                        let status = Self { fork }.command(spec).spawn()?.wait()?;
                        expect_success(status.success())
                    })
                })
            };
            let workers: Vec<_> = (0..width).map(worker).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the benchmark panicked")))
            })
        })
    }

    fn alive(&mut self, _: &Spec, _: Census) -> io::Result<Alive> {
        not_offered()
    }
}

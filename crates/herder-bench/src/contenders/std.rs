//! `std::process`; `std-fork` is the same with a `pre_exec` closure that does nothing.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{CWD, Opt, Spec, VARIABLE};

#[derive(Clone)]
pub(super) struct Std {
    pub(super) fork: bool,
}

/// The command as std has it; those of most others are made in the same way.
pub(super) fn command(spec: &Spec) -> Command {
    let mut command = Command::new(&spec.program);
    command.args(&spec.args);
    match spec.opt {
        Opt::Cwd => _ = command.current_dir(CWD),
        Opt::Env => _ = command.env(VARIABLE.0, VARIABLE.1),
        Opt::Uid => _ = command.uid(rustix::process::getuid().as_raw()),
        Opt::Group => _ = command.process_group(0),
        // These take a closure, which does nothing in `std-fork`: what they cost is the fork.
        Opt::Plain | Opt::Rlimit | Opt::Session | Opt::Umask | Opt::Nice => {}
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
impl Peer for Std {
    type Child = Child;

    fn takes(&self, task: Task) -> Takes {
        match task {
            Task::SpawnWait(_) if self.fork => Takes::Yes,
            _ if self.fork => Takes::Aside,
            _ => super::tokio::takes(task),
        }
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Child> {
        self.command(spec).spawn()
    }

    fn id(child: &Child) -> Option<u32> {
        Some(child.id())
    }

    async fn wait(child: &mut Child) -> io::Result<bool> {
        Ok(child.wait()?.success())
    }

    async fn kill(child: &mut Child) -> io::Result<()> {
        child.kill()?;
        child.wait().map(drop)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        Ok(super::tokio::captured(self.command(spec).output()?))
    }
}

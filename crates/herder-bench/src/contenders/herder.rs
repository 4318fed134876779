//! Herder, on a current-thread and on a multi-thread runtime, with `spawn` or with `spawn_async`.

use std::io;

use ::herder::os::unix::{CommandExt, Resource};
use ::herder::{Child, Command, Containment};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{CWD, NICE, Opt, Spec, UMASK, VARIABLE, core_limit};

/// A way to use it.
#[derive(Clone)]
pub(super) struct Herder {
    pub(super) multi: bool,
    pub(super) spawn_async: bool,
    /// `Group` is what the others have, too; `Auto` is the strongest scope of this host around each child.
    pub(super) containment: Containment,
}

impl Herder {
    fn command(&self, spec: &Spec) -> Command {
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).containment(self.containment);
        match spec.opt {
            Opt::Plain => {}
            Opt::Cwd => _ = command.current_dir(CWD),
            Opt::Env => _ = command.env(VARIABLE.0, VARIABLE.1),
            Opt::Uid => _ = command.uid(rustix::process::getuid().as_raw()),
            Opt::Rlimit => {
                let (soft, hard) = core_limit();
                command.rlimit(Resource::Core, soft, hard);
            }
            Opt::Group => _ = command.process_group(0),
            Opt::Session => _ = command.setsid(),
            Opt::Umask => _ = command.umask(UMASK),
            Opt::Nice => _ = command.nice(NICE),
        }
        command
    }
}

impl Peer for Herder {
    type Child = Child;

    fn takes(&self, task: Task) -> Takes {
        let scoped = self.containment == Containment::Auto;
        let taken = match task {
            Task::Drop | Task::Tree => self.multi && !self.spawn_async,
            // With a scope and several threads it is there for its drops.
            _ if self.multi && scoped => false,
            Task::SpawnWait(opt) => !self.spawn_async || opt == Opt::Plain,
            Task::Inflight => true,
            Task::Output | Task::Alive | Task::Wake { .. } => !self.spawn_async,
        };
        if taken { Takes::Yes } else { Takes::Aside }
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Child> {
        let command = self.command(spec);
        Ok(if self.spawn_async { command.spawn_async().await? } else { command.spawn()? })
    }

    fn id(child: &Child) -> Option<u32> {
        child.id()
    }

    async fn wait(child: &mut Child) -> io::Result<bool> {
        Ok(child.wait().await?.success())
    }

    async fn kill(child: &mut Child) -> io::Result<()> {
        Ok(child.kill().await?)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        let report = self.command(spec).output().await?;
        Ok((report.status.success(), report.stdout, report.stderr))
    }
}

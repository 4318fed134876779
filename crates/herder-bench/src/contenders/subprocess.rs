//! `subprocess`: blocking.

use std::io;

use ::subprocess::unix::JobExt;
use ::subprocess::{Exec, ExecExt, Job};

use super::peer::{Captured, Peer};
use super::{Takes, Task};
use crate::spec::{CWD, Opt, Spec, VARIABLE};

#[derive(Clone)]
pub(super) struct Subprocess;

const SIGKILL: i32 = 9;

fn exec(spec: &Spec) -> Exec {
    let exec = Exec::cmd(&spec.program).args(&spec.args);
    match spec.opt {
        Opt::Cwd => exec.cwd(CWD),
        Opt::Env => exec.env(VARIABLE.0, VARIABLE.1),
        Opt::Uid => exec.setuid(rustix::process::getuid().as_raw()),
        Opt::Group => exec.setpgid(),
        _ => exec,
    }
}

impl Peer for Subprocess {
    type Child = Job;

    fn takes(&self, task: Task) -> Takes {
        super::tokio::takes(task)
    }

    async fn spawn(&self, spec: &Spec) -> io::Result<Job> {
        exec(spec).start()
    }

    async fn spawn_bound(&self, spec: &Spec) -> io::Result<Job> {
        exec(spec).setpgid().start()
    }

    fn id(child: &Job) -> Option<u32> {
        Some(child.pid())
    }

    async fn wait(child: &mut Job) -> io::Result<bool> {
        Ok(child.wait()?.success())
    }

    /// The whole group, which the child leads if it was bound.
    async fn kill(child: &mut Job) -> io::Result<()> {
        child.send_signal_group(SIGKILL)?;
        child.wait().map(drop)
    }

    async fn output(&self, spec: &Spec) -> io::Result<Captured> {
        let capture = exec(spec).capture()?;
        Ok((capture.exit_status.success(), capture.stdout, capture.stderr))
    }
}

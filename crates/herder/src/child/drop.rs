//! What the drop of a child does.

use std::sync::Arc;

use herder_sys::Process;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Child, ChildHandle, ChildStderr, ChildStdin, ChildStdout, Feeding, Shared};
use crate::terminate::{OnDrop, Termination, behind, blame};

impl Drop for Child {
    fn drop(&mut self) {
        if let Feeding::Task(task) = &self.feed {
            task.abort();
        }
        match std::mem::take(&mut self.settings.on_drop) {
            OnDrop::Detach => {
                self.process.set_release(true);
                self.shared.reach.hold.release();
            }
            OnDrop::Terminate(policy) if matches!(self.shared.reap(), Ok(None)) => {
                let left = self.leave();
                behind(async move { left.terminate(&policy).await });
            }
            OnDrop::Panic if self.process.is_held() && !self.shared.record().killed => {
                drop(self.leave());
                blame("the child", self.name());
            }
            _ => drop(self.leave()),
        }
    }
}

impl Child {
    fn leave(&mut self) -> Left {
        Left {
            stdin: self.stdin.take(),
            stdout: self.stdout.take(),
            stderr: self.stderr.take(),
            shared: Arc::clone(&self.shared),
            process: self.process.take(),
        }
    }
}

/// A child whose owner is gone. Dropped, it is ended, without waiting.
struct Left {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    shared: Arc<Shared>,
    process: Process,
}

impl Left {
    async fn terminate(mut self, policy: &Termination) {
        // If a join owned it, that is over.
        self.shared.record().joined = false;
        let handle = ChildHandle::new(Arc::clone(&self.shared));
        // A child that says good-bye must not hang, or be killed by SIGPIPE, for want of a reader.
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let mut read = std::pin::pin!(async {
            tokio::join!(discard(stdout), discard(stderr));
        });
        let mut ended = std::pin::pin!(handle.terminate(policy));
        let result = tokio::select! {
            biased;
            result = &mut ended => result,
            () = &mut read => ended.await,
        };
        if let Err(error) = result {
            tracing::warn!(%error, "what was dropped is killed");
        }
        drop(self.stdin.take());
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(scope) = self.shared.reach.hold.take() {
            self.process.end_with(scope);
        }
    }
}

async fn discard(stream: Option<impl AsyncRead + Unpin>) {
    let Some(mut stream) = stream else { return };
    let mut bytes = [0; 4096];
    // An error is an end, too.
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

//! Many children at once.

use herder::contain::Strength;
use herder::{Command, Stdio};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::support::alone::{SCOPES_KEPT, alone, children, open_fds};
use crate::support::{multi_thread, within};

const CROWD: usize = 1000;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_thousand_alive_at_once() {
    alone(|| {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        multi_thread().block_on(within(async {
            // All hold the other end of this one, and end when ours is closed.
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = Command::new("cat");
            command.stdin(Stdio::from(reader)).stdout(Stdio::null());
            // What is made once is there: threads, and what they wait on.
            let first = command.spawn_async().await.unwrap();
            let kept = first.strength() == Strength::Keeper;
            drop(first);
            assert!(Command::new("true").status().await.unwrap().success());
            let (threads_before, fds_before) = (threads(), open_fds().len());

            let mut tasks = JoinSet::new();
            for _ in 0..CROWD {
                let mut child = command.spawn_async().await.unwrap();
                let mut wait = Box::pin(async move { child.wait().await.unwrap() });
                // Waited for, from now on.
                assert!(futures_now(wait.as_mut()).await.is_none());
                tasks.spawn(wait);
            }
            // A keeper's are not ours, and each takes a descriptor for itself, its end, its scope and its keeper.
            // The first may not have been reaped yet.
            assert!(kept || (CROWD..=CROWD + 1).contains(&children().len()));
            let most = fds_before + CROWD * if kept { 4 } else { 1 } + 2 + SCOPES_KEPT;
            assert!(open_fds().len() <= most, "{fds_before} {}", open_fds().len());
            // Without pidfds it takes threads to wait. A few more may be there for spawns that were slow.
            if herder_sys::facts().pidfd {
                assert!(threads() <= threads_before + 20, "{threads_before} {}", threads());
            }

            drop((command, writer));
            while let Some(status) = tasks.join_next().await {
                assert!(status.unwrap().success());
            }
            assert!(children().is_empty());
        }));
    });
}

/// One poll.
async fn futures_now<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

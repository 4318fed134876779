//! What the program has started and leaves behind.
//!
//! We adopt orphans (`PR_SET_CHILD_SUBREAPER`): what the program leaves becomes our child, whatever its group or
//! session, and is reaped when it ends. Where a cgroup holds the program, that is all: its end is the library's business.
//! Elsewhere the library ends the process group of the program, which is not enough: where the program shares our
//! terminal it is a member of our own group, and anything may leave its group. A child of ours can be signalled safely,
//! as its number stays taken until we reap it; and what was our child before the program is spared.
//!
//! All of that is of Linux. Elsewhere orphans are not ours, and no list of our children is asked for: what left the group
//! of the program is out of reach.

use std::collections::HashSet;
use std::fs;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, test_kill_process, waitpid};

use herder::Cause;

use super::Signals;
use crate::args::LeakKind;
use crate::resolve::Plan;
use crate::scope::Left;

/// How long a kill may take. It is over at once, but for a process that hangs in the kernel.
const TIME_TO_DIE: Duration = Duration::from_secs(1);

/// Orphans come to us from now on. Where a sandbox forbids it they don't, and only the group of the program is ended.
pub(super) fn become_subreaper() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// The same, before there is a program; whoever is our child now is left alone.
pub(crate) fn adopt() {
    // Once is enough: there is one program.
    let _ = BEFORE.set(children().into_iter().collect());
    become_subreaper();
}

/// Those of our children that are not the program's, as they were there before it: whoever executed us may have had
/// some, and the library may have one.
static BEFORE: OnceLock<HashSet<Pid>> = OnceLock::new();

/// Whether there is a program whose orphans we adopt.
pub(super) fn come_to_us() -> bool {
    BEFORE.get().is_some()
}

/// Our children that came of the program.
fn orphans() -> Vec<Pid> {
    let before = BEFORE.get();
    // Started with the program it is a child of ours as well, and the last that we would wait for: it ends with us.
    let keeper = herder::contain::keeper_id();
    let is_ours = |child: &Pid| {
        before.is_some_and(|before| before.contains(child))
            || keeper == Some(child.as_raw_nonzero().get().unsigned_abs())
    };
    children().into_iter().filter(|child| !is_ours(child)).collect()
}

/// Without an account of the kernel's: whoever has become our child. Gives whether nobody is left that should not be.
pub(crate) async fn settle_orphans(
    plan: &Plan,
    cause: Cause,
    ended: bool,
    signals: &mut Signals,
) -> (Vec<Left>, bool) {
    if ended {
        let grace = if cause == Cause::Killed { Duration::ZERO } else { plan.stop.policy().total_grace() };
        return (Vec::new(), end(grace, signals).await);
    }
    if plan.scope.leak == LeakKind::Ignore {
        return (Vec::new(), true);
    }
    leave(plan.scope.grace, signals).await;
    let left = found();
    let gone = plan.scope.leak == LeakKind::Report || end(Duration::ZERO, signals).await;
    (left, gone)
}

/// Who is left when the program has ended: our children. What they have started themselves is not seen.
fn found() -> Vec<Left> {
    reap(None);
    let left = orphans().into_iter().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    left.filter_map(living).collect()
}

/// Waits until nobody is left, or the time is over.
async fn leave(time: Duration, signals: &mut Signals) {
    let mut over = std::pin::pin!(tokio::time::sleep(time));
    while !found().is_empty() {
        tokio::select! {
            stop = signals.hurries() => {
                if stop {
                    return;
                }
            }
            () = &mut over => return,
        }
    }
}

/// Reaps those that have ended, but for the program: its end is for the library to see.
pub(crate) fn reap(program: Option<u32>) {
    for orphan in children() {
        if Some(orphan.as_raw_nonzero().get().unsigned_abs()) != program {
            // How it ended matters to nobody, and one that lives is left alone.
            let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
    }
}

/// Ends all that is left when the program has ended: asks with SIGTERM, and kills after the grace period, or when a
/// signal comes to us that means to stop. Gives whether nobody is left that we could have ended.
pub(super) async fn end(grace: Duration, signals: &mut Signals) -> bool {
    let asked = !grace.is_zero() && send(Signal::TERM, grace, signals).await;
    asked || send(Signal::KILL, TIME_TO_DIE, signals).await
}

/// Sends a signal to each, then to those that come when their parents have ended, until none is left or the time is
/// over.
async fn send(signal: Signal, time: Duration, signals: &mut Signals) -> bool {
    let mut over = std::pin::pin!(tokio::time::sleep(time));
    let mut sent = HashSet::new();
    loop {
        reap(None);
        let left = orphans();
        for child in left.iter().filter(|child| sent.insert(**child)) {
            // One that has become another user's fails, and is found below.
            let _ = kill_process(*child, signal);
        }
        if !left.into_iter().any(|child| test_kill_process(child).is_ok()) {
            return true;
        }
        tokio::select! {
            stop = signals.hurries() => {
                if stop {
                    return false;
                }
            }
            () = &mut over => return false,
        }
    }
}

/// Our children, dead or alive.
fn children() -> Vec<Pid> {
    // Each thread has its own; an orphan may come to any.
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let text: String = lists.collect();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// A process that lives.
fn living(pid: u32) -> Option<Left> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (command, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    (!rest.starts_with(['Z', 'X'])).then(|| Left { pid, command: command.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_have_a_name() {
        assert!(living(std::process::id()).is_some() && living(u32::MAX).is_none());
    }
}

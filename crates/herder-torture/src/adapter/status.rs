//! What is told about an end.

use std::fs;
use std::time::{Duration, Instant};

use super::{Cell, Library, current_thread, multi_thread, not_offered};
use crate::protocol::{Answer, Ended, Said};
use crate::scenario::Status;

/// The signals that end a child: by another's hand, by its own fault, by its own wish.
pub(crate) const SIGNALS: [(&str, i32); 5] =
    [("kill-self:KILL", 9), ("kill-self:TERM", 15), ("segv", 11), ("abort", 6), ("kill-self:USR1", 10)];

pub(super) fn play<L: Library>(cell: &Cell, status: Status) -> Said<Answer> {
    let runtime = multi_thread();
    let ended = match status {
        Status::AllCodes => runtime.block_on(async {
            let mut all = Vec::new();
            for code in 0..256 {
                all.push(ended::<L>(cell, &[&format!("exit:{code}")]).await?);
            }
            Said::Ok(all)
        })?,
        Status::Signals => runtime.block_on(async {
            let mut all = Vec::new();
            for (step, _) in SIGNALS {
                all.push(ended::<L>(cell, &[step]).await?);
            }
            Said::Ok(all)
        })?,
        Status::CodeIsNoSignal => vec![runtime.block_on(ended::<L>(cell, &["exit:137"]))?],
        Status::Ignored => vec![runtime.block_on(ended::<L>(cell, &["exit:3"]))?],
        Status::WaitTwice => runtime.block_on(async {
            let mut child = L::spawn(&cell.steps(&["exit:3"])).await?;
            Said::Ok(vec![L::wait(&mut child).await?, L::wait(&mut child).await?])
        })?,
        Status::TryWait => runtime.block_on(try_wait::<L>(cell))?,
        Status::CancelledAndRetried if L::BLOCKING => return not_offered("no future to cancel"),
        Status::CancelledAndRetried => vec![runtime.block_on(cancelled::<L>(cell))?],
        Status::KillWhileWaiting => vec![runtime.block_on(async {
            let child = L::spawn(&cell.steps(&["hang"])).await?;
            L::kill_while_waiting(child, tokio::time::sleep(Duration::from_millis(50))).await
        })?],
        Status::KillAfterExit => vec![runtime.block_on(kill_after_exit::<L>(cell))?],
        Status::GracefulEnd => vec![runtime.block_on(graceful::<L>(cell))?],
        Status::ShortLivedThread => vec![short_lived_thread::<L>(cell)?],
        Status::OutsideRuntime => return outside_runtime::<L>(cell),
    };
    Ok(Answer::Ended(ended))
}

async fn ended<L: Library>(cell: &Cell, steps: &[&str]) -> Said<Ended> {
    let mut child = L::spawn(&cell.steps(steps)).await?;
    L::wait(&mut child).await
}

async fn try_wait<L: Library>(cell: &Cell) -> Said<Vec<Ended>> {
    let mut child = L::spawn(&cell.steps(&["exit:3"])).await?;
    let start = Instant::now();
    let first = loop {
        match L::try_wait(&mut child)? {
            Some(ended) => break ended,
            None if start.elapsed() > Duration::from_secs(20) => break Ended::Unknown,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    let second = L::try_wait(&mut child)?.unwrap_or(Ended::Unknown);
    Ok(vec![first, second, L::wait(&mut child).await?])
}

async fn cancelled<L: Library>(cell: &Cell) -> Said<Ended> {
    let mut child = L::spawn(&cell.steps(&["wait-file:{go}", "exit:5"])).await?;
    for _ in 0..20 {
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(3), L::wait(&mut child)).await {
            return ended;
        }
    }
    say_go(cell)?;
    L::wait(&mut child).await
}

async fn kill_after_exit<L: Library>(cell: &Cell) -> Said<Ended> {
    let mut child = L::spawn(&cell.steps(&["touch:{up}", "exit:3"])).await?;
    while !cell.path("up-1").exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // No more than an exit is left to be done.
    tokio::time::sleep(Duration::from_millis(300)).await;
    // An error says what is true; the status is what counts.
    drop(L::kill(&mut child).await);
    L::wait(&mut child).await
}

async fn graceful<L: Library>(cell: &Cell) -> Said<Ended> {
    let steps = ["on:TERM:[sleep:20ms,exit:7]", "touch:{up}", "hang"];
    let mut child = L::spawn(&cell.steps(&steps)).await?;
    while !cell.path("up-1").exists() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    L::terminate(&mut child).await
}

/// The thread is gone when the child goes on.
fn short_lived_thread<L: Library>(cell: &Cell) -> Said<Ended> {
    let runtime = multi_thread();
    let job = cell.steps(&["wait-file:{go}", "exit:5"]);
    // The child is dropped in it: it was there before.
    let _entered = runtime.enter();
    let spawned = std::thread::spawn(move || runtime.block_on(L::spawn(&job))).join();
    let mut child = spawned.unwrap_or_else(|_| not_offered("it panicked"))?;
    // Where it is dropped.
    let _entered = runtime.enter();
    // The kernel tells the children of a thread of its end before it can be joined, but not much before.
    std::thread::sleep(Duration::from_millis(100));
    say_go(cell)?;
    runtime.block_on(L::wait(&mut child))
}

/// Not even a runtime that is not entered.
fn outside_runtime<L: Library>(cell: &Cell) -> Said<Answer> {
    let job = cell.steps(&["exit:3"]);
    let spawn = std::panic::AssertUnwindSafe(|| now(L::spawn(&job)));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let spawned = std::panic::catch_unwind(spawn);
    std::panic::set_hook(hook);
    match spawned {
        Err(_) => not_offered("a spawn outside of a runtime panics, as documented"),
        Ok(None) => not_offered("a spawn is a future that needs a runtime"),
        Ok(Some(child)) => {
            drop(child?);
            // The runtime is for whoever captures next.
            Ok(Answer::Ended(vec![current_thread().block_on(ended::<L>(cell, &["exit:3"]))?]))
        }
    }
}

/// What a future gives at its first poll.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

fn say_go(cell: &Cell) -> Said<()> {
    Ok(fs::write(cell.path("go"), b"")?)
}

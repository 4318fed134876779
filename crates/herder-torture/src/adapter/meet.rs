//! A tree meets its end.

use std::any::Any;
use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Cell, Job, Library, multi_thread, not_offered};
use crate::protocol::{Answer, Refusal, Said};
use crate::scenario::{End, Tree};

/// Long enough for a tree to be up; one that was not is given a longer one.
const LIMIT: Duration = Duration::from_millis(800);

/// A child that is kept by the program and not by any function.
static KEPT: Mutex<Option<Box<dyn Any + Send>>> = Mutex::new(None);

/// `None`: the owner is to return from its `main`.
pub(super) fn meet<L: Library>(cell: &Cell, tree: &Tree, end: End) -> Said<Option<Answer>> {
    let job = cell.tree(tree);
    if L::BLOCKING && matches!(end, End::Cancel | End::Shutdown | End::DropOutside) {
        return not_offered("no futures and no runtime");
    }
    match end {
        End::Timeout => {
            let captured = multi_thread().block_on(L::capture(&job, Some(cell.stretched(LIMIT))))?;
            return Ok(Some(Answer::Captured(Box::new(captured))));
        }
        End::Cancel => cancel::<L>(cell, job),
        End::Shutdown => shutdown::<L>(cell, job)?,
        End::DropOutside => {
            let runtime = short_runtime();
            let child = runtime.block_on(L::spawn(&job))?;
            cell.wait_go();
            drop(runtime);
            drop(child);
        }
        _ => return held::<L>(cell, &job, end),
    }
    Ok(Some(Answer::Done))
}

/// One that does not last as long as the program.
fn short_runtime() -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("an owner has what a runtime needs")
}

fn cancel<L: Library>(cell: &Cell, job: Job) {
    let runtime = multi_thread();
    let task = runtime.spawn(async move { L::capture(&job, None).await });
    cell.wait_go();
    task.abort();
    // Cancelled, or over before; a panic has been said on stderr.
    drop(runtime.block_on(task));
}

fn shutdown<L: Library>(cell: &Cell, job: Job) -> Said<()> {
    let runtime = short_runtime();
    let mut child = runtime.block_on(L::spawn(&job))?;
    runtime.spawn(async move { L::wait(&mut child).await });
    cell.wait_go();
    drop(runtime);
    Ok(())
}

fn held<L: Library>(cell: &Cell, job: &Job, end: End) -> Said<Option<Answer>> {
    let runtime = multi_thread();
    // The child is dropped in it, if a call fails: it was there before.
    let _entered = runtime.enter();
    let mut child = runtime.block_on(L::spawn(job))?;
    // Where it is dropped, if a call fails.
    let _entered = runtime.enter();
    if end == End::LeaderGoes {
        let ended = runtime.block_on(L::wait(&mut child))?;
        keep(child);
        return Ok(Some(Answer::Ended(vec![ended])));
    }
    cell.wait_go();
    match end {
        End::Kill => {
            runtime.block_on(L::kill(&mut child))?;
            keep(child);
        }
        End::Terminate => {
            runtime.block_on(L::terminate(&mut child))?;
            keep(child);
        }
        // Where a task drops it.
        End::Drop if !L::BLOCKING => drop(runtime.block_on(runtime.spawn(async move { drop(child) }))),
        End::Drop => drop(child),
        End::Panic => panic_with::<L>(runtime, child),
        End::Exit => std::process::exit(0),
        End::Abort => std::process::abort(),
        End::Return => {
            keep(child);
            return Ok(None);
        }
        End::Signal(_) | End::KillGroup => {
            keep(child);
            return Err(Refusal::NotOffered("the owner has outlived its end"));
        }
        End::Timeout | End::Cancel | End::Shutdown | End::DropOutside | End::LeaderGoes => {
            unreachable!("met elsewhere")
        }
    }
    Ok(Some(Answer::Done))
}

fn keep(child: impl Any + Send) {
    *KEPT.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Box::new(child));
}

/// The one that owns it panics, without a word on stderr.
fn panic_with<L: Library>(runtime: &Runtime, child: L::Child) {
    let fall = move || {
        let _child = child;
        std::panic::resume_unwind(Box::new("on purpose"));
    };
    if L::BLOCKING {
        drop(std::thread::spawn(fall).join());
    } else {
        drop(runtime.block_on(runtime.spawn(async move { fall() })));
    }
}

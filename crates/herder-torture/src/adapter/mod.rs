//! The owner: a program that runs one scenario by means of one library, and says what came of it.

mod cell;
mod crowd;
mod fault;
mod hygiene;
mod job;
mod library;
mod meet;
mod status;

use std::io;

use tokio::runtime::{Builder, Runtime};

pub(crate) use cell::{CELL, Cell, LEASH, SLOWER, STOP, UP, pattern};
pub(crate) use fault::{MISSING, SECRET};
pub(crate) use job::{Feed, Job};
pub(crate) use library::{GRACE, Library, not_offered};
pub(crate) use status::SIGNALS;

use crate::contenders::Contender;
use crate::protocol::{Answer, Said};
use crate::scenario::{Act, Capture, Scenario};

/// Plays the owner.
pub(crate) fn main(contender: &Contender, scenario: &Scenario) -> io::Result<()> {
    let cell = Cell::of_environment()?;
    if let Some(answer) = (contender.play)(&cell, scenario) {
        cell.say(&answer)?;
        cell.wait_leave();
    }
    Ok(())
}

/// Runs the scenario by means of a library. `None`: the owner is to return from its `main`.
pub(crate) fn play<L: Library>(cell: &Cell, scenario: &Scenario) -> Option<Answer> {
    let said = match &scenario.act {
        Act::Meet(tree, end) => match meet::meet::<L>(cell, tree, *end) {
            Ok(answer) => Ok(answer?),
            Err(refusal) => Err(refusal),
        },
        Act::Capture(capture) => captured::<L>(cell, capture),
        Act::Status(status) => status::play::<L>(cell, *status),
        Act::Crowd(crowd) => crowd::play::<L>(cell, *crowd),
        Act::Fault(fault) => fault::play::<L>(cell, *fault),
        Act::Hygiene(hygiene) => hygiene::play::<L>(cell, *hygiene),
    };
    Some(said.unwrap_or_else(Answer::from))
}

fn captured<L: Library>(cell: &Cell, capture: &Capture) -> Said<Answer> {
    let job = cell.captured(capture);
    let limit = capture.limit.map(|limit| cell.stretched(limit));
    let runtime = if capture.one_thread { current_thread() } else { multi_thread() };
    Ok(Answer::Captured(Box::new(runtime.block_on(L::capture(&job, limit))?)))
}

/// A runtime that lasts as long as the program, as that of `#[tokio::main]`.
fn multi_thread() -> &'static Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Box::leak(Box::new(runtime.expect("an owner has what a runtime needs")))
}

fn current_thread() -> &'static Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    Box::leak(Box::new(runtime.expect("an owner has what a runtime needs")))
}

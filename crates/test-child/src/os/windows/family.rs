//! The steps that start the program again, and wait.

use std::io;
use std::os::windows::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::step::Birth;

/// The pid of the last child that was started, or 0.
pub(crate) static LAST: AtomicU32 = AtomicU32::new(0);

static CHILDREN: Mutex<Vec<Child>> = Mutex::new(Vec::new());

const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;

/// Starts the program again with our stdio.
pub(crate) fn spawn(birth: Birth, script: &[String]) -> io::Result<()> {
    match birth {
        Birth::Plain => keep(start(script, 0)?),
        // The nearest to a session.
        Birth::Setsid => keep(start(script, CREATE_NEW_PROCESS_GROUP)?),
        Birth::Detached => {
            let mut between = start(&[format!("spawn-setsid:[{}]", script.join(","))], 0)?;
            // The process between is gone when this returns.
            let status = between.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("the process between ended with {status}")));
            }
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the fixture must not depend on what it tests")]
fn start(script: &[String], flags: u32) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).args(script).creation_flags(flags).spawn()
}

fn keep(child: Child) {
    LAST.store(child.id(), Ordering::Relaxed);
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(child);
}

/// Waits until no child is left.
pub(crate) fn wait_children() -> io::Result<()> {
    let children = std::mem::take(&mut *CHILDREN.lock().unwrap_or_else(PoisonError::into_inner));
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

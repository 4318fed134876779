//! The steps that start the program again, and wait.

use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::wait;

use crate::step::Birth;

/// The pid of the last child that was started, or 0.
pub(crate) static LAST: AtomicU32 = AtomicU32::new(0);

/// Starts the program again with our stdio.
pub(crate) fn spawn(birth: Birth, script: &[String]) -> io::Result<()> {
    match birth {
        Birth::Plain => start(script),
        Birth::Setsid => start(&[&["setsid".to_owned()], script].concat()),
        Birth::Detached => {
            start(&["setsid".to_owned(), format!("spawn:[{}]", script.join(","))])?;
            // The process between is gone when this returns: the grandchild is an orphan by then.
            let between = nix::unistd::Pid::from_raw(LAST.swap(0, Ordering::Relaxed).cast_signed());
            match wait::waitpid(between, None)? {
                wait::WaitStatus::Exited(_, 0) => Ok(()),
                other => Err(io::Error::other(format!("the process between ended with {other:?}"))),
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the fixture must not depend on what it tests")]
fn start(script: &[String]) -> io::Result<()> {
    let child = Command::new(std::env::current_exe()?).args(script).spawn()?;
    LAST.store(child.id(), Ordering::Relaxed);
    Ok(())
}

/// Waits until no child is left, those that an earlier image of this process started included.
pub(crate) fn wait_children() -> io::Result<()> {
    loop {
        match wait::wait() {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
    }
}

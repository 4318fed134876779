//! The steps about signals.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{self, SigSet, Signal};
use signal_hook::iterator::Signals;

use crate::flow::Runner;
use crate::output;
use crate::step::Step;

/// Sets the signals to be ignored and executes the program anew with the rest of its script.
///
/// No safe function sets `SIG_IGN`; a shell does it, and the disposition passes through `execve`. The pid, the
/// children and the descriptors stay. Returns only the error.
pub(crate) fn ignore(signals: &[Signal], rest: &[OsString]) -> io::Error {
    let numbers: Vec<String> = signals.iter().map(|signal| (*signal as i32).to_string()).collect();
    let shell = format!("trap '' {}; exec \"$0\" \"$@\"", numbers.join(" "));
    execute(&shell, rest).err().unwrap_or_else(|| io::Error::other("execv returned"))
}

// Not std's exec: that would empty the signal mask.
fn execute(shell: &str, rest: &[OsString]) -> io::Result<()> {
    let program = std::env::current_exe()?;
    let mut arguments = vec![c"sh".to_owned(), c"-c".to_owned(), CString::new(shell)?];
    arguments.push(CString::new(program.as_os_str().as_bytes())?);
    for argument in rest {
        arguments.push(CString::new(argument.as_bytes())?);
    }
    nix::unistd::execv(c"/bin/sh", &arguments)?;
    Ok(())
}

/// Catches the signals and does nothing.
pub(crate) fn catch(signals: &[Signal]) -> io::Result<()> {
    for signal in signals {
        signal_hook::flag::register(*signal as i32, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

/// Blocks the signals in this thread.
pub(crate) fn block(signals: &[Signal]) -> io::Result<()> {
    Ok(signals.iter().copied().collect::<SigSet>().thread_block()?)
}

/// From now on, each arrival prints a line and runs the script, in a thread of its own.
pub(crate) fn on(signal: Signal, script: &[Step]) -> io::Result<()> {
    let mut arrivals = Signals::new([signal as i32])?;
    let script = script.to_vec();
    std::thread::Builder::new().name(signal.as_str().into()).spawn(move || {
        for _ in arrivals.forever() {
            let said = output::say(&format!("caught {signal}"));
            if said.is_err() || Runner::of_handler(&script).run_main().is_err() {
                std::process::exit(i32::from(crate::FAILED_STEP));
            }
        }
    })?;
    Ok(())
}

/// Dies of SIGSEGV: the first one only takes the Rust runtime's handler away.
pub(crate) fn segv() -> io::Result<()> {
    loop {
        signal::raise(Signal::SIGSEGV)?;
    }
}

//! What ties us to a terminal.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use rustix::termios::tcgetpgrp;

/// Whether the program shares a terminal with us, whatever its input is.
pub(crate) fn has_terminal(_gives_input: bool) -> bool {
    is_ours()
}

/// Whether we are a job of a terminal: what its keyboard is for at the moment, or what `fg` may make so.
pub(crate) fn is_ours() -> bool {
    // Fails for any terminal but our controlling one.
    in_foreground() || tcgetpgrp(io::stdin()).is_ok()
}

/// Whether one of our standard streams, which the program may inherit, is a terminal.
pub(crate) fn is_inherited() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Whether the keyboard of our terminal is for us at the moment.
pub(crate) fn in_foreground() -> bool {
    let group_of = |terminal: File| tcgetpgrp(terminal.as_fd()).ok();
    let group = File::open("/dev/tty").ok().and_then(group_of);
    group.is_some_and(|group| Some(group.as_raw_nonzero().get()) == own_group())
}

/// Our process group; `None` if it has no number here, as its leader is in another PID namespace.
#[cfg(target_os = "linux")]
pub(crate) fn own_group() -> Option<i32> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything: state, parent, group.
    let group = stat.rsplit_once(") ")?.1.split(' ').nth(2)?;
    group.parse().ok().filter(|group| *group > 0)
}

/// Our process group.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
pub(crate) fn own_group() -> Option<i32> {
    Some(rustix::process::getpgrp().as_raw_nonzero().get())
}

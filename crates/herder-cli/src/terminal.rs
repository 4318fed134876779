//! What ties us to a terminal.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;

/// Whether we are a job of a terminal: what its keyboard is for at the moment, or what `fg` may make so.
pub(crate) fn is_ours() -> bool {
    // Fails for any terminal but our controlling one.
    in_foreground() || tcgetpgrp(io::stdin()).is_ok()
}

/// Whether the keyboard of our terminal is for us at the moment.
pub(crate) fn in_foreground() -> bool {
    let group_of = |terminal: File| tcgetpgrp(terminal.as_fd()).ok();
    File::open("/dev/tty").ok().and_then(group_of) == Some(getpgrp())
}

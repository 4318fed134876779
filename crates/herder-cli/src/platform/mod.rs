//! What the program does differently on each system: one folder for each, with the same names in it.
//!
//! | name | is |
//! |---|---|
//! | `Signals`, `meaning`, `serve`, `SIGNALS_DIFFER` | what comes to us from outside, and what is to be done about it |
//! | `has_terminal`, `terminal_is_inherited`, `in_foreground` | what ties us to a terminal |
//! | `check_scope`, `set_group`, `GROUPS_HOLD`, `ADOPTS` | what may hold a program |
//! | `adopt`, `settle_orphans`, `reap`, `let_go` | what is left when the program has ended |
//! | `surround`, `variable`, `pass_descriptors`, `descriptor`, `check_folder` | what is typed, and means something else on each |
//! | `stdout_has_reader`, `stderr_has_reader` | who reads what we write |
//! | `STAMPS` | whether it is told when each write was made |
//! | `signal_of`, `dumped_core`, `end` | how a program ended, and how we end |
//! | `Host` | what `doctor` tells of the system |
//! | `init` | the command of that name |

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

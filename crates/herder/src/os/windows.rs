//! Settings that only Windows has.

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::Arc;

pub use herder_sys::{Console, KILL_CODE};

use crate::command::Command;

/// Whether our standard input is our console.
///
/// A child that inherits such an input stays in our process group by default, so that it hears Ctrl-C as we do; then a
/// Ctrl-Break can't ask it to end.
///
/// ```
/// if !herder::os::windows::stdin_is_console() {
///     println!("children can be asked to end");
/// }
/// ```
#[must_use]
pub fn stdin_is_console() -> bool {
    herder_sys::foreground_terminal(io::stdin().as_handle())
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals it")]
    pub trait Sealed {}
    impl Sealed for crate::Command {}
}

/// Settings of a [`Command`] for Windows.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::Command;
/// use herder::os::windows::{CommandExt, Console};
///
/// let mut command = Command::new("cmd");
/// command.args(["/d", "/c", "ver"]).console(Console::Hidden);
/// assert!(command.read().await?.contains("Windows"));
/// # Ok(()) }
/// ```
pub trait CommandExt: sealed::Sealed {
    /// Sets the console of the child: by default it is ours. A Ctrl-Break reaches children with our console only.
    fn console(&mut self, console: Console) -> &mut Self;

    /// Gives the child a handle beside its streams, under the number that it has here: tell it that number. Other
    /// handles never reach a child of ours.
    ///
    /// The handle is made inheritable when a child is started, and stays so: children that others start in this
    /// program at the same time or later may get it, too.
    fn handle(&mut self, handle: impl Into<OwnedHandle>) -> &mut Self;
}

impl CommandExt for Command {
    fn console(&mut self, console: Console) -> &mut Self {
        self.os.console = console;
        self
    }

    fn handle(&mut self, handle: impl Into<OwnedHandle>) -> &mut Self {
        self.os.handles.push(Arc::new(handle.into()));
        self
    }
}

/// As in Tokio, these need no trait.
impl Command {
    /// Sets more flags for `CreateProcessW`, as in the documentation of its process creation flags.
    pub fn creation_flags(&mut self, flags: u32) -> &mut Self {
        self.os.creation_flags = flags;
        self
    }
}

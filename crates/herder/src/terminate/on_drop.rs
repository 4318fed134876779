//! What a drop does.

use super::Termination;

/// What the drop of an owner does to what still runs: that of a [`Child`](crate::Child), or of a
/// [`Herd`](crate::Herd).
///
/// None of them waits. What has ended, and was waited for, is left alone by all.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use herder::terminate::{OnDrop, Termination};
/// use herder::{Command, Signal};
///
/// let gently = Termination::new().signal(Signal::INT, Duration::from_secs(2));
/// let child = Command::new("sleep").arg("60").on_drop(OnDrop::Terminate(gently)).spawn()?;
/// let handle = child.handle();
/// drop(child);
/// handle.wait().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnDrop {
    /// It is killed, at once, with all that the [`Strength`](crate::contain::Strength) in force reaches.
    #[default]
    Kill,
    /// It is asked to end, and killed when the policy says so, by a thread of ours: one for all that are dropped so,
    /// which needs no runtime of the program's, and keeps none from being shut down.
    ///
    /// Pipes to a child stay open meanwhile: what it writes is read and thrown away, and its standard input is closed
    /// when the policy says so, or at the end. Where no thread can be had, it is killed. If our program ends before,
    /// it is killed as all others are.
    Terminate(Termination),
    /// It is killed, and then the drop panics: for programs in which a child that nobody waited for is a mistake. A
    /// thread that panics already gets a warning (`tracing`) instead of a second panic.
    ///
    /// No mistake is a child that was killed, or one that a cancelled [`run`](crate::Command::run) or
    /// [`wait_with_output`](crate::Child::wait_with_output) owned. One that has exited, and was not waited for, is.
    Panic,
    /// It goes on, with all that it has started; it is reaped when it ends. It still ends with our program unless
    /// [`die_with_owner(false)`](crate::Command::die_with_owner) said otherwise.
    Detach,
}

/// Blames the one who dropped it; as a warning only where a panic would be the second one.
pub(crate) fn blame(what: &str, name: &str) {
    if std::thread::panicking() {
        tracing::warn!(name, "{what} was dropped before it had ended, and is killed");
    } else {
        panic!(
            "{what} {name:?} was dropped before it had ended, and is killed; wait for it, kill it, or say with \
             set_on_drop that this is meant"
        );
    }
}

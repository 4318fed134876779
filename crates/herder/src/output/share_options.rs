//! How a stream is shared.

use std::time::Duration;

use super::Capture;

/// What happens to a stream while it has no subscriber.
///
/// Before the first one came, nothing is read in either case, so that it misses nothing; the child waits once its pipe
/// is full. [`SharedOutput::start`](super::SharedOutput::start) reads without one, and
/// [`ShareOptions::wait_for_start`] not even with one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unread {
    /// It is read on, and what is not kept for late subscribers is thrown away: a child is not stopped because someone
    /// has read enough.
    #[default]
    Drain,
    /// It is not read: the child waits, once its pipe is full, until someone subscribes.
    Block,
}

/// How a stream is shared.
///
/// Its memory is bounded by [`capacity`](Self::capacity) and [`replay`](Self::replay) together, and as much again for
/// each subscriber that is behind and [drops the newest](super::WhenFull::DropNewest); beside it there are up to six chunks
/// that are being read into, and what [`capture`](Self::capture) keeps.
#[derive(Clone, Debug)]
#[must_use]
pub struct ShareOptions {
    pub(super) capacity: u64,
    pub(super) replay: u64,
    pub(super) chunk_size: usize,
    pub(super) unread: Unread,
    pub(super) waits: bool,
    pub(crate) capture: Capture,
    pub(crate) drain_grace: Option<Duration>,
}

impl ShareOptions {
    /// 1 MiB of capacity, 64 KiB of replay, chunks of up to 64 KiB, read on when nobody subscribes, nothing captured.
    pub const fn new() -> Self {
        Self {
            capacity: 1024 * 1024,
            replay: 64 * 1024,
            chunk_size: 64 * 1024,
            unread: Unread::Drain,
            waits: false,
            capture: Capture::none(),
            drain_grace: None,
        }
    }

    /// How many bytes a subscriber may be behind before [`WhenFull`](super::WhenFull) says what happens; 0 is taken as 1.
    ///
    /// Bytes that it asked for when it came ([`Replay`](super::Replay)) do not count.
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes as u64;
        self
    }

    /// How many of the last bytes are kept for subscribers that come late. `usize::MAX` keeps everything.
    pub const fn replay(mut self, bytes: usize) -> Self {
        self.replay = bytes as u64;
        self
    }

    /// How many bytes are read at once, at most, and so the size of the largest chunk; 0 is taken as 1.
    ///
    /// Streams that give less at once are read with smaller buffers, from 8 KiB on.
    pub const fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// What happens while there is no subscriber.
    pub const fn unread(mut self, unread: Unread) -> Self {
        self.unread = unread;
        self
    }

    /// Reads nothing before [`SharedOutput::start`](super::SharedOutput::start), so that all who subscribe until then get
    /// every byte, whatever is kept for those who come late.
    ///
    /// Without it the first subscriber starts the reading, at once: in a runtime with several threads one that is attached
    /// right after it may be late, and what is older than the [replay](Self::replay) comes to it as a gap.
    ///
    /// Until then the child waits once its pipe is full. Should the start be forgotten,
    /// [`Child::wait_with_output`](crate::Child::wait_with_output) starts it; and if there is a subscriber, the stream of a
    /// child that has exited is read after its [drain grace](Self::drain_grace). But nothing else reads from a child that
    /// can't exit because its pipe is full, or from a reader that is no child's.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use herder::output::{Capture, ShareOptions};
    /// use herder::{Command, Stdio};
    ///
    /// let mut child = Command::new("echo").arg("moo").stdout(Stdio::piped()).spawn()?;
    /// let options = ShareOptions::new().replay(0).wait_for_start();
    /// let stdout = child.stdout.take().unwrap().share_with(&options);
    /// let readers = [(); 8].map(|()| stdout.subscribe().collect(&Capture::default()));
    /// stdout.start()?;
    /// for reader in readers {
    ///     assert_eq!(reader.wait().await?.value.bytes(), b"moo\n");
    /// }
    /// # Ok(()) }
    /// ```
    pub const fn wait_for_start(mut self) -> Self {
        self.waits = true;
        self
    }

    /// How much of the stream of a child stands in the [`Report`](crate::Report) of its run, whatever subscribers do.
    /// Without it the report has only the number of bytes.
    ///
    /// The [file](Capture::spill_to) is that of this capture or, without one, that of the command's. It is made when the
    /// stream is shared, and blocks as making a file does; if it can't be made, nothing is written, and the
    /// [`FileReport`](super::FileReport) says why. A disk that is slow holds the child back.
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = capture;
        self
    }

    /// How long after the exit of the child the stream may be quiet before it counts as ended, because something that
    /// the child has left behind holds it; ten times as long in all. It is that of the command if nothing is said here.
    /// `Duration::MAX` waits for the end of file.
    pub const fn drain_grace(mut self, grace: Duration) -> Self {
        self.drain_grace = Some(grace);
        self
    }
}

impl Default for ShareOptions {
    fn default() -> Self {
        Self::new()
    }
}

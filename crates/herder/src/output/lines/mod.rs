//! Lines: what counts as one, how long it may be, and what is known of each.

use memchr::{memchr, memchr2};

mod cut;
mod line;
mod plain;
mod splitter;
#[cfg(test)]
mod tests;

pub(super) use line::Found;
pub use line::{Line, LineEnd};
pub use splitter::LineSplitter;

/// What counts as a line, and how long one may be.
///
/// The default: a line ends with `\n` or `\r\n`, and one of more than [64 KiB](Self::DEFAULT_MAX_LEN) comes in several
/// pieces, each of them marked.
///
/// ```
/// use herder::output::{Endings, LineOptions, TooLong};
///
/// let progress = LineOptions::new().endings(Endings::Cr);
/// let short = LineOptions::new().max_len(1024).too_long(TooLong::DropRest);
/// # assert_ne!(progress, short);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct LineOptions {
    max_len: usize,
    too_long: TooLong,
    endings: Endings,
}

impl LineOptions {
    /// How many bytes of text a line may have by default.
    pub const DEFAULT_MAX_LEN: usize = 64 * 1024;

    /// The default.
    pub const fn new() -> Self {
        Self { max_len: Self::DEFAULT_MAX_LEN, too_long: TooLong::Split, endings: Endings::CrLf }
    }

    /// Lets a line have so many bytes of text, its ending not counted; zero counts as one.
    ///
    /// This is also the most that is held in memory for a line that is not complete. A line of just this length is
    /// not too long.
    pub const fn max_len(mut self, bytes: usize) -> Self {
        self.max_len = if bytes == 0 { 1 } else { bytes };
        self
    }

    /// Lets a line be as long as it likes: a program that never ends its line takes all memory.
    pub const fn unlimited(self) -> Self {
        self.max_len(usize::MAX)
    }

    /// What happens to a line that is longer.
    pub const fn too_long(mut self, what: TooLong) -> Self {
        self.too_long = what;
        self
    }

    /// What ends a line.
    pub const fn endings(mut self, endings: Endings) -> Self {
        self.endings = endings;
        self
    }
}

impl Default for LineOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens to a line that is longer than [`LineOptions::max_len`].
///
/// A character of UTF-8 is not cut in two by either, unless it alone is longer than a line may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TooLong {
    /// It comes in several pieces, none of it is lost: all but the last end with [`LineEnd::Split`].
    #[default]
    Split,
    /// Its beginning is kept and the rest dropped: [`Line::dropped`] counts it. The line comes when it has ended.
    DropRest,
}

/// What ends a line. The ending is no part of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endings {
    /// `\n` alone; a `\r` in front of it is text.
    Lf,
    /// `\n` or `\r\n`, as for [`str::lines`]; any other `\r` is text.
    #[default]
    CrLf,
    /// `\n`, `\r\n` or `\r` alone, for progress bars that write over their line.
    ///
    /// The line comes with the `\r`, without waiting for what follows; a `\n` right behind it, even much later, is then
    /// the rest of the same ending. Both are told as [`LineEnd::Cr`].
    Cr,
}

impl Endings {
    /// Where the first ending is, or ends.
    fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Lf | Self::CrLf => memchr(b'\n', bytes),
            Self::Cr => memchr2(b'\n', b'\r', bytes),
        }
    }
}

//! One line, and what is known of it.

use std::borrow::Cow;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;

/// A line of output, or a marked piece of one.
///
/// It borrows from the [`LineSplitter`](super::LineSplitter) that found it; [`into_owned`](Self::into_owned) and
/// [`into_shared`](Self::into_shared) make it last.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    pub(super) text: Text<'a>,
    pub(super) marks: Marks,
}

/// Where the bytes are.
#[derive(Clone, Debug)]
pub(super) enum Text<'a> {
    /// In a chunk.
    Within(&'a [u8], &'a Bytes),
    /// On their own.
    Own(Bytes),
}

/// What is known of a line beside its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) end: LineEnd,
    pub(super) continues: bool,
    pub(super) dropped: u64,
    pub(super) missing: u64,
    pub(super) at: Option<SystemTime>,
}

impl Marks {
    /// Of a line about which there is nothing to be said.
    #[inline]
    pub(super) fn plain(end: LineEnd, at: Option<SystemTime>) -> Self {
        Self { end, continues: false, dropped: 0, missing: 0, at }
    }
}

impl<'a> Line<'a> {
    /// The exact bytes, without the ending.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.text {
            Text::Within(bytes, _) => bytes,
            Text::Own(bytes) => bytes,
        }
    }

    /// The bytes as text: what is not UTF-8 becomes `U+FFFD`. Borrowed where there is nothing to replace.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// What it ended with.
    #[must_use]
    pub fn end(&self) -> LineEnd {
        self.marks.end
    }

    /// Whether the line before was too long and this goes on with it.
    #[must_use]
    pub fn is_continuation(&self) -> bool {
        self.marks.continues
    }

    /// How many bytes behind the text were dropped because the line was too long; its ending is not counted.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.marks.dropped
    }

    /// How many bytes of the stream are missing right in front of the text: a gap.
    ///
    /// If there are any, the text is the end of a line, or all of it, or the end of another line than it looks like.
    /// With an empty text and [`LineEnd::EndOfOutput`] it only tells that the missing bytes were the last ones.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.marks.missing
    }

    /// Whether this is one line from its beginning to its end, with nothing dropped and nothing missing.
    ///
    /// The last line counts even if it is unterminated: that a program did not end it is no loss.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Marks { end, continues, dropped, missing, .. } = self.marks;
        !continues && dropped == 0 && missing == 0 && !matches!(end, LineEnd::Split | LineEnd::Gap)
    }

    /// The time that was given with the chunk that completed it, if one was.
    #[must_use]
    pub fn at(&self) -> Option<SystemTime> {
        self.marks.at
    }

    /// Makes it last, with memory of its own.
    #[must_use = "the line is consumed"]
    pub fn into_owned(self) -> Line<'static> {
        let text = match self.text {
            Text::Within(bytes, _) => Bytes::copy_from_slice(bytes),
            Text::Own(bytes) => bytes,
        };
        Line { text: Text::Own(text), marks: self.marks }
    }

    /// Makes it last without copying: the memory of its whole chunk stays until all lines of it are dropped.
    ///
    /// For lines that are passed on at once. One that is kept for long better has memory of its own: a line of 40
    /// bytes can hold a chunk of 64 KiB.
    #[must_use = "the line is consumed"]
    pub fn into_shared(self) -> Line<'static> {
        let marks = self.marks;
        Line { text: Text::Own(self.into_bytes()), marks }
    }

    /// The bytes, without copying: see [`into_shared`](Self::into_shared).
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self.text {
            Text::Within(bytes, chunk) => chunk.slice_ref(bytes),
            Text::Own(bytes) => bytes,
        }
    }
}

/// Equal lines have equal bytes and equal marks; where the bytes are does not matter.
impl PartialEq<Line<'_>> for Line<'_> {
    fn eq(&self, other: &Line<'_>) -> bool {
        self.marks == other.marks && self.bytes() == other.bytes()
    }
}

impl Eq for Line<'_> {}

/// A line that was found, and its place.
#[derive(Debug)]
pub(in crate::output) struct Found {
    pub(super) text: Place,
    pub(super) marks: Marks,
}

#[derive(Debug)]
pub(super) enum Place {
    /// In the chunk that is being looked at.
    Chunk(Range<usize>),
    Own(Bytes),
}

impl Found {
    #[inline]
    pub(super) fn within(self, chunk: &Bytes) -> Line<'_> {
        let text = match self.text {
            Place::Chunk(range) => Text::Within(&chunk[range], chunk),
            Place::Own(bytes) => Text::Own(bytes),
        };
        Line { text, marks: self.marks }
    }
}

/// What a line ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineEnd {
    /// `\n`.
    Lf,
    /// `\r\n`.
    CrLf,
    /// `\r`, or `\r\n` where a bare `\r` ends a line: see [`Endings::Cr`](super::Endings::Cr).
    Cr,
    /// Nothing yet: the line is too long, and its next piece follows.
    Split,
    /// A gap in the stream, which may have had the rest of it.
    Gap,
    /// Nothing yet: it was what [`Lines::wait_for_prompt`](crate::output::Lines::wait_for_prompt) waited for.
    Prompt,
    /// The end of the output: the line is unterminated.
    EndOfOutput,
}

impl LineEnd {
    /// Whether an ending was there.
    #[must_use]
    pub const fn is_terminated(self) -> bool {
        matches!(self, Self::Lf | Self::CrLf | Self::Cr)
    }
}

//! Consumers that keep what comes, as bytes or as lines, within bounds.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::line_visit::{LineLook, LineVisitor};
use super::{Capture, Captured, Collector, Consumer, Line, LineOptions, Subscriber, Visitor};
use super::{omission, text_with_gap};

/// What was collected of a stream.
///
/// Bytes that the consumer has not even seen are not in these numbers: see [`Consumed::missed`](super::Consumed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    bytes: Vec<u8>,
    captured: Captured,
}

impl Collected {
    /// The kept bytes, head and tail without anything in between.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The kept bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bytes came, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.captured.total
    }

    /// How many bytes came and were not kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.captured.dropped
    }

    /// Where in the kept bytes the dropped ones are missing, or `None` if none was dropped.
    #[must_use]
    pub fn gap_at(&self) -> Option<usize> {
        self.captured.gap_at
    }

    /// The kept bytes as text, with a line such as `[... 1234 bytes omitted ...]` in place of the dropped ones.
    ///
    /// What is not UTF-8 becomes `U+FFFD`.
    #[must_use]
    pub fn to_text_lossy(&self) -> String {
        text_with_gap(&self.bytes, &self.captured)
    }
}

/// How many lines are kept of a stream.
///
/// ```
/// use herder::output::KeepLines;
///
/// let last_words = KeepLines::tail(20);
/// let both_ends = KeepLines::head_and_tail(10, 10).max_bytes(64 * 1024);
/// # assert_ne!(last_words, both_ends);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct KeepLines {
    head: usize,
    tail: usize,
    max_bytes: usize,
}

impl KeepLines {
    /// How many bytes of text the head may have by default, and as many again the tail.
    pub const DEFAULT_MAX_BYTES: usize = Capture::DEFAULT_EACH;

    /// Keeps the first `lines` lines.
    pub const fn head(lines: usize) -> Self {
        Self::head_and_tail(lines, 0)
    }

    /// Keeps the last `lines` lines.
    pub const fn tail(lines: usize) -> Self {
        Self::head_and_tail(0, lines)
    }

    /// Keeps the first `head` and the last `tail` lines; all, if there are no more than both together.
    pub const fn head_and_tail(head: usize, tail: usize) -> Self {
        Self { head, tail, max_bytes: Self::DEFAULT_MAX_BYTES }
    }

    /// Keeps all lines, as long as [`max_bytes`](Self::max_bytes) allows it.
    pub const fn all() -> Self {
        Self::head(usize::MAX)
    }

    /// Keeps no more than so many bytes of text in the head, and as many in the tail. A line takes some 150 bytes more.
    ///
    /// The head ends in front of the first line that does not fit, so that it has no holes; a line that alone is larger
    /// than the tail leaves the tail empty.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// The lines that were collected of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedLines {
    head: Vec<Line<'static>>,
    tail: VecDeque<Line<'static>>,
    total: u64,
    dropped: u64,
    dropped_bytes: u64,
}

impl CollectedLines {
    /// The kept lines, in order; those of the tail follow those of the head.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Line<'static>> {
        self.head.iter().chain(&self.tail)
    }

    /// The kept lines.
    #[must_use]
    pub fn into_lines(self) -> impl DoubleEndedIterator<Item = Line<'static>> {
        self.head.into_iter().chain(self.tail)
    }

    /// How many lines are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many lines came, kept or not.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many lines came and were not kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many bytes of text the dropped lines had.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// Which of the kept lines is the first behind the dropped ones, or `None` if none was dropped.
    #[must_use]
    pub fn gap_at(&self) -> Option<usize> {
        (self.dropped > 0).then_some(self.head.len())
    }

    /// The kept lines as text, with a line such as `[... 12 lines omitted ...]` in place of the dropped ones.
    #[must_use]
    pub fn to_text_lossy(&self) -> String {
        let mut text = String::new();
        let push = |text: &mut String, line: &Line<'_>| {
            text.push_str(&line.text());
            text.push('\n');
        };
        self.head.iter().for_each(|line| push(&mut text, line));
        if self.dropped > 0 {
            omission(&mut text, self.dropped, "line");
        }
        self.tail.iter().for_each(|line| push(&mut text, line));
        text
    }
}

impl Subscriber {
    /// Keeps what comes, in a task of its own. The [file](Capture::spill_to) of the capture is not written: see
    /// [`copy_to`](Self::copy_to).
    pub fn collect(self, capture: &Capture) -> Consumer<Collected> {
        self.visit(Bytewise(Collector::new(capture)))
    }

    /// Keeps the lines that come, in a task of its own.
    pub fn collect_lines(self, options: LineOptions, keep: KeepLines) -> Consumer<CollectedLines> {
        self.visit(LineVisitor::new(options, Linewise::new(keep)))
    }
}

struct Bytewise(Collector);

impl Visitor for Bytewise {
    type Output = Collected;

    fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.0.push(&chunk);
        ControlFlow::Continue(())
    }

    fn finish(self) -> Collected {
        let (bytes, captured) = self.0.finish();
        Collected { bytes, captured }
    }
}

/// Keeps lines.
struct Linewise {
    keep: KeepLines,
    head_full: bool,
    head_bytes: usize,
    tail_bytes: usize,
    lines: CollectedLines,
}

impl Linewise {
    fn new(keep: KeepLines) -> Self {
        let lines = CollectedLines::default();
        Self { keep, head_full: false, head_bytes: 0, tail_bytes: 0, lines }
    }

    fn drop_one(&mut self, bytes: usize) {
        self.lines.dropped += 1;
        self.lines.dropped_bytes += bytes as u64;
    }

    fn keep_in_tail(&mut self, line: Line<'_>) {
        let bytes = line.bytes().len();
        let fits_alone = self.keep.tail > 0 && bytes <= self.keep.max_bytes;
        while let Some(oldest) = self.lines.tail.front()
            && !(fits_alone
                && self.lines.tail.len() < self.keep.tail
                && self.tail_bytes + bytes <= self.keep.max_bytes)
        {
            let bytes = oldest.bytes().len();
            self.tail_bytes -= bytes;
            self.lines.tail.pop_front();
            self.drop_one(bytes);
        }
        if fits_alone {
            self.tail_bytes += bytes;
            self.lines.tail.push_back(line.into_owned());
        } else {
            self.drop_one(bytes);
        }
    }
}

impl LineLook for Linewise {
    type Output = CollectedLines;

    fn line(&mut self, line: Line<'_>) -> ControlFlow<()> {
        self.lines.total += 1;
        let bytes = line.bytes().len();
        self.head_full |=
            self.lines.head.len() == self.keep.head || bytes > self.keep.max_bytes - self.head_bytes;
        if self.head_full {
            self.keep_in_tail(line);
        } else {
            self.head_bytes += bytes;
            self.lines.head.push(line.into_owned());
        }
        ControlFlow::Continue(())
    }

    fn finish(self) -> CollectedLines {
        self.lines
    }
}

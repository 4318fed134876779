//! What a process writes: how much of it is kept, and what is told about it.
//!
//! [`Capture`] is the policy, a plain value. [`StreamReport`] tells what became of one stream: every byte that was
//! read is either kept or counted as dropped.
//!
//! That is all for a run that is looked at when it is over. To look at output as it comes there are three ways:
//!
//! - One reader: [`ChildStdout`](crate::ChildStdout) is an `AsyncRead`, as in Tokio. There is no task behind it.
//! - Many readers: [`ChildStdout::share`](crate::ChildStdout::share) gives a [`SharedOutput`]. Each [`Subscriber`] of it
//!   says where it starts ([`Replay`]) and what happens when it is slow ([`WhenFull`]); it gives chunks, or
//!   [`Lines`].
//! - Readers that need no attention: a [`Consumer`] is a subscriber in a task. There are consumers that
//!   [look](Subscriber::inspect), [keep](Subscriber::collect) and [copy](Subscriber::copy_to), and those with a
//!   [`Visitor`] of yours.

use std::fmt;
use std::io;

mod after_exit;
mod capture;
mod collect;
mod consume;
mod copy;
#[cfg(feature = "encoding")]
mod encoding;
mod file;
mod line_stream;
mod line_visit;
mod lines;
mod log;
mod merge;
mod ordered;
mod reader;
mod reading;
mod redact;
mod share;
mod share_options;
mod subscriber;
mod visitor;
mod vt;

pub(crate) use after_exit::Exit;
pub use capture::Capture;
pub(crate) use capture::{Captured, Collector};
pub use collect::{Collected, CollectedLines, KeepLines};
pub use consume::{ConsumeError, ConsumeErrorKind, Consumed, Consumer, Stopped};
pub use copy::Copied;
#[cfg(feature = "encoding")]
pub use encoding::{Bom, Decoder};
pub(crate) use file::Spill;
pub use file::{FileReport, LogFile, Rotation};
pub use line_stream::Lines;
pub use lines::{Endings, Line, LineEnd, LineOptions, LineSplitter, TooLong};
pub use log::{Replay, WhenFull};
pub use merge::{Merged, Origin, merge};
pub(crate) use ordered::Writes;
pub use ordered::{Ordered, OrderedLines, Piece};
#[cfg(feature = "redact")]
pub use redact::PatternError;
pub use redact::{Redact, Redactor};
pub use share::SharedOutput;
pub use share_options::{ShareOptions, Unread};
pub use subscriber::{Event, Subscriber};
pub use visitor::{AsyncVisitor, Visitor};
pub use vt::VtStripper;

/// How the reading of a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputEnd {
    /// Everything was read: every holder of the stream has closed it or exited.
    Eof,
    /// The process has exited but something it started still holds the stream; reading was given up after the
    /// drain grace. What was read until then is kept.
    StillHeld,
    /// The writer that the bytes were passed on to took none any more, and was given up. What was read until then is
    /// kept.
    NotTaken,
    /// Reading failed. What was read until then is kept.
    #[non_exhaustive]
    Failed {
        /// The kind of the error.
        kind: io::ErrorKind,
        /// The words of the operating system.
        message: String,
    },
    /// The stream did not come to us: it was inherited, closed or sent elsewhere.
    NotCaptured,
}

impl OutputEnd {
    /// The end of a stream whose reading failed with `error`.
    pub(crate) fn failed(error: &io::Error) -> Self {
        Self::Failed { kind: error.kind(), message: error.to_string() }
    }
}

impl fmt::Display for OutputEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("end of output"),
            Self::StillHeld => f.write_str("still held open after the exit"),
            Self::NotTaken => f.write_str("not taken by the writer that it was passed on to"),
            Self::Failed { message, .. } => write!(f, "reading failed: {message}"),
            Self::NotCaptured => f.write_str("not captured"),
        }
    }
}

/// What became of one output stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamReport {
    captured: Captured,
    end: OutputEnd,
    spill: Option<FileReport>,
    redactions: u64,
}

impl StreamReport {
    pub(crate) fn new(captured: Captured, end: OutputEnd, spill: Option<FileReport>) -> Self {
        Self { captured, end, spill, redactions: 0 }
    }

    pub(crate) fn with_redactions(mut self, count: u64) -> Self {
        self.redactions = count;
        self
    }

    /// The report on a stream that did not come to us.
    pub(crate) fn not_captured() -> Self {
        Self::new(Captured::default(), OutputEnd::NotCaptured, None)
    }

    /// How many bytes were read, kept or not; after [redaction](crate::Command::redact), if there is any.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.captured.total
    }

    /// How many bytes were read and not kept, because of the limits of [`Capture`].
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.captured.dropped
    }

    /// Where in the kept bytes the dropped ones are missing, or `None` if none was dropped.
    ///
    /// May be zero (only the last bytes were kept) and may be the number of kept bytes (only the first were).
    #[must_use]
    pub fn gap_at(&self) -> Option<usize> {
        self.captured.gap_at
    }

    /// How the reading ended.
    #[must_use]
    pub fn end(&self) -> &OutputEnd {
        &self.end
    }

    /// The file that has the whole stream, if [`Capture::spill_to`] asked for one.
    #[must_use]
    pub fn spill(&self) -> Option<&FileReport> {
        self.spill.as_ref()
    }

    /// How many stretches of the output were replaced: see [`Command::redact`](crate::Command::redact).
    #[must_use]
    pub fn redactions(&self) -> u64 {
        self.redactions
    }

    /// Whether bytes were dropped.
    ///
    /// That no bytes were dropped does not mean that there would not have been more: see [`end`](Self::end).
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.captured.dropped > 0
    }
}

/// The kept bytes as text, with a line such as `[... 1234 bytes omitted ...]` in place of the dropped ones.
///
/// What is not UTF-8 becomes `U+FFFD`, and so does a character that the gap cut in two. The bytes must be those
/// that `report` is about.
#[must_use]
pub fn render_lossy(bytes: &[u8], report: &StreamReport) -> String {
    text_with_gap(bytes, &report.captured)
}

fn text_with_gap(bytes: &[u8], captured: &Captured) -> String {
    let Some(gap_at) = captured.gap_at else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    let (head, tail) = bytes.split_at(gap_at.min(bytes.len()));
    let mut text = String::from_utf8_lossy(head).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    omission(&mut text, captured.dropped, "byte");
    text.push_str(&String::from_utf8_lossy(tail));
    text
}

/// Says how much is left out, on a line of its own.
fn omission(text: &mut String, count: u64, unit: &str) {
    let plural = if count == 1 { "" } else { "s" };
    text.extend(["[... ", &count.to_string(), " ", unit, plural, " omitted ...]\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(capture: &Capture, output: &str) -> String {
        let mut collector = Collector::new(capture);
        collector.push(output.as_bytes());
        let (bytes, captured) = collector.finish();
        render_lossy(&bytes, &StreamReport::new(captured, OutputEnd::Eof, None))
    }

    #[test]
    fn the_gap_is_shown_on_a_line_of_its_own() {
        let output = "first\nsecond\nlast\n";
        assert_eq!(render(&Capture::default(), output), output);
        assert_eq!(
            render(&Capture::head_and_tail(8, 5), output),
            "first\nse\n[... 5 bytes omitted ...]\nlast\n"
        );
        assert_eq!(render(&Capture::head(17), output), "first\nsecond\nlast\n[... 1 byte omitted ...]\n");
        assert_eq!(render(&Capture::tail(5), output), "[... 13 bytes omitted ...]\nlast\n");
        assert_eq!(render(&Capture::none(), output), "[... 18 bytes omitted ...]\n");
        assert_eq!(render(&Capture::none(), ""), "");
    }

    #[test]
    fn a_cut_character_is_replaced() {
        assert_eq!(render(&Capture::head(2), "aä"), "a\u{fffd}\n[... 1 byte omitted ...]\n");
    }

    #[test]
    fn a_stream_that_did_not_come_to_us_has_nothing() {
        let report = StreamReport::not_captured();
        assert_eq!((report.total(), report.dropped(), report.gap_at()), (0, 0, None));
        assert_eq!(*report.end(), OutputEnd::NotCaptured);
        assert!(!report.is_truncated());
        assert!(report.spill().is_none());
    }
}

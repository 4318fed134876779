//! Chunks in, chunks without secrets out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr_iter};

use super::{Redact, Rules};

/// Replaces in one stream what a [`Redact`] says.
///
/// It stands in front of everything that keeps, shows or passes on the stream, and in front of everything that may
/// lose a part of it. Any division of the same bytes into chunks gives the same output.
pub struct Redactor {
    /// None if nothing is replaced.
    rules: Option<Arc<Rules>>,
    /// What may be shown only when more has come.
    held: BytesMut,
    /// What is to be replaced of it.
    marks: Marks,
    /// From where in `held` the patterns have still to look: the beginning of a line.
    line: usize,
    /// The line is too long to be looked at, and is replaced as far as it goes.
    too_long: bool,
    /// The last byte that was let go was replaced.
    in_stretch: bool,
    stretches: u64,
    bytes: u64,
}

/// Ranges in order, none of which touch.
#[derive(Default)]
struct Marks(Vec<Range<usize>>);

impl Redactor {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new(redact: Redact) -> Self {
        let rules = if redact.is_empty() { None } else { redact.rules };
        Self {
            rules,
            held: BytesMut::new(),
            marks: Marks::default(),
            line: 0,
            too_long: false,
            in_stretch: false,
            stretches: 0,
            bytes: 0,
        }
    }

    /// How many stretches have been replaced in what was let go.
    #[must_use]
    pub fn stretches(&self) -> u64 {
        self.stretches
    }

    /// How many bytes have been replaced in what was let go.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next bytes, and lets go what is safe to be seen. What needs no change is not copied.
    pub fn push(&mut self, chunk: impl Into<Bytes>) -> Bytes {
        let mut chunk = chunk.into();
        let Some(rules) = self.rules.clone().filter(|_| !chunk.is_empty()) else { return chunk };
        if self.held.is_empty() {
            let free = self.examine(&rules, &chunk, 0);
            self.held.extend_from_slice(&chunk[free..]);
            chunk.truncate(free);
            return self.let_go(&rules, chunk);
        }
        let mut held = std::mem::take(&mut self.held);
        let seen = held.len();
        held.extend_from_slice(&chunk);
        let free = self.examine(&rules, &held, seen);
        let free = held.split_to(free).freeze();
        self.held = held;
        self.let_go(&rules, free)
    }

    /// Says that this was all, and lets go the rest.
    ///
    /// What is held back as the beginning of a literal is replaced if it is half of it or more. What is pushed
    /// afterwards is a new stream.
    pub fn end(&mut self) -> Bytes {
        let Some(rules) = self.rules.clone() else { return Bytes::new() };
        let held = std::mem::take(&mut self.held).freeze();
        if !self.too_long {
            self.match_line(&rules, &held, self.line..held.len());
        }
        let half = |literal: &[u8], begun: usize| 2 * begun >= literal.len();
        let begun = begun(&rules, &held, half);
        self.marks.add(begun..held.len());
        self.line = held.len();
        self.too_long = false;
        let rest = self.let_go(&rules, held);
        self.in_stretch = false;
        rest
    }

    /// Marks what is to be replaced in `data`, of which the first `seen` bytes were held back, and says how much of it
    /// can be let go.
    fn examine(&mut self, rules: &Rules, data: &[u8], seen: usize) -> usize {
        for literal in &rules.literals {
            let len = literal.needle().len();
            // One that ends in the new bytes.
            let mut from = seen.saturating_sub(len - 1);
            while let Some(at) = literal.find(&data[from..]) {
                self.marks.add(from + at..from + at + len);
                // Another one may begin within.
                from += at + 1;
            }
        }
        let begun = begun(rules, data, |_, _| true);
        if !rules.is_line_wise() {
            return begun;
        }
        let mut looked = seen;
        while let Some(at) = memchr(b'\n', &data[looked..]) {
            let end = looked + at;
            if self.too_long || end - self.line > rules.max_line {
                self.marks.add(self.line..end);
                self.too_long = false;
            } else {
                self.match_line(rules, data, self.line..end);
            }
            looked = end + 1;
            self.line = looked;
        }
        if self.too_long || data.len() - self.line > rules.max_line {
            self.marks.add(self.line..data.len());
            self.too_long = true;
            self.line = data.len();
        }
        begun.min(self.line)
    }

    /// Marks what the patterns match in a line.
    #[cfg(feature = "redact")]
    fn match_line(&mut self, rules: &Rules, data: &[u8], line: Range<usize>) {
        let text = &data[line.clone()];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        super::pattern::matches(&rules.patterns, text, |range| {
            self.marks.add(line.start + range.start..line.start + range.end);
        });
    }

    #[cfg(not(feature = "redact"))]
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "the same as with the feature")]
    fn match_line(&mut self, _: &Rules, _: &[u8], _: Range<usize>) {}

    /// Makes what is shown of the next bytes, which are let go.
    fn let_go(&mut self, rules: &Rules, free: Bytes) -> Bytes {
        self.line = self.line.saturating_sub(free.len());
        let marks = self.marks.take(free.len());
        if free.is_empty() {
            return free;
        }
        let was_in_stretch =
            std::mem::replace(&mut self.in_stretch, marks.last().is_some_and(|mark| mark.end == free.len()));
        if marks.is_empty() {
            return free;
        }
        let mut shown = Vec::with_capacity(free.len());
        let mut at = 0;
        for mark in marks {
            shown.extend_from_slice(&free[at..mark.start]);
            if mark.start > 0 || !was_in_stretch {
                shown.extend_from_slice(rules.marker.as_bytes());
                self.stretches += 1;
            }
            self.bytes += mark.len() as u64;
            at = mark.end;
        }
        shown.extend_from_slice(&free[at..]);
        shown.into()
    }
}

/// Where in `data` the longest end begins that is the beginning of a literal, of those that count.
fn begun(rules: &Rules, data: &[u8], counts: impl Fn(&[u8], usize) -> bool) -> usize {
    let mut begun = data.len();
    for literal in &rules.literals {
        let literal = literal.needle();
        let from = data.len().saturating_sub(literal.len() - 1);
        let begins = |at: &usize| {
            let end = &data[*at..];
            literal.starts_with(end) && counts(literal, end.len())
        };
        let first = memchr_iter(literal[0], &data[from..]).map(|at| from + at).find(begins);
        begun = first.map_or(begun, |at| begun.min(at));
    }
    begun
}

impl Marks {
    fn add(&mut self, mut range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        // Those that the new one touches; it is mostly the last.
        let first = self.0.iter().rposition(|mark| mark.end < range.start).map_or(0, |before| before + 1);
        let count = self.0[first..].iter().take_while(|mark| mark.start <= range.end).count();
        let touched = &self.0[first..first + count];
        if let (Some(begin), Some(end)) = (touched.first(), touched.last()) {
            range = range.start.min(begin.start)..range.end.max(end.end);
        }
        self.0.splice(first..first + count, [range]);
    }

    /// Takes out what is marked of the first bytes; places then count from behind them.
    fn take(&mut self, bytes: usize) -> Vec<Range<usize>> {
        let mut taken = Vec::new();
        self.0.retain_mut(|mark| {
            if mark.start < bytes {
                taken.push(mark.start..mark.end.min(bytes));
            }
            *mark = mark.start.saturating_sub(bytes)..mark.end.saturating_sub(bytes);
            mark.end > 0
        });
        taken
    }
}

/// Shows nothing of what is held back.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, held, stretches, bytes, .. } = self;
        let mut shown = f.debug_struct("Redactor");
        shown.field("redact", &Redact { rules: rules.clone() }).field("held", &held.len());
        shown.field("stretches", stretches).field("bytes", bytes).finish_non_exhaustive()
    }
}

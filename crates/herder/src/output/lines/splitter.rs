//! Chunks in, lines out: pure, linear, and the same lines whatever the chunks.

use std::collections::VecDeque;
use std::time::SystemTime;

use bytes::Bytes;

use super::line::{Found, Line, LineEnd, Marks, Place};
use super::plain::Plain;
use super::{Endings, LineOptions, TooLong};

/// Splits a stream of chunks into lines.
///
/// Any division of the same bytes into chunks gives the same lines. A line that lies within one chunk is not copied.
/// Nothing is glued together: where bytes of the stream are missing, [`gap`](Self::gap) says so, and the lines on
/// both sides are marked.
///
/// It holds what was pushed and not yet asked for, and at most [`LineOptions::max_len`] bytes of a line that is not
/// complete: ask for lines until there is none before you push more.
///
/// ```
/// use herder::output::{LineEnd, LineOptions, LineSplitter};
///
/// let mut lines = LineSplitter::new(LineOptions::new());
/// lines.push("one\ntw");
/// assert_eq!(lines.next_line().unwrap().text(), "one");
/// assert!(lines.next_line().is_none());
/// assert_eq!(lines.pending(), b"tw");
/// lines.push("o\nand more");
/// lines.end();
/// assert_eq!(lines.next_line().unwrap().text(), "two");
/// let last = lines.next_line().unwrap();
/// assert_eq!((&*last.text(), last.end()), ("and more", LineEnd::EndOfOutput));
/// ```
#[derive(Clone, Debug)]
pub struct LineSplitter {
    pub(super) options: LineOptions,
    queue: VecDeque<Input>,
    pub(super) chunk: Bytes,
    /// How much of the chunk is used up.
    pub(super) used: usize,
    pub(super) now: Option<SystemTime>,
    /// The text so far of a line that began in an earlier chunk. Longer than a line may be by at most one byte: a
    /// `\r` that may belong to the ending.
    pending: Vec<u8>,
    /// The rest of a line that is too long is being dropped: how much so far, and whether it ended with `\r`.
    dropping: Option<(u64, bool)>,
    continues: bool,
    missing: u64,
    /// The last ending was a `\r` that a `\n` may complete.
    after_cr: bool,
    /// Nothing of the above: the next line begins in the chunk, with nothing to be said about it.
    pub(super) plain: bool,
    /// Where in the stream the chunk begins.
    base: u64,
}

#[derive(Clone, Debug)]
enum Input {
    Chunk(Bytes, Option<SystemTime>),
    Gap(u64),
    End,
}

impl LineSplitter {
    /// Begins with an empty line.
    #[must_use]
    pub fn new(options: LineOptions) -> Self {
        Self {
            options,
            queue: VecDeque::new(),
            chunk: Bytes::new(),
            used: 0,
            now: None,
            pending: Vec::new(),
            dropping: None,
            continues: false,
            missing: 0,
            after_cr: false,
            plain: false,
            base: 0,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: impl Into<Bytes>) {
        self.queue.push_back(Input::Chunk(chunk.into(), None));
    }

    /// Takes the next bytes of the stream, and the time at which they came: it is that of the lines that they complete.
    pub fn push_at(&mut self, chunk: impl Into<Bytes>, now: SystemTime) {
        self.queue.push_back(Input::Chunk(chunk.into(), Some(now)));
    }

    /// Says that so many bytes of the stream are missing here.
    ///
    /// A line that is not complete comes with [`LineEnd::Gap`], and the next one tells how much is
    /// [missing](Line::missing) in front of it. Gaps without anything between them are one.
    pub fn gap(&mut self, bytes: u64) {
        if bytes > 0 {
            self.queue.push_back(Input::Gap(bytes));
        }
    }

    /// Says that this was all. A line that is not complete comes with [`LineEnd::EndOfOutput`].
    ///
    /// What is pushed afterwards begins a new line.
    pub fn end(&mut self) {
        self.queue.push_back(Input::End);
    }

    /// The next line, or `None` if more has to be pushed first.
    #[inline]
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let found = self.find_line()?;
        Some(self.line(found))
    }

    /// As [`next_line`](Self::next_line), without the borrow.
    #[inline]
    pub(in crate::output) fn find_line(&mut self) -> Option<Found> {
        let Some(Plain { len, end, next }) = self.plain_line(self.used) else { return self.any_line() };
        let start = self.used;
        self.used = next;
        Some(Found { text: Place::Chunk(start..start + len), marks: Marks::plain(end, self.now) })
    }

    /// The line that was found last.
    #[inline]
    pub(in crate::output) fn line(&self, found: Found) -> Line<'_> {
        found.within(&self.chunk)
    }

    /// Takes the line that is not complete as it is: what comes next begins a new one.
    pub(in crate::output) fn take_pending(&mut self) -> Option<Found> {
        self.is_open().then(|| self.close(LineEnd::Prompt))
    }

    /// What was pushed and is in no line yet: how much is missing, and the bytes behind that.
    pub(in crate::output) fn into_rest(self) -> (u64, Bytes) {
        let rest = self.chunk.slice(self.used..);
        (
            self.missing,
            if self.pending.is_empty() { rest } else { [&self.pending[..], &rest].concat().into() },
        )
    }

    /// The text so far of a line that is not complete: a prompt, say.
    ///
    /// After [`next_line`](Self::next_line) has given `None` this is all that came behind the last ending, up to the
    /// length that a line may have. It may end in the middle of a character, and with a `\r` whose `\n` is to come.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Where in the stream the last line ended, in bytes: behind its ending, gaps counted.
    ///
    /// For [`Endings::Cr`] a `\n` that completes a `\r` belongs to what comes next.
    #[must_use]
    pub fn position(&self) -> u64 {
        let dropped = self.dropping.map_or(0, |(count, _)| count);
        self.base + self.used as u64 - self.pending.len() as u64 - dropped - self.missing
    }

    /// The next line, whatever it is.
    #[inline(never)]
    pub(super) fn any_line(&mut self) -> Option<Found> {
        let found = self.find();
        self.plain = self.options.endings != Endings::Cr
            && !self.is_open()
            && !self.continues
            && !self.after_cr
            && self.missing == 0;
        found
    }

    fn find(&mut self) -> Option<Found> {
        loop {
            if self.used == self.chunk.len() {
                // Whoever made the chunk may use its memory again.
                self.base += self.chunk.len() as u64;
                (self.chunk, self.used) = (Bytes::new(), 0);
                match self.queue.front()? {
                    Input::Chunk(..) => self.next_chunk(),
                    &Input::Gap(bytes) => {
                        if self.is_open() {
                            return Some(self.close(LineEnd::Gap));
                        }
                        self.queue.pop_front();
                        self.after_cr = false;
                        self.missing += bytes;
                        self.base += bytes;
                    }
                    Input::End => {
                        if self.is_open() || self.missing > 0 {
                            return Some(self.close(LineEnd::EndOfOutput));
                        }
                        self.queue.pop_front();
                        self.after_cr = false;
                    }
                }
            } else if self.after_cr {
                self.after_cr = false;
                if self.chunk[self.used] == b'\n' {
                    self.used += 1;
                }
            } else if let Some(found) = if self.dropping.is_some() { self.drop_rest() } else { self.scan() } {
                return Some(found);
            }
        }
    }

    fn next_chunk(&mut self) {
        if let Some(Input::Chunk(chunk, now)) = self.queue.pop_front() {
            self.chunk = chunk;
            self.used = 0;
            self.now = now;
        }
    }

    /// Whether there is a line that is not complete.
    fn is_open(&self) -> bool {
        !self.pending.is_empty() || self.dropping.is_some()
    }

    /// Looks for the end of a line, no further than a line may be long.
    fn scan(&mut self) -> Option<Found> {
        let rest = &self.chunk[self.used..];
        // The text, and the two bytes of an ending.
        let most = self.options.max_len.saturating_add(2).saturating_sub(self.pending.len());
        let window = rest.get(..most).unwrap_or(rest);
        match self.options.endings.find(window) {
            Some(at) => {
                let (cr, end) = self.ending(at, window[at]);
                let len = self.pending.len() + at - cr;
                if len > self.options.max_len {
                    return self.too_long();
                }
                let start = self.used;
                self.used += at + 1;
                let text = if self.pending.is_empty() {
                    Place::Chunk(start..start + at - cr)
                } else {
                    self.pending.extend_from_slice(&self.chunk[start..start + at]);
                    self.pending.truncate(len);
                    Place::Own(std::mem::take(&mut self.pending).into())
                };
                Some(self.found(text, end))
            }
            None => {
                let len = self.pending.len() + rest.len();
                let max = self.options.max_len;
                // One byte more is not too much while it may belong to the ending.
                let open = len == max.saturating_add(1)
                    && self.options.endings == Endings::CrLf
                    && rest.last() == Some(&b'\r');
                if len > max && !open {
                    return self.too_long();
                }
                self.pending.extend_from_slice(rest);
                self.used = self.chunk.len();
                None
            }
        }
    }

    /// How many bytes in front of the ending at `at` of the unused chunk belong to it, and its name.
    fn ending(&mut self, at: usize, byte: u8) -> (usize, LineEnd) {
        let before = at.checked_sub(1).map(|before| self.chunk[self.used + before]);
        if byte == b'\r' {
            self.after_cr = true;
            (0, LineEnd::Cr)
        } else if self.options.endings == Endings::CrLf
            && before.or_else(|| self.pending.last().copied()) == Some(b'\r')
        {
            (1, LineEnd::CrLf)
        } else {
            (0, LineEnd::Lf)
        }
    }

    /// Cuts a line of which more than the longest is at hand, in `pending` and the chunk.
    fn too_long(&mut self) -> Option<Found> {
        self.after_cr = false;
        let cut = self.cut();
        if self.options.too_long == TooLong::Split && self.pending.is_empty() {
            let start = self.used;
            self.used += cut;
            return Some(self.found(Place::Chunk(start..start + cut), LineEnd::Split));
        }
        if let Some(more) = cut.checked_sub(self.pending.len()) {
            self.pending.extend_from_slice(&self.chunk[self.used..self.used + more]);
            self.used += more;
        }
        match self.options.too_long {
            TooLong::Split => {
                let piece = self.split_pending(cut);
                Some(self.found(piece, LineEnd::Split))
            }
            TooLong::DropRest => {
                let cr = self.pending.len() > cut && self.pending.last() == Some(&b'\r');
                self.dropping = Some(((self.pending.len() - cut) as u64, cr));
                self.pending.truncate(cut);
                None
            }
        }
    }

    /// Takes the first bytes out of the pending text.
    fn split_pending(&mut self, at: usize) -> Place {
        let rest = self.pending.split_off(at);
        Place::Own(std::mem::replace(&mut self.pending, rest).into())
    }

    /// Where a line that is too long is cut.
    fn cut(&self) -> usize {
        super::cut::cut(self.options.max_len, |at| match at.checked_sub(self.pending.len()) {
            None => self.pending.get(at).copied(),
            Some(at) => self.chunk.get(self.used + at).copied(),
        })
    }

    /// Drops the rest of a line, as far as it is at hand.
    fn drop_rest(&mut self) -> Option<Found> {
        let (count, ended_with_cr) = self.dropping?;
        let rest = &self.chunk[self.used..];
        if let Some(at) = self.options.endings.find(rest) {
            // Of a dropped text only the last byte is known.
            let before = at.checked_sub(1).map_or(ended_with_cr, |before| rest[before] == b'\r');
            let (cr, end) = match rest[at] {
                b'\r' => (0, LineEnd::Cr),
                _ if before && self.options.endings == Endings::CrLf => (1, LineEnd::CrLf),
                _ => (0, LineEnd::Lf),
            };
            self.after_cr = end == LineEnd::Cr;
            self.used += at + 1;
            self.dropping = Some((count + at as u64 - cr, false));
            let text = Place::Own(std::mem::take(&mut self.pending).into());
            return Some(self.found(text, end));
        }
        self.dropping = Some((count + rest.len() as u64, rest.last() == Some(&b'\r')));
        self.used = self.chunk.len();
        None
    }

    /// Ends a line without an ending.
    fn close(&mut self, end: LineEnd) -> Found {
        let max = self.options.max_len;
        if self.pending.len() > max {
            // The `\r` behind the longest line was none of an ending.
            if self.options.too_long == TooLong::Split {
                let piece = self.split_pending(max);
                return self.found(piece, LineEnd::Split);
            }
            self.dropping = Some(((self.pending.len() - max) as u64, true));
            self.pending.truncate(max);
        }
        let text = Place::Own(std::mem::take(&mut self.pending).into());
        self.found(text, end)
    }

    /// A line, and the state in front of the next one.
    fn found(&mut self, text: Place, end: LineEnd) -> Found {
        let marks = Marks {
            end,
            continues: self.continues,
            dropped: self.dropping.take().map_or(0, |(count, _)| count),
            missing: std::mem::take(&mut self.missing),
            at: self.now,
        };
        self.continues = end == LineEnd::Split;
        Found { text, marks }
    }
}

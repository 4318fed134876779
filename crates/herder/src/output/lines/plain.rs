//! The usual lines, as fast as they can be found.

use std::ops::ControlFlow;

use memchr::memchr;

use super::line::{Line, Marks, Text};
use super::{Endings, LineEnd, LineSplitter};

/// A usual line: its length, its ending, and where the next one begins.
pub(super) struct Plain {
    pub(super) len: usize,
    pub(super) end: LineEnd,
    pub(super) next: usize,
}

impl LineSplitter {
    /// Calls `look` with the lines that are there, until it breaks off or there is none.
    ///
    /// What [`next_line`](Self::next_line) gives, but for the usual lines, which cost little more than to find them, as
    /// little more as can be: the place is not stored for each of them.
    #[inline]
    pub(in crate::output) fn each_line(
        &mut self,
        mut look: impl FnMut(Line<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        loop {
            let mut used = self.used;
            let mut flow = ControlFlow::Continue(());
            while flow.is_continue()
                && let Some(Plain { len, end, next }) = self.plain_line(used)
            {
                let text = Text::Within(&self.chunk[used..used + len], &self.chunk);
                used = next;
                flow = look(Line { text, marks: Marks::plain(end, self.now) });
            }
            self.used = used;
            flow?;
            let Some(found) = self.any_line() else { return ControlFlow::Continue(()) };
            look(self.line(found))?;
        }
    }

    /// The line that begins at `used` if it is a usual one, all within the chunk: nearly all lines are, and should cost
    /// hardly more than to find them.
    #[inline]
    pub(super) fn plain_line(&self, used: usize) -> Option<Plain> {
        if !self.plain {
            return None;
        }
        let rest = &self.chunk[used..];
        let most = self.options.max_len.saturating_add(2);
        let window = rest.get(..most).unwrap_or(rest);
        let at = memchr(b'\n', window)?;
        let is_crlf = self.options.endings == Endings::CrLf && at > 0 && window[at - 1] == b'\r';
        let (len, end) = if is_crlf { (at - 1, LineEnd::CrLf) } else { (at, LineEnd::Lf) };
        // Where the next one begins does not depend on what stands in front of the `\n`.
        (len <= self.options.max_len).then_some(Plain { len, end, next: used + at + 1 })
    }
}

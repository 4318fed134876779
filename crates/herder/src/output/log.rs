//! The log of one stream that many read: a window of its bytes, and a cursor for each reader. Pure.
//!
//! Every byte has a number, its place in the stream. A cursor is such a number: whether bytes come from what was kept
//! for late readers or from what has just been read is no question that it could get wrong.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

/// What happens when a subscriber is further behind than the capacity of the stream.
///
/// It is the choice of each subscriber, and touches no other, save that one which blocks holds up the child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenFull {
    /// Reading stops until the subscriber has caught up, so that the child has to wait as soon as its pipe is full, and
    /// all other subscribers with it. The subscriber misses nothing. It has to be polled, or dropped.
    #[default]
    Block,
    /// The subscriber keeps what it has not read yet and misses what comes, until it has read all that was kept.
    DropNewest,
    /// The subscriber misses the oldest bytes that it has not read yet, and keeps the newest.
    DropOldest,
}

/// Where in the stream a subscriber starts.
///
/// What it asks for and is no longer kept ([`ShareOptions::replay`](super::ShareOptions::replay)) comes as a
/// [gap](super::Event::Gap) before anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replay {
    /// With the bytes that have not been read from the child yet.
    None,
    /// With so many of the last bytes; with all, if there were no more.
    Bytes(u64),
    /// With so many of the last chunks, as they were read from the child, but not with more than 1024 of them.
    ///
    /// How output is cut into chunks depends on the timing: they suit programs that write seldom.
    Chunks(usize),
    /// With the first byte.
    #[default]
    All,
}

/// The greatest number of chunks whose beginnings are remembered.
const MARKS: usize = 1024;

/// Smaller chunks that wait or are kept are put together up to this size: the administration of a chunk costs some 100
/// bytes, which for output that comes byte by byte would be hundred times the output.
const BLOCK: usize = 4096;

/// A window of a stream, and the cursors in it.
#[derive(Debug)]
pub(crate) struct Log {
    /// Without holes; the first may be needed only in part.
    blocks: VecDeque<(u64, Bytes)>,
    end: u64,
    capacity: u64,
    /// How many of the last bytes are kept for those who come later.
    replay: u64,
    /// How large two blocks put together may be.
    block: usize,
    sealed: bool,
    closed: bool,
    /// The beginnings of the last chunks.
    marks: VecDeque<u64>,
    cursors: BTreeMap<u64, Cursor>,
    next_id: u64,
}

#[derive(Debug)]
struct Cursor {
    /// The next byte, save for the gap.
    at: u64,
    /// Where the stream was when the cursor came: what lay before it was asked for and is not being behind.
    born: u64,
    /// Bytes before `at` that have to be told as missed.
    gap: u64,
    when_full: WhenFull,
    /// What is left of one that drops the newest, since it does. It has no part in the window then.
    aside: Option<VecDeque<Bytes>>,
}

/// What a cursor gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Chunk(Bytes),
    Gap(u64),
    /// Nothing yet.
    Empty,
    /// Nothing any more.
    End,
}

impl Log {
    /// A log that lets its readers be `capacity` bytes behind, keeps the last `replay` bytes for late ones, and hands
    /// out no chunk larger than those pushed, or `block`.
    pub(crate) fn new(capacity: u64, replay: u64, block: usize) -> Self {
        Self {
            blocks: VecDeque::new(),
            end: 0,
            capacity: capacity.max(1),
            replay,
            block: block.min(BLOCK),
            sealed: false,
            closed: false,
            marks: VecDeque::new(),
            cursors: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// How many bytes have been pushed.
    pub(crate) fn total(&self) -> u64 {
        self.end
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn has_cursors(&self) -> bool {
        !self.cursors.is_empty()
    }

    pub(crate) fn has_one_cursor(&self) -> bool {
        self.cursors.len() == 1
    }

    /// Whether a cursor has half of the capacity to read.
    pub(crate) fn is_crowded(&self) -> bool {
        self.cursors.values().any(|cursor| self.behind(cursor) > self.capacity / 2)
    }

    /// How many bytes may be pushed now: zero while a cursor that blocks is too far behind.
    pub(crate) fn room(&self) -> u64 {
        let blocking = self.cursors.values().filter(|cursor| cursor.when_full == WhenFull::Block);
        let most_behind = blocking.map(|cursor| self.behind(cursor)).max().unwrap_or(0);
        self.capacity.saturating_sub(most_behind)
    }

    /// How much room is enough to go on: with less, a slow reader would make many small chunks.
    pub(crate) fn worthwhile(&self) -> u64 {
        (self.capacity / 2).clamp(1, 64 * 1024)
    }

    /// How far a cursor is behind through its own fault.
    fn behind(&self, cursor: &Cursor) -> u64 {
        if cursor.aside.is_some() { 0 } else { self.end - cursor.at.max(cursor.born) }
    }

    /// Takes the next bytes of the stream; no more than there is room for.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        if self.replay > 0 {
            if self.marks.len() == MARKS {
                self.marks.pop_front();
            }
            self.marks.push_back(self.end);
        }
        let start = self.end;
        self.end += chunk.len() as u64;
        if self.cursors.is_empty() && self.replay == 0 {
            return;
        }
        self.blocks.push_back((start, chunk));
        self.drop_for_room();
        self.trim();
        self.merge();
    }

    /// Lets those who don't block lose what they can't hold.
    fn drop_for_room(&mut self) {
        let (end, capacity) = (self.end, self.capacity);
        for cursor in self.cursors.values_mut() {
            let full_at = cursor.at.max(cursor.born).saturating_add(capacity);
            if cursor.aside.is_some() || end <= full_at {
                continue;
            }
            match cursor.when_full {
                WhenFull::Block => {}
                WhenFull::DropOldest => {
                    cursor.gap += end - capacity - cursor.at;
                    cursor.at = end - capacity;
                }
                WhenFull::DropNewest => {
                    cursor.aside = Some(between(&self.blocks, cursor.at, full_at));
                    cursor.at = full_at;
                }
            }
        }
    }

    /// Frees what nobody will ask for.
    fn trim(&mut self) {
        let floor = self.floor();
        let needed = self.cursors.values().filter(|cursor| cursor.aside.is_none()).map(|cursor| cursor.at);
        let start = needed.min().unwrap_or(floor).min(floor);
        while let Some((at, block)) = self.blocks.front_mut() {
            let end = *at + block.len() as u64;
            if end > start {
                // The part that is not needed any more can't be freed, but a small rest must not hold on to much.
                let unneeded = start.saturating_sub(*at);
                if unneeded > 0 && (end - start) as usize <= self.block && unneeded as usize > self.block {
                    *block = Bytes::copy_from_slice(&block[unneeded as usize..]);
                    *at = start;
                }
                break;
            }
            self.blocks.pop_front();
        }
        while self.marks.front().is_some_and(|&mark| mark < floor) {
            self.marks.pop_front();
        }
    }

    /// The first byte that a new cursor can have.
    fn floor(&self) -> u64 {
        if self.sealed { self.end } else { self.end.saturating_sub(self.replay) }
    }

    /// Puts small neighbours together, as a binary counter does: each byte is copied a few times at most.
    fn merge(&mut self) {
        while let Some((_, last)) = self.blocks.back()
            && let Some((_, earlier)) = self.blocks.iter().nth_back(1)
            && earlier.len() + last.len() <= self.block
            && earlier.len() <= 2 * last.len()
        {
            let both = [&earlier[..], last].concat().into();
            self.blocks.pop_back();
            if let Some((_, earlier)) = self.blocks.back_mut() {
                *earlier = both;
            }
        }
    }

    /// The stream has ended.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Frees what is kept for those who come later; they get nothing of what was before them.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
        self.replay = 0;
        self.marks = VecDeque::new();
        self.trim();
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// A new cursor.
    pub(crate) fn attach(&mut self, replay: Replay, when_full: WhenFull) -> u64 {
        let wanted = match replay {
            Replay::None | Replay::Chunks(0) => self.end,
            Replay::Bytes(bytes) => self.end.saturating_sub(bytes),
            Replay::Chunks(chunks) => {
                let mark = self.marks.len().saturating_sub(chunks);
                self.marks.get(mark).copied().unwrap_or(self.end)
            }
            Replay::All => 0,
        };
        let at = wanted.max(self.floor());
        let cursor = Cursor { at, born: self.end, gap: at - wanted, when_full, aside: None };
        let id = self.next_id;
        self.next_id += 1;
        self.cursors.insert(id, cursor);
        id
    }

    /// The cursor is needed no more.
    pub(crate) fn detach(&mut self, id: u64) {
        self.cursors.remove(&id);
        self.trim();
    }

    /// What the cursor gets next; moves it on.
    pub(crate) fn take(&mut self, id: u64) -> Taken {
        let Some(cursor) = self.cursors.get_mut(&id) else { return Taken::End };
        if cursor.gap == 0
            && let Some(aside) = &mut cursor.aside
        {
            if let Some(chunk) = aside.pop_front() {
                return Taken::Chunk(chunk);
            }
            // It has read what it kept, and takes part again.
            cursor.aside = None;
            cursor.gap = self.end - cursor.at;
            cursor.at = self.end;
        }
        if cursor.gap > 0 {
            return Taken::Gap(std::mem::take(&mut cursor.gap));
        }
        let at = cursor.at;
        let index = self.blocks.partition_point(|(start, block)| start + block.len() as u64 <= at);
        let Some((start, block)) = self.blocks.get(index) else {
            return if self.closed { Taken::End } else { Taken::Empty };
        };
        let chunk = block.slice((at - start) as usize..);
        cursor.at += chunk.len() as u64;
        if index == 0 {
            self.trim();
        }
        Taken::Chunk(chunk)
    }
}

/// The bytes of a part of the window.
fn between(blocks: &VecDeque<(u64, Bytes)>, from: u64, to: u64) -> VecDeque<Bytes> {
    let mut part = VecDeque::new();
    for (start, block) in blocks {
        let end = start + block.len() as u64;
        if end > from && *start < to {
            let first = from.saturating_sub(*start) as usize;
            let last = (to.min(end) - start) as usize;
            part.push_back(block.slice(first..last));
        }
    }
    part
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;

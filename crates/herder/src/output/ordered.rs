//! Both streams of a child in the order in which they were written.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::Bytes;
use futures_core::Stream;

use super::after_exit::{AfterExit, Exit};
use super::{Line, LineOptions, LineSplitter, Origin, OutputEnd, Redact, Redactor};

/// What came of one write of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// The stream that was written to.
    pub origin: Origin,
    /// When it was written, by the clock of the system.
    pub at: SystemTime,
    /// What was written; never empty.
    pub bytes: Bytes,
}

/// Both streams of a child, in the exact order in which they were written:
/// [`ChildStdout::in_order_with`](crate::ChildStdout::in_order_with) gives it.
///
/// A write that was over before another one began comes before it, whichever stream, thread or process each of them was
/// of. Writes at the same time have no order; they come in that of their times. What [redaction](crate::Command::redact)
/// has to hold back comes with the write that decides about it, or with the end of its stream.
///
/// The order is that of the clock of the system (`CLOCK_REALTIME`). When that is set while the child writes, or is so
/// coarse that two writes have the same time, pieces of the two streams around that moment may come the other way
/// round. They are all there, and those of one stream are in order.
///
/// After the exit of the child it ends as [shared](crate::ChildStdout::share) streams do, whoever else still holds the
/// streams: when nothing has come for the [`drain_grace`](crate::Command::drain_grace), or ten times that in all. It is
/// read when it is polled, and not before: a child that writes more than its streams hold waits until then.
///
/// It is a [`Stream`] of pieces. Dropped, both streams are closed.
#[must_use]
pub struct Ordered {
    sides: [Side; 2],
    after: Option<AfterExit>,
}

/// A stream whose writes come one by one, each with its time.
pub(crate) trait Writes {
    /// The next write, which is not empty; `None` at the end of file.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<(SystemTime, Bytes)>>>;

    /// The same without waiting, and with certainty: if this says `WouldBlock` there was none at that moment.
    fn try_write(&mut self) -> io::Result<Option<(SystemTime, Bytes)>>;
}

/// One of the two streams.
struct Side {
    /// Until its end.
    writes: Option<Box<dyn Writes + Send>>,
    redactor: Redactor,
    /// What was read and not given out.
    head: Option<(SystemTime, Bytes)>,
    /// The time of the last write.
    last: SystemTime,
    end: Option<OutputEnd>,
}

impl Ordered {
    /// Standard output and standard error, and what is to be replaced in each.
    pub(crate) fn new(streams: [(Box<dyn Writes + Send>, Redact); 2], exit: Option<Exit>) -> Self {
        let side = |(writes, redact)| Side {
            writes: Some(writes),
            redactor: Redactor::new(redact),
            head: None,
            last: SystemTime::UNIX_EPOCH,
            end: None,
        };
        Self { sides: streams.map(side), after: exit.map(AfterExit::new) }
    }

    /// What was written next; `None` when both streams have ended, or were given up.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing is lost.
    pub async fn next(&mut self) -> Option<Piece> {
        std::future::poll_fn(|context| self.poll_piece(context)).await
    }

    /// How one of the streams ended, or `None` if it has not. A piece of it may still have to be read here.
    #[must_use]
    pub fn end(&self, origin: Origin) -> Option<&OutputEnd> {
        self.sides[origin as usize].end.as_ref()
    }

    /// How many stretches of one of the streams [`Command::redact`](crate::Command::redact) has had replaced so far.
    #[must_use]
    pub fn redactions(&self, origin: Origin) -> u64 {
        self.sides[origin as usize].redactor.stretches()
    }

    /// Goes on line by line: those of each stream, in the order in which their ends were written.
    pub fn lines(self, options: LineOptions) -> OrderedLines {
        let splitters = [LineSplitter::new(options.clone()), LineSplitter::new(options)];
        OrderedLines { pieces: self, splitters, ended: 0 }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        loop {
            for side in &mut self.sides {
                side.poll(context);
            }
            let [stdout, stderr] = &mut self.sides;
            // What was written to the other one before this, has been there since before this was. So one look after
            // this was read is enough; but it has to be a look at the stream, and not at what the reactor knew of it
            // the last time.
            match [stdout.head.is_some(), stderr.head.is_some()] {
                [true, false] => drop(stderr.look()),
                [false, true] => drop(stdout.look()),
                _ => {}
            }
            let origin = match [stdout.head_at(), stderr.head_at()] {
                [Some(stdout), Some(stderr)] if stderr < stdout => Origin::Stderr,
                [None, Some(_)] => Origin::Stderr,
                _ => Origin::Stdout,
            };
            if let Some((at, bytes)) = self.sides[origin as usize].head.take() {
                self.has_bytes(bytes.len(), context);
                return Poll::Ready(Some(Piece { origin, at, bytes }));
            }
            if self.sides.iter().all(|side| side.writes.is_none()) {
                return Poll::Ready(None);
            }
            ready!(self.poll_silence(context));
        }
    }

    /// Nothing is there: ready if something else has become of the streams.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(after) = &mut self.after else { return Poll::Pending };
        if !after.has_exited() {
            // What the child wrote last may have come since.
            return if after.poll_exited(context) { Poll::Ready(()) } else { Poll::Pending };
        }
        ready!(after.poll_quiet(context));
        let [stdout, stderr] = &mut self.sides;
        if !(stdout.look() | stderr.look()) {
            self.give_up();
        }
        Poll::Ready(())
    }

    fn has_bytes(&mut self, count: usize, context: &mut Context<'_>) {
        if let Some(after) = &mut self.after {
            after.has_bytes(context);
            if after.is_flooded(count) {
                self.give_up();
            }
        }
    }

    fn give_up(&mut self) {
        for side in self.sides.iter_mut().filter(|side| side.writes.is_some()) {
            side.close(OutputEnd::StillHeld);
        }
    }
}

impl Side {
    fn head_at(&self) -> Option<SystemTime> {
        self.head.as_ref().map(|(at, _)| *at)
    }

    fn wants(&mut self) -> Option<&mut (dyn Writes + Send + 'static)> {
        if self.head.is_some() { None } else { self.writes.as_deref_mut() }
    }

    /// Reads until there is a head, or nothing to be read.
    fn poll(&mut self, context: &mut Context<'_>) {
        while let Some(writes) = self.wants()
            && let Poll::Ready(result) = writes.poll_write(context)
        {
            self.took(result);
        }
    }

    /// The same, whatever the reactor knows. Tells whether there is a head now.
    fn look(&mut self) -> bool {
        while let Some(writes) = self.wants() {
            match writes.try_write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                result => self.took(result),
            }
        }
        self.head.is_some()
    }

    fn took(&mut self, result: io::Result<Option<(SystemTime, Bytes)>>) {
        match result {
            Ok(Some((at, bytes))) => {
                self.last = at;
                self.put(self.last, |redactor| redactor.push(bytes));
            }
            Ok(None) => self.close(OutputEnd::Eof),
            Err(error) => self.close(OutputEnd::failed(&error)),
        }
    }

    fn close(&mut self, end: OutputEnd) {
        self.writes = None;
        self.end = Some(end);
        let head = self.head.take();
        self.put(self.last, Redactor::end);
        if let Some((at, bytes)) = head {
            let rest = self.head.take().map(|(_, rest)| rest).unwrap_or_default();
            self.head = Some((at, if rest.is_empty() { bytes } else { [bytes, rest].concat().into() }));
        }
    }

    fn put(&mut self, at: SystemTime, redacted: impl FnOnce(&mut Redactor) -> Bytes) {
        let bytes = redacted(&mut self.redactor);
        self.head = (!bytes.is_empty()).then_some((at, bytes));
    }
}

impl Stream for Ordered {
    type Item = Piece;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.poll_piece(context)
    }
}

impl fmt::Debug for Ordered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ordered")
            .field("stdout", &self.end(Origin::Stdout))
            .field("stderr", &self.end(Origin::Stderr))
            .finish_non_exhaustive()
    }
}

/// The lines of [`Ordered`], each with its stream and, as [`Line::at`], the time of the write that completed it.
///
/// An unterminated last line comes when both streams have ended. It is a [`Stream`].
#[derive(Debug)]
#[must_use]
pub struct OrderedLines {
    pieces: Ordered,
    splitters: [LineSplitter; 2],
    /// How many of them were told of the end.
    ended: usize,
}

impl OrderedLines {
    /// The next line of either stream; `None` when both have ended, or were given up.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing is lost.
    pub async fn next(&mut self) -> Option<(Origin, Line<'static>)> {
        std::future::poll_fn(|context| self.poll_line(context)).await
    }

    /// As [`Ordered::end`].
    #[must_use]
    pub fn end(&self, origin: Origin) -> Option<&OutputEnd> {
        self.pieces.end(origin)
    }

    fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<Option<(Origin, Line<'static>)>> {
        loop {
            for origin in [Origin::Stdout, Origin::Stderr] {
                if let Some(line) = self.splitters[origin as usize].next_line() {
                    return Poll::Ready(Some((origin, line.into_shared())));
                }
            }
            match ready!(self.pieces.poll_piece(context)) {
                Some(Piece { origin, at, bytes }) => self.splitters[origin as usize].push_at(bytes, at),
                None if self.ended == self.splitters.len() => return Poll::Ready(None),
                None => {
                    // The one that was silent for longer first.
                    let [stdout, stderr] = &self.pieces.sides;
                    let first = usize::from(stderr.last < stdout.last);
                    self.splitters[first ^ self.ended].end();
                    self.ended += 1;
                }
            }
        }
    }
}

impl Stream for OrderedLines {
    type Item = (Origin, Line<'static>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_line(context)
    }
}

#[cfg(test)]
#[path = "ordered_tests.rs"]
mod tests;

//! How much of a stream is kept: its head and its tail, in one buffer that is bounded and never shifted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How much of each output stream is kept in memory.
///
/// Standard output and standard error have the limits each for itself. Reading goes on beyond them, so that the
/// process never blocks on a full pipe; what is not kept is counted.
///
/// The default keeps the first 8 MiB and the last 8 MiB: the head tells what a program set out to do, the tail why
/// it failed, and two streams of it still fit into a small container. Memory is taken as output comes, not ahead.
///
/// ```
/// use herder::output::Capture;
///
/// let logs = Capture::tail(64 * 1024).spill_to("/var/log/job-17");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Capture {
    head: usize,
    tail: usize,
    spill: Option<PathBuf>,
}

impl Capture {
    /// How much the default keeps of the head, and as much again of the tail, in bytes.
    pub const DEFAULT_EACH: usize = 8 * 1024 * 1024;

    /// Keeps the first `bytes` bytes.
    pub const fn head(bytes: usize) -> Self {
        Self::head_and_tail(bytes, 0)
    }

    /// Keeps the last `bytes` bytes.
    pub const fn tail(bytes: usize) -> Self {
        Self::head_and_tail(0, bytes)
    }

    /// Keeps the first `head` and the last `tail` bytes; all of it if there is no more than both together.
    pub const fn head_and_tail(head: usize, tail: usize) -> Self {
        Self { head, tail, spill: None }
    }

    /// Keeps everything, however much it is: a program that writes without end takes all memory.
    pub const fn unlimited() -> Self {
        Self::head(usize::MAX)
    }

    /// Keeps nothing and only counts.
    pub const fn none() -> Self {
        Self::head(0)
    }

    /// Also writes each captured stream, whole, to a file: `path` with `.stdout` or `.stderr` appended.
    ///
    /// Two streams never share a file. The files must not exist yet; if one does, the process is not started. A
    /// spill that replaced an existing file would destroy the evidence of the run before it, or the output of
    /// another run of the same reused command, and in a shared directory could be led elsewhere by a link.
    ///
    /// A stream that is [shared](crate::ChildStdout::share) goes to its file as well: see
    /// [`ShareOptions::capture`](super::ShareOptions::capture). One that was taken, and is read by hand, does not.
    ///
    /// A file that can't be written to any more, say because the disk is full, does not end the run: the
    /// [`FileReport`](super::FileReport) tells how many bytes reached it and why no more.
    pub fn spill_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.spill = Some(path.into());
        self
    }

    /// The file for the stream of this name, if there shall be one.
    pub(crate) fn spill_path(&self, stream: &str) -> Option<PathBuf> {
        let mut path: OsString = self.spill.as_deref().map(Path::as_os_str)?.to_owned();
        path.push(".");
        path.push(stream);
        Some(path.into())
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::head_and_tail(Self::DEFAULT_EACH, Self::DEFAULT_EACH)
    }
}

/// What is known of a stream beside the kept bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    /// All bytes of the stream.
    pub(crate) total: u64,
    /// Those that were not kept.
    pub(crate) dropped: u64,
    /// Where in the kept bytes the dropped ones are missing.
    pub(crate) gap_at: Option<usize>,
}

/// Takes a stream chunk by chunk and keeps its head and its tail.
///
/// One buffer holds both. It grows like any vector until head and tail are full, so that a short stream is in order
/// from the start; from then on the part behind the head is a ring that newer bytes overwrite.
#[derive(Debug)]
pub(crate) struct Collector {
    buffer: Vec<u8>,
    head: usize,
    limit: usize,
    /// Where, counted from the end of the head, the oldest byte of a full ring is.
    oldest: usize,
    /// How many bytes were not kept, or are not any more.
    dropped: u64,
}

impl Collector {
    pub(crate) fn new(capture: &Capture) -> Self {
        let limit = capture.head.saturating_add(capture.tail);
        Self { buffer: Vec::new(), head: capture.head, limit, oldest: 0, dropped: 0 }
    }

    /// How many bytes have come.
    #[cfg(test)]
    pub(crate) fn total(&self) -> u64 {
        self.buffer.len() as u64 + self.dropped
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn push(&mut self, chunk: &[u8]) {
        let (fits, rest) = chunk.split_at(chunk.len().min(self.limit - self.buffer.len()));
        self.reserve(fits.len());
        self.buffer.extend_from_slice(fits);
        if !rest.is_empty() {
            self.dropped += rest.len() as u64;
            self.overwrite(rest);
        }
    }

    /// Where the next bytes, no more than `most`, may be appended instead of being [pushed](Self::push), which saves a
    /// copy; `None` if not all of them would be kept. There is room for half of `most` at least: what was read so far is
    /// most often all there is, and to make room for another `most` would be for nothing.
    pub(crate) fn room(&mut self, most: usize) -> Option<&mut Vec<u8>> {
        if self.limit - self.buffer.len() < most {
            return None;
        }
        if self.buffer.capacity() - self.buffer.len() < most.div_ceil(2) {
            self.reserve(most);
        }
        Some(&mut self.buffer)
    }

    /// Grows geometrically, as a vector does, but never beyond the limit.
    fn reserve(&mut self, more: usize) {
        let needed = self.buffer.len() + more;
        if needed > self.buffer.capacity() {
            let capacity = self.buffer.capacity().saturating_mul(2).max(needed).min(self.limit);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }

    /// Puts bytes into the full ring: at most two copies, whatever their number.
    fn overwrite(&mut self, bytes: &[u8]) {
        let ring = self.buffer.get_mut(self.head..).unwrap_or_default();
        if ring.is_empty() {
            return;
        }
        // Bytes that others of the same chunk would overwrite only move the place where writing starts.
        let skipped = bytes.len().saturating_sub(ring.len());
        let bytes = &bytes[skipped..];
        let start = (self.oldest + skipped % ring.len()) % ring.len();
        let (to_the_end, from_the_front) = bytes.split_at(bytes.len().min(ring.len() - start));
        ring[start..start + to_the_end.len()].copy_from_slice(to_the_end);
        ring[..from_the_front.len()].copy_from_slice(from_the_front);
        self.oldest = (start + bytes.len()) % ring.len();
    }

    /// The kept bytes in order, head and tail without anything in between, and what is known of the stream.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Captured) {
        if let Some(ring) = self.buffer.get_mut(self.head..) {
            // In place: a second buffer would double the memory at the worst moment.
            ring.rotate_left(self.oldest);
        }
        let total = self.buffer.len() as u64 + self.dropped;
        if self.buffer.len() < self.buffer.capacity() / 2 {
            // So only before it has grown. It may be kept for long.
            self.buffer.shrink_to_fit();
        }
        let gap_at = (self.dropped > 0).then_some(self.head);
        (self.buffer, Captured { total, dropped: self.dropped, gap_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(capture: &Capture, chunks: &[Vec<u8>]) -> (Vec<u8>, Captured) {
        let mut collector = Collector::new(capture);
        chunks.iter().for_each(|chunk| collector.push(chunk));
        collector.finish()
    }

    /// The same, by keeping everything.
    fn model(head: usize, tail: usize, all: &[u8]) -> (Vec<u8>, Captured) {
        let total = all.len() as u64;
        if all.len() <= head.saturating_add(tail) {
            return (all.to_vec(), Captured { total, dropped: 0, gap_at: None });
        }
        let kept = [&all[..head], &all[all.len() - tail..]].concat();
        let dropped = total - kept.len() as u64;
        (kept, Captured { total, dropped, gap_at: Some(head) })
    }

    #[test]
    fn head_and_tail_are_kept_and_the_middle_is_counted() {
        let (bytes, captured) =
            collect(&Capture::head_and_tail(3, 2), &[b"abcdef".to_vec(), b"ghi".to_vec()]);
        assert_eq!(bytes, b"abchi");
        assert_eq!(captured, Captured { total: 9, dropped: 4, gap_at: Some(3) });
    }

    #[test]
    fn what_just_fits_has_no_gap() {
        let (bytes, captured) = collect(&Capture::head_and_tail(3, 2), &[b"ab".to_vec(), b"cde".to_vec()]);
        assert_eq!(bytes, b"abcde");
        assert_eq!(captured, Captured { total: 5, dropped: 0, gap_at: None });
    }

    #[test]
    fn the_named_choices_do_what_they_say() {
        let all = [b"abcdef".to_vec()];
        assert_eq!(collect(&Capture::unlimited(), &all).0, b"abcdef");
        assert_eq!(collect(&Capture::default(), &all).0, b"abcdef");
        assert_eq!(collect(&Capture::head(2), &all), (b"ab".to_vec(), model(2, 0, b"abcdef").1));
        assert_eq!(collect(&Capture::tail(2), &all), (b"ef".to_vec(), model(0, 2, b"abcdef").1));
        let counted = Captured { total: 6, dropped: 6, gap_at: Some(0) };
        assert_eq!(collect(&Capture::none(), &all), (Vec::new(), counted));
    }

    #[test]
    fn memory_is_taken_as_output_comes_and_never_beyond_the_limit() {
        let mut collector = Collector::new(&Capture::head_and_tail(1000, 3000));
        assert_eq!(collector.buffer.capacity(), 0);
        collector.push(&[0; 10]);
        assert!(collector.buffer.capacity() <= 64);
        for _ in 0..1000 {
            collector.push(&[0; 7]);
            assert!(collector.buffer.capacity() <= 4000);
        }
        assert_eq!(collector.total(), 7010);
        assert_eq!(collector.buffer.len(), 4000);
    }

    #[test]
    fn each_stream_has_its_own_file() {
        let capture = Capture::default().spill_to("/tmp/run");
        assert_eq!(capture.spill_path("stdout"), Some("/tmp/run.stdout".into()));
        assert_eq!(capture.spill_path("stderr"), Some("/tmp/run.stderr".into()));
        assert_eq!(Capture::default().spill_path("stdout"), None);
    }

    #[test]
    fn a_short_stream_does_not_hold_the_room_that_it_was_read_into() {
        let mut collector = Collector::new(&Capture::default());
        collector.room(64 * 1024).unwrap().extend_from_slice(b"abc");
        // There is enough for the end of file.
        assert_eq!(collector.room(64 * 1024).unwrap().capacity(), 64 * 1024);
        let (bytes, captured) = collector.finish();
        assert_eq!((bytes.as_slice(), bytes.capacity(), captured.total), (b"abc".as_slice(), 3, 3));
    }

    proptest! {
        #[test]
        fn what_is_appended_to_the_room_is_as_if_it_were_pushed(
            head in 0..60usize,
            tail in 0..60usize,
            most in 1..40usize,
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            reads in prop::collection::vec(1..40usize, 200),
        ) {
            let mut collector = Collector::new(&Capture::head_and_tail(head, tail));
            let (mut rest, mut reads) = (bytes.as_slice(), reads.into_iter());
            while !rest.is_empty() {
                let wanted = reads.next().unwrap().min(most).min(rest.len());
                let taken = match collector.room(most) {
                    Some(room) => {
                        prop_assert!(room.capacity() <= head + tail);
                        let taken = wanted.min(room.capacity() - room.len());
                        prop_assert!(taken >= wanted.min(most.div_ceil(2)));
                        room.extend_from_slice(&rest[..taken]);
                        taken
                    }
                    None => {
                        collector.push(&rest[..wanted]);
                        wanted
                    }
                };
                rest = &rest[taken..];
            }
            prop_assert_eq!(collector.finish(), model(head, tail, &bytes));
        }

        #[test]
        fn any_chunking_gives_what_the_model_gives(
            head in 0..40usize,
            tail in 0..40usize,
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..12),
        ) {
            let expected = model(head, tail, &chunks.concat());
            prop_assert_eq!(collect(&Capture::head_and_tail(head, tail), &chunks), expected);
        }

        #[test]
        fn limits_at_the_end_of_the_range_do_not_overflow(chunk in prop::collection::vec(any::<u8>(), 0..100)) {
            let whole = model(usize::MAX, usize::MAX, &chunk);
            prop_assert_eq!(collect(&Capture::head_and_tail(usize::MAX, 5), std::slice::from_ref(&chunk)), whole.clone());
            prop_assert_eq!(collect(&Capture::head_and_tail(5, usize::MAX), &[chunk]), whole);
        }
    }
}

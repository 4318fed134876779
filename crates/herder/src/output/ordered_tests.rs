//! The order against a model: a world in which two streams are written to while they are read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What is written, in its order, and how far that has come.
struct World {
    /// The stream of each write, and how many nanoseconds after the one before.
    writes: VecDeque<(usize, u64)>,
    now: u64,
    number: u64,
    queues: [VecDeque<(SystemTime, Bytes)>; 2],
    /// At each look at a stream: how many writes are made before, and whether the reactor has not heard of any.
    looks: VecDeque<(usize, bool)>,
}

struct Queue(Arc<Mutex<World>>, usize);

impl World {
    fn step(&mut self) {
        if let Some((stream, later)) = self.writes.pop_front() {
            self.now += later;
            // The clock of Windows has steps of 100 ns.
            let at = SystemTime::UNIX_EPOCH + Duration::from_micros(self.now);
            self.queues[stream].push_back((at, Bytes::from(format!("{};", self.number))));
            self.number += 1;
        }
    }

    /// Lets time go by, and tells whether the reactor sleeps.
    fn look(&mut self) -> bool {
        let (writes, asleep) = self.looks.pop_front().unwrap_or((1, false));
        (0..writes).for_each(|_| self.step());
        asleep
    }

    fn take(&mut self, stream: usize) -> io::Result<Option<(SystemTime, Bytes)>> {
        match self.queues[stream].pop_front() {
            None if self.writes.is_empty() => Ok(None),
            None => Err(io::ErrorKind::WouldBlock.into()),
            write => Ok(write),
        }
    }
}

impl Writes for Queue {
    fn poll_write(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Option<(SystemTime, Bytes)>>> {
        let mut world = self.0.lock().unwrap();
        if world.look() {
            return Poll::Pending;
        }
        match world.take(self.1) {
            Err(_) => Poll::Pending,
            write => Poll::Ready(write),
        }
    }

    fn try_write(&mut self) -> io::Result<Option<(SystemTime, Bytes)>> {
        let mut world = self.0.lock().unwrap();
        world.look();
        world.take(self.1)
    }
}

fn ordered(writes: &[(usize, u64)], looks: &[(usize, bool)], redact: &Redact) -> Ordered {
    let world = Arc::new(Mutex::new(World {
        writes: writes.iter().copied().collect(),
        now: 0,
        number: 0,
        queues: [VecDeque::new(), VecDeque::new()],
        looks: looks.iter().copied().collect(),
    }));
    let side = |stream| {
        let queue: Box<dyn Writes + Send> = Box::new(Queue(Arc::clone(&world), stream));
        (queue, redact.clone())
    };
    Ordered::new([side(0), side(1)], None)
}

/// Everything, as fast as it comes.
fn all(mut ordered: Ordered) -> Vec<(usize, String)> {
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut seen = Vec::new();
    loop {
        match ordered.poll_piece(&mut context) {
            Poll::Ready(Some(piece)) => {
                seen.push((piece.origin as usize, String::from_utf8(piece.bytes.to_vec()).unwrap()));
            }
            Poll::Ready(None) => return seen,
            Poll::Pending => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn everything_comes_once_and_in_the_order_of_its_writing(
        writes in prop::collection::vec((0..2usize, 1..4u64), 0..60),
        looks in prop::collection::vec((0..4usize, any::<bool>()), 0..120),
    ) {
        let expected: Vec<_> =
            writes.iter().enumerate().map(|(number, (stream, _))| (*stream, format!("{number};"))).collect();
        prop_assert_eq!(all(ordered(&writes, &looks, &Redact::new())), expected);
    }

    /// A clock that stands still: nothing is lost, and each stream is in order.
    #[test]
    fn equal_times_lose_nothing(
        writes in prop::collection::vec((0..2usize, 0..1u64), 0..40),
        looks in prop::collection::vec((0..4usize, any::<bool>()), 0..80),
    ) {
        let seen = all(ordered(&writes, &looks, &Redact::new()));
        for stream in 0..2 {
            let of = |list: &[(usize, String)]| -> Vec<String> {
                list.iter().filter(|(of, _)| *of == stream).map(|(_, text)| text.clone()).collect()
            };
            let written: Vec<_> =
                writes.iter().enumerate().map(|(number, (of, _))| (*of, format!("{number};"))).collect();
            prop_assert_eq!(of(&seen), of(&written));
        }
    }
}

#[test]
fn what_redaction_holds_back_is_not_lost_at_the_end() {
    // "1;2" is never written, but "1;" is its beginning, and so is held back.
    let redact = Redact::new().literal("1;2");
    let seen = all(ordered(&[(0, 1), (0, 1), (1, 1)], &[], &redact));
    let text = |stream: usize| -> String {
        seen.iter().filter(|(of, _)| *of == stream).map(|(_, text)| text.as_str()).collect()
    };
    assert!(text(0).starts_with("0;") && !text(0).contains('1'), "{seen:?}");
    assert_eq!(text(1), "2;");
}

#[test]
fn lines_come_when_they_are_whole() {
    // 0; 2; 4; to one stream, 1; 3; to the other: no line ends at all.
    let pieces = ordered(&[(0, 1), (1, 1), (0, 1), (1, 1), (0, 1)], &[], &Redact::new());
    let mut lines = pieces.lines(LineOptions::new());
    let mut context = Context::from_waker(std::task::Waker::noop());
    let mut seen = Vec::new();
    loop {
        match lines.poll_line(&mut context) {
            Poll::Ready(Some((origin, line))) => seen.push((origin, line.text().into_owned())),
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
    }
    // The one that fell silent first has its last line first.
    assert_eq!(seen, [(Origin::Stderr, "1;3;".to_owned()), (Origin::Stdout, "0;2;4;".to_owned())]);
    assert_eq!(lines.end(Origin::Stdout), Some(&OutputEnd::Eof));
}

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A cursor that knows every single byte that it has still to get.
#[derive(Debug, Default)]
struct ModelCursor {
    when_full: WhenFull,
    born: u64,
    gap: u64,
    unread: VecDeque<u64>,
    /// What was dropped behind the unread bytes.
    lost: Option<u64>,
}

impl ModelCursor {
    fn live(&self) -> usize {
        self.unread.iter().filter(|at| **at >= self.born).count()
    }

    fn push(&mut self, at: u64, capacity: usize) {
        match self.when_full {
            WhenFull::DropNewest if self.lost.is_some() || self.live() == capacity => {
                *self.lost.get_or_insert(0) += 1;
            }
            _ => self.unread.push_back(at),
        }
        while self.when_full == WhenFull::DropOldest && self.live() > capacity {
            self.unread.pop_front();
            self.gap += 1;
        }
    }
}

/// A stream that is kept whole.
#[derive(Debug, Default)]
struct Model {
    end: u64,
    capacity: usize,
    replay: u64,
    sealed: bool,
    closed: bool,
    chunks: Vec<u64>,
    cursors: BTreeMap<u64, ModelCursor>,
}

impl Model {
    fn room(&self) -> usize {
        let blocking = self.cursors.values().filter(|cursor| cursor.when_full == WhenFull::Block);
        self.capacity.saturating_sub(blocking.map(ModelCursor::live).max().unwrap_or(0))
    }

    fn push(&mut self, count: usize) {
        if count > 0 {
            self.chunks.push(self.end);
        }
        for _ in 0..count {
            for cursor in self.cursors.values_mut() {
                cursor.push(self.end, self.capacity);
            }
            self.end += 1;
        }
    }

    fn attach(&mut self, id: u64, replay: Replay, when_full: WhenFull) {
        let floor = if self.sealed { self.end } else { self.end.saturating_sub(self.replay) };
        let wanted = match replay {
            Replay::None => self.end,
            Replay::Bytes(bytes) => self.end.saturating_sub(bytes),
            Replay::Chunks(chunks) => {
                let kept = self.chunks.iter().filter(|at| **at >= floor && !self.sealed && self.replay > 0);
                kept.rev().take(chunks).last().copied().unwrap_or(self.end)
            }
            Replay::All => 0,
        };
        let at = wanted.max(floor);
        let unread = (at..self.end).collect();
        let cursor = ModelCursor { when_full, born: self.end, gap: at - wanted, unread, lost: None };
        self.cursors.insert(id, cursor);
    }

    /// Compares what the log gave with what it had to give.
    fn check(&mut self, id: u64, taken: &Taken) {
        let cursor = self.cursors.get_mut(&id).unwrap();
        if cursor.gap > 0 {
            assert_eq!(*taken, Taken::Gap(std::mem::take(&mut cursor.gap)));
        } else if !cursor.unread.is_empty() {
            let Taken::Chunk(chunk) = taken else { panic!("{taken:?} for bytes") };
            assert!(!chunk.is_empty());
            for &byte in chunk {
                assert_eq!(Some(byte), cursor.unread.pop_front().map(byte_at));
            }
        } else if let Some(lost) = cursor.lost.take() {
            assert_eq!(*taken, Taken::Gap(lost));
        } else {
            assert_eq!(*taken, if self.closed { Taken::End } else { Taken::Empty });
        }
    }
}

/// The byte with this number; 251 is a prime, so that a shift shows.
fn byte_at(at: u64) -> u8 {
    (at % 251) as u8
}

fn chunk(at: u64, count: usize) -> Bytes {
    (at..).take(count).map(byte_at).collect::<Vec<_>>().into()
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    Attach(Replay, WhenFull),
    /// Of the cursor with so many before it.
    Take(usize),
    Detach(usize),
    Seal,
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let replay = prop_oneof![
        Just(Replay::None),
        Just(Replay::All),
        (0..60u64).prop_map(Replay::Bytes),
        (0..6usize).prop_map(Replay::Chunks),
    ];
    let when_full =
        prop_oneof![Just(WhenFull::Block), Just(WhenFull::DropNewest), Just(WhenFull::DropOldest)];
    let op = prop_oneof![
        8 => (0..30usize).prop_map(Op::Push),
        3 => (replay, when_full).prop_map(|(replay, when_full)| Op::Attach(replay, when_full)),
        10 => any::<usize>().prop_map(Op::Take),
        1 => any::<usize>().prop_map(Op::Detach),
        1 => prop_oneof![3 => Just(None), 1 => Just(Some(Op::Seal)), 1 => Just(Some(Op::Close))]
            .prop_map(|op| op.unwrap_or(Op::Push(1))),
    ];
    prop::collection::vec(op, 0..120)
}

/// What the log holds, in bytes and in blocks.
fn held(log: &Log) -> (usize, usize) {
    let asides = log.cursors.values().filter_map(|cursor| cursor.aside.as_ref()).flatten();
    let blocks = log.blocks.iter().map(|(_, block)| block).chain(asides);
    blocks.fold((0, 0), |(bytes, count), block| (bytes + block.len(), count + 1))
}

/// Does the same with the log and with the model.
fn run(ops: Vec<Op>, capacity: usize, replay: u64, block: usize) {
    let mut log = Log::new(capacity as u64, replay, block);
    let mut model = Model { capacity, replay, ..Model::default() };
    for op in ops {
        let nth = |model: &Model, n: usize| model.cursors.keys().copied().nth(n % model.cursors.len().max(1));
        match op {
            Op::Push(count) if !model.closed => {
                assert_eq!(log.room(), model.room() as u64);
                let count = count.min(model.room());
                log.push(chunk(model.end, count));
                model.push(count);
            }
            Op::Push(_) => {}
            Op::Attach(replay, when_full) => model.attach(log.attach(replay, when_full), replay, when_full),
            Op::Take(n) => {
                if let Some(id) = nth(&model, n) {
                    model.check(id, &log.take(id));
                }
            }
            Op::Detach(n) => {
                if let Some(id) = nth(&model, n) {
                    model.cursors.remove(&id);
                    log.detach(id);
                }
            }
            Op::Seal => {
                log.seal();
                model.sealed = true;
            }
            Op::Close => {
                log.close();
                model.closed = true;
            }
        }
        let stalled = model.cursors.values().filter(|cursor| cursor.lost.is_some()).count();
        let bound = (capacity + replay as usize) * (1 + stalled) + block.max(30);
        assert!(held(&log).0 <= bound, "{} of {bound}", held(&log).0);
        assert!(log.blocks.iter().all(|(_, bytes)| bytes.len() <= block.max(30)));
        assert_eq!(log.total(), model.end);
    }
    // Everybody gets the rest, whatever it is.
    log.close();
    model.closed = true;
    for id in model.cursors.keys().copied().collect::<Vec<_>>() {
        loop {
            let taken = log.take(id);
            model.check(id, &taken);
            if taken == Taken::End {
                break;
            }
        }
        log.detach(id);
        model.cursors.remove(&id);
    }
    assert!(held(&log).0 <= replay as usize + block.max(30));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_story_is_told_as_the_model_tells_it(
        ops in ops(),
        capacity in 1..80usize,
        replay in prop_oneof![Just(0u64), 1..100u64, Just(u64::MAX >> 8)],
        block in prop_oneof![Just(0usize), 1..64usize],
    ) {
        run(ops, capacity, replay.min(1 << 40), block);
    }
}

/// Takes until nothing is left for now.
fn rest(log: &mut Log, id: u64) -> Vec<Taken> {
    std::iter::from_fn(|| Some(log.take(id)).filter(|taken| !matches!(taken, Taken::Empty | Taken::End)))
        .collect()
}

#[test]
fn a_million_single_bytes_stay_near_their_bound() {
    const MIB: usize = 1 << 20;
    let mut log = Log::new(MIB as u64, MIB as u64, usize::MAX);
    let slow = log.attach(Replay::None, WhenFull::DropNewest);
    for at in 0..MIB as u64 + 1000 {
        log.push(chunk(at, 1));
    }
    let (bytes, blocks) = held(&log);
    assert!(bytes <= 2 * MIB + 2 * BLOCK, "{bytes}");
    // A block costs some 100 bytes.
    assert!(blocks <= 2 * 2 * MIB / BLOCK + 64, "{blocks}");
    assert!(log.marks.len() <= MARKS);
    let slow = rest(&mut log, slow);
    assert_eq!(slow.last(), Some(&Taken::Gap(1000)));
}

#[test]
fn a_large_chunk_is_handed_to_all_without_being_copied() {
    let mut log = Log::new(1 << 20, 0, usize::MAX);
    let readers: Vec<_> = (0..8).map(|_| log.attach(Replay::All, WhenFull::Block)).collect();
    let chunk = chunk(0, 64 * 1024);
    let address = chunk.as_ptr();
    log.push(chunk);
    for id in readers {
        let Taken::Chunk(taken) = log.take(id) else { panic!("a chunk") };
        assert_eq!((taken.as_ptr(), taken.len()), (address, 64 * 1024));
    }
    assert_eq!(held(&log), (0, 0));
}

#[test]
fn what_is_behind_through_its_own_choice_of_replay_holds_up_nobody() {
    let mut log = Log::new(10, 100, 0);
    log.push(chunk(0, 10));
    log.push(chunk(10, 10));
    let late = log.attach(Replay::All, WhenFull::Block);
    assert_eq!(log.room(), 10);
    log.push(chunk(20, 10));
    assert_eq!(log.room(), 0);
    assert_eq!(rest(&mut log, late).len(), 3);
    assert_eq!(log.room(), 10);
}

#[test]
fn sealing_frees_and_takes_nothing_from_those_who_are_there() {
    let mut log = Log::new(100, 100, 0);
    log.push(chunk(0, 50));
    let early = log.attach(Replay::All, WhenFull::Block);
    log.seal();
    assert!(log.is_sealed());
    let late = log.attach(Replay::All, WhenFull::Block);
    assert_eq!(rest(&mut log, early), [Taken::Chunk(chunk(0, 50))]);
    assert_eq!(held(&log), (0, 0));
    assert_eq!(rest(&mut log, late), [Taken::Gap(50)]);
}

#[test]
fn a_small_rest_does_not_hold_on_to_a_large_block() {
    let mut log = Log::new(1 << 20, 100, usize::MAX);
    let large = chunk(0, 64 * 1024);
    log.push(large.clone());
    log.push(chunk(64 * 1024, 50));
    assert!(large.is_unique());
    let id = log.attach(Replay::Bytes(100), WhenFull::Block);
    let bytes: usize = rest(&mut log, id)
        .iter()
        .map(|taken| match taken {
            Taken::Chunk(chunk) => chunk.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(bytes, 100);
}

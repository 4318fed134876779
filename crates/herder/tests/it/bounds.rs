//! Memory and work stay within their bounds, however much comes, and however it comes.
//!
//! Each test of memory is a process of its own, of which the most that it ever had is looked up in `/proc`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use herder::output::{LineOptions, LineSplitter, Replay, ShareOptions, SharedOutput, TooLong, WhenFull};
use herder::{Capture, Command, Stdio};
use nix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncRead, ReadBuf};

use crate::support::alone::alone;
use crate::support::{fixture, run, within};

const MIB: usize = 1024 * 1024;

/// The most memory that this process has had, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

fn piped(steps: &[&str]) -> Command {
    let mut command = fixture(steps);
    command.stdout(Stdio::piped());
    command
}

/// 8 MiB were kept of a GiB: with that and a program of 10 MiB, all is below 24 MiB.
fn frugal(before: usize) {
    let (peak, taken) = (peak(), peak() - before);
    assert!(taken < 14 * 1024, "{taken} KiB");
    // What this program takes for itself depends on how it was built.
    assert!(peak < 24 * 1024 || before > 10 * 1024, "{peak} KiB");
}

/// Byte `index` of what the fixture writes.
fn pattern(index: usize) -> u8 {
    (index % 251) as u8
}

#[test]
fn a_capture_of_a_gibibyte_in_8_mib_takes_less_than_24_mib_in_all() {
    alone(|| {
        run(async {
            let before = peak();
            let total = 1024 * MIB;
            let mut command = fixture(&["bytes:1G"]);
            command.capture(Capture::head_and_tail(4 * MIB, 4 * MIB));
            let report = command.output().await.unwrap();
            assert_eq!(report.stdout_report().total(), total as u64);
            assert_eq!(report.stdout.len(), 8 * MIB);
            let index = |kept: usize| if kept < 4 * MIB { kept } else { total - 8 * MIB + kept };
            let right = |(kept, byte): (usize, &u8)| *byte == pattern(index(kept));
            assert!(report.stdout.iter().enumerate().all(right));
            frugal(before);
        });
    });
}

#[test]
fn the_tail_of_a_gibibyte_of_a_shared_stream_takes_less_than_24_mib_in_all() {
    alone(|| {
        run(async {
            let before = peak();
            let mut child = piped(&["bytes:1G"]).spawn().unwrap();
            let stdout = child.stdout.take().unwrap().share();
            let collect = stdout.subscribe().collect(&Capture::tail(8 * MIB));
            let collected = collect.wait().await.unwrap().value;
            assert_eq!((collected.total(), collected.bytes().len()), (1 << 30, 8 * MIB));
            let right = |(kept, byte): (usize, &u8)| *byte == pattern(1016 * MIB + kept);
            assert!(collected.bytes().iter().enumerate().all(right));
            assert!(child.wait_with_output().await.unwrap().success());
            frugal(before);
        });
    });
}

#[test]
fn what_subscribers_that_are_behind_keep_is_bounded() {
    alone(|| {
        run(async {
            let before = peak();
            let mut child = piped(&["bytes:256M"]).spawn().unwrap();
            let options = ShareOptions::new().capture(Capture::tail(MIB));
            let stdout = child.stdout.take().unwrap().share_with(&options);
            // One that is 1 MiB behind for ever, and one that keeps the last 8 MiB.
            let slow = stdout.subscribe_with(Replay::All, WhenFull::DropNewest);
            let collect = stdout.subscribe().collect(&Capture::tail(8 * MIB));
            let collected = within(collect.wait()).await.unwrap().value;
            assert_eq!((collected.total(), collected.bytes().len()), (256 << 20, 8 * MIB));
            drop(slow);
            assert!(within(child.wait_with_output()).await.unwrap().success());
            let taken = peak() - before;
            assert!(taken < 24 * 1024, "{taken} KiB");
        });
    });
}

/// A stream that gives so many bytes, one at a time.
struct Drip(usize);

impl AsyncRead for Drip {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if let Some(left) = self.0.checked_sub(1) {
            buffer.put_slice(&[pattern(self.0)]);
            self.0 = left;
        }
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_million_chunks_of_one_byte_take_hardly_more_than_a_mebibyte() {
    alone(|| {
        run(async {
            let count = 1_000_000;
            let options = ShareOptions::new().capacity(MIB).replay(MIB);
            let before = peak();
            // Kept for those who come late, and for one that has not read any of it.
            let shared = SharedOutput::new(Drip(count), &options);
            let mut idle = shared.subscribe_with(Replay::All, WhenFull::DropOldest);
            within(shared.ended()).await;
            let taken = peak() - before;
            let mut late = shared.subscribe();
            for subscriber in [&mut idle, &mut late] {
                let mut got = Vec::with_capacity(count);
                while let Some(event) = subscriber.next().await {
                    let herder::output::Event::Chunk(chunk) = event else { panic!("{event:?}") };
                    got.extend_from_slice(&chunk);
                }
                assert_eq!(got.len(), count);
                assert!(got.iter().enumerate().all(|(index, byte)| *byte == pattern(count - index)));
            }
            assert!(taken < 2 * 1024, "{taken} KiB");
        });
    });
}

#[test]
fn a_child_that_writes_byte_by_byte_takes_no_more() {
    alone(|| {
        run(async {
            let before = peak();
            let mut child = piped(&["drip:1M"]).spawn().unwrap();
            let options = ShareOptions::new().capacity(MIB).replay(MIB).capture(Capture::tail(MIB));
            let shared = child.stdout.take().unwrap().share_with(&options);
            let slow = shared.subscribe_with(Replay::All, WhenFull::DropNewest);
            let report = within(child.wait_with_output()).await.unwrap();
            assert_eq!(report.stdout.len(), MIB);
            let taken = peak() - before;
            // The log, the capture, and what one reads into.
            assert!(taken < 4 * 1024, "{taken} KiB");
            drop(slow);
        });
    });
}

/// How long it takes to split so many bytes in chunks like this one, in the time of this thread.
fn time_to_split(options: &LineOptions, len: usize, chunk: &Bytes) -> Duration {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let measure = |_| {
        let begin = now();
        let (mut lines, mut count) = (LineSplitter::new(options.clone()), 0);
        let mut take_all = |lines: &mut LineSplitter| {
            while let Some(line) = lines.next_line() {
                count += line.bytes().len() + line.dropped() as usize;
            }
        };
        for _ in 0..len / chunk.len() {
            lines.push(chunk.clone());
            take_all(&mut lines);
        }
        lines.end();
        take_all(&mut lines);
        let ends = chunk.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(count, len / chunk.len() * (chunk.len() - ends));
        now() - begin
    };
    (0..2).map(measure).min().unwrap()
}

/// A line without an end takes about as long as the same bytes in short lines; if the work grew with its square, it
/// would take a hundred times as long, and more. The same number of bytes is compared: to touch new memory for a line
/// of 32 MiB takes some machines much longer, for each byte, than to use that of a short one again.
#[test]
fn a_line_without_an_end_takes_linear_time_however_it_comes() {
    let unlimited = LineOptions::new().unlimited();
    let dropped = LineOptions::new().too_long(TooLong::DropRest);
    for options in [LineOptions::new(), unlimited, dropped] {
        for (len, chunk) in [(320_000, 1), (3_200_000, 10), (1 << 25, 4096), (1 << 25, 70_000)] {
            let endless = Bytes::from(vec![b'x'; chunk]);
            let with_ends: Bytes =
                (1..=chunk).map(|n| if n % 80 == 0 || n == chunk { b'\n' } else { b'x' }).collect();
            let lines = time_to_split(&options, len, &with_ends);
            let line = time_to_split(&options, len, &endless);
            assert!(line < 30 * lines, "{options:?}, chunks of {chunk}: {lines:?}, {line:?}");
        }
    }
}

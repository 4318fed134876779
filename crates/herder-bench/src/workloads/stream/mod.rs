//! A child that writes as fast as it can, and readers of its output.

mod herder;
mod peers;
mod raw;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use super::Effort;
use crate::contenders::{on_runtime, runtime};
use crate::stats::{Shuffle, median};
use crate::table::Table;
use crate::worker::WORKER;

/// What a child writes at once: as much as its pipe holds.
const BLOCK: usize = 64 * 1024;
/// The length of a line, its end included.
const LINE: usize = 40;
const FAN: usize = 8;
const MIB: f64 = 1024.0 * 1024.0;

/// What is done with the output of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Read by one reader, and counted.
    Bytes,
    /// Split into lines of 40 bytes, and counted.
    Lines,
    /// Counted by eight readers, each of which gets all of it.
    Fan,
}

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    program: PathBuf,
    total: u64,
}

impl Job {
    /// The arguments that let the benchmark be the child.
    fn arguments(&self) -> [String; 3] {
        [WORKER.to_owned(), "write".to_owned(), self.total.to_string()]
    }

    fn expect(&self, found: u64, unit: u64) -> io::Result<()> {
        if found == self.total / unit {
            return Ok(());
        }
        Err(io::Error::other(format!("{found} of {} came", self.total / unit)))
    }

    /// Requires that all bytes have come.
    fn expect_bytes(&self, bytes: u64) -> io::Result<()> {
        self.expect(bytes, 1)
    }

    /// Requires that all lines have come.
    fn expect_lines(&self, lines: u64) -> io::Result<()> {
        self.expect(lines, LINE as u64)
    }
}

type Reader = (&'static str, fn(&Job) -> io::Result<()>);

fn readers(what: Use) -> Vec<Reader> {
    let mut readers = raw::readers(what);
    readers.extend(herder::readers(what));
    readers.extend(peers::readers(what));
    readers
}

pub(super) fn stream(effort: &Effort) -> io::Result<Vec<Table>> {
    let tables = [
        (Use::Bytes, "stream-bytes: one reader counts bytes"),
        (Use::Lines, "stream-lines: one reader counts lines of 40 bytes"),
        (Use::Fan, "stream-fan: eight readers count bytes"),
    ];
    tables.into_iter().map(|(what, title)| measure(effort, what, title)).collect()
}

fn measure(effort: &Effort, what: Use, title: &str) -> io::Result<Table> {
    // A multiple of both a block and a line.
    let unit = (BLOCK * LINE) as u64;
    let total = effort.pick(256 << 20, 2 << 30) / unit * unit;
    let job = Job { program: env::current_exe()?, total };
    let readers: Vec<_> = readers(what)
        .into_iter()
        .filter(|(name, _)| effort.only.is_empty() || effort.only.iter().any(|only| only == name))
        .collect();
    let mut rates = vec![Vec::new(); readers.len()];
    let mut costs = rates.clone();
    let mut failed: Vec<Option<String>> = vec![None; readers.len()];
    let mut order: Vec<_> = (0..readers.len()).collect();
    let mut shuffle = Shuffle::new(total);
    for _ in 0..effort.pick(5, 9) {
        shuffle.shuffle(&mut order);
        for &index in &order {
            if failed[index].is_some() {
                continue;
            }
            let (begin, used) = (Instant::now(), processor_time());
            match (readers[index].1)(&job) {
                Ok(()) => {
                    let mib = total as f64 / MIB;
                    rates[index].push(mib / begin.elapsed().as_secs_f64());
                    costs[index].push((processor_time() - used) * 1e3 / (mib / 1024.0));
                }
                Err(error) => failed[index] = Some(error.to_string()),
            }
        }
    }
    let note = format!(
        "MiB per second from a child that writes {} MiB in blocks of 64 KiB, the median of the rounds and the best; \
         and the processor time of the reader, in ms for each GiB, the least of the rounds: it says more than the \
         speed where others use the machine, too. `raw` is a loop of read(2) into a buffer of 64 KiB, for lines with \
         memchr over it. Ratios are of the processor time; less is better.",
        total >> 20
    );
    let columns = [("rounds", 0), ("median", 0), ("best", 0), ("ms/GiB", 0)];
    let mut table = Table::new(title, &note, &columns);
    for (index, (name, _)) in readers.iter().enumerate() {
        match &failed[index] {
            Some(why) => table.failed(name, why),
            None => {
                let rates = std::mem::take(&mut rates[index]);
                let best = rates.iter().copied().fold(f64::NAN, f64::max);
                let cost = costs[index].iter().copied().fold(f64::NAN, f64::min);
                table.row(name, &[rates.len() as f64, median(rates), best, cost]);
            }
        }
    }
    table.ratio("ms/GiB", "raw");
    table.ratio("ms/GiB", "tokio-ct");
    Ok(table)
}

/// What this process, and no child of it, has used of the processors, in seconds.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The child: lines of 40 bytes, in blocks.
pub(crate) fn write(total: u64) -> io::Result<()> {
    let line = [[b'x'; LINE - 1].as_slice(), b"\n"].concat();
    // Lines run on over the ends of blocks.
    let text: Vec<u8> = line.iter().copied().cycle().take(BLOCK * LINE).collect();
    let mut out = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout())?);
    for _ in 0..total / text.len() as u64 {
        for block in text.chunks(BLOCK) {
            out.write_all(block)?;
        }
    }
    Ok(())
}

/// Runs `work` to its end, in a runtime of one thread or of several.
fn run<F: Future<Output = io::Result<()>> + Send + 'static>(
    multi: bool,
    job: &Job,
    work: fn(Job) -> F,
) -> io::Result<()> {
    on_runtime(&runtime(multi)?, work(job.clone()))
}

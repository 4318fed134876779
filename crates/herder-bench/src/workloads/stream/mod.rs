//! A child that writes as fast as it can, and readers of its output.

mod herder;
mod peers;
mod raw;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use super::Effort;
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
    let mut failed: Vec<Option<String>> = vec![None; readers.len()];
    let mut order: Vec<_> = (0..readers.len()).collect();
    let mut shuffle = Shuffle::new(total);
    for _ in 0..effort.pick(5, 9) {
        shuffle.shuffle(&mut order);
        for &index in &order {
            if failed[index].is_some() {
                continue;
            }
            let begin = Instant::now();
            match (readers[index].1)(&job) {
                Ok(()) => rates[index].push(total as f64 / MIB / begin.elapsed().as_secs_f64()),
                Err(error) => failed[index] = Some(error.to_string()),
            }
        }
    }
    let note = format!(
        "MiB per second from a child that writes {} MiB in blocks of 64 KiB; the median of the rounds, and the best. \
         Ratios are of the best: on a busy machine the rest says more about the machine. `/ raw` is the fraction of \
         the speed of a loop of read(2) into a buffer of 64 KiB, for lines with memchr over it; more is better.",
        total >> 20
    );
    let mut table = Table::new(title, &note, &[("rounds", 0), ("median", 0), ("best", 0)]);
    for ((name, _), (rates, failed)) in readers.iter().zip(rates.into_iter().zip(failed)) {
        match failed {
            Some(why) => table.failed(name, &why),
            None => {
                let best = rates.iter().copied().fold(f64::NAN, f64::max);
                table.row(name, &[rates.len() as f64, median(rates), best]);
            }
        }
    }
    table.ratio("best", "raw");
    table.ratio("best", "tokio-ct");
    Ok(table)
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

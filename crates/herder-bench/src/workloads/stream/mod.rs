//! A child that writes as fast as it can, and readers of its output.

mod herder;
mod others;
mod process_tools;
mod processkit;
mod raw;
mod tokio;

use std::env;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Effort;
use super::rounds::PATIENCE;
use crate::contenders::{on_runtime, runtime};
use crate::machine::available_memory;
use crate::stats::{Shuffle, Spread, spread};
use crate::table::{Better, Table};
use crate::worker::WORKER;

/// What a child writes at once: as much as its pipe holds.
const BLOCK: usize = 64 * 1024;
/// The length of a line, its end included.
const LINE: usize = 40;
const MIB: f64 = 1024.0 * 1024.0;

/// What is done with the streams of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Its output is read by one reader, and counted.
    Bytes,
    /// Split into lines of 40 bytes, and counted.
    Lines,
    /// The same, as lines and without any newline.
    Long,
    /// Counted by so many readers, each of which gets all of it.
    Fan(usize),
    /// Kept in memory, with the one call that the library has for that.
    Capture,
    /// The same with half of it on each of two streams.
    CaptureBoth,
    /// It is given its input from memory.
    StdinBytes,
    /// It is given its input from a file.
    StdinFile,
}

/// One measurement.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    program: PathBuf,
    what: Use,
    total: u64,
    /// Whether there is no newline in what the child writes.
    endless: bool,
    /// What the child gets.
    input: Bytes,
    /// A file with the same.
    file: Option<PathBuf>,
}

impl Job {
    /// The arguments that let the benchmark be the child.
    fn arguments(&self) -> [String; 3] {
        let role = match self.what {
            Use::CaptureBoth => "write-both",
            Use::StdinBytes | Use::StdinFile => "read",
            _ if self.endless => "write-endless",
            _ => "write",
        };
        [WORKER.to_owned(), role.to_owned(), self.total.to_string()]
    }

    /// The same without any newline.
    fn endless(&self) -> Self {
        Self { endless: true, ..self.clone() }
    }

    /// How many readers there are.
    fn fan(&self) -> usize {
        if let Use::Fan(readers) = self.what { readers } else { 1 }
    }

    /// What the child shall read.
    fn open(&self) -> io::Result<std::fs::File> {
        std::fs::File::open(self.file.as_ref().ok_or(io::ErrorKind::NotFound)?)
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

    /// Requires that both streams have come, and well.
    fn expect_captured(&self, (success, stdout, stderr): (bool, Vec<u8>, Vec<u8>)) -> io::Result<()> {
        expect_success(success)?;
        self.expect_bytes((stdout.len() + stderr.len()) as u64)
    }

    /// Requires that all lines have come.
    fn expect_lines(&self, lines: u64) -> io::Result<()> {
        self.expect(lines, LINE as u64)
    }
}

/// A child that was given its input tells by its status whether all of it came.
fn expect_success(success: bool) -> io::Result<()> {
    if success { Ok(()) } else { Err(io::Error::other("the child failed")) }
}

type Reader = (&'static str, fn(&Job) -> io::Result<()>);

fn readers(what: Use) -> Vec<Reader> {
    let mut readers = raw::readers(what);
    readers.extend(herder::readers(what));
    readers.extend(tokio::readers(what));
    readers.extend(others::readers(what));
    readers.extend(process_tools::readers(what));
    readers.extend(processkit::readers(what));
    readers
}

/// One such capture took minutes of the processor, all of them in memset(3).
const ZEROES: &str = "it zeroes all its room anew for each read: minutes for 2 GiB";

/// Those that can't do it, and why.
fn absent(what: Use) -> &'static [(&'static str, &'static str)] {
    match what {
        Use::Bytes | Use::Lines => {
            &[("process-wrap", "its pipes are Tokio's"), ("std", "its pipes are those of `raw`")]
        }
        Use::Long | Use::Fan(1) => &[],
        Use::Fan(_) => &[
            ("tokio", "a stream has one reader"),
            ("async-process", "a stream has one reader"),
            ("processkit", "one tee for each stream"),
        ],
        Use::Capture => &[("process-wrap", "its capture is Tokio's"), ("async-process", ZEROES)],
        Use::CaptureBoth => &[("raw", "std does what it would"), ("async-process", ZEROES)],
        Use::StdinBytes => {
            &[("process-wrap", "its pipes are Tokio's"), ("std", "its pipes are those of `raw`")]
        }
        Use::StdinFile => &[("process-tools", "its stdin is always a pipe")],
    }
}

pub(super) fn bytes(effort: &Effort) -> io::Result<Vec<Table>> {
    let note = "`raw` is a loop of read(2) into a buffer of 64 KiB.";
    Ok(vec![measure(effort, Use::Bytes, "Output counted by one reader", note, 512)?])
}

pub(super) fn lines(effort: &Effort) -> io::Result<Vec<Table>> {
    let note = "`raw` is a loop of read(2) into a buffer of 64 KiB with memchr over it.";
    let lines = measure(effort, Use::Lines, "Lines of 40 bytes counted by one reader", note, 256)?;
    let note = "`endless` has no newline in it, and the others lines of 40 bytes.";
    let long = measure(effort, Use::Long, "Lines looked for where there are none", note, 64)?;
    Ok(vec![lines, long.variant("endless")])
}

pub(super) fn fan(effort: &Effort) -> io::Result<Vec<Table>> {
    let note = "`raw` has one reader, however many the others have.";
    let table = |readers| {
        let title = format!("Output counted by {readers} readers");
        Ok(measure(effort, Use::Fan(readers), &title, note, 512)?.variant(&readers.to_string()))
    };
    [1, 2, 4, 8].into_iter().map(table).collect()
}

pub(super) fn capture(effort: &Effort) -> io::Result<Vec<Table>> {
    // One that doubles its buffer has three times as much for a moment.
    if available_memory()? < effort.pick(1, 2, 8) << 30 {
        return Err(io::Error::other("there are no 8 GiB of memory to spare"));
    }
    let note = "`raw` is a loop of read(2) into a vector that grows as std's does.";
    let one = measure(effort, Use::Capture, "2 GiB captured from one stream", note, 2048)?;
    let both = measure(effort, Use::CaptureBoth, "2 GiB captured from two streams", note, 2048)?;
    Ok(vec![one.variant("one stream"), both.variant("both")])
}

pub(super) fn stdin(effort: &Effort) -> io::Result<Vec<Table>> {
    let note = "The child reads into a buffer of 64 KiB. `raw` is a loop of write(2).";
    let bytes = measure(effort, Use::StdinBytes, "1 GiB on stdin from memory", note, 1024)?;
    let note = "Each of them hands the file over to the child, which reads it itself; the file is in the page cache.";
    let file = measure(effort, Use::StdinFile, "1 GiB on stdin from a file", note, 1024)?;
    Ok(vec![bytes.variant("bytes"), file.variant("file")])
}

fn job(effort: &Effort, what: Use, mib: u64) -> io::Result<Job> {
    // A multiple of both a block and a line.
    let unit = (BLOCK * LINE) as u64;
    let total = (effort.pick(8, mib.min(256), mib) << 20) / unit * unit;
    let mut job =
        Job { program: env::current_exe()?, what, total, endless: false, input: Bytes::new(), file: None };
    if matches!(what, Use::StdinBytes | Use::StdinFile) {
        job.input = Bytes::from(vec![b'x'; usize::try_from(total).map_err(io::Error::other)?]);
    }
    if what == Use::StdinFile {
        let path = env::temp_dir().join(format!("herder-bench-{}.input", std::process::id()));
        std::fs::write(&path, &job.input)?;
        job.input = Bytes::new();
        job.file = Some(path);
    }
    Ok(job)
}

fn measure(effort: &Effort, what: Use, title: &str, note: &str, mib: u64) -> io::Result<Table> {
    let job = job(effort, what, mib)?;
    let readers: Vec<_> = readers(what).into_iter().filter(|(name, _)| effort.wants_way(name)).collect();
    let mut all: Vec<_> = readers.iter().map(|_| (Vec::new(), Vec::new(), None)).collect();
    let mut spent = vec![Duration::ZERO; readers.len()];
    let mut order: Vec<_> = (0..readers.len()).collect();
    let mut shuffle = Shuffle::new(job.total);
    // Memory is faulted in for each capture anew, which is most of its time: few rounds say it all.
    let rounds = if mib > 1024 { 3 } else { 7 };
    for _ in 0..effort.pick(1, 3, rounds) {
        shuffle.shuffle(&mut order);
        for &index in &order {
            let (rates, costs, failed) = &mut all[index];
            if failed.is_some() || spent[index] > PATIENCE {
                continue;
            }
            let (begin, used) = (Instant::now(), processor_time());
            match (readers[index].1)(&job) {
                Ok(()) => {
                    let mib = job.total as f64 / MIB;
                    rates.push(mib / begin.elapsed().as_secs_f64());
                    costs.push((processor_time() - used) * 1e3 / (mib / 1024.0));
                }
                Err(error) => *failed = Some(error.to_string()),
            }
            spent[index] += begin.elapsed();
        }
    }
    if let Some(path) = &job.file {
        std::fs::remove_file(path)?;
    }
    let note = format!(
        "MiB per second with {} MiB, the best of the rounds and the median; and the processor time of this side, in ms \
         for each GiB, the least of the rounds: it says more than the speed where others use the machine, too. {note} \
         Ratios are of the processor time; less is better.",
        job.total >> 20
    );
    let columns = [("n", 0), ("best MiB/s", 0), ("median MiB/s", 0), ("ms/GiB", 0), ("median ms/GiB", 0)];
    let table = Table::new(title, &note, &columns, ("ms/GiB", Better::Less));
    let mut table = table.judged("median MiB/s", Better::More);
    for ((name, _), (rates, costs, failed)) in readers.iter().zip(all) {
        if let Some(why) = failed {
            table.failed(name, &why);
            continue;
        }
        let (rate, cost): (Spread, Spread) = (spread(rates), spread(costs));
        table.row(name, &[rate.count as f64, rate.most, rate.median, cost.least, cost.median]);
    }
    for (name, why) in absent(what) {
        table.absent(name, why);
    }
    Ok(table.ratios(if what == Use::Long { &["herder-ct"] } else { &["raw", "tokio-ct"] }))
}

/// What this process, and no child of it, has used of the processors, in seconds.
fn processor_time() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The child: lines of 40 bytes, or what ends with `end` instead of a newline, in blocks, on stdout; every other block
/// on stderr when on `both`.
pub(crate) fn write(total: u64, both: bool, end: u8) -> io::Result<()> {
    let line = [[b'x'; LINE - 1].as_slice(), &[end]].concat();
    // Lines run on over the ends of blocks.
    let text: Vec<u8> = line.iter().copied().cycle().take(BLOCK * LINE).collect();
    let mut out = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout())?);
    let mut err = std::fs::File::from(rustix::io::dup(rustix::stdio::stderr())?);
    for _ in 0..total / text.len() as u64 {
        for (index, block) in text.chunks(BLOCK).enumerate() {
            let stream = if both && index % 2 == 1 { &mut err } else { &mut out };
            stream.write_all(block)?;
        }
    }
    Ok(())
}

/// The child: it requires so many bytes on stdin.
pub(crate) fn read(total: u64) -> io::Result<()> {
    let input = std::fs::File::from(rustix::io::dup(rustix::stdio::stdin())?);
    let found = count(input)?;
    if found == total { Ok(()) } else { Err(io::Error::other(format!("{found} of {total} came"))) }
}

/// The bytes that come until the end, read into one buffer.
fn count(mut reader: impl Read) -> io::Result<u64> {
    let (mut buffer, mut total) = (vec![0; BLOCK], 0);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(total),
            count => total += count as u64,
        }
    }
}

/// Runs `work` to its end, in a runtime of one thread or of several.
fn run<F: Future<Output = io::Result<()>> + Send + 'static>(
    multi: bool,
    job: &Job,
    work: fn(Job) -> F,
) -> io::Result<()> {
    on_runtime(&runtime(multi)?, work(job.clone()))
}

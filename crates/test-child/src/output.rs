//! The steps that write.

use std::fmt::Write as _;
use std::io;
use std::thread;
use std::time::Duration;

use crate::os::{self, AsStream};

/// The pattern repeats after this many bytes: a prime, so that a lost block of a round size shows.
const PERIOD: usize = 251;
const BLOCK: usize = 64 * 1024;

/// Writes all of it, with as few system calls as the other side allows, and buffers nothing.
pub(crate) fn write_all(to: impl AsStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[os::write(&to, bytes)?..];
    }
    Ok(())
}

/// One line on stdout.
pub(crate) fn say(text: &str) -> io::Result<()> {
    write_all(io::stdout(), format!("{text}\n").as_bytes())
}

/// So many bytes of the pattern: byte `i` is `i mod 251`.
pub(crate) fn bytes(to: impl AsStream, count: u64) -> io::Result<()> {
    let pattern = pattern();
    let mut done = 0;
    while done < count {
        let block = next_block(&pattern, done, count - done);
        write_all(&to, block)?;
        done += block.len() as u64;
    }
    Ok(())
}

/// The pattern on both streams at once.
pub(crate) fn both(count: u64) -> io::Result<()> {
    thread::scope(|scope| {
        let other = scope.spawn(|| bytes(io::stderr(), count));
        let mine = bytes(io::stdout(), count);
        let other = other.join().unwrap_or_else(|_| Err(io::Error::other("the writer of stderr panicked")));
        mine.and(other)
    })
}

/// The lines 1 to `count`.
pub(crate) fn lines(count: u64) -> io::Result<()> {
    let mut block = String::with_capacity(BLOCK);
    for number in 1..=count {
        // 21 bytes hold any line.
        if block.len() + 21 > BLOCK {
            write_all(io::stdout(), block.as_bytes())?;
            block.clear();
        }
        let _ = writeln!(block, "{number}");
    }
    write_all(io::stdout(), block.as_bytes())
}

/// The lines 1 to `count`, each in a write of its own, on stdout and stderr in turn.
pub(crate) fn alternate(count: u64) -> io::Result<()> {
    for number in 1..=count {
        let line = format!("{number}\n");
        if number % 2 == 1 {
            write_all(io::stdout(), line.as_bytes())?;
        } else {
            write_all(io::stderr(), line.as_bytes())?;
        }
    }
    Ok(())
}

/// So many bytes of the pattern on stdout, one by one.
pub(crate) fn drip(count: u64) -> io::Result<()> {
    (0..count).try_for_each(|done| write_all(io::stdout(), &[(done % PERIOD as u64) as u8]))
}

/// The lines 1 to `count`, with a pause before each.
pub(crate) fn tick(count: u64, pause: Duration) -> io::Result<()> {
    for number in 1..=count {
        thread::sleep(pause);
        say(&number.to_string())?;
    }
    Ok(())
}

/// Writes the pattern to stdout until the reader is gone, and tells how much the pipe took.
pub(crate) fn until_epipe() -> io::Result<()> {
    let pattern = pattern();
    let mut done = 0_u64;
    loop {
        match os::write(&io::stdout(), next_block(&pattern, done, u64::MAX)) {
            Ok(written) => done += written as u64,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => return Err(error),
        }
    }
    write_all(io::stderr(), format!("epipe after {done} bytes\n").as_bytes())
}

fn pattern() -> Vec<u8> {
    (0..PERIOD as u8).cycle().take(BLOCK + PERIOD).collect()
}

/// The block of the pattern that follows `done` bytes, of at most `left` bytes.
fn next_block(pattern: &[u8], done: u64, left: u64) -> &[u8] {
    let start = (done % PERIOD as u64) as usize;
    &pattern[start..start + BLOCK.min(usize::try_from(left).unwrap_or(BLOCK))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_join_without_a_seam() {
        let pattern = pattern();
        let mut all: Vec<u8> = Vec::new();
        while all.len() < 200_000 {
            let done = all.len() as u64;
            all.extend_from_slice(next_block(&pattern, done, 200_000 - done));
        }
        assert_eq!(all.len(), 200_000);
        assert!(all.iter().enumerate().all(|(index, &byte)| byte == (index % PERIOD) as u8));
    }
}

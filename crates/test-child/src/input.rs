//! The steps that read. Nothing is read ahead: what one step leaves, the next one or a child finds.

use std::io;

use crate::os::{AsStream, read};
use crate::output;

/// Copies to stdout until the end, and counts.
pub(crate) fn copy(from: &impl AsStream) -> io::Result<u64> {
    each_block(from, |block| output::write_all(io::stdout(), block))
}

/// Copies stdin to stdout and tells the count on stderr.
pub(crate) fn echo() -> io::Result<()> {
    let count = copy(&io::stdin())?;
    output::write_all(io::stderr(), format!("echoed {count}\n").as_bytes())
}

/// Reads stdin to its end and counts.
pub(crate) fn drain() -> io::Result<u64> {
    each_block(&io::stdin(), |_| Ok(()))
}

/// Reads one line of stdin and says what it was.
pub(crate) fn line() -> io::Result<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    // Byte by byte, so that nothing behind the newline is taken.
    while read(&io::stdin(), &mut byte)? == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    if line.is_empty() && byte != *b"\n" {
        return output::say("eof");
    }
    output::write_all(io::stdout(), &[b"read ", &line[..], b"\n"].concat())
}

fn each_block(from: &impl AsStream, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut block = vec![0; 64 * 1024];
    let mut count = 0;
    loop {
        match read(from, &mut block)? {
            0 => return Ok(count),
            length => {
                take(&block[..length])?;
                count += length as u64;
            }
        }
    }
}

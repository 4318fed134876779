//! A file that begins anew when it is full, and keeps some of those that it was before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memchr;

use super::{Rotated, failure};

/// When a file begins anew, and how many are kept.
///
/// `log` is the file that is written to, `log.1` the one before it, `log.2` the one before that. None of them has more
/// bytes than was said, and all together no more than that many times the number of files: what falls out at the end
/// is the oldest file.
///
/// A line is not cut in two by it, unless it is longer than an eighth of the file, or than 64 KiB: within that much of
/// the end of a file, the next one begins with the next line. Which file a byte goes to depends on what is written, not
/// on how it is cut into chunks.
///
/// A new file has the permissions of the one before it.
///
/// ```
/// use herder::output::Rotation;
///
/// let rotation = Rotation::new(10 * 1024 * 1024, 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Rotation {
    bytes: u64,
    files: u32,
}

/// The longest line that is surely not cut.
const MOST_SLACK: u64 = 64 * 1024;

impl Rotation {
    /// Files of at most so many bytes, and so many of them, the one that is written to included; zero counts as one.
    ///
    /// With one file nothing of what was before is kept.
    pub const fn new(bytes: u64, files: u32) -> Self {
        Self { bytes: if bytes == 0 { 1 } else { bytes }, files: if files == 0 { 1 } else { files } }
    }

    /// From which size on a file ends with the line.
    fn soft(self, limit: u64) -> u64 {
        limit - (self.bytes / 8).min(MOST_SLACK)
    }
}

/// A file that is appended to and perhaps rotated.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    rotation: Option<Rotation>,
    size: u64,
    /// Rotation is due at this size. More than that of the rotation if that has failed.
    limit: u64,
    in_line: bool,
    /// For the report, which is asked for while a blocking task has this.
    rotated: Arc<Mutex<Rotated>>,
}

impl RotatingFile {
    pub(super) fn new(path: PathBuf, file: File) -> Self {
        Self { path, file, rotation: None, size: 0, limit: u64::MAX, in_line: false, rotated: Arc::default() }
    }

    /// # Errors
    ///
    /// The file is none that could be renamed and made anew, or nothing is known of it.
    pub(super) fn rotate(&mut self, rotation: Rotation) -> io::Result<()> {
        let about = self.file.metadata()?;
        if !about.is_file() {
            let message = "only a regular file can be rotated";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        // A link stays where it is, and so do we if the current directory changes.
        self.path = fs::canonicalize(&self.path)?;
        self.size = about.len();
        self.limit = rotation.bytes;
        self.in_line = self.size > 0 && last_byte(&self.path)? != b'\n';
        self.rotation = Some(rotation);
        Ok(())
    }

    pub(super) fn rotated(&self) -> Arc<Mutex<Rotated>> {
        Arc::clone(&self.rotated)
    }

    /// A log that only some may read stays so.
    fn pass_permissions(&self, file: &File) -> io::Result<()> {
        file.set_permissions(self.file.metadata()?.permissions())
    }

    fn begin_anew(&mut self, rotation: Rotation) {
        let shifted = shift(&self.path, rotation.files);
        let readable = shifted.as_ref().map_or(Ok(()), |file| self.pass_permissions(file));
        let mut rotated = self.rotated.lock().unwrap_or_else(PoisonError::into_inner);
        match shifted {
            Ok(file) => {
                self.file = file;
                self.size = 0;
                self.limit = rotation.bytes;
                rotated.times += 1;
                if let Err(error) = readable {
                    rotated.error = Some(failure(&error));
                }
            }
            Err(error) => {
                // A file that is too large is better than one that ends here. There will be another try.
                self.limit = self.size.saturating_add(rotation.bytes);
                rotated.error = Some(failure(&error));
            }
        }
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(rotation) = self.rotation else { return self.file.write(bytes) };
        let at_line_end = !self.in_line && self.size >= rotation.soft(self.limit);
        if self.size >= self.limit || at_line_end {
            self.begin_anew(rotation);
        }
        let room = usize::try_from(self.limit - self.size).unwrap_or(usize::MAX);
        let mut part = &bytes[..bytes.len().min(room)];
        // The first line that ends close to the limit is the last one.
        let close = rotation.soft(self.limit).saturating_sub(self.size).saturating_sub(1);
        if let Some(close) = usize::try_from(close).ok().filter(|close| *close < part.len())
            && let Some(end) = memchr(b'\n', &part[close..])
        {
            part = &part[..=close + end];
        }
        let count = self.file.write(part)?;
        self.size += count as u64;
        if let Some(last) = count.checked_sub(1).and_then(|last| part.get(last)) {
            self.in_line = *last != b'\n';
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn last_byte(path: &Path) -> io::Result<u8> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0])
}

/// Renames each file to the next number, the last one over the oldest, and makes the first one anew.
///
/// Each step is a rename, and none is before the one that makes room for it: whatever fails, no file but the oldest
/// is gone. One that is missing, by an earlier failure or because somebody took it away, is no failure.
fn shift(path: &Path, files: u32) -> io::Result<File> {
    if files == 1 {
        return OpenOptions::new().append(true).create(true).open(path).and_then(|file| {
            file.set_len(0)?;
            Ok(file)
        });
    }
    // No further than to the first free number.
    let last = (1..files).find(|number| !numbered(path, *number).exists()).unwrap_or(files - 1);
    for number in (1..=last).rev() {
        let from = if number == 1 { path.to_owned() } else { numbered(path, number - 1) };
        match fs::rename(from, numbered(path, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    OpenOptions::new().append(true).create_new(true).open(path)
}

/// `log.2`
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

//! Where the report goes.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::platform;

/// An open place for the report. It is opened before the program is started: a place that can't be had is better
/// told before an hour of work than after it.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    name: String,
    pub(crate) is_stdout: bool,
}

impl Sink {
    /// Opens what `--json` names: a file, `-` or `fd:N`.
    pub(crate) fn open(place: &OsStr) -> Result<Self, String> {
        let name = place.to_string_lossy().into_owned();
        let failed = |error: io::Error| format!("--json: can't write to {name}: {error}");
        let number = number(place).transpose()?;
        let file = match number {
            None => File::create(Path::new(place)).map_err(failed)?,
            Some(number) => platform::descriptor(number).map_err(failed)?,
        };
        Ok(Self { file, name, is_stdout: number == Some(1) })
    }

    /// Writes one line.
    pub(crate) fn write(&mut self, line: &str) -> Result<(), String> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|error| format!("can't write the report to {}: {error}", self.name))
    }
}

/// The descriptor that `-` or `fd:N` means, if it is no file.
pub(crate) fn number(place: &OsStr) -> Option<Result<i32, String>> {
    let place = place.to_str()?;
    if place == "-" {
        return Some(Ok(1));
    }
    let digits = place.strip_prefix("fd:")?;
    let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    Some(number.ok_or_else(|| format!("--json: {place:?} has no number; write fd:3, or ./{place}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_descriptor_by_number() {
        use std::os::fd::AsRawFd;
        let mut file = tempfile::tempfile().unwrap();
        let name = format!("fd:{}", file.as_raw_fd());
        let mut sink = Sink::open(name.as_ref()).unwrap();
        assert_eq!(number(name.as_ref()), Some(Ok(file.as_raw_fd())));
        sink.write("moo\n").unwrap();
        assert_eq!(io::Seek::stream_position(&mut file).unwrap(), 4);
    }

    #[test]
    fn what_is_no_place_is_refused_at_once() {
        for place in
            ["fd:", "fd:x", "fd:-1", "fd:+3", "fd:99999999999", "fd:1000000", "/no/such/dir/file", "/"]
        {
            let error = Sink::open(place.as_ref()).unwrap_err();
            assert!(error.starts_with("--json: ") && error.contains(place), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_can_not_be_written_to_is_refused_at_once() {
        use std::os::fd::AsRawFd;
        let readable = File::open("/dev/null").unwrap();
        let readable = format!("fd:{}", readable.as_raw_fd());
        let error = Sink::open(readable.as_ref()).unwrap_err();
        assert!(error.starts_with("--json: ") && error.contains(&readable), "{error}");
    }
}

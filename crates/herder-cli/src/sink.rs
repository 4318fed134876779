//! Where the report goes.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl};

use crate::fds;

/// An open place for the report. It is opened before the program is started: a place that can't be had is better
/// told before an hour of work than after it.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    name: String,
    /// The descriptor that was named, above the standard streams.
    pub(crate) fd: Option<RawFd>,
    pub(crate) is_stdout: bool,
}

impl Sink {
    /// Opens what `--json` names: a file, `-` or `fd:N`.
    pub(crate) fn open(place: &OsStr) -> Result<Self, String> {
        let name = place.to_string_lossy().into_owned();
        let failed = |error: io::Error| format!("--json: can't write to {name}: {error}");
        let number = match place.to_str().map(|text| (text, text.strip_prefix("fd:"))) {
            Some(("-", _)) => Some(1),
            Some((_, Some(number))) => {
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse::<RawFd>().ok().filter(|_| digits);
                Some(
                    number
                        .ok_or_else(|| format!("--json: {name:?} has no number; write fd:3, or ./{name}"))?,
                )
            }
            _ => None,
        };
        let file = match number {
            None => File::create(Path::new(place)).map_err(failed)?,
            Some(number) => descriptor(number).map_err(failed)?,
        };
        Ok(Self { file, name, fd: number.filter(|number| *number > 2), is_stdout: number == Some(1) })
    }

    /// Writes one line.
    pub(crate) fn write(&mut self, line: &str) -> Result<(), String> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.flush());
        written.map_err(|error| format!("can't write the report to {}: {error}", self.name))
    }
}

fn descriptor(number: RawFd) -> io::Result<File> {
    let fd: OwnedFd = match number {
        1 => io::stdout().as_fd().try_clone_to_owned()?,
        2 => io::stderr().as_fd().try_clone_to_owned()?,
        _ => match fds::duplicate(number) {
            // Not to be had here, unlike "not open". A file opened anew is the next best, but not for sockets.
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::BADF.raw_os_error()) => {
                OpenOptions::new().append(true).open(format!("/dev/fd/{number}"))?.into()
            }
            result => result?,
        },
    };
    if fcntl_getfl(&fd)? & OFlags::ACCMODE == OFlags::RDONLY {
        return Err(io::Error::other("it is open for reading only"));
    }
    Ok(fd.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_descriptor_by_number() {
        let mut file = tempfile::tempfile().unwrap();
        let name = format!("fd:{}", file.as_raw_fd());
        let mut sink = Sink::open(name.as_ref()).unwrap();
        assert_eq!(sink.fd, Some(file.as_raw_fd()));
        sink.write("moo\n").unwrap();
        assert_eq!(io::Seek::stream_position(&mut file).unwrap(), 4);
    }

    #[test]
    fn what_can_not_be_written_to_is_refused_at_once() {
        let readable = File::open("/dev/null").unwrap();
        let readable = format!("fd:{}", readable.as_raw_fd());
        for place in [
            "fd:",
            "fd:x",
            "fd:-1",
            "fd:+3",
            "fd:99999999999",
            "fd:1000000",
            "/no/such/dir/file",
            "/",
            &readable,
        ] {
            let error = Sink::open(place.as_ref()).unwrap_err();
            assert!(error.starts_with("--json: ") && error.contains(place), "{error}");
        }
    }
}

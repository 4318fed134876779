//! The steps on Unix.

pub(crate) mod family;
pub(crate) mod inspect;
pub(crate) mod signals;

use std::fs::{File, OpenOptions};
use std::io;
use std::process::ExitCode;
use std::str::FromStr;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal;
use nix::unistd;

pub(crate) use nix::sys::resource::Resource;
pub(crate) use nix::sys::signal::Signal;
pub(crate) use std::os::fd::AsFd as AsStream;

use crate::step::Standard;

/// An exit code.
pub(crate) type Code = u8;

pub(crate) fn signal(name: &str) -> Option<Signal> {
    if let Ok(number) = name.parse::<i32>() {
        return Signal::try_from(number).ok();
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    Signal::from_str(&format!("SIG{name}")).ok()
}

pub(crate) fn can_be_caught(signal: Signal) -> bool {
    !signal_hook::consts::FORBIDDEN.contains(&(signal as i32))
}

pub(crate) fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "CORE" => Resource::RLIMIT_CORE,
        "CPU" => Resource::RLIMIT_CPU,
        "DATA" => Resource::RLIMIT_DATA,
        "FSIZE" => Resource::RLIMIT_FSIZE,
        "NOFILE" => Resource::RLIMIT_NOFILE,
        "STACK" => Resource::RLIMIT_STACK,
        // Not every system has these, or a name for them in `nix`.
        #[cfg(target_os = "linux")]
        "AS" => Resource::RLIMIT_AS,
        #[cfg(target_os = "linux")]
        "MEMLOCK" => Resource::RLIMIT_MEMLOCK,
        #[cfg(target_os = "linux")]
        "NPROC" => Resource::RLIMIT_NPROC,
        _ => return None,
    })
}

pub(crate) fn read(from: &impl AsStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match unistd::read(from, into) {
            Ok(length) => return Ok(length),
            Err(Errno::EINTR) => {}
            // Whoever gave us the descriptor may have made it non-blocking.
            Err(Errno::EAGAIN) => {
                let mut wait = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
                nix::poll::poll(&mut wait, PollTimeout::NONE)?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// One write, of which a part may be done; an end that nobody reads is `BrokenPipe`.
pub(crate) fn write(to: &impl AsStream, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match unistd::write(to, bytes) {
            Ok(written) => return Ok(written),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut wait = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
                nix::poll::poll(&mut wait, PollTimeout::NONE)?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The stream under this number, opened anew.
pub(crate) fn numbered(number: i32, write: bool) -> io::Result<File> {
    OpenOptions::new().read(!write).write(write).open(format!("/dev/fd/{number}"))
}

pub(crate) fn close(which: Standard) -> io::Result<()> {
    let fd = match which {
        Standard::In => 0,
        Standard::Out => 1,
        Standard::Err => 2,
    };
    Ok(unistd::close(fd)?)
}

pub(crate) fn kill_self(with: Signal) -> io::Result<()> {
    Ok(signal::raise(with)?)
}

pub(crate) fn stop_self() -> io::Result<()> {
    Ok(signal::raise(Signal::SIGSTOP)?)
}

pub(crate) fn setsid() -> io::Result<()> {
    Ok(unistd::setsid().map(drop)?)
}

pub(crate) fn setpgid() -> io::Result<()> {
    Ok(unistd::setpgid(unistd::Pid::from_raw(0), unistd::Pid::from_raw(0))?)
}

pub(crate) fn exit(code: Code) -> ! {
    std::process::exit(i32::from(code))
}

pub(crate) fn exit_code(code: Code) -> ExitCode {
    ExitCode::from(code)
}

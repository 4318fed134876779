//! What the process is, as the kernel sees it: one answer for each query.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;

use nix::sys::resource::{self, RLIM_INFINITY};
use nix::sys::stat::{self, Mode};
use nix::unistd;

use super::family;
use crate::os::escape;
use crate::step::Query;

/// The answer, each of its lines with its newline; no line where there is nothing to list.
pub(crate) fn answer(query: &Query, operands: &[OsString]) -> io::Result<String> {
    let line = match query {
        Query::Args => return Ok(operands.iter().map(|argument| escape(argument) + "\n").collect()),
        Query::EnvAll => {
            let line = |(key, value): (OsString, OsString)| format!("{}={}\n", escape(&key), escape(&value));
            return Ok(std::env::vars_os().map(line).collect());
        }
        Query::Fds => return fds(),
        Query::Pid => std::process::id().to_string(),
        Query::Ppid => unistd::getppid().to_string(),
        Query::Pgid => unistd::getpgrp().to_string(),
        Query::Sid => unistd::getsid(None)?.to_string(),
        Query::Spawned => match family::LAST.load(Ordering::Relaxed) {
            0 => return Err(io::Error::other("no step started a child")),
            pid => pid.to_string(),
        },
        Query::Cwd => escape(std::env::current_dir()?.as_os_str()),
        Query::Argv0 => escape(&std::env::args_os().next().unwrap_or_default()),
        Query::Env(key) => match std::env::var_os(key) {
            Some(value) => format!("{key}={}", escape(&value)),
            None => format!("{key} unset"),
        },
        Query::Umask => umask(),
        Query::Nice => nice()?,
        Query::Rlimit(resource) => {
            let (soft, hard) = resource::getrlimit(*resource)?;
            format!("{} {}", limit(soft), limit(hard))
        }
        Query::Status(name) => status(name)?,
        Query::Sigmask => {
            format!(
                "SigBlk {}\nSigIgn {}\nSigCgt {}",
                status("SigBlk")?,
                status("SigIgn")?,
                status("SigCgt")?
            )
        }
        Query::Pdeathsig => death_signal()?,
        Query::Tty => {
            let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
            format!("{} {} {}", input.is_terminal(), output.is_terminal(), error.is_terminal())
        }
        Query::Foreground => match fs::File::open("/dev/tty") {
            Ok(terminal) => unistd::tcgetpgrp(terminal)?.to_string(),
            Err(_) => "none".into(),
        },
    };
    Ok(line + "\n")
}

/// What the kernel sends us when our parent has ended.
#[cfg(target_os = "linux")]
fn death_signal() -> io::Result<String> {
    let signal = nix::sys::prctl::get_pdeathsig()?;
    Ok(signal.map_or_else(|| "none".into(), |signal| signal.to_string()))
}

/// Elsewhere there is none.
#[cfg(not(target_os = "linux"))]
fn death_signal() -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}

fn umask() -> String {
    // It can't be asked without being set.
    let mask = stat::umask(Mode::empty());
    stat::umask(mask);
    format!("{:04o}", mask.bits())
}

fn limit(limit: resource::rlim_t) -> String {
    if limit == RLIM_INFINITY { "unlimited".into() } else { limit.to_string() }
}

/// The 19th field of `/proc/self/stat`, counted behind the name, which may hold anything.
fn nice() -> io::Result<String> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    behind.split(' ').nth(16).map(str::to_owned).ok_or_else(|| io::Error::other("no nice value in stat"))
}

fn status(name: &str) -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
    let value = status.lines().find_map(value).ok_or_else(|| io::Error::other("no such line"))?;
    Ok(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn fds() -> io::Result<String> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    let mut lines = String::new();
    for number in numbers {
        // The folder's own descriptor is closed by now, and so it is the one that is missing.
        if let Ok(target) = fs::read_link(format!("/proc/self/fd/{number}")) {
            let _ = writeln!(lines, "{number} {}", escape(target.as_os_str()));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_folder_handle_is_not_listed() {
        let listed = fds().unwrap();
        assert!(!listed.contains("/fd"), "{listed}");
    }

    #[test]
    fn status_lines_are_found_by_their_whole_name() {
        assert_eq!(status("Pid").unwrap(), std::process::id().to_string());
        assert!(status("Pi").is_err());
    }
}

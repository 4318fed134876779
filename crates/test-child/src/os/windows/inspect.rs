//! What the process is: one answer for each query that Windows has one for.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::atomic::Ordering;

use super::{family, unsupported};
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
        Query::Pid => std::process::id().to_string(),
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
        Query::Tty => {
            let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
            format!("{} {} {}", input.is_terminal(), output.is_terminal(), error.is_terminal())
        }
        _ => return unsupported(),
    };
    Ok(line + "\n")
}

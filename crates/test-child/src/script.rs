//! From arguments to steps: pure, and complete before the first step runs.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::os::{self, Resource, Signal};
use crate::step::{Birth, Query, Standard, Step, Stream};

/// A whole command line: the steps, and the operands after `--`.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    /// The arguments as they came, so that the rest of a script can be executed anew.
    pub(crate) raw: Vec<OsString>,
    pub(crate) operands: Vec<OsString>,
}

/// What is wrong with a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Script, Wrong> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let steps = arguments[..end].iter().map(|argument| step(argument)).collect::<Result<Vec<_>, _>>()?;
    // Executing the program anew, as `ignore` does, loses the handlers.
    let handled = steps.iter().position(|step| matches!(step, Step::On(..) | Step::Catch(_)));
    let ignored = steps.iter().rposition(|step| matches!(step, Step::Ignore(_)));
    if handled.zip(ignored).is_some_and(|(handled, ignored)| handled < ignored) {
        return Err(Wrong("put ignore before on and catch: it executes the program anew".into()));
    }
    let operands = arguments.get(end + 1..).unwrap_or_default().to_vec();
    Ok(Script { steps, raw: arguments.to_vec(), operands })
}

fn step(argument: &OsStr) -> Result<Step, Wrong> {
    let bytes = argument.as_encoded_bytes();
    let (name, rest) = match bytes.iter().position(|&byte| byte == b':') {
        Some(colon) => (&bytes[..colon], Some(&bytes[colon + 1..])),
        None => (bytes, None),
    };
    let name = str::from_utf8(name).map_err(|_| Wrong(format!("unknown step {argument:?}")))?;
    let operand = Operand { step: name, bytes: rest };
    if let Some(step) = plain(name) {
        return operand.none().map(|()| step);
    }
    match name {
        "print" => Ok(Step::Write(Stream::Out, operand.given()?.to_vec())),
        "eprint" => Ok(Step::Write(Stream::Err, operand.given()?.to_vec())),
        "println" | "mark" => Ok(Step::Write(Stream::Out, operand.line()?)),
        "eprintln" => Ok(Step::Write(Stream::Err, operand.line()?)),
        "bytes" => Ok(Step::Bytes(Stream::Out, operand.size()?)),
        "ebytes" => Ok(Step::Bytes(Stream::Err, operand.size()?)),
        "both" => Ok(Step::Both(operand.size()?)),
        "lines" => Ok(Step::Lines(operand.number()?)),
        "alternate" => Ok(Step::Alternate(operand.number()?)),
        "drip" => Ok(Step::Drip(operand.size()?)),
        "tick" => {
            let (count, pause) = operand.pair()?;
            Ok(Step::Tick(count.number()?, pause.duration()?))
        }
        "write-fd" => {
            let (fd, text) = operand.pair()?;
            Ok(Step::WriteFd(fd.number()?, text.given()?.to_vec()))
        }
        "read-fd" => Ok(Step::ReadFd(operand.number()?)),
        "ignore" => Ok(Step::Ignore(operand.signals()?)),
        "catch" => Ok(Step::Catch(operand.catchable()?)),
        "block" => Ok(Step::Block(operand.signals()?)),
        "on" => on(&operand),
        "kill-self" => Ok(Step::KillSelf(operand.signal()?)),
        "env" => Ok(Step::Query(Query::Env(operand.text()?.to_owned()))),
        "rlimit" => Ok(Step::Query(Query::Rlimit(operand.resource()?))),
        "status" => Ok(Step::Query(Query::Status(operand.text()?.to_owned()))),
        "spawn" => Ok(Step::Spawn(Birth::Plain, operand.script()?)),
        "spawn-setsid" => Ok(Step::Spawn(Birth::Setsid, operand.script()?)),
        "spawn-detached" => Ok(Step::Spawn(Birth::Detached, operand.script()?)),
        "sleep" => Ok(Step::Sleep(operand.duration()?)),
        "spin" => Ok(Step::Spin(operand.bytes.map(|_| operand.duration()).transpose()?)),
        "memory" => Ok(Step::Memory(operand.size()?)),
        "wait-file" => Ok(Step::WaitFile(operand.text()?.to_owned())),
        "touch" => Ok(Step::Touch(operand.text()?.to_owned())),
        "exit" => Ok(Step::Exit(operand.number()?)),
        "exit-after-main" => Ok(Step::ExitAfterMain(operand.number()?)),
        _ => Err(Wrong(format!("unknown step {argument:?}; see test-child --help"))),
    }
}

/// The steps that take no operand.
fn plain(name: &str) -> Option<Step> {
    Some(match name {
        "flush" => Step::Flush,
        "write-until-epipe" => Step::WriteUntilEpipe,
        "cat" => Step::Cat,
        "echo-stdin" => Step::EchoStdin,
        "read-stdin-line" => Step::ReadStdinLine,
        "stdin-count" => Step::StdinCount,
        "eof-wait" => Step::EofWait,
        "close-stdin" => Step::Close(Standard::In),
        "close-stdout" => Step::Close(Standard::Out),
        "close-stderr" => Step::Close(Standard::Err),
        "stop-self" => Step::StopSelf,
        "wait-children" => Step::WaitChildren,
        "setsid" => Step::Setsid,
        "setpgid" => Step::Setpgid,
        "hang" => Step::Hang,
        "abort" => Step::Abort,
        "segv" => Step::Segv,
        _ => return query(name).map(Step::Query),
    })
}

fn query(name: &str) -> Option<Query> {
    Some(match name {
        "pid" => Query::Pid,
        "ppid" => Query::Ppid,
        "pgid" => Query::Pgid,
        "sid" => Query::Sid,
        "spawned" => Query::Spawned,
        "cwd" => Query::Cwd,
        "args" => Query::Args,
        "argv0" => Query::Argv0,
        "env-all" => Query::EnvAll,
        "uid" => Query::Status("Uid".into()),
        "gid" => Query::Status("Gid".into()),
        "groups" => Query::Status("Groups".into()),
        "affinity" => Query::Status("Cpus_allowed_list".into()),
        "umask" => Query::Umask,
        "nice" => Query::Nice,
        "sigmask" => Query::Sigmask,
        "fds" => Query::Fds,
        "pdeathsig" => Query::Pdeathsig,
        "tty" => Query::Tty,
        "foreground" => Query::Foreground,
        _ => return None,
    })
}

fn on(operand: &Operand<'_>) -> Result<Step, Wrong> {
    let text = operand.text()?;
    let (signal, script) = text.split_once(':').unwrap_or((text, ""));
    let signal = Operand { step: "on", bytes: Some(signal.as_bytes()) }.catchable()?;
    let [signal] = signal[..] else { return Err(operand.wrong("one signal")) };
    let mut steps = Vec::new();
    for part in split(script) {
        steps.push(step(OsStr::new(&part))?);
    }
    if steps.iter().any(|step| matches!(step, Step::Ignore(_) | Step::ExitAfterMain(_))) {
        return Err(operand.wrong("steps that a handler can run (not ignore, not exit-after-main)"));
    }
    Ok(Step::On(signal, steps))
}

/// What stands behind the colon of a step.
#[derive(Clone, Copy)]
struct Operand<'a> {
    step: &'a str,
    bytes: Option<&'a [u8]>,
}

impl<'a> Operand<'a> {
    fn wrong(&self, wanted: &str) -> Wrong {
        let got =
            self.bytes.map_or_else(|| "nothing".into(), |bytes| format!("\"{}\"", bytes.escape_ascii()));
        Wrong(format!("step {:?} takes {wanted}, not {got}", self.step))
    }

    fn none(&self) -> Result<(), Wrong> {
        if self.bytes.is_some() { Err(self.wrong("no operand")) } else { Ok(()) }
    }

    fn given(&self) -> Result<&'a [u8], Wrong> {
        self.bytes.ok_or_else(|| self.wrong("an operand"))
    }

    fn line(&self) -> Result<Vec<u8>, Wrong> {
        Ok([self.given()?, b"\n"].concat())
    }

    fn text(&self) -> Result<&'a str, Wrong> {
        let text = str::from_utf8(self.given()?).map_err(|_| self.wrong("UTF-8"))?;
        if text.is_empty() { Err(self.wrong("an operand")) } else { Ok(text) }
    }

    fn pair(&self) -> Result<(Self, Self), Wrong> {
        let bytes = self.given()?;
        let colon = bytes.iter().position(|&byte| byte == b':').ok_or_else(|| self.wrong("two operands"))?;
        let part = |bytes| Self { step: self.step, bytes: Some(bytes) };
        Ok((part(&bytes[..colon]), part(&bytes[colon + 1..])))
    }

    fn number<T: FromStr>(&self) -> Result<T, Wrong> {
        self.text()?.parse().map_err(|_| self.wrong("a number in range"))
    }

    fn size(&self) -> Result<u64, Wrong> {
        let text = self.text()?;
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'K') => (&text[..text.len() - 1], 10),
            Some(b'M') => (&text[..text.len() - 1], 20),
            Some(b'G') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        let number: u64 = digits.parse().map_err(|_| self.wrong("a number of bytes (K, M, G)"))?;
        number.checked_mul(1 << shift).ok_or_else(|| self.wrong("a number in range"))
    }

    fn duration(&self) -> Result<Duration, Wrong> {
        let text = self.text()?;
        // The longer suffix first: every one of them ends in a letter of another.
        let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
        let found = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
        let (digits, scale) = found.ok_or_else(|| self.wrong("a duration (us, ms, s, m)"))?;
        let number: f64 = digits.parse().map_err(|_| self.wrong("a duration (us, ms, s, m)"))?;
        Duration::try_from_secs_f64(number * scale).map_err(|_| self.wrong("a duration in range"))
    }

    fn signals(&self) -> Result<Vec<Signal>, Wrong> {
        self.text()?.split('+').map(|name| os::signal(name).ok_or_else(|| self.wrong("a signal"))).collect()
    }

    fn signal(&self) -> Result<Signal, Wrong> {
        os::signal(self.text()?).ok_or_else(|| self.wrong("a signal"))
    }

    fn catchable(&self) -> Result<Vec<Signal>, Wrong> {
        let signals = self.signals()?;
        if !signals.iter().copied().all(os::can_be_caught) {
            Err(self.wrong("signals that can be caught"))
        } else {
            Ok(signals)
        }
    }

    fn resource(&self) -> Result<Resource, Wrong> {
        os::resource(self.text()?).ok_or_else(|| self.wrong("a resource, such as NOFILE"))
    }

    /// The script of a grandchild, checked here so that a slip shows before anything runs.
    fn script(&self) -> Result<Vec<String>, Wrong> {
        let parts = split(self.text()?);
        let arguments: Vec<OsString> = parts.iter().map(OsString::from).collect();
        parse(&arguments)?;
        Ok(parts)
    }
}

/// Splits a nested script at its commas, save those inside `[..]`; brackets around the whole are taken off.
fn split(script: &str) -> Vec<String> {
    let script = match script.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) if balanced(inner) => inner,
        _ => script,
    };
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for letter in script.chars() {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether no bracket of the text closes one that was opened before it.
fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for letter in text.chars() {
        depth += match letter {
            '[' => 1,
            ']' => -1,
            _ => 0,
        };
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests;

//! Runs the steps, one after the other.

use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::os::{self, Code, family, inspect, signals};
use crate::script::Script;
use crate::step::{Step, Stream};
use crate::{input, output};

/// A step that could not be done.
#[derive(Debug)]
pub(crate) struct Failed {
    step: String,
    why: io::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

/// Runs the steps of one script, in the main thread or in that of a handler.
pub(crate) struct Runner<'a> {
    steps: &'a [Step],
    operands: &'a [OsString],
    /// The arguments of this process; empty where nothing can be executed anew.
    raw: &'a [OsString],
    /// What `memory` took.
    held: Vec<Vec<u8>>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(script: &'a Script) -> Self {
        Self { steps: &script.steps, operands: &script.operands, raw: &script.raw, held: Vec::new() }
    }

    /// A runner for the script of a handler.
    #[cfg(unix)]
    pub(crate) fn of_handler(steps: &'a [Step]) -> Self {
        Self { steps, operands: &[], raw: &[], held: Vec::new() }
    }

    /// Runs every step; the code is the one that `main` returns.
    pub(crate) fn run_main(&mut self) -> Result<Code, Failed> {
        let steps = self.steps;
        for (index, step) in steps.iter().enumerate() {
            let done = match step {
                Step::ExitAfterMain(code) => return Ok(*code),
                Step::Ignore(ignored) => Err(signals::ignore(ignored, &self.raw[index + 1..])),
                step => self.step(step),
            };
            done.map_err(|why| Failed { step: format!("{step:?}"), why })?;
        }
        Ok(0)
    }

    fn step(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write(Stream::Out, text) => output::write_all(io::stdout(), text),
            Step::Write(Stream::Err, text) => output::write_all(io::stderr(), text),
            Step::Bytes(Stream::Out, count) => output::bytes(io::stdout(), *count),
            Step::Bytes(Stream::Err, count) => output::bytes(io::stderr(), *count),
            Step::Both(count) => output::both(*count),
            Step::Lines(count) => output::lines(*count),
            Step::Alternate(count) => output::alternate(*count),
            Step::Drip(count) => output::drip(*count),
            Step::Tick(count, pause) => output::tick(*count, *pause),
            Step::WriteUntilEpipe => output::until_epipe(),
            Step::WriteFd(fd, text) => output::write_all(os::numbered(*fd, true)?, text),
            Step::ReadFd(fd) => input::copy(&os::numbered(*fd, false)?).map(drop),
            Step::Cat => input::copy(&io::stdin()).map(drop),
            Step::EchoStdin => input::echo(),
            Step::ReadStdinLine => input::line(),
            Step::StdinCount => output::say(&input::drain()?.to_string()),
            Step::EofWait => input::drain().map(drop),
            Step::Close(which) => os::close(*which),
            Step::Catch(caught) => signals::catch(caught),
            Step::Block(blocked) => signals::block(blocked),
            Step::On(signal, script) => signals::on(*signal, script),
            Step::KillSelf(signal) => os::kill_self(*signal),
            Step::StopSelf => os::stop_self(),
            Step::Query(query) => {
                output::write_all(io::stdout(), inspect::answer(query, self.operands)?.as_bytes())
            }
            Step::Spawn(birth, script) => family::spawn(*birth, script),
            Step::WaitChildren => family::wait_children(),
            Step::Setsid => os::setsid(),
            Step::Setpgid => os::setpgid(),
            Step::Sleep(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Step::Hang => loop {
                std::thread::park();
            },
            Step::Spin(time) => {
                spin(*time);
                Ok(())
            }
            Step::Memory(size) => self.hold(*size),
            Step::WaitFile(path) => wait_file(Path::new(path)),
            Step::Touch(path) => OpenOptions::new().create(true).append(true).open(path).map(drop),
            Step::Abort => std::process::abort(),
            Step::Segv => signals::segv(),
            Step::Exit(code) => os::exit(*code),
            Step::Flush => Ok(()),
            Step::Ignore(_) | Step::ExitAfterMain(_) => unreachable!("done by run_main, refused in handlers"),
        }
    }

    fn hold(&mut self, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(io::Error::other)?;
        // Not zero: zeroed memory would come untouched from the kernel.
        self.held.push(vec![1; size]);
        Ok(())
    }
}

fn spin(time: Option<Duration>) {
    let start = Instant::now();
    while time.is_none_or(|time| start.elapsed() < time) {
        std::hint::spin_loop();
    }
}

fn wait_file(path: &Path) -> io::Result<()> {
    while !path.try_exists()? {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

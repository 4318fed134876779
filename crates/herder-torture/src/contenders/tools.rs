//! The programs that people type: `herder run`, timeout(1), `xargs -P`, GNU parallel.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Contender, Version};
use crate::adapter::{Cell, Feed, Job};
use crate::protocol::{Answer, Captured, Ended, Refusal, Said};
use crate::scenario::{Act, Capture, Crowd, End, Fault, Hygiene, Scenario, Status};

pub(super) fn all() -> Vec<Contender> {
    vec![
        Contender {
            name: "herder run",
            used: "`herder run -k 300ms -t TIME -- COMMAND`",
            version: Version::Ours,
            play: |cell, scenario| played(cell, scenario, herder_run),
        },
        Contender {
            name: "timeout",
            used: "`timeout -k 0.3 TIME COMMAND`",
            version: Version::Says("timeout"),
            play: |cell, scenario| played(cell, scenario, timeout),
        },
        Contender {
            name: "xargs",
            used: "`xargs -P 4 COMMAND`, with one line of input",
            version: Version::Says("xargs"),
            play: |cell, scenario| played(cell, scenario, xargs),
        },
        Contender {
            name: "parallel",
            used: "`parallel --timeout TIME --termseq TERM,300,KILL,25 COMMAND`, with one line of input",
            version: Version::Says("parallel"),
            play: |cell, scenario| played(cell, scenario, parallel),
        },
    ]
}

/// How a program is typed for a command and a limit; `None`: it has no limits.
type Typed = fn(&[OsString], Option<Duration>) -> Option<Line>;

/// A command line, and whether a line of input has to be there for it.
struct Line {
    words: Vec<OsString>,
    reads_a_line: bool,
}

fn seconds(limit: Duration) -> String {
    format!("{}", limit.as_secs_f64())
}

fn line(words: &[&str], command: &[OsString]) -> Line {
    let words = words.iter().map(OsString::from).chain(command.iter().cloned()).collect();
    Line { words, reads_a_line: false }
}

/// The program of the same build.
pub(crate) fn herder_program() -> PathBuf {
    test_child::path().with_file_name("herder")
}

fn herder_run(command: &[OsString], limit: Option<Duration>) -> Option<Line> {
    let program = herder_program();
    let mut words = vec![program.to_str()?, "run", "-k", "300ms"];
    let time = limit.map(|limit| seconds(limit) + "s");
    if let Some(time) = &time {
        words.extend(["-t", time]);
    }
    words.push("--");
    Some(line(&words, command))
}

fn timeout(command: &[OsString], limit: Option<Duration>) -> Option<Line> {
    // 0 is no limit.
    let time = seconds(limit.unwrap_or(Duration::ZERO));
    Some(line(&["timeout", "-k", "0.3", &time], command))
}

fn xargs(command: &[OsString], limit: Option<Duration>) -> Option<Line> {
    if limit.is_some() {
        return None;
    }
    Some(Line { reads_a_line: true, ..line(&["xargs", "-P", "4", "-I", "{}"], command) })
}

fn parallel(command: &[OsString], limit: Option<Duration>) -> Option<Line> {
    let time = limit.map(seconds);
    let mut words = vec!["parallel", "--will-cite", "--quote", "--termseq", "TERM,300,KILL,25", "-n0"];
    if let Some(time) = &time {
        words.extend(["--timeout", time]);
    }
    Some(Line { reads_a_line: true, ..line(&words, command) })
}

fn played(cell: &Cell, scenario: &Scenario, typed: Typed) -> Option<Answer> {
    let said = match &scenario.act {
        Act::Meet(tree, end) => meet(cell, &cell.tree(tree), *end, typed),
        act => passed_on(cell, act, typed),
    };
    Some(said.unwrap_or_else(Answer::from))
}

const NO_HANDLE: &str = "a program has no handle";

fn not_offered<T>(why: &'static str) -> Said<T> {
    Err(Refusal::NotOffered(why))
}

/// Becomes the program.
fn meet(cell: &Cell, job: &Job, end: End, typed: Typed) -> Said<Answer> {
    let limit = match end {
        End::Timeout => Some(cell.stretched(Duration::from_millis(800))),
        End::LeaderGoes | End::Signal(_) | End::KillGroup => None,
        _ => return not_offered(NO_HANDLE),
    };
    let (mut command, _) = prepared(cell, job, limit, typed)?;
    Err(command.stdout(Stdio::null()).exec().into())
}

fn prepared(cell: &Cell, job: &Job, limit: Option<Duration>, typed: Typed) -> Said<(Command, bool)> {
    let command: Vec<_> = std::iter::once(job.program.clone()).chain(job.args.iter().cloned()).collect();
    let Some(line) = typed(&command, limit) else { return not_offered("no limit of time") };
    let mut command = Command::new(&line.words[0]);
    command.args(&line.words[1..]).envs(job.envs.iter().map(|(name, value)| (name, value)));
    if line.reads_a_line {
        let path = cell.path("line");
        std::fs::write(&path, "1\n")?;
        command.stdin(File::open(path)?);
    } else {
        command.stdin(Stdio::null());
    }
    Ok((command, line.reads_a_line))
}

/// What can be asked of a program that runs one command: its output, and its status.
fn passed_on(cell: &Cell, act: &Act, typed: Typed) -> Said<Answer> {
    let codes = |steps: &[&str]| -> Said<Ended> {
        let job = cell.steps(steps);
        Ok(captured(cell, &job, None, typed)?.ended.unwrap_or(Ended::Unknown))
    };
    match act {
        Act::Capture(capture) => capture_act(cell, capture, typed),
        Act::Status(Status::AllCodes) => {
            let mut all = Vec::new();
            for code in 0..256 {
                all.push(codes(&[&format!("exit:{code}")])?);
                // A wrong one says it all, and some of them are slow to start.
                if all.last() != Some(&Ended::Code(code)) {
                    break;
                }
            }
            Ok(Answer::Ended(all))
        }
        Act::Status(Status::Ignored) => Ok(Answer::Ended(vec![codes(&["exit:3"])?])),
        Act::Crowd(Crowd::ZombiesAfterWaits | Crowd::ZombiesAfterDrops) => not_offered(NO_HANDLE),
        Act::Fault(Fault::SecretInSpawnError) => {
            let mut job = Job::new("/no-such-program", ["--".into(), crate::judge::SECRET.into()]);
            job.envs.push(("TOKEN".into(), crate::judge::SECRET.into()));
            Ok(Answer::Texts(vec![said_on_stderr(cell, &job, typed)?]))
        }
        Act::Hygiene(Hygiene::BlockedSignals | Hygiene::OpenDescriptor | Hygiene::ConcurrentDescriptors) => {
            not_offered("what a program is given is its caller's affair")
        }
        _ => not_offered(NO_HANDLE),
    }
}

fn capture_act(cell: &Cell, capture: &Capture, typed: Typed) -> Said<Answer> {
    let job = cell.captured(capture);
    if !matches!(job.feed, Feed::Null) || capture.one_thread {
        return not_offered("standard input is its caller's affair");
    }
    if job.at_defaults {
        return not_offered("its output is its caller's");
    }
    let limit = capture.limit.map(|limit| cell.stretched(limit));
    let mut captured = captured(cell, &job, limit, typed)?;
    // timeout(1), and who follows it.
    captured.timed_out = limit.is_some();
    Ok(Answer::Captured(Box::new(captured)))
}

#[expect(clippy::disallowed_methods, reason = "the caller of a program is not what is put to the test")]
fn captured(cell: &Cell, job: &Job, limit: Option<Duration>, typed: Typed) -> Said<Captured> {
    let (mut command, _) = prepared(cell, job, limit, typed)?;
    let output = command.output()?;
    Ok(Captured::of(output.status.into(), &output.stdout, &output.stderr))
}

fn said_on_stderr(cell: &Cell, job: &Job, typed: Typed) -> Said<String> {
    let captured = captured(cell, job, None, typed)?;
    Ok(String::from_utf8_lossy(&captured.stderr.head).into_owned())
}

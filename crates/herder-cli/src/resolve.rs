//! What was typed, turned into what is done: all checks that need more than one word, and their messages.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use herder::contain::Limit;
use herder::os::unix::CommandExt;
use herder::{Command, Signal, Stdio, Termination};

use crate::accounts;
use crate::args::{LimitArgs, RunArgs, ScopeKind, ShareArgs, SurroundingArgs};
use crate::fds;
use crate::message::Voice;
use crate::report::Subject;
use crate::scope::Wanted;
use crate::sink::Sink;
use crate::terminal;

mod output;

pub(crate) use output::{Output, Through};

/// All there is to know before the program is started.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) command: Command,
    pub(crate) subject: Subject,
    pub(crate) stop: Stop,
    /// The limit of the whole run.
    pub(crate) timeout: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    /// Whether the program gets its keyboard signals from the terminal, as we do.
    pub(crate) shares_terminal: bool,
    pub(crate) scope: Wanted,
    pub(crate) output: Output,
    pub(crate) sink: Option<Sink>,
    pub(crate) preserve_status: bool,
    pub(crate) voice: Voice,
}

/// How the program is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    policy: Termination,
    /// The grace period, if nobody said how this program wants to be stopped.
    unspecified: Option<Duration>,
}

impl Stop {
    fn new(args: &LimitArgs) -> Self {
        if let Some(policy) = &args.stop {
            return Self { policy: policy.clone(), unspecified: None };
        }
        // As with timeout(1), 0 switches the limit off.
        let grace =
            args.kill_after.map_or(Termination::DEFAULT_GRACE, |grace| limit(grace).unwrap_or(Duration::MAX));
        let policy = match args.signal {
            Some(Signal::KILL) => Termination::kill(),
            signal => Termination::new().signal(signal.unwrap_or(Signal::TERM), grace),
        };
        Self { policy, unspecified: args.signal.is_none().then_some(grace) }
    }

    /// What a limit does.
    pub(crate) fn policy(&self) -> &Termination {
        &self.policy
    }

    /// How long what the program leaves behind may take, once it has been asked to end.
    pub(crate) fn grace(&self) -> Duration {
        self.policy.total_grace()
    }

    /// What `signal`, sent to us, does.
    ///
    /// Whoever says how the program wants to be stopped means always. Otherwise it gets the very signal first: many
    /// programs tell an interrupt, which is a person's wish, from a termination, and a hangup from both. One that
    /// does not care for it is terminated, then killed.
    pub(crate) fn on(&self, signal: Signal) -> Termination {
        match self.unspecified {
            Some(grace) if signal != Signal::TERM => {
                Termination::new().signal(signal, grace).signal(Signal::TERM, grace)
            }
            _ => self.policy.clone(),
        }
    }

    /// A policy tells its steps only in the form in which it is typed.
    fn closes_stdin(&self) -> bool {
        self.policy.to_string().split(',').any(|step| step.starts_with("stdin:"))
    }
}

/// Gives the plan, or what is wrong.
pub(crate) fn resolve(args: RunArgs) -> Result<Plan, String> {
    let RunArgs { limits, scope, share, surroundings, output, command: words } = args;
    let (program, arguments) = words.split_first().ok_or("no program is named")?;
    if program.is_empty() {
        return Err("the name of the program is empty".into());
    }
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(name) = &surroundings.name {
        command.name(name);
    }
    surround(&mut command, &surroundings)?;
    let stop = Stop::new(&limits);
    stdin(&mut command, surroundings.stdin.as_deref(), stop.closes_stdin())?;
    // In a group of its own the program could not read from the terminal, whose keyboard would not reach it.
    let stays =
        !limits.group && !matches!(scope.scope, ScopeKind::Group | ScopeKind::Keeper | ScopeKind::Pidns);
    let shares_terminal = stays && terminal::is_ours();
    let scope = Wanted::new(&scope, limits.group, shares_terminal)?;
    scope.apply(&mut command);
    limit_share(&mut command, &share);
    command.termination(stop.policy().clone());
    let [timeout, idle] = [limits.timeout, limits.idle].map(|time| time.and_then(limit));
    timeout.map(|timeout| command.timeout(timeout));
    idle.map(|idle| command.idle_timeout(idle));
    let sink = output.json.as_deref().map(Sink::open).transpose()?;
    pass_descriptors(&mut command, sink.as_ref());
    let subject = Subject {
        name: surroundings.name.unwrap_or_else(|| file_name(program)),
        program: program.to_string_lossy().into_owned(),
        started: SystemTime::now(),
    };
    Ok(Plan {
        output: output::output(&mut command, &output, idle)?,
        command,
        subject,
        stop,
        timeout,
        idle,
        shares_terminal,
        scope,
        sink,
        preserve_status: limits.preserve_status,
        voice: Voice { quiet: output.quiet },
    })
}

fn limit_share(command: &mut Command, share: &ShareArgs) {
    let limits = [
        share.memory.map(|bytes| Limit::Memory(bytes as u64)),
        share.pids.map(Limit::Processes),
        share.cpu.map(Limit::Cpu),
    ];
    for limit in limits.into_iter().flatten() {
        command.limit(limit);
    }
    command.require_limits(share.require_limits);
}

/// A limit of 0 is none, as with timeout(1).
fn limit(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

fn file_name(program: &OsStr) -> String {
    Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

fn surround(command: &mut Command, args: &SurroundingArgs) -> Result<(), String> {
    if let Some(dir) = &args.chdir {
        command.current_dir(dir);
    }
    if args.env_clear {
        command.env_clear();
    }
    for key in &args.env_remove {
        command.env_remove(key);
    }
    for variable in &args.env {
        let (key, value) = key_and_value(variable)?;
        command.env(key, value);
    }
    if let Some(nice) = args.nice {
        command.nice(nice);
    }
    let root = rustix::process::geteuid().is_root();
    let identity = accounts::identify(args.uid.as_deref(), args.gid.as_deref(), root)?;
    identity.uid.map(|uid| command.uid(uid));
    identity.gid.map(|gid| command.gid(gid));
    identity.groups.map(|groups| command.groups(&groups));
    Ok(())
}

/// The message does not show the word: it may be a secret whose key was forgotten.
fn key_and_value(variable: &OsString) -> Result<(&OsStr, &OsStr), String> {
    let bytes = variable.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(0) => Err("--env: the name in front of the equals sign is empty".into()),
        Some(at) => Ok((OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]))),
        None => Err("--env: write KEY=VALUE; an equals sign is missing".into()),
    }
}

/// Sets where input comes from.
///
/// Only a pipe of ours can be closed while the program runs: what it shares with others stays open.
fn stdin(command: &mut Command, place: Option<&Path>, through_pipe: bool) -> Result<(), String> {
    match place.map(|place| (place, place.to_str())) {
        None | Some((_, Some("inherit"))) => {
            if through_pipe {
                command.stdin(Stdio::reader(tokio::io::stdin()));
            }
        }
        Some((_, Some("null"))) => {
            command.stdin(Stdio::null());
        }
        Some((path, _)) => {
            let file = File::open(path)
                .map_err(|error| format!("--stdin: can't open {}: {error}", path.display()))?;
            command.stdin(if through_pipe {
                Stdio::reader(tokio::fs::File::from_std(file))
            } else {
                Stdio::from(file)
            });
        }
    }
    Ok(())
}

/// The program gets every descriptor that we were given, as from a shell, but that of the report: whoever reads the
/// report to its end must not wait for the last descendant of the program.
fn pass_descriptors(command: &mut Command, sink: Option<&Sink>) {
    let copies = sink.and_then(|sink| sink.fd).map(fds::inherited_but);
    match copies {
        Some(Ok(copies)) => {
            for (number, copy) in copies {
                command.fd(number, copy);
            }
        }
        // Where the kernel has no copies, one descriptor too many is the lesser evil.
        Some(Err(_)) | None => {
            command.inherit_fds(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Job};
    use clap::Parser;

    fn args(line: &[&str]) -> RunArgs {
        match Cli::try_parse_from(["herder", "run"].iter().chain(line)).unwrap().job {
            Job::Run(args) => *args,
            job => panic!("{job:?}"),
        }
    }

    fn stop(line: &[&str]) -> Stop {
        Stop::new(&args(&[line, &["true"]].concat()).limits)
    }

    #[test]
    fn the_ladder_begins_with_the_signal_that_came_unless_one_was_named() {
        let show = |stop: &Stop, signal| stop.on(signal).to_string();
        let plain = stop(&["-k", "3"]);
        assert_eq!(plain.policy().to_string(), "TERM:3s");
        assert_eq!(show(&plain, Signal::TERM), "TERM:3s");
        assert_eq!(show(&plain, Signal::INT), "INT:3s,TERM:3s");
        assert_eq!(show(&plain, Signal::HUP), "HUP:3s,TERM:3s");
        let named = stop(&["-s", "USR1"]);
        assert_eq!(show(&named, Signal::INT), "USR1:10s");
        let steps = stop(&["--stop", "stdin:2s,INT:1s"]);
        assert_eq!(show(&steps, Signal::HUP), "stdin:2s,INT:1s");
        assert!(steps.closes_stdin() && !plain.closes_stdin());
        assert_eq!(stop(&["-s", "KILL"]).policy(), &Termination::kill());
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(stop(&["-k", "0"]).policy(), &Termination::new().signal(Signal::TERM, Duration::MAX));
        let plan = resolve(args(&["-t", "0", "--idle", "0", "--stdin", "null", "true"])).unwrap();
        assert_eq!((plan.timeout, plan.idle), (None, None));
        assert!(matches!(plan.output, Output::Inherited));
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        let wrong = |line: &[&str]| resolve(args(&[line, &["true"]].concat())).unwrap_err();
        let error = wrong(&["-e", "hunter2"]);
        assert!(error.contains("KEY=VALUE") && !error.contains("hunter2"), "{error}");
        assert!(wrong(&["-e", "=hunter2"]).contains("empty"));
        assert!(wrong(&["--stdin", "/no/such"]).contains("/no/such"));
        assert!(wrong(&["--uid", "no such"]).contains("no such"));
        assert!(wrong(&["--json", "/no/such/file"]).contains("/no/such/file"));
        assert!(resolve(args(&["--", ""])).is_err());
    }
}

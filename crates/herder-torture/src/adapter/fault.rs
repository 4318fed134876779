//! Starts that can't succeed, and texts that people see.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::crowd::open_descriptors;
use super::{Cell, Job, Library, multi_thread, not_offered};
use crate::protocol::{Answer, Refusal, Said};
use crate::scenario::Fault;

/// What must be in no text.
pub(crate) const SECRET: &str = "hunter2";
/// What is not there.
pub(crate) const MISSING: &str = "no-such-thing";

pub(super) fn play<L: Library>(cell: &Cell, fault: Fault) -> Said<Answer> {
    match fault {
        Fault::MissingProgram => start::<L>(&Job::new(MISSING, [])),
        Fault::MissingFolder => {
            let mut job = cell.steps(&[]);
            job.folder = Some(cell.path(MISSING));
            start::<L>(&job)
        }
        Fault::MissingInterpreter => {
            start::<L>(&Job::new(file(cell, &format!("#!/{MISSING}\nexit 0\n"), 0o755)?, []))
        }
        Fault::NotExecutable => start::<L>(&Job::new(file(cell, "#!/bin/sh\nexit 0\n", 0o644)?, [])),
        Fault::Garbage => start::<L>(&Job::new(file(cell, "\u{7f}NOT AN ELF FILE\n", 0o755)?, [])),
        Fault::BusyText => busy::<L>(cell),
        Fault::LongArgument => {
            let long = SECRET.repeat((4 << 20) / SECRET.len());
            start::<L>(&Job::new(test_child::path(), [long.into()]))
        }
        Fault::NulInArgument => start::<L>(&Job::new(test_child::path(), ["exit:3\0,exit:4".into()])),
        Fault::SecretInSpawnError => failed::<L>(&with_secrets(Job::new("/no-such-program", [])), false),
        Fault::SecretInFailure => failed::<L>(&with_secrets(cell.steps(&["exit:3"])), true),
        Fault::SecretInDebug => Ok(Answer::Texts(vec![L::debug(&with_secrets(cell.steps(&[])))?])),
        Fault::FewDescriptors => few_descriptors::<L>(cell),
    }
}

fn start<L: Library>(job: &Job) -> Said<Answer> {
    Ok(Answer::Captured(Box::new(multi_thread().block_on(L::capture(job, None))?)))
}

fn file(cell: &Cell, text: &str, mode: u32) -> Said<PathBuf> {
    let path = cell.path("file");
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(path)
}

/// As right after a build or a download, when a child of another thread still holds the file.
fn busy<L: Library>(cell: &Cell) -> Said<Answer> {
    let path = cell.path("program");
    fs::copy(test_child::path(), &path)?;
    let writer = File::options().append(true).open(&path)?;
    let closer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        drop(writer);
    });
    let answer = start::<L>(&Job::new(path, ["print:hello".into()]));
    drop(closer.join());
    answer
}

fn with_secrets(mut job: Job) -> Job {
    job.args.extend(["--".into(), SECRET.into()]);
    job.envs.push(("TOKEN".into(), SECRET.into()));
    job
}

fn failed<L: Library>(job: &Job, checked: bool) -> Said<Answer> {
    let failed = multi_thread().block_on(async {
        if checked { L::checked(job).await } else { L::capture(job, None).await.map(drop) }
    });
    match failed {
        Ok(()) => Ok(Answer::Done),
        Err(Refusal::Trouble(trouble)) => Ok(Answer::Texts(vec![trouble.text, trouble.debug])),
        Err(refusal) => Err(refusal),
    }
}

/// One run in want of descriptors, and one when there are enough again.
fn few_descriptors<L: Library>(cell: &Cell) -> Said<Answer> {
    let runtime = multi_thread();
    let job = cell.steps(&["print:hello"]);
    let run = || runtime.block_on(L::capture(&job, None));
    run()?;
    let before = open_descriptors()?;
    let (usual, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let highest = fs::read_dir("/proc/self/fd")?.flatten();
    let numbers = highest.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let highest = numbers.max().unwrap_or(0);
    let mut fillers = Vec::new();
    // Two more than are open, and no gap below them.
    setrlimit(Resource::RLIMIT_NOFILE, highest + 3, most)?;
    while let Ok(filler) = File::open("/dev/null") {
        fillers.push(filler);
    }
    fillers.truncate(fillers.len().saturating_sub(2));
    let want = run();
    setrlimit(Resource::RLIMIT_NOFILE, usual, most)?;
    drop(fillers);
    if let Err(Refusal::NotOffered(why)) = want {
        return not_offered(why);
    }
    let again = run()?;
    let right = again.stdout.head == b"hello";
    let after = open_descriptors()?;
    let numbers = [("right", usize::from(right)), ("before", before), ("after", after)];
    Ok(Answer::Numbers(numbers.into_iter().map(|(name, number)| (name.to_owned(), number as u64)).collect()))
}

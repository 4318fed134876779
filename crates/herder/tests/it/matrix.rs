//! The escape matrix: what a tree does to get away, against what happens to it or to its owner.
//!
//! The owner is this program again, with one test that is none: it starts the tree, says so, and meets its end. That
//! nobody is left is seen from outside: all of the tree hold the end of a pipe. So is that no folder is left.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child as Owner, Command as Program, Stdio as OwnerStdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use herder::contain::{Strength, host};
use herder::os::unix::CommandExt;
use herder::{Command, Signal, Stdio, Termination};
use nix::sys::signal::{Signal as Number, kill};
use nix::unistd::{Pid, Uid};

use crate::support::{fixture, line, multi_thread, within};

/// The promise.
const SECOND: Duration = Duration::from_secs(1);
/// Under which number the tree holds its end of the pipe.
const LEASH: i32 = 9;
/// Says to the owner what to do.
const TOLD: &str = "HERDER_TEST_MATRIX";

/// What a tree does, as steps of the fixture, or as a script of sh; and how many say that they are up.
const TREES: [(&str, &[&str], usize); 12] = [
    ("same group", &["spawn:mark:up,hang", "mark:up", "hang"], 2),
    (
        "ignores TERM",
        &["spawn:[ignore:TERM+HUP+INT,mark:up,hang]", "ignore:TERM+HUP+INT", "mark:up", "hang"],
        2,
    ),
    ("stopped", &["spawn:[mark:up,stop-self]", "mark:up", "hang"], 2),
    ("200 at once", &["sh", "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo up; wait"], 1),
    ("leader goes", &["spawn:[mark:up,hang]", "mark:up", "exit:0"], 2),
    ("setpgid", &["spawn:[setpgid,mark:up,hang]", "mark:up", "hang"], 2),
    ("setsid", &["spawn-setsid:[mark:up,hang]", "mark:up", "hang"], 2),
    ("double fork", &["spawn-detached:[mark:up,hang]", "mark:up", "hang"], 2),
    (
        "daemon",
        &["spawn-detached:[spawn-setsid:[ignore:TERM,mark:up,hang],mark:up,hang]", "mark:up", "exit:0"],
        3,
    ),
    ("chain", &["sh", "c='sh -c \"$c\" &'; export c; eval \"$c\"; echo up; exec sleep 1000"], 1),
    ("another user", &["sh", "(setsid sleep 1000 &) ; echo up; exec sleep 1000"], 1),
    ("other cgroup", &["sh", "echo $$ > \"$ROOT/cgroup.procs\" && echo up; exec sleep 1000"], 1),
];

/// What a process group holds, while its owner lives.
const HELD_BY_GROUP: usize = 5;

/// What happens: to the tree alone, and then to the owner, by itself and from outside.
const ENDS: [&str; 15] = [
    "kill",
    "terminate",
    "timeout",
    "drop",
    "panic",
    "cancel",
    "shutdown",
    "exit",
    "return",
    "abort",
    "TERM",
    "INT",
    "HUP",
    "KILL",
    "KILL group",
];
const WHILE_OWNER_LIVES: usize = 7;

/// Not a test by itself: the owner.
#[test]
fn an_owner() {
    let Ok(told) = std::env::var(TOLD) else { return };
    let told: Vec<_> = told.split('/').collect();
    let [tree, end, pid, fd] = told[..] else { panic!("{told:?}") };
    let (_, steps, ups) = TREES.into_iter().find(|(name, ..)| *name == tree).unwrap();
    let mut command = match steps {
        ["sh", script] => {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        }
        steps => fixture(steps),
    };
    let leash = File::options().write(true).open(format!("/proc/{pid}/fd/{fd}")).unwrap();
    command.fd(LEASH, OwnedFd::from(leash)).stdin(Stdio::null()).stdout(Stdio::piped());
    let brisk = Termination::new().signal(Signal::TERM, Duration::from_millis(50));
    command.termination(brisk.clone());
    match tree {
        "another user" => _ = command.uid(65534).gid(65534),
        "other cgroup" => _ = command.env("ROOT", mounted().unwrap()),
        _ => {}
    }
    if end == "timeout" {
        command.timeout(Duration::from_millis(200));
    }
    let runtime = multi_thread();
    let mut child = runtime.block_on(within(async {
        let mut child = command.spawn_async().await.unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        for _ in 0..ups {
            assert_eq!(line(stdout).await, "up");
        }
        child
    }));
    drop(command);
    let mut stdout = std::io::stdout();
    stdout.write_all(b"ready\n").unwrap();
    let mut input = BufReader::new(std::io::stdin());
    input.read_line(&mut String::new()).unwrap();
    match end {
        "kill" => runtime.block_on(child.kill()).unwrap(),
        "terminate" => _ = runtime.block_on(child.terminate(&brisk)).unwrap(),
        "timeout" => _ = runtime.block_on(child.wait_with_output()).unwrap(),
        "drop" => drop(child),
        "panic" => {
            let task = runtime.spawn(async move {
                let _child = child;
                std::panic::resume_unwind(Box::new("on purpose"));
            });
            assert!(runtime.block_on(task).unwrap_err().is_panic());
        }
        "cancel" => {
            let output = child.wait_with_output();
            let limit = async { tokio::time::timeout(Duration::from_millis(5), output).await };
            // A leader that has gone already is no surprise.
            drop(runtime.block_on(limit));
        }
        "shutdown" => {
            runtime.spawn(async move { child.wait().await });
            runtime.shutdown_background();
        }
        "exit" => std::process::exit(0),
        "return" => {
            // As with one in a static: no drop ends it.
            let _kept = std::mem::ManuallyDrop::new(child);
            return;
        }
        "abort" => std::process::abort(),
        _ => {}
    }
    // Until the other end is closed.
    drop(input.read_to_end(&mut Vec::new()));
}

/// Where the hierarchy of cgroups is mounted.
fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_cgroups = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    of_cgroups.split(' ').nth(4).map(PathBuf::from)
}

/// The folders of an owner, where one of ours would have them.
fn folders(owner: u32) -> Vec<PathBuf> {
    let ours = fs::read_to_string("/proc/self/cgroup").unwrap();
    let inside = ours.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let Some(here) = mounted().map(|mounted| mounted.join(inside)) else { return Vec::new() };
    let entries = [Some(here.as_path()), here.parent()].into_iter().flatten().flat_map(fs::read_dir);
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    let name = format!("herder-{owner}-");
    paths.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&name)).collect()
}

#[expect(clippy::disallowed_methods, reason = "this program is not under test")]
fn start(tree: &str, end: &str, fd: i32) -> Owner {
    let mut owner = Program::new(std::env::current_exe().unwrap());
    owner.args(["matrix::an_owner", "--exact", "--nocapture", "--test-threads=2"]);
    owner.env(TOLD, format!("{tree}/{end}/{}/{fd}", std::process::id())).process_group(0);
    owner.stdin(OwnerStdio::piped()).stdout(OwnerStdio::piped()).stderr(OwnerStdio::null());
    owner.spawn().unwrap()
}

/// Runs one cell, again if its owner did not get as far as to have a tree: such an owner shows nothing of what is
/// tested here. (Seen once in a thousand cells: the owner was killed before its first line, by whom is not known.)
fn cell_with_tree(tree: &str, end: &str) -> Result<Duration, String> {
    let mut answer = cell(tree, end);
    for _ in 0..2 {
        if !answer.as_ref().is_err_and(|error| error.starts_with(NO_TREE)) {
            break;
        }
        answer = cell(tree, end);
    }
    answer
}

const NO_TREE: &str = "no tree";

/// Runs one cell: the time until nobody was left and no folder, or what was left.
fn cell(tree: &str, end: &str) -> Result<Duration, String> {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut owner = start(tree, end, writer.as_raw_fd());
    let mut said = BufReader::new(owner.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("ready\n") {
        if said.read_line(&mut text).unwrap() == 0 {
            let status = owner.wait().unwrap();
            return Err(format!("{NO_TREE}: {status}\n{text}"));
        }
    }
    drop(writer);
    let pid = Pid::from_raw(owner.id().cast_signed());
    let begin = Instant::now();
    match end {
        "KILL group" => nix::sys::signal::killpg(pid, Number::SIGKILL).unwrap(),
        signal if signal.chars().all(char::is_uppercase) => {
            kill(pid, format!("SIG{signal}").parse::<Number>().unwrap()).unwrap();
        }
        _ => owner.stdin.as_mut().unwrap().write_all(b"go\n").unwrap(),
    }
    let held = format!("pipe:[{}]", std::os::unix::fs::MetadataExt::ino(&leash_data(&reader)));
    let gone = is_free(&reader);
    let took = begin.elapsed();
    drop(owner.stdin.take());
    owner.wait().unwrap();
    let ended = Instant::now();
    while !folders(owner.id()).is_empty() && ended.elapsed() < SECOND {
        std::thread::sleep(Duration::from_millis(1));
    }
    let left = folders(owner.id());
    let survivors = survivors(&held);
    for pid in &survivors {
        // It may be gone by now.
        let _ = kill(*pid, Number::SIGKILL);
    }
    match (gone, left.is_empty()) {
        (true, true) => Ok(took),
        (false, _) => Err(format!("alive after {took:?}: {survivors:?}")),
        (_, false) => Err(format!("left: {left:?}")),
    }
}

fn leash_data(reader: &PipeReader) -> fs::Metadata {
    fs::metadata(format!("/proc/self/fd/{}", reader.as_raw_fd())).unwrap()
}

/// Whether nobody holds the other end, a second from now at the latest.
fn is_free(reader: &PipeReader) -> bool {
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut reader = reader.try_clone().unwrap();
    std::thread::spawn(move || sender.send(reader.read(&mut [0])));
    matches!(receiver.recv_timeout(SECOND), Ok(Ok(0)))
}

/// Who holds the pipe, this program excepted.
fn survivors(held: &str) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let link = fs::read_link(entry.path().join(format!("fd/{LEASH}")));
        if link.is_ok_and(|link| link.to_string_lossy() == held) && pid != std::process::id().cast_signed() {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}

#[test]
fn nobody_escapes() {
    let best = host().into_iter().find(|(_, able)| able.is_ok()).unwrap().0;
    let root = Uid::effective().is_root();
    let has = |tree: usize, end: usize| match TREES[tree].0 {
        // Nothing but a cgroup holds them.
        _ if best < Strength::Cgroup => tree < HELD_BY_GROUP - 1 && end < WHILE_OWNER_LIVES,
        "another user" | "other cgroup" => root,
        _ => true,
    };
    let cells: Vec<_> =
        (0..TREES.len()).flat_map(|tree| (0..ENDS.len()).map(move |end| (tree, end))).collect();
    let (next, table) = (AtomicUsize::new(0), Mutex::new(vec![vec![None; ENDS.len()]; TREES.len()]));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(tree, end)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if has(tree, end) {
                        let answer = cell_with_tree(TREES[tree].0, ENDS[end]);
                        table.lock().unwrap()[tree][end] = Some(answer);
                    }
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    let mut text = format!("{best}: milliseconds until nobody is left\n{:14}", "");
    ENDS.iter().for_each(|end| write!(text, "{end:>11}").unwrap());
    for ((tree, ..), row) in TREES.iter().zip(&table) {
        write!(text, "\n{tree:14}").unwrap();
        for cell in row {
            match cell {
                Some(Ok(took)) => write!(text, "{:>11}", took.as_millis()).unwrap(),
                Some(Err(_)) => write!(text, "{:>11}", "LEFT").unwrap(),
                None => write!(text, "{:>11}", "-").unwrap(),
            }
        }
    }
    eprintln!("{text}");
    let failed: Vec<_> = table.iter().flatten().flatten().filter_map(|cell| cell.as_ref().err()).collect();
    assert!(failed.is_empty(), "{text}\n{failed:#?}");
}

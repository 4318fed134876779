//! One cell, seen from outside: all of the tree hold an end of a pipe with a name, and so tell whether one is left.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child as Owner, Command as Program, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal as Number, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use super::LEASH;
use super::owner::{NAMESPACE, PROBE, TOLD};
use super::place::Place;

/// The promise.
const SECOND: Duration = Duration::from_secs(1);
/// So long nobody waits even on a machine that has other things to do; who is left then has got away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks an owner what the strongest is that can be had there.
pub(super) fn strength(place: &Place) -> String {
    let mut owner = program(place, &[], PROBE);
    #[expect(clippy::disallowed_methods, reason = "this program is not under test")]
    let output = owner.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let best = said.lines().find_map(|line| line.strip_prefix("best "));
    best.unwrap_or_else(|| panic!("{}: {}\n{said}", place.name, output.status)).to_owned()
}

/// Runs one cell: the time until nobody was left and no folder, or what was left. One that ends late has two more
/// chances, as the machine may be busy with other tests.
pub(super) fn cell(place: &Place, tree: &str, end: &str) -> Result<Duration, String> {
    for _ in 0..2 {
        let took = once(place, tree, end)?;
        if took <= SECOND {
            return Ok(took);
        }
    }
    match once(place, tree, end)? {
        took if took <= SECOND => Ok(took),
        took => Err(format!("late three times: {took:?}")),
    }
}

fn once(place: &Place, tree: &str, end: &str) -> Result<Duration, String> {
    let (path, leash) = new_leash(place.folder.path());
    let told = format!("{tree}/{end}{}", path.display());
    let (mut owner, terminal) = start(place, end, &told);
    let mut said = BufReader::new(owner.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with("ready\n") {
        if said.read_line(&mut text).unwrap() == 0 {
            let pid = owner.id();
            return Err(format!("no tree of {pid}: {}\n{text}", owner.wait().unwrap()));
        }
    }
    let begin = Instant::now();
    strike(&mut owner, terminal.as_ref(), end);
    let gone = is_free(&leash);
    let took = begin.elapsed();
    drop(owner.stdin.take());
    owner.wait().unwrap();
    let ended = Instant::now();
    while !place.left_by(owner.id()).is_empty() && ended.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = took.max(ended.elapsed());
    let left = place.left_by(owner.id());
    // Not looked for without need: the owner of another cell may have our end of the pipe for a moment, until it
    // executes its program.
    let survivors = if gone { Vec::new() } else { survivors(&path) };
    for pid in &survivors {
        // It may be gone by now.
        let _ = kill(*pid, Number::SIGKILL);
    }
    fs::remove_file(path).unwrap();
    match (gone, left.is_empty()) {
        (true, true) => Ok(took),
        (false, _) => Err(format!("alive after {took:?}: {survivors:?}")),
        (_, false) => Err(format!("left: {left:?}")),
    }
}

fn program(place: &Place, wrap: &[&str], told: &str) -> Program {
    let mut words: Vec<_> = wrap.iter().map(|word| (*word).to_owned()).chain(place.wrap.clone()).collect();
    words.push(place.program.to_str().unwrap().to_owned());
    let mut program = Program::new(&words[0]);
    program.args(&words[1..]).args(["matrix::owner::an_owner", "--exact", "--nocapture", "--test-threads=2"]);
    if place.namespace {
        program.env(NAMESPACE, "1");
    }
    program.env(TOLD, told).stdout(Stdio::piped()).stderr(Stdio::null());
    program
}

/// Starts an owner, and the other end of the terminal that it is in the foreground of.
#[expect(clippy::disallowed_methods, reason = "this program is not under test")]
fn start(place: &Place, end: &str, told: &str) -> (Owner, Option<OwnedFd>) {
    if end != CTRL_C {
        let owner = program(place, &[], told).process_group(0).stdin(Stdio::piped()).spawn();
        return (owner.unwrap(), None);
    }
    let terminal = nix::pty::openpty(None, None).unwrap();
    // No group of its own: setsid(1) would fork.
    let mut owner = program(place, &["setsid", "--ctty"], told);
    (owner.stdin(terminal.slave).spawn().unwrap(), Some(terminal.master))
}

/// What a person types.
pub(super) const CTRL_C: &str = "Ctrl-C";

/// What ends the owner from outside, or the word that it is to go on.
fn strike(owner: &mut Owner, terminal: Option<&OwnedFd>, end: &str) {
    let pid = Pid::from_raw(owner.id().cast_signed());
    match (end, terminal) {
        (_, Some(terminal)) => _ = nix::unistd::write(terminal, b"\x03").unwrap(),
        ("KILL group", _) => killpg(pid, Number::SIGKILL).unwrap(),
        (signal, _) if signal.chars().all(char::is_uppercase) => {
            kill(pid, format!("SIG{signal}").parse::<Number>().unwrap()).unwrap();
        }
        _ => owner.stdin.as_mut().unwrap().write_all(b"go\n").unwrap(),
    }
}

/// A pipe with a name, as an owner of another user can't open ours by its number.
fn new_leash(folder: &Path) -> (PathBuf, File) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let path = folder.join(format!("leash-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    mkfifo(&path, Mode::empty()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    // Not waiting for somebody who writes.
    let ours = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path).unwrap();
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (path, ours)
}

/// Whether nobody holds the other end any more, before the patience is over.
fn is_free(leash: &File) -> bool {
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut leash = leash.try_clone().unwrap();
    std::thread::spawn(move || sender.send(leash.read(&mut [0])));
    matches!(receiver.recv_timeout(PATIENCE), Ok(Ok(0)))
}

/// Who holds the pipe.
fn survivors(leash: &Path) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let link = fs::read_link(entry.path().join(format!("fd/{LEASH}")));
        if link.is_ok_and(|link| link == leash) && pid != std::process::id().cast_signed() {
            found.push(Pid::from_raw(pid));
        }
    }
    found
}

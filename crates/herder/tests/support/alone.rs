//! Tests in a process of their own: for what all threads of a program share.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use super::eventually;

/// Says to the copy which test it is for.
const ALONE: &str = "HERDER_TEST_ALONE";

/// Longer than any of them takes on the slowest machine.
const LIMIT: Duration = Duration::from_secs(100);

/// The folder of all scopes, once more for the next keeper to be told of, and two descriptors for each of the few that
/// are kept open.
pub(crate) const SCOPES_KEPT: usize = 2 + 2 * 16;

/// Runs `body`, a closure in a test, in a process of its own: this program anew, with this test only.
///
/// In the end the copy has no child left, and no more descriptors than before.
pub(crate) fn alone<F: FnOnce()>(body: F) {
    alone_by(&[], body);
}

/// The same, with the copy started by another program, which is given its path and arguments.
pub(crate) fn alone_by<F: FnOnce()>(starter: &[&str], body: F) {
    let (_, name) = std::any::type_name::<F>().split_once("::").unwrap();
    let name = name.trim_end_matches("::{{closure}}");
    if std::env::var_os(ALONE).is_some_and(|alone| alone == name) {
        // Tokio keeps a pair for signals once there was a runtime.
        let runtime = super::current_thread();
        // So does the library for its scopes: the folder of them, and the end of the line to the keeper.
        // (Its status may be lost: that is what some tests are about.)
        drop(runtime.block_on(super::fixture(&[]).status()));
        drop(runtime);
        let before = open_fds();
        body();
        eventually("no child is left", || children().is_empty());
        // What a dropped child holds is closed when it is reaped, and that may not be our business.
        let end = Instant::now() + SETTLE;
        while leftover(&before).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Err((after, before)) = leftover(&before) {
            assert_eq!(after, before, "descriptors");
        }
        return;
    }
    let said = run_test(name, starter);
    if let Err(said) = said {
        panic!("alone: {said}");
    }
}

type Fds = Vec<(i32, String)>;

/// For what takes milliseconds.
const SETTLE: Duration = Duration::from_secs(2);

/// Whether all descriptors are as they were, but for those that are kept; both, if not.
fn leftover(before: &Fds) -> Result<(), (Fds, Fds)> {
    let mut after = open_fds();
    // The reaper keeps its own two.
    after.retain(|fd| before.contains(fd) || !fd.1.starts_with("anon_inode:[event"));
    // A few scopes are kept ready, in a few descriptors each.
    let scopes = format!("/herder-{}-", std::process::id());
    let (kept, after): (Vec<_>, Vec<_>) = after.into_iter().partition(|fd| fd.1.contains(&scopes));
    assert!(kept.len() <= SCOPES_KEPT, "{kept:?}");
    // That runtime may have been on its way out when we looked: without pidfds a thread has waited for it.
    let was_there = |fd: &&(i32, String)| {
        !fd.1.contains(&scopes) && (after.contains(fd) || !fd.1.starts_with("anon_inode:[event"))
    };
    let before: Vec<_> = before.iter().filter(was_there).cloned().collect();
    if after == before { Ok(()) } else { Err((after, before)) }
}

#[expect(clippy::disallowed_methods, reason = "this program is not under test")]
fn run_test(name: &str, starter: &[&str]) -> Result<(), String> {
    let program = std::env::current_exe().unwrap();
    let mut words: Vec<_> = starter.iter().map(std::ffi::OsString::from).collect();
    words.push(program.into());
    // Two threads, so that the test is not on the main thread: most tests and programs are not.
    words.extend([name, "--exact", "--nocapture", "--test-threads=2"].map(Into::into));
    // Not a pipe, which something that was left behind would keep open.
    let mut said = tempfile::tempfile().unwrap();
    let copy = |file: &File| file.try_clone().unwrap();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env(ALONE, name).stdin(Stdio::null());
    // How many keepers wait for the next scope is a matter of luck.
    let disabled = std::env::var("HERDER_DISABLE").unwrap_or_default();
    command.env("HERDER_DISABLE", format!("{disabled},spare_keepers"));
    let mut child = command.stdout(copy(&said)).stderr(copy(&said)).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.to_string();
        }
        if start.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            break "it hangs".to_owned();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    said.rewind().unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    let good = status == "exit status: 0" && text.contains("1 passed");
    if good { Ok(()) } else { Err(format!("{status}\n{text}")) }
}

/// The descriptors of this program, with what they are.
pub(crate) fn open_fds() -> Vec<(i32, String)> {
    let mut fds = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // The one for reading the directory is gone by the time it is looked at, or shows itself.
        let Ok(target) = std::fs::read_link(&path) else { continue };
        let target = target.to_string_lossy().into_owned();
        if !target.ends_with("/fd") {
            fds.push((path.file_name().unwrap().to_str().unwrap().parse().unwrap(), target));
        }
    }
    fds.sort();
    fds
}

/// All children of this program, zombies too.
pub(crate) fn children() -> Vec<u32> {
    let ours = std::process::id().to_string();
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(path.join("stat")) else { continue };
        if stat.rsplit_once(") ").unwrap().1.split(' ').nth(1) == Some(&ours) {
            children.push(pid);
        }
    }
    children
}

/// Makes sure that only so many more descriptors can be had, until [`Shortage::end`].
pub(crate) struct Shortage {
    fillers: Vec<File>,
    limits: (rlim_t, rlim_t),
}

impl Shortage {
    pub(crate) fn of_fds(left: u32) -> Self {
        let limits = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let highest = open_fds().last().unwrap().0;
        let mut fillers = Vec::new();
        loop {
            let filler = File::open("/dev/null").unwrap();
            let number = std::os::fd::AsRawFd::as_raw_fd(&filler);
            fillers.push(filler);
            // No gap is left below it.
            if number > highest {
                let limit = rlim_t::from(number.unsigned_abs()) + 1 + rlim_t::from(left);
                setrlimit(Resource::RLIMIT_NOFILE, limit, limits.1).unwrap();
                return Self { fillers, limits };
            }
        }
    }

    pub(crate) fn end(self) {
        setrlimit(Resource::RLIMIT_NOFILE, self.limits.0, self.limits.1).unwrap();
        drop(self.fillers);
    }
}

//! However an owner ends, the keeper ends what it has started, removes its cgroups, and goes.
//!
//! The owner is this program again, with one test that is none: it starts a tree, tells who is in it, and ends as it
//! is told to. Nothing in the tree asks to die with its owner.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_sys::keeper::{self, State};
use herder_sys::{FdSource, Group, Process, SpawnRequest, Strings, facts, pipe, set_nonblocking, spawn};

use crate::support::house::House;
use crate::support::{LIMIT, launched, os, sh, sleeper, slower, strings, until};

/// For the owner to be understood, and for those who look: how long it took.
macro_rules! say {
    ($($arg:tt)*) => {{
        let mut stdout = std::io::stdout();
        writeln!(stdout, $($arg)*).unwrap();
    }};
}

/// The promise.
const SECOND: Duration = Duration::from_secs(1);

/// A leader of a group, two members that would survive it, one of them deaf to requests, one stopped.
const GROUP: &str = "sleep 1000 & echo pid $!
    (trap '' TERM HUP INT; echo pid $(exec sh -c 'echo $PPID'); sleep 1000; sleep 1000) &
    sh -c 'kill -STOP $$' & echo pid $!
    echo pid $$; exec sleep 1000";
const GROUP_SIZE: usize = 4;

/// In a cgroup: what leaves its group and its session, and daemons.
const TREE: &str = "setsid sh -c 'trap \"\" TERM HUP; setsid sleep 1000 & sleep 1000; sleep 1000' &
    (setsid setsid sleep 1000 &)
    sh -c 'kill -STOP $$' &
    exec sleep 1000";
const TREE_SIZE: usize = 6;

/// Forks and exits as fast as it can.
const CHAIN: &str = "c='sh -c \"$c\" &'; export c; eval \"$c\"; exec sleep 1000";

const STAY: &str = "exec sleep 1000";

/// Not a test by itself: the owner that the tests start.
#[test]
fn an_owner() {
    let Ok(way) = std::env::var("HERDER_TEST_OWNER") else { return };
    os::alarm(100);
    keeper::ensure(None).unwrap();
    // Without pidfds there is nothing to tell the keeper of it.
    let group = facts().pidfd.then(|| group(&way));
    let mut trees = Vec::new();
    if let Some(path) = std::env::var_os("HERDER_TEST_HOUSE") {
        let house = House::at(PathBuf::from(path));
        house.ensure();
        let script = if way == "chains" { CHAIN } else { TREE };
        trees.extend((0..4).map(|tree| launched(sh(&house.inside(&format!("{tree}/inner"), script)))));
        let size = if way == "chains" { 2 } else { TREE_SIZE };
        for tree in 0..4 {
            let mut members = Vec::new();
            until("the tree has grown", || {
                members = house.members(&format!("{tree}/inner"));
                members.len() >= size
            });
            members.iter().for_each(|pid| say!("pid {pid}"));
        }
    }
    let State::Running { pid } = keeper::state() else { panic!("{:?}", keeper::state()) };
    say!("pid {pid}");
    // What an owner leaves to its drops is not what is tested here.
    let _kept = std::mem::ManuallyDrop::new((group, trees));
    say!("ready");
    end(&way);
}

fn group(way: &str) -> (Process, keeper::Watch) {
    // The kernel sends SIGHUP to a group that is orphaned while a member is stopped, and a leader that has died of it
    // proves nothing to those who have only the number.
    let by_number = way == "number" || !os::can_signal_groups();
    let ignored = if by_number { "HUP" } else { "PIPE" };
    let mut group = sh(&format!("trap '' {ignored}\n{GROUP}"));
    group.group = Group::New;
    let said = pipe(false).unwrap();
    group.fds = vec![(1, FdSource::Fd(Arc::new(said.theirs)))];
    let mut leader = launched(group).process;
    leader.set_release(true);
    let watch = keeper::watch(&leader).unwrap();
    set_nonblocking(&said.ours, false).unwrap();
    let said = BufReader::new(File::from(said.ours));
    said.lines().take(GROUP_SIZE).for_each(|line| say!("{}", line.unwrap()));
    (leader, watch)
}

/// As the owner ends itself. Returning is a way too.
fn end(way: &str) {
    match way {
        "return" => {}
        "exit" => std::process::exit(3),
        "panic" => panic!("as asked"),
        "abort" => std::process::abort(),
        "exec" => {
            let argv = [c"sleep".as_ptr(), c"0.5".as_ptr(), std::ptr::null()];
            // SAFETY: a NUL-terminated string and a null-terminated list of such.
            unsafe { libc::execvp(argv[0], argv.as_ptr()) };
        }
        "copy" => {
            // It has all descriptors that we have, and stays until the test is over.
            let copy = os::fork();
            if copy == 0 {
                os::alarm(5);
                loop {
                    std::thread::park();
                }
            }
            say!("copy {copy}");
            os::kill(std::process::id() as i32, libc::SIGKILL);
        }
        "forget" => {
            let mut released = launched(sleeper()).process;
            released.set_release(true);
            drop(keeper::watch(&released));
            say!("free {}", released.pid());
            loop {
                std::thread::park();
            }
        }
        _ => loop {
            std::thread::park();
        },
    }
}

struct Owner {
    process: Process,
    house: Option<House>,
    pids: Vec<i32>,
    stdout: BufReader<File>,
}

/// Starts an owner and waits until it is ready. With a controlling terminal, if one is given.
fn owner(way: &str, terminal: Option<File>) -> Owner {
    owner_with(way, terminal, &[])
}

fn owner_with(way: &str, terminal: Option<File>, variables: &[&str]) -> Owner {
    let house = House::new();
    let mut candidates = Strings::new();
    candidates.push(&[std::env::current_exe().unwrap().as_os_str()]).unwrap();
    let argv = ["engine", "keeper_end::an_owner", "--exact", "--nocapture", "--test-threads=1"];
    let mut request = SpawnRequest::new(candidates, strings(&argv));
    let mut env = strings(variables);
    env.push(&["HERDER_TEST_OWNER=".as_ref(), way.as_ref()]).unwrap();
    if let Some(house) = &house {
        env.push(&["HERDER_TEST_HOUSE=".as_ref(), house.path.as_os_str()]).unwrap();
    }
    for (key, value) in std::env::vars_os() {
        env.push(&[&key, "=".as_ref(), &value]).unwrap();
    }
    request.env = Some(env.into());
    request.group = Group::NewSession;
    let stdout = pipe(false).unwrap();
    request.fds = vec![(1, FdSource::Fd(Arc::new(stdout.theirs))), (2, FdSource::Null)];
    match terminal {
        Some(terminal) => {
            request.fds.push((0, FdSource::Fd(Arc::new(OwnedFd::from(terminal)))));
            request.pre_exec = vec![os::take_terminal()];
        }
        None => request.fds.push((0, FdSource::Null)),
    }
    let process = spawn(request).unwrap().process;
    set_nonblocking(&stdout.ours, false).unwrap();
    let mut stdout = BufReader::new(File::from(stdout.ours));
    let mut pids = Vec::new();
    loop {
        let mut line = String::new();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "the owner ended before it was ready");
        if let Some((_, pid)) = line.split_once("pid ") {
            pids.push(pid.trim().parse().unwrap());
        } else if line.contains("ready") {
            break;
        }
    }
    let trees = if house.is_none() || way == "chains" { 0 } else { 4 * TREE_SIZE };
    let group = if facts().pidfd { GROUP_SIZE } else { 0 };
    let size = trees + group + 1;
    assert!(pids.len() >= size, "{way}: {pids:?}");
    Owner { process, house, pids, stdout }
}

impl Owner {
    /// Waits for the end of the owner, and then for that of everything else: how long that took.
    fn aftermath(&self) -> Duration {
        self.process.wait_exited().unwrap();
        self.all_gone()
    }

    fn all_gone(&self) -> Duration {
        let start = Instant::now();
        loop {
            let house = self.house.as_ref().filter(|house| house.path.exists());
            let alive: Vec<_> = self.pids.iter().filter(|pid| os::lives(**pid)).collect();
            if house.is_none() && alive.is_empty() {
                return start.elapsed() / slower();
            }
            let members =
                || house.map(|house| [0, 1, 2, 3].map(|tree| house.members(&format!("{tree}/inner"))));
            assert!(
                start.elapsed() < LIMIT * slower(),
                "alive: {alive:?}, house with {:?}, keeper {:?}",
                members(),
                self.pids.last()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The owner ends itself, and is ended by the signal in whichever way it is given.
fn ends(way: &str, act: impl FnOnce(i32)) {
    let owner = owner(way, None);
    act(owner.process.pid());
    let took = owner.aftermath();
    say!("{way}: {took:?}");
    assert!(took < SECOND, "{way}: {took:?}");
}

#[test]
fn an_owner_that_ends_itself() {
    for way in ["return", "exit", "panic", "abort"] {
        ends(way, |_| {});
    }
}

#[test]
fn an_owner_that_becomes_another_program() {
    let owner = owner("exec", None);
    let took = owner.all_gone();
    assert!(took < SECOND + Duration::from_millis(500), "{took:?}");
    owner.process.wait_exited().unwrap();
}

#[test]
fn an_owner_that_is_ended_by_a_signal() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        ends("wait", |pid| os::kill(pid, signal));
    }
}

#[test]
fn an_owner_that_is_killed_with_its_group() {
    ends("wait", |pid| os::kill(-pid, libc::SIGKILL));
}

#[test]
fn an_owner_whose_terminal_closes() {
    let (ours, theirs) = os::terminal();
    let owner = owner("wait", Some(theirs));
    drop(ours);
    let took = owner.aftermath();
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn an_owner_that_is_interrupted_at_its_terminal() {
    let (mut ours, theirs) = os::terminal();
    let owner = owner("wait", Some(theirs));
    ours.write_all(b"\x03").unwrap();
    let took = owner.aftermath();
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn an_owner_that_leaves_a_forked_copy_of_itself() {
    if !facts().pidfd {
        // The copy has the lifeline, and nothing else tells of the owner's end.
        return;
    }
    let mut owner = owner("copy", None);
    let copy = number_behind("copy ", &mut owner.stdout);
    let took = owner.aftermath();
    assert!(os::lives(copy), "the copy has the lifeline still");
    os::kill(copy, libc::SIGKILL);
    assert!(took < SECOND, "{took:?}");
}

#[test]
fn an_owner_that_is_killed_a_hundred_times() {
    let mut took = Vec::new();
    for _ in 0..100 {
        let owner = owner("wait", None);
        os::kill(owner.process.pid(), libc::SIGKILL);
        took.push(owner.aftermath());
    }
    took.sort();
    say!("killed: median {:?}, worst {:?}", took[50], took[99]);
    assert!(took[99] < SECOND, "{took:?}");
}

#[test]
fn chains_that_fork_as_fast_as_they_can() {
    for _ in 0..10 {
        ends("chains", |pid| os::kill(pid, libc::SIGKILL));
    }
}

#[test]
fn cgroups_in_depth_and_breadth() {
    let owner = owner("wait", None);
    let Some(house) = &owner.house else { return };
    let mut deep = house.path.join("3/inner");
    for level in 0..100 {
        deep.push(if level % 2 == 0 { "a" } else { "b" });
        std::fs::create_dir(&deep).unwrap();
        if level % 10 == 0 {
            std::fs::create_dir(deep.join("beside")).unwrap();
        }
    }
    let deepest =
        launched(sh(&house.inside(deep.strip_prefix(&house.path).unwrap().to_str().unwrap(), STAY)));
    for leaf in 0..200 {
        std::fs::create_dir(house.path.join(format!("leaf-{leaf}"))).unwrap();
    }
    until("somebody lives in the deepest", || house.members(deep.to_str().unwrap()).len() == 1);
    os::kill(owner.process.pid(), libc::SIGKILL);
    let took = owner.aftermath();
    say!("a hundred levels, 200 leaves: {took:?}");
    assert!(took < SECOND, "{took:?}");
    deepest.process.wait_exited().unwrap();
}

/// Under another user: only who may kill root's processes may kill it.
#[test]
fn a_child_of_another_user() {
    if !os::is_root() {
        return;
    }
    let owner = owner("wait", None);
    let Some(house) = &owner.house else { return };
    let mut request =
        sh(&house.inside("other", "echo; exec setpriv --reuid=65534 --clear-groups sleep 1000"));
    request.fds = vec![(1, FdSource::Null)];
    let child = launched(request);
    until("it has changed its user", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.process.pid())).unwrap();
        status.contains("Uid:\t65534")
    });
    os::kill(owner.process.pid(), libc::SIGKILL);
    let took = owner.aftermath();
    assert!(took < SECOND, "{took:?}");
    child.process.wait_exited().unwrap();
}

#[test]
fn kernels_without_cgroup_kill() {
    for way in ["wait", "chains"] {
        for _ in 0..10 {
            let owner = owner_with(way, None, &["HERDER_DISABLE=cgroup_kill"]);
            os::kill(owner.process.pid(), libc::SIGKILL);
            let took = owner.aftermath();
            say!("{way} without cgroup.kill: {took:?}");
            assert!(took < SECOND, "{took:?}");
        }
    }
}

#[test]
fn kernels_that_signal_groups_by_number_only() {
    for _ in 0..10 {
        let owner = owner_with("number", None, &["HERDER_DISABLE=pidfd_group"]);
        os::kill(owner.process.pid(), libc::SIGKILL);
        let took = owner.aftermath();
        assert!(took < SECOND, "{took:?}");
    }
}

#[test]
fn an_owner_that_replaced_its_keeper() {
    if !facts().pidfd {
        // By them it is seen what the other one has been told.
        return;
    }
    let mut owner = owner("wait", None);
    let first = owner.pids.pop().unwrap();
    os::kill(first, libc::SIGKILL);
    until("another keeper has been told", || !os::lives(first) && keeper_of(&owner).is_some());
    os::kill(owner.process.pid(), libc::SIGKILL);
    let took = owner.aftermath();
    assert!(took < SECOND, "{took:?}");
}

/// The living keeper that has the house of this owner, or its owner, open.
fn keeper_of(owner: &Owner) -> Option<i32> {
    let me = format!("Pid:\t{}", owner.process.pid());
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let comm = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        let infos = std::fs::read_dir(entry.path().join("fdinfo")).ok()?;
        let texts = infos.flatten().filter_map(|info| std::fs::read_to_string(info.path()).ok());
        let pidfds: Vec<String> = texts.filter(|text| text.contains("Pid:")).collect();
        // The owner and its child.
        let told = pidfds.len() >= 2 && pidfds.iter().any(|text| text.lines().any(|line| line == me));
        (comm == "herder-keeper\n" && told).then_some(pid)
    })
}

#[test]
fn a_child_that_was_forgotten_is_left_alone() {
    let mut owner = owner("forget", None);
    let forgotten = number_behind("free ", &mut owner.stdout);
    os::kill(owner.process.pid(), libc::SIGKILL);
    let took = owner.aftermath();
    assert!(os::lives(forgotten), "it was let go");
    os::kill(forgotten, libc::SIGKILL);
    assert!(took < SECOND, "{took:?}");
}

fn number_behind(word: &str, lines: &mut impl BufRead) -> i32 {
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "no {word}");
    }
    line.rsplit_once(word).unwrap().1.trim().parse().unwrap()
}

//! The end of the program that owns children: a copy of this one, on purpose.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;

use herder::contain::{Leak, Strength};
use herder::os::unix::CommandExt;
use herder::{Child, Command, Containment, Signal, Stdio};

use crate::support::{Leash, eventually, fixture, is_dead, line, run, strong};

/// Says to a copy of this program that it is the owner.
const OWNER: &str = "HERDER_TEST_OWNER";

/// Whether this is the copy.
fn is_owner() -> bool {
    std::env::var_os(OWNER).is_some()
}

/// The copy, for the test of this name. Nobody ends its tree but itself.
fn owner(test: &str) -> (Command, Leash) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("owner::{test}");
    command.args([&name, "--exact", "--nocapture"]).env(OWNER, "1");
    command.containment(Containment::None).leak(Leak::Ignore);
    let leash = Leash::tie(&mut command);
    (command, leash)
}

/// In the copy: a child on the leash that the copy holds under the same number.
fn leashed(steps: &[&str]) -> Command {
    let leash = File::options().write(true).open("/dev/fd/9").unwrap();
    let mut command = fixture(steps);
    command.stdin(Stdio::null()).fd(9, OwnedFd::from(leash));
    command
}

/// In the copy: says that its children are up, and waits for its end.
fn hang(children: Vec<Child>) {
    let mut out = std::io::stdout();
    writeln!(out, "up {}", children[0].id().unwrap()).unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn one_that_ends_right_after_many_drops_leaves_nobody() {
    if is_owner() {
        let command = leashed(&["ignore:TERM", "spawn-detached:hang", "hang"]);
        let children: Vec<_> = (0..100).map(|_| command.spawn().unwrap()).collect();
        assert!(children.iter().all(|child| child.strength() > Strength::Group));
        drop(children);
        std::process::abort();
    }
    if strong().is_empty() {
        return;
    }
    let (command, leash) = owner("one_that_ends_right_after_many_drops_leaves_nobody");
    let report = run(command.output()).unwrap();
    assert_eq!(report.status.signal(), Some(6), "{report:?}");
    drop(command);
    leash.wait_free();
}

/// Reads the copy's word that its children are up; gives the first one's pid.
async fn up(owner: &mut Child) -> u32 {
    loop {
        // The test harness says something, too.
        if let Some((_, pid)) = line(owner.stdout.as_mut().unwrap()).await.split_once("up ") {
            return pid.parse().unwrap();
        }
    }
}

#[test]
fn one_that_has_process_groups_only_takes_them_with_it() {
    if is_owner() {
        let mut command = leashed(&["spawn:[mark:up,hang]", "mark:up", "hang"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(
            (child.strength(), child.refusals().len()),
            (Strength::Group, 2),
            "{:?}",
            child.refusals()
        );
        run(async {
            for _ in 0..2 {
                assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
            }
        });
        return hang(vec![child]);
    }
    run(async {
        let (mut command, leash) = owner("one_that_has_process_groups_only_takes_them_with_it");
        command.env("HERDER_DISABLE", "cgroup,keeper").stdout(Stdio::piped());
        let mut owner = command.spawn().unwrap();
        up(&mut owner).await;
        owner.signal(Signal::KILL).unwrap();
        owner.wait().await.unwrap();
        drop((owner, command));
        leash.wait_free();
    });
}

#[test]
#[cfg_attr(
    herder_portable,
    ignore = "the keeper learns of a child just after its birth; on Linux before its program"
)]
fn one_that_is_killed_while_it_starts_its_first_group_takes_it_with_it() {
    if is_owner() {
        // All of them speak for themselves: nobody waits for us to be ready.
        let command = leashed(&["spawn:[mark:up,hang]", "mark:up", "hang"]);
        let child = match std::env::var_os("HERDER_TEST_ASYNC") {
            None => command.spawn().unwrap(),
            Some(_) => run(command.spawn_async()).unwrap(),
        };
        return hang(vec![child]);
    }
    run(async {
        for round in 0..20 {
            let (mut command, leash) =
                owner("one_that_is_killed_while_it_starts_its_first_group_takes_it_with_it");
            command.env("HERDER_DISABLE", "cgroup,keeper").stdout(Stdio::piped());
            if round % 2 == 0 {
                command.env("HERDER_TEST_ASYNC", "1");
            }
            let mut owner = command.spawn().unwrap();
            let mut ups = 0;
            while ups < 2 {
                // Behind what the test harness says, perhaps.
                ups += usize::from(line(owner.stdout.as_mut().unwrap()).await.ends_with("up"));
            }
            owner.signal(Signal::KILL).unwrap();
            owner.wait().await.unwrap();
            drop((owner, command));
            leash.wait_free();
        }
    });
}

/// The keeper of a process: the one that has its pidfd.
fn keeper_of(owner: u32) -> Option<i32> {
    let me = format!("Pid:\t{owner}");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|entry| {
            std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name == "herder-keeper\n")
        })
        .find(|entry| {
            let infos = std::fs::read_dir(entry.path().join("fdinfo")).into_iter().flatten().flatten();
            let mut texts = infos.filter_map(|info| std::fs::read_to_string(info.path()).ok());
            texts.any(|text| text.lines().any(|line| line == me))
        })
        .and_then(|entry| entry.file_name().to_str()?.parse().ok())
}

#[test]
#[cfg_attr(herder_portable, ignore = "another keeper is started only when the next child is to be watched")]
fn one_whose_keeper_was_killed_first_takes_its_children_with_it() {
    if is_owner() {
        let command = leashed(&["hang"]);
        return hang(vec![command.spawn().unwrap()]);
    }
    if !herder::contain::facts().pidfd {
        // By it the keeper is found.
        return;
    }
    run(async {
        for disabled in ["", "cgroup,keeper"] {
            let (mut command, leash) = owner("one_whose_keeper_was_killed_first_takes_its_children_with_it");
            command.env("HERDER_DISABLE", disabled).stdout(Stdio::piped());
            let mut owner = command.spawn().unwrap();
            let child = up(&mut owner).await;
            // Stopped, it can't start another one.
            owner.signal(Signal::STOP).unwrap();
            let (pid, mut keeper) = (owner.id().unwrap(), 0);
            // It may not have read yet who its owner is.
            eventually("there is a keeper", || {
                keeper_of(pid).is_some_and(|found| {
                    keeper = found;
                    true
                })
            });
            let keeper_pid = nix::unistd::Pid::from_raw(keeper);
            nix::sys::signal::kill(keeper_pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            eventually("the keeper is gone", || is_dead(keeper.unsigned_abs()));
            assert!(!is_dead(child));
            owner.signal(Signal::KILL).unwrap();
            owner.wait().await.unwrap();
            drop((owner, command));
            leash.wait_free();
        }
    });
}

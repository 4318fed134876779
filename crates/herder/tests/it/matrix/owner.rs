//! The owner's side of a cell: it starts the tree, says so, and meets its end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use herder::contain::{Strength, host};
use herder::os::unix::CommandExt;
use herder::{Child, Command, Containment, Signal, Stdio, Termination};
use tokio::runtime::Runtime;

use super::{LEASH, NOBODY, TREES};
use crate::support::{fixture, line, multi_thread, within};

/// Says to the owner what to do: the tree, its end and the path of the leash, or nothing to do but to say what can be
/// done here.
pub(super) const TOLD: &str = "HERDER_TEST_MATRIX";
pub(super) const PROBE: &str = "probe";
/// Says to the owner that it is to ask for a PID namespace.
pub(super) const NAMESPACE: &str = "HERDER_TEST_NAMESPACE";

/// Not a test by itself: the owner.
#[test]
fn an_owner() {
    let Ok(told) = std::env::var(TOLD) else { return };
    if told == PROBE {
        let wanted = |strength: Strength| strength.is_opt_in() == asks_for_namespace();
        let best = host().into_iter().find(|(strength, able)| able.is_ok() && wanted(*strength));
        println!("\nbest {}", best.map_or_else(|| "none".to_owned(), |(strength, _)| strength.to_string()));
        return;
    }
    let mut told = told.splitn(3, '/');
    let (tree, end, leash) = (told.next().unwrap(), told.next().unwrap(), told.next().unwrap());
    let runtime = multi_thread();
    let child = runtime.block_on(within(start(tree, end, leash)));
    std::io::stdout().write_all(b"ready\n").unwrap();
    let mut input = BufReader::new(std::io::stdin());
    input.read_line(&mut String::new()).unwrap();
    if meet(end, runtime, child) {
        // Until the other end is closed.
        drop(input.read_to_end(&mut Vec::new()));
    }
}

fn asks_for_namespace() -> bool {
    std::env::var_os(NAMESPACE).is_some()
}

fn brisk() -> Termination {
    Termination::new().signal(Signal::TERM, Duration::from_millis(50))
}

/// Starts the tree and waits until all of it is up.
async fn start(tree: &str, end: &str, leash: &str) -> Child {
    let (_, steps, ups) = TREES.into_iter().find(|(name, ..)| *name == tree).unwrap();
    let mut command = match steps {
        ["sh", script] => {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        }
        steps => fixture(steps),
    };
    let leash = File::options().write(true).open(format!("/{leash}")).unwrap();
    command.fd(LEASH, OwnedFd::from(leash)).stdin(Stdio::null()).stdout(Stdio::piped());
    command.termination(brisk());
    if asks_for_namespace() {
        command.containment(Containment::PidNamespace);
    }
    match tree {
        "another user" => _ = command.uid(NOBODY).gid(NOBODY),
        "other cgroup" => _ = command.env("ROOT", mounted().unwrap()),
        _ => {}
    }
    if end == "timeout" {
        command.timeout(Duration::from_millis(200));
    }
    let mut child = command.spawn_async().await.unwrap();
    let stdout = child.stdout.as_mut().unwrap();
    for _ in 0..ups {
        assert_eq!(line(stdout).await, "up");
    }
    child
}

/// What happens to the tree. Whether the owner is to live on until it is told otherwise.
fn meet(end: &str, runtime: Runtime, mut child: Child) -> bool {
    match end {
        "kill" => runtime.block_on(child.kill()).unwrap(),
        "terminate" => _ = runtime.block_on(child.terminate(&brisk())).unwrap(),
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
            return false;
        }
        "abort" => std::process::abort(),
        // From outside. The child is kept until then.
        _ => drop(std::io::stdin().read_to_end(&mut Vec::new())),
    }
    true
}

/// Where the hierarchy of cgroups is mounted.
pub(super) fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let of_cgroups = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    of_cgroups.split(' ').nth(4).map(PathBuf::from)
}

//! What a drop ends, how fast, and what it leaves alone.

#[cfg(unix)]
use std::time::{Duration, Instant};

use herder::contain::Leak;
#[cfg(unix)]
use herder::contain::Strength;
use herder::{Command, Stdio};
#[cfg(unix)]
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncReadExt;
#[cfg(unix)]
use tokio::io::AsyncWriteExt;

use crate::support::{Leash, current_thread, fixture, line, multi_thread, no_zombie, run, within};
#[cfg(unix)]
use crate::support::{cpu_time, eventually, is_dead, is_gone};

/// A child with a grandchild, both up.
async fn family(command: &mut Command) -> herder::Child {
    command.args(["spawn:mark:up,hang", "mark:up", "hang"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..2 {
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
    }
    child
}

#[test]
fn a_drop_ends_the_child_and_its_group() {
    for runtime in [current_thread(), multi_thread()] {
        let mut command = fixture(&[]);
        let leash = Leash::tie(&mut command);
        let pid = runtime.block_on(async {
            let child = family(&mut command).await;
            let pid = child.id().unwrap();
            drop(child);
            pid
        });
        drop(command);
        leash.wait_free();
        no_zombie(pid);
    }
}

#[test]
fn a_drop_after_the_runtime_is_gone() {
    let mut command = fixture(&[]);
    let leash = Leash::tie(&mut command);
    let child = run(family(&mut command));
    let pid = child.id().unwrap();
    drop(child);
    drop(command);
    leash.wait_free();
    no_zombie(pid);
}

#[test]
fn the_end_of_a_runtime_with_tasks_that_own_children() {
    let mut command = fixture(&[]);
    let leash = Leash::tie(&mut command);
    let runtime = multi_thread();
    let mut child = runtime.block_on(family(&mut command));
    let pid = child.id().unwrap();
    runtime.spawn(async move { child.wait().await });
    runtime.shutdown_background();
    drop(command);
    leash.wait_free();
    no_zombie(pid);
}

#[test]
fn a_panic_ends_the_child() {
    let mut command = fixture(&[]);
    let leash = Leash::tie(&mut command);
    let pid = run(async {
        let child = family(&mut command).await;
        let pid = child.id().unwrap();
        let task = tokio::spawn(async move {
            let _child = child;
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(task.await.unwrap_err().is_panic());
        pid
    });
    drop(command);
    leash.wait_free();
    no_zombie(pid);
}

#[cfg(unix)]
#[test]
fn a_drop_takes_microseconds() {
    run(async {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let child = fixture(&["ignore:TERM", "hang"]).spawn().unwrap();
            let start = Instant::now();
            drop(child);
            best = best.min(start.elapsed());
        }
        assert!(best < Duration::from_millis(1), "{best:?}");
    });
}

#[cfg(unix)]
#[test]
fn five_hundred_drops_take_milliseconds_in_total() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    multi_thread().block_on(within(async {
        let mut all = Vec::new();
        // The best of a few: a machine that is busy takes the processor away.
        for _ in 0..5 {
            let mut command = fixture(&["ignore:TERM", "hang"]);
            let leash = Leash::tie(&mut command);
            let mut children = Vec::new();
            for _ in 0..500 {
                children.push(command.spawn_async().await.unwrap());
            }
            drop(command);
            // Not the time on the wall: five hundred that die take the processor away.
            let (wall, start) = (Instant::now(), cpu_time());
            drop(children);
            all.push(cpu_time() - start);
            eprintln!("500 drops: {:?}, and {:?} on the wall", all.last(), wall.elapsed());
            tokio::task::spawn_blocking(|| leash.wait_free()).await.unwrap();
            if all.last() < Some(&DROPS) {
                break;
            }
        }
        assert!(all.last() < Some(&DROPS), "{all:?}");
    }));
}

/// What 500 drops may take in total: twenty times what they take. Less than a sleep, a thread or a wait for each would.
/// How fast they are is for the benchmarks to say.
#[cfg(unix)]
const DROPS: Duration = Duration::from_millis(100);

#[cfg(unix)]
#[test]
fn a_blocked_executor_keeps_no_zombie() {
    run(async {
        let child = fixture(&["hang"]).spawn().unwrap();
        let pid = child.id().unwrap();
        drop(child);
        // Blocks this, the only, thread of the runtime.
        eventually("it is reaped", || is_gone(pid));
    });
}

#[cfg(unix)]
#[test]
fn a_child_that_ended_unseen_is_reaped_by_the_drop_itself() {
    run(async {
        let child = fixture(&[]).spawn().unwrap();
        let pid = child.id().unwrap();
        eventually("it ends", || is_dead(pid));
        let kept = child.strength() == Strength::Keeper;
        drop(child);
        // A keeper reaps it when it gets to it.
        if kept {
            eventually("it is reaped", || is_gone(pid));
        }
        assert!(is_gone(pid));
    });
}

#[cfg(unix)]
#[test]
fn a_child_that_is_released_goes_on_and_is_reaped() {
    run(async {
        for way in ["kill_on_drop", "detach"] {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = fixture(&["spawn:mark:grandchild,eof-wait,mark:bye", "mark:child", "eof-wait"]);
            command.stdin(Stdio::from(reader)).stdout(Stdio::piped());
            command.kill_on_drop(way != "kill_on_drop");
            let mut child = command.spawn().unwrap();
            drop(command);
            let pid = child.id().unwrap();
            let mut stdout = child.stdout.take().unwrap();
            line(&mut stdout).await;
            line(&mut stdout).await;
            if way == "detach" {
                child.detach();
            }
            drop(child);
            assert!(!is_gone(pid));
            // Both live on until their input ends, and the child's end is not the grandchild's.
            drop(writer);
            let mut text = String::new();
            within(stdout.read_to_string(&mut text)).await.unwrap();
            assert_eq!(text, "bye\n", "{way}");
            eventually("it is reaped", || is_gone(pid));
        }
    });
}

#[test]
fn survivors_are_killed_at_the_end_of_the_child_unless_they_are_kept() {
    run(async {
        for keep in [false, true] {
            let mut command = fixture(&["spawn:mark:up,eof-wait,mark:bye", "exit:3"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).leak(if keep {
                Leak::Ignore
            } else {
                Leak::Kill
            });
            let mut child = command.spawn().unwrap();
            let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            assert_eq!(line(&mut stdout).await, "up");
            assert_eq!(child.wait().await.unwrap().code(), Some(3));
            if keep {
                drop(child);
                drop(stdin);
                assert_eq!(line(&mut stdout).await, "bye");
            } else {
                let mut text = String::new();
                within(stdout.read_to_string(&mut text)).await.unwrap();
                assert_eq!(text, "");
            }
        }
    });
}

#[test]
fn a_child_that_was_waited_for_leaves_nothing_to_drop() {
    run(async {
        let mut child = fixture(&[]).spawn().unwrap();
        let handle = child.handle();
        assert!(child.wait().await.unwrap().success());
        drop(child);
        assert!(handle.wait().await.unwrap().success());
    });
}

#[cfg(unix)]
#[test]
fn the_child_outlives_the_thread_that_asked_for_it() {
    // On a thread of its own, on a blocking thread, on a worker that ends with its runtime, and on one that has become
    // a blocking thread.
    let spawn = || {
        let mut command = fixture(&["echo-stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let by_thread = std::thread::spawn(spawn).join().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_keep_alive(Duration::from_millis(1))
        .enable_all()
        .build()
        .unwrap();
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let by_blocking = runtime.block_on(async { tokio::task::spawn_blocking(spawn).await.unwrap() });
    let by_worker = runtime.block_on(async { tokio::spawn(async move { spawn() }).await.unwrap() });
    let in_place = async move { tokio::task::block_in_place(spawn) };
    let in_place = runtime.block_on(async { tokio::spawn(in_place).await.unwrap() });
    let before = threads();
    drop(runtime);
    assert!(threads() <= before + 100);
    for mut child in [by_thread, by_blocking, by_worker, in_place] {
        run(async {
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(b"moo\n").await.unwrap();
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "moo");
            assert_eq!(child.try_wait().unwrap(), None);
            drop(stdin);
            assert!(child.wait().await.unwrap().success());
        });
    }
}

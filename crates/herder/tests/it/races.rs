//! Things that happen at the same time. Those that need many repeats are in the tests of races.

use herder::Stdio;
use tokio::task::JoinSet;

use crate::support::{LIMIT, fixture, multi_thread, run, was_killed, within};

#[test]
fn many_spawns_at_once_keep_their_own_pipes() {
    multi_thread().block_on(within(async {
        let mut tasks = JoinSet::new();
        for number in 0..100 {
            tasks.spawn(async move {
                let mut command = fixture(&["cat"]);
                command.stdin(Stdio::bytes(number.to_string()));
                assert_eq!(command.read().await.unwrap(), number.to_string());
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    }));
}

#[test]
fn a_pipe_of_one_child_does_not_leak_into_another() {
    multi_thread().block_on(within(async {
        // If one did, the end of input of a `cat` would wait for the end of the child that got it.
        let mut tasks = JoinSet::new();
        for _ in 0..4 {
            tasks.spawn(async {
                for _ in 0..25 {
                    let lingering = fixture(&["hang"]).spawn().unwrap();
                    let mut cat = fixture(&["cat"]);
                    // Under Wine its bytes may come later than its exit, by more than is waited for otherwise.
                    cat.stdin(Stdio::bytes("x")).drain_grace(LIMIT);
                    let other = fixture(&["hang"]).spawn_async().await.unwrap();
                    assert_eq!(cat.read().await.unwrap(), "x");
                    drop((lingering, other));
                }
            });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    }));
}

#[test]
fn threads_that_spawn_at_once() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                run(async {
                    for _ in 0..20 {
                        assert_eq!(fixture(&["print:x"]).read().await.unwrap(), "x");
                    }
                });
            });
        }
    });
}

#[test]
fn a_kill_right_after_the_spawn() {
    run(async {
        for _ in 0..50 {
            let mut child = fixture(&["spawn:hang", "hang"]).spawn().unwrap();
            child.kill().await.unwrap();
            assert!(was_killed(child.wait().await.unwrap()));
        }
    });
}

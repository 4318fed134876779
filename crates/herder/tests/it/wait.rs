//! Waiting: many at once, again, cancelled, without a runtime.

use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use herder::Stdio;
use tokio::io::AsyncReadExt;

use crate::support::{LIMIT, cancelled, current_thread, fixture, multi_thread, park_on, run, within};

#[test]
fn codes() {
    run(async {
        for code in [0, 1, 2, 3, 7, 255] {
            let status = fixture(&[&format!("exit:{code}")]).status().await.unwrap();
            assert_eq!(status.code(), Some(code));
        }
    });
}

/// Windows has no signals.
#[cfg(unix)]
#[test]
fn signals() {
    use std::os::unix::process::ExitStatusExt;
    run(async {
        for (step, signal) in [("kill-self:KILL", 9), ("kill-self:TERM", 15), ("abort", 6)] {
            let status = fixture(&[step]).status().await.unwrap();
            assert_eq!((status.code(), status.signal()), (None, Some(signal)));
        }
    });
}

#[test]
fn all_waiters_get_the_same_answer_now_and_later() {
    multi_thread().block_on(within(async {
        let mut child = fixture(&["read-stdin-line", "exit:5"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let waiters: Vec<_> = (0..8)
            .map(|_| {
                let handle = child.handle();
                tokio::spawn(async move { handle.wait().await.unwrap() })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().code(), Some(5));
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(5));
        assert_eq!(child.handle().wait().await.unwrap().code(), Some(5));
        assert_eq!(child.id(), None);
        assert!(child.wait_with_output().await.unwrap().status.code() == Some(5));
    }));
}

#[test]
fn waiting_closes_the_input_and_looking_does_not() {
    run(async {
        let mut child = fixture(&["eof-wait"]).stdin(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        let handle = child.handle();
        assert!(cancelled(3, handle.wait()).await.is_none());
        assert!(child.stdin.is_some());
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn a_cancelled_wait_may_be_done_again() {
    run(async {
        let mut child = fixture(&["read-stdin-line", "exit:5"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        for polls in 1..5 {
            assert!(cancelled(polls, child.wait()).await.is_none());
        }
        drop(stdin);
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
    });
}

#[test]
fn a_wait_of_one_runtime_goes_on_in_another() {
    let mut child =
        current_thread().block_on(async { fixture(&["eof-wait"]).stdin(Stdio::piped()).spawn().unwrap() });
    let stdin = child.stdin.take();
    current_thread().block_on(async {
        assert!(cancelled(2, child.wait()).await.is_none());
    });
    drop(stdin);
    assert!(run(async { child.wait().await.unwrap() }).success());
    assert!(park_on(child.wait()).unwrap().success());
}

#[test]
fn waiting_needs_no_runtime() {
    let mut child = fixture(&["exit:5"]).spawn().unwrap();
    assert_eq!(park_on(child.wait()).unwrap().code(), Some(5));
    // Two at once, one with a runtime, one without. (On Windows a pipe takes a runtime that runs.)
    let runtime = multi_thread();
    let mut child = runtime.block_on(async { fixture(&["eof-wait"]).stdin(Stdio::piped()).spawn().unwrap() });
    let handle = child.handle();
    let other = std::thread::spawn(move || park_on(handle.wait()).unwrap());
    assert!(run(async { child.wait().await.unwrap() }).success());
    assert!(other.join().unwrap().success());
}

/// Windows has no way to stop a process.
#[cfg(unix)]
#[test]
fn a_stopped_child_has_not_ended() {
    use crate::support::{eventually, state};
    use herder::Signal;
    run(async {
        let mut child = fixture(&["stop-self", "exit:5"]).spawn().unwrap();
        let pid = child.id().unwrap();
        eventually("it stops", || state(pid) == Some('T'));
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(cancelled(5, child.wait()).await.is_none());
        child.signal(Signal::CONT).unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
    });
}

#[test]
fn exit_and_end_of_output_are_two_things() {
    run(async {
        let mut command = fixture(&["spawn:sleep:200ms,print:late", "exit:5"]);
        command.stdout(Stdio::piped()).leak(herder::contain::Leak::Ignore);
        let mut child = command.spawn().unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        let mut text = String::new();
        within(child.stdout.take().unwrap().read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "late");
    });
}

#[test]
fn the_code_that_main_returns_and_all_that_was_written_before() {
    run(async {
        let report = fixture(&["both:1M", "exit-after-main:3"]).output().await.unwrap();
        assert_eq!(report.status.code(), Some(3));
        assert_eq!(report.stderr_report().total(), 1 << 20);
    });
}

#[test]
fn many_short_children_in_turn() {
    run(async {
        let mut command = fixture(&[]);
        command.timeout(LIMIT);
        // Some 50 ms each where a start is slow.
        for _ in 0..if cfg!(windows) { 50 } else { 1000 } {
            assert!(command.status().await.unwrap().success());
        }
    });
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Drops what waits when it is woken.
struct DropsIt(Mutex<Option<Waiting>>, Mutex<Sender<()>>);

impl Wake for DropsIt {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
        self.1.lock().unwrap().send(()).unwrap();
    }
}

/// A thousand waits without a runtime, each of which its own waker drops as it is called; besides, as many that are
/// dropped by other threads meanwhile.
#[test]
fn waits_may_be_dropped_by_their_wakers_and_anywhere_else() {
    let mut child =
        current_thread().block_on(async { fixture(&["hang"]).stdin(Stdio::null()).spawn().unwrap() });
    let (sender, told) = channel();
    let mut others = Vec::new();
    for _ in 0..1000 {
        for other in [false, true] {
            let handle = child.handle();
            let mut wait: Waiting = Box::pin(async move { drop(handle.wait().await) });
            let place = Arc::new(DropsIt(Mutex::default(), Mutex::new(sender.clone())));
            let waker = if other { Waker::noop().clone() } else { Arc::clone(&place).into() };
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            if other {
                others.push(wait);
            } else {
                *place.0.lock().unwrap() = Some(wait);
            }
        }
    }
    let rest = others.split_off(500);
    std::thread::scope(|threads| {
        for part in [others, rest] {
            threads.spawn(move || drop(part));
        }
        child.start_kill().unwrap();
        for _ in 0..1000 {
            told.recv_timeout(LIMIT).unwrap();
        }
    });
    assert!(!park_on(child.wait()).unwrap().success());
}

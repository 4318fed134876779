//! What Tokio's own process tests look at.

#[cfg(unix)]
use std::os::unix::process::ExitStatusExt;
#[cfg(unix)]
use std::time::Duration;

use herder::error::SpawnErrorKind;
#[cfg(unix)]
use herder::report::RunErrorKind;
#[cfg(unix)]
use herder::{Command, Containment};
use herder::{Stdio, Termination};
#[cfg(unix)]
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinSet, LocalSet};

use crate::support::{Leash, fixture, line, multi_thread, run, within};
#[cfg(unix)]
use crate::support::{cpu_time, current_thread, eventually, is_dead, is_gone, park_on};

/// process_smoke
#[test]
fn smoke() {
    run(async {
        let mut child = fixture(&["exit:2"]).spawn().unwrap();
        assert!(child.id().unwrap() > 0);
        let status = child.wait().await.unwrap();
        assert_eq!(status.code(), Some(2));
        // A second wait is allowed, and the id is gone.
        assert_eq!(child.wait().await.unwrap().code(), Some(2));
        assert_eq!(child.id(), None);
        child.kill().await.unwrap();
    });
}

/// process_kill_after_wait
#[test]
fn kill_after_wait() {
    run(async {
        let mut child = fixture(&["exit:0"]).spawn().unwrap();
        child.wait().await.unwrap();
        child.start_kill().unwrap();
        child.kill().await.unwrap();
    });
}

/// process_kill_on_drop: the child, which would tell on its output that it survived, is dropped.
#[test]
fn kill_on_drop() {
    run(async {
        let mut command = fixture(&["mark:up", "sleep:2s", "mark:survived"]);
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        assert_eq!(line(&mut stdout).await, "up");
        drop(child);
        let mut rest = String::new();
        within(stdout.read_to_string(&mut rest)).await.unwrap();
        assert_eq!(rest, "");
    });
}

/// process_arg0
#[cfg(unix)]
#[test]
fn arg0() {
    run(async {
        let mut command = Command::new("sh");
        command.arg0("test_string").args(["-c", "echo $0"]);
        assert_eq!(command.output().await.unwrap().stdout, b"test_string\n");
    });
}

/// process_change_of_runtime
#[cfg(unix)]
#[test]
fn change_of_runtime() {
    let mut child = current_thread().block_on(async {
        fixture(&["echo-stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    });
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stdout = BufReader::new(stdout);
    for runtime in [current_thread(), multi_thread(), current_thread()] {
        runtime.block_on(within(async {
            stdin.write_all(b"moo\n").await.unwrap();
            let mut text = String::new();
            stdout.read_line(&mut text).await.unwrap();
            assert_eq!(text, "moo\n");
            assert!(crate::support::cancelled(2, child.handle().wait()).await.is_none());
        }));
    }
    drop(stdin);
    assert!(run(async { child.wait().await.unwrap() }).success());
}

/// process_raw_handle and pipe_from_one_command_to_another
#[cfg(unix)]
#[test]
fn pipe_from_one_command_to_another() {
    run(async {
        let mut first = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let third_in = first.stdout.take().unwrap().into_owned_fd().unwrap();
        let mut second = Command::new("cat").stdin(third_in).stdout(Stdio::piped()).spawn().unwrap();
        let mut first_stdin = first.stdin.take().unwrap();
        let mut second_stdout = second.stdout.take().unwrap();
        let message = b"hello through two pipes";
        let write = async {
            first_stdin.write_all(message).await.unwrap();
            drop(first_stdin);
        };
        let read = async {
            let mut buffer = Vec::new();
            second_stdout.read_to_end(&mut buffer).await.unwrap();
            buffer
        };
        let ((), buffer, status, other) = tokio::join!(write, read, first.wait(), second.wait());
        assert_eq!(buffer, message);
        assert!(status.unwrap().success() && other.unwrap().success());
    });
}

/// issue_42: tasks that each spawn once, in a loop, all at once.
#[test]
fn issue_42() {
    multi_thread().block_on(within(async {
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            tasks.spawn(async {
                fixture(&["println:some string"]).stdout(Stdio::null()).spawn().unwrap().wait().await
            });
        }
        while let Some(task) = tasks.join_next().await {
            assert!(task.unwrap().unwrap().success());
        }
    }));
}

/// issue_2174: a write that waits ends when the child does.
#[test]
fn issue_2174() {
    run(async {
        let mut child =
            fixture(&["mark:up", "hang"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        line(child.stdout.as_mut().unwrap()).await;
        let mut input = child.stdin.take().unwrap();
        let writer = tokio::spawn(async move {
            let buffer = vec![0; 64 * 1024];
            loop {
                if let Err(error) = input.write_all(&buffer).await {
                    return error;
                }
            }
        });
        tokio::task::yield_now().await;
        child.kill().await.unwrap();
        assert_eq!(within(writer).await.unwrap().kind(), std::io::ErrorKind::BrokenPipe);
    });
}

/// issue_7144: a child with a debugger of another group: its death is seen, without a busy loop.
#[cfg(unix)]
#[test]
fn issue_7144() {
    run(async {
        let mut strace = Command::new("strace");
        strace.args(["-qq", "-o", "/dev/null", "-DD", "sleep", "50"]).containment(Containment::None);
        let mut child = match strace.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == SpawnErrorKind::ProgramNotFound => {
                eprintln!("not shown: there is no strace here");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let pid = child.id().unwrap();
        let name = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        eventually("it sleeps", || name() == "sleep\n" || is_dead(pid));
        let before = cpu_time();
        child.start_kill().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        assert!(cpu_time() - before < Duration::from_millis(100));
    });
}

#[test]
fn in_a_local_set() {
    run(async {
        LocalSet::new()
            .run_until(async {
                let task = tokio::task::spawn_local(async { fixture(&["print:x"]).read().await.unwrap() });
                assert_eq!(task.await.unwrap(), "x");
            })
            .await;
    });
}

#[test]
fn in_a_runtime_without_its_io_driver() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut command = fixture(&["exit:5"]);
    let leash = Leash::tie(&mut command);
    runtime.block_on(within(async {
        assert_eq!(command.spawn().unwrap().wait().await.unwrap().code(), Some(5));
        assert_eq!(command.status().await.unwrap().code(), Some(5));
        let mut child = command.spawn_async().await.unwrap();
        child.terminate(&Termination::kill()).await.unwrap();
    }));
    drop(command);
    leash.wait_free();
}

#[cfg(unix)]
#[test]
fn output_in_a_runtime_without_its_io_driver_is_a_typed_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut command = fixture(&["sleep:50ms", "bytes:1M"]);
    let leash = Leash::tie(&mut command);
    let report = runtime.block_on(within(command.output())).unwrap();
    assert!(matches!(report.stdout_report().end(), herder::output::OutputEnd::Failed { .. }));
    drop(command);
    leash.wait_free();
}

#[test]
fn in_a_runtime_without_its_timers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let mut command = fixture(&["exit:5"]);
    let leash = Leash::tie(&mut command);
    runtime.block_on(async {
        assert_eq!(command.spawn().unwrap().wait().await.unwrap().code(), Some(5));
        let error = command.output().await.unwrap_err();
        assert_eq!(error.as_spawn_error().unwrap().kind(), SpawnErrorKind::NoRuntime);
        assert!(error.to_string().contains("timers"), "{error}");
    });
    drop(command);
    leash.wait_free();
}

/// On Windows pipes take a runtime.
#[cfg(unix)]
#[test]
fn outside_of_any_runtime() {
    let mut command = fixture(&["eof-wait", "exit:5"]);
    command.stdin(Stdio::piped());
    let leash = Leash::tie(&mut command);
    let mut child = command.spawn().unwrap();
    let pid = child.id().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    assert_eq!(park_on(child.wait()).unwrap().code(), Some(5));
    assert!(is_gone(pid));
    let mut child = park_on(command.spawn_async()).unwrap();
    child.start_kill().unwrap();
    assert_eq!(park_on(child.handle().kill()).map_err(|error| error.to_string()), Ok(()));
    drop(command.spawn().unwrap());
    // To see a run through takes timers: that is said, and nothing is started.
    for error in [park_on(command.output()).unwrap_err(), park_on(command.status()).unwrap_err()] {
        assert_eq!(error.kind(), RunErrorKind::Spawn);
        assert_eq!(error.as_spawn_error().unwrap().kind(), SpawnErrorKind::NoRuntime);
    }
    let child = command.spawn().unwrap();
    let error = park_on(child.wait_with_output()).unwrap_err();
    assert_eq!(error.as_spawn_error().unwrap().kind(), SpawnErrorKind::NoRuntime);
    drop(command);
    leash.wait_free();
}

#[test]
fn futures_of_runs_own_what_they_need() {
    run(async {
        let outputs: Vec<_> = (0..3).map(|n| fixture(&[&format!("print:{n}")]).output()).collect();
        for (n, output) in outputs.into_iter().enumerate() {
            let report = tokio::spawn(output).await.unwrap().unwrap();
            assert_eq!(report.stdout, n.to_string().as_bytes());
        }
        assert!(tokio::spawn(fixture(&[]).status()).await.unwrap().unwrap().success());
        assert_eq!(tokio::spawn(fixture(&["print:x"]).read()).await.unwrap().unwrap(), "x");
    });
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the other end belongs to a child of std")]
fn the_ends_of_a_child_of_std_are_streams_too() {
    run(async {
        let mut echo = std::process::Command::new(test_child::path())
            .arg("print:hi")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let text = fixture(&["cat"]).stdin(echo.stdout.take().unwrap()).read().await.unwrap();
        assert_eq!(text, "hi");
        echo.wait().unwrap();
    });
}

//! What is promised on Windows in its own words. (What is promised everywhere is shown there by the same tests.)

use std::time::Duration;

use herder::contain::{Force, Limit, Strength};
use herder::error::SpawnErrorKind;
use herder::os::windows::{CommandExt, Console, KILL_CODE};
use herder::terminate::OnDrop;
use herder::{Capture, Cause, Command, Containment, Signal, Stdio, Termination};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{cancelled, current_thread, fixture, line, run, within};

const MIB: usize = 1 << 20;

#[test]
fn codes_are_32_bits_wide() {
    run(async {
        for code in [259, 0xC000_0005_u32, u32::MAX] {
            let status = fixture(&[&format!("exit:{code}")]).status().await.unwrap();
            assert_eq!(status.code().map(i32::cast_unsigned), Some(code));
        }
    });
}

#[test]
fn sixty_four_mebibytes_on_all_three_streams_at_once() {
    run(async {
        let input: Vec<u8> = (0..64 * MIB).map(|index| (index % 253) as u8).collect();
        let mut command = fixture(&["cat", "both:64M"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn_async().await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let expected = input.clone();
        let write = async move {
            stdin.write_all(&input).await.unwrap();
            drop(stdin);
        };
        let (_, out_read, err_read, status) =
            tokio::join!(write, stdout.read_to_end(&mut out), stderr.read_to_end(&mut err), child.wait());
        assert_eq!((out_read.unwrap(), err_read.unwrap()), (128 * MIB, 64 * MIB));
        assert!(status.unwrap().success());
        assert!(out[..64 * MIB] == expected);
        assert!(err.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index % 251));
    });
}

#[test]
fn sixty_four_children_at_once() {
    run(async {
        let runs: Vec<_> = (0..64)
            .map(|index| tokio::spawn(fixture(&[&format!("print:{index}"), "eprint:e"]).output()))
            .collect();
        for (index, run) in runs.into_iter().enumerate() {
            let report = run.await.unwrap().unwrap();
            assert_eq!((report.stdout, &*report.stderr), (index.to_string().into_bytes(), &b"e"[..]));
        }
    });
}

#[test]
fn a_grandchild_dies_with_the_run() {
    run(async {
        for script in ["spawn:mark:up,hang", "spawn-setsid:mark:up,hang", "spawn-detached:mark:up,hang"] {
            let mut command = fixture(&[script, "hang"]);
            command.stdout(Stdio::piped());
            for way in ["kill", "drop"] {
                let mut child = command.spawn_async().await.unwrap();
                assert_eq!(child.strength(), Strength::Job);
                assert!(child.refusals().is_empty());
                let mut stdout = child.stdout.take().unwrap();
                assert_eq!(line(&mut stdout).await, "up");
                match way {
                    "kill" => child.kill().await.unwrap(),
                    _ => drop(child),
                }
                // Everybody who held the pipe is gone.
                assert_eq!(within(stdout.read(&mut [0])).await.unwrap(), 0);
            }
        }
    });
}

#[test]
fn what_is_left_behind_is_named_and_ended() {
    run(async {
        let mut command = fixture(&["spawn:mark:up,hang", "exit:3"]);
        let report = command.stdout(Stdio::piped()).output().await.unwrap();
        assert_eq!((report.status.code(), report.cause()), (Some(3), Cause::Exited));
        assert_eq!(report.scope_empty(), Some(true));
        assert!(report.survivors().iter().all(|member| member.command.contains("test-child")));
        assert_eq!(report.survivors().len(), 1);
    });
}

#[test]
fn a_timeout_kills_and_keeps_what_was_read() {
    run(async {
        let mut command = fixture(&["print:half", "hang"]);
        // Longer than a start takes.
        command.timeout(Duration::from_secs(3)).termination(Termination::kill());
        let report = command.output().await.unwrap();
        assert_eq!((report.cause(), &*report.stdout), (Cause::TimedOut, &b"half"[..]));
        assert_eq!(report.status.code().map(i32::cast_unsigned), Some(KILL_CODE));
        let mut child = fixture(&["hang"]).spawn_async().await.unwrap();
        child.start_kill().unwrap();
        assert_eq!(child.wait_with_output().await.unwrap().cause(), Cause::Killed);
    });
}

#[test]
fn what_it_used_is_in_the_report() {
    run(async {
        let report = fixture(&["memory:32M", "spin:200ms"]).output().await.unwrap();
        let usage = report.usage().unwrap();
        // Wine counts no memory of a process that has ended, and little time.
        if usage.max_rss > 0 {
            assert!(usage.max_rss >= 32 << 20, "{usage:?}");
            assert!(usage.user + usage.system >= Duration::from_millis(50), "{usage:?}");
        }
    });
}

#[test]
fn a_cleared_environment_keeps_the_system_root_unless_asked() {
    run(async {
        let text = async |command: &mut Command| command.read().await.unwrap();
        let mut command = fixture(&["env:SystemRoot", "env:TEMP", "env:Own"]);
        command.env_clear().env("own", "1");
        let kept = text(&mut command).await;
        assert!(kept.starts_with("SystemRoot=") && kept.contains("TEMP unset\n"), "{kept}");
        assert!(kept.ends_with("Own=1"), "names are compared without regard to case: {kept}");
        // Wine sets it in each of its processes, whatever they were given.
        if std::env::vars_os().all(|(name, _)| !name.to_string_lossy().starts_with("WINE")) {
            command.env_remove("SYSTEMROOT");
            assert!(text(&mut command).await.starts_with("SystemRoot unset"));
            command.env("systemroot", "mine");
            assert!(text(&mut command).await.starts_with("SystemRoot=mine"));
        }
    });
}

#[test]
fn arguments_arrive_and_what_can_not_is_refused_with_a_reason() {
    run(async {
        let words = ["", " ", "\"", r"a\", r#"\""#, "%PATH%", "\u{1f600}", "a\nb"];
        let mut command = fixture(&["args", "--"]);
        command.args(words);
        let expected: Vec<String> = words
            .iter()
            .map(|word| {
                word.bytes()
                    .map(|byte| match byte {
                        b'"' => "\"".to_owned(),
                        byte => byte.escape_ascii().to_string(),
                    })
                    .collect()
            })
            .collect();
        assert_eq!(command.output().await.unwrap().stdout_lossy().lines().collect::<Vec<_>>(), expected);

        command.arg("x".repeat(40_000));
        let error = command.spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::ArgumentsTooLong);
        assert!(error.to_string().contains("32767"), "{error}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("say.bat");
        std::fs::write(&file, "@echo off\r\necho [%1]\r\n").unwrap();
        let mut batch = Command::new(folder.path().join("say"));
        assert_eq!(batch.arg("a&b").read().await.unwrap(), "[\"a&b\"]");
        let error = batch.arg("hunter2\n").spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::InvalidInput);
        assert!(error.to_string().contains("line end") && !error.to_string().contains("hunter2"), "{error}");
        let mut long = Command::new(&file);
        let error = long.arg("x".repeat(9_000)).spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::ArgumentsTooLong);
    });
}

#[test]
fn programs_are_found_by_the_path_of_the_child_and_never_here() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(test_child::path(), folder.path().join("only-there.exe")).unwrap();
        let mut command = Command::new("only-there");
        command.arg("print:found").env("PATH", folder.path());
        assert_eq!(command.read().await.unwrap(), "found");
        command.env("Path", ".;").current_dir(folder.path());
        let error = command.spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::ProgramNotFound);
        assert!(error.to_string().contains("only-there"), "{error}");
        // The folders of the system are known without a `PATH`.
        let mut shell = Command::new("cmd");
        shell.args(["/d", "/c", "exit 7"]).env_clear();
        assert_eq!(shell.status().await.unwrap().code(), Some(7));
        let error = Command::new(folder.path()).spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::NotExecutable);
        let error = Command::new("cmd").current_dir(r"C:\no\such").spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::CurrentDir);
    });
}

#[test]
fn what_is_not_here_is_refused_and_a_group_is_for_ctrl_break_only() {
    run(async {
        for other in [Containment::Cgroup, Containment::Keeper] {
            let error = fixture(&[]).containment(other).spawn().unwrap_err();
            assert_eq!(error.kind(), SpawnErrorKind::Containment);
        }
        for weak in [Containment::Group, Containment::None] {
            let mut child = fixture(&["hang"]).containment(weak).spawn().unwrap();
            assert_eq!(child.strength(), Strength::Child);
            child.kill().await.unwrap();
        }
        let mut child = fixture(&["hang"]).containment(Containment::Job).spawn().unwrap();
        let error = child.signal(Signal::USR1).unwrap_err();
        assert_eq!(error.io_kind(), std::io::ErrorKind::Unsupported);
        child.kill().await.unwrap();
    });
}

#[test]
fn a_child_without_a_console_talks_all_the_same() {
    run(async {
        for console in [Console::Detached, Console::Hidden] {
            let mut command = fixture(&["print:x"]);
            assert_eq!(command.console(console).read().await.unwrap(), "x");
        }
    });
}

#[test]
fn pipes_take_a_runtime_and_nothing_else_does() {
    let mut piped = fixture(&["print:x"]);
    piped.stdout(Stdio::piped());
    assert_eq!(piped.spawn().unwrap_err().kind(), SpawnErrorKind::NoRuntime);
    let mut child = fixture(&["exit:4"]).stdin(Stdio::null()).spawn().unwrap();
    assert_eq!(current_thread().block_on(within(child.wait())).unwrap().code(), Some(4));
}

#[test]
fn a_thousand_waits_for_one_child_and_drops_of_them() {
    run(async {
        let mut child = fixture(&["eof-wait", "exit:5"]).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        for _ in 0..10_000 {
            let handle = child.handle();
            assert!(cancelled(1, handle.wait()).await.is_none());
        }
        let handles: Vec<_> = (0..1000).map(|_| child.handle()).collect();
        let waits: Vec<_> = handles
            .into_iter()
            .map(|handle| tokio::spawn(async move { handle.wait().await.unwrap().code() }))
            .collect();
        tokio::task::yield_now().await;
        drop(stdin);
        for wait in waits {
            assert_eq!(within(wait).await.unwrap(), Some(5));
        }
    });
}

#[test]
fn our_end_of_a_pipe_is_no_stream_of_another_child() {
    run(async {
        let mut first = fixture(&["print:moo"]).stdout(Stdio::piped()).spawn_async().await.unwrap();
        let refused = Stdio::try_from(first.stdout.take().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("copy the bytes"), "{refused}");
        first.wait().await.unwrap();
    });
}

#[test]
fn captures_are_bounded_here_too() {
    run(async {
        let report = fixture(&["both:8M"]).capture(Capture::tail(100)).output().await.unwrap();
        assert_eq!(report.stdout.len(), 100);
        assert_eq!(report.stderr_report().total(), 8 << 20);
    });
}

#[test]
fn a_drop_does_what_was_asked_for() {
    run(async {
        let gently = OnDrop::Terminate(Termination::new().close_stdin(Duration::from_secs(3600)));
        let mut command = fixture(&["eof-wait", "exit:7"]);
        let child = command.stdin(Stdio::piped()).on_drop(gently).spawn_async().await.unwrap();
        let handle = child.handle();
        drop(child);
        assert_eq!(within(handle.wait()).await.unwrap().code(), Some(7));
        let mut child = command.on_drop(OnDrop::Detach).spawn_async().await.unwrap();
        let (handle, stdin) = (child.handle(), child.stdin.take());
        drop(child);
        assert!(handle.id().is_some());
        drop(stdin);
        assert_eq!(within(handle.wait()).await.unwrap().code(), Some(7));
    });
}

#[test]
fn limits_are_those_of_the_job() {
    run(async {
        let mut command = fixture(&["exit:0"]);
        command.limit(Limit::Memory(1 << 30)).limit(Limit::Processes(20));
        let child = command.spawn_async().await.unwrap();
        assert!(child.limits().iter().all(|(_, force)| force.is_whole()), "{:?}", child.limits());
        let child = command.containment(Containment::None).spawn_async().await.unwrap();
        let none = Force::No("it takes a job object, and none was asked for".into());
        assert_eq!(child.limits(), [(Limit::Memory(1 << 30), none.clone()), (Limit::Processes(20), none)]);
        let error = command.require_limits(true).spawn_async().await.unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Containment);
    });
}

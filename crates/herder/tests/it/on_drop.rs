//! What a drop does instead of a kill: steps behind the back of whoever drops, a panic, or nothing.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use herder::terminate::OnDrop;
use herder::{ChildHandle, Command, Containment, Herd, Signal, Stdio, Termination};
use tokio::io::AsyncReadExt;

use crate::support::{
    Leash, cancelled, current_thread, eventually, fixture, is_gone, line, multi_thread, park_on, run, within,
};

/// So long that no test sees the end of it.
const HOUR: Duration = Duration::from_secs(3600);

fn asked(grace: Duration) -> OnDrop {
    OnDrop::Terminate(Termination::new().signal(Signal::TERM, grace))
}

/// Exits with 7 when it is asked to end, after a word on our pipe, whose end it gives.
fn polite() -> (Command, std::io::PipeReader) {
    polite_with(&["on:TERM:exit:7", "mark:up", "hang"], Stdio::null())
}

/// The same, but it is up only when it was fed: whoever runs it has it in hand by then.
fn polite_when_fed() -> (Command, std::io::PipeReader) {
    polite_with(&["on:TERM:exit:7", "read-stdin-line", "mark:up", "hang"], Stdio::bytes("x\n"))
}

fn polite_with(steps: &[&str], stdin: Stdio) -> (Command, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = fixture(steps);
    command.stdin(stdin).stdout(Stdio::from(writer)).on_drop(asked(HOUR));
    (command, reader)
}

/// Reads up to the word that says that the child is up.
fn up(reader: &mut std::io::PipeReader) {
    let mut said = Vec::new();
    while !said.ends_with(b"up\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
}

fn rest(mut reader: std::io::PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

/// The code that the child ended with, seen from no runtime.
fn code(handle: &ChildHandle) -> Option<i32> {
    park_on(handle.wait()).unwrap().code()
}

#[test]
fn it_is_asked_first_in_every_runtime_and_in_none() {
    for way in ["none", "current-thread", "multi-thread", "local", "gone", "cancelled run"] {
        let (command, mut reader) = if way == "cancelled run" { polite_when_fed() } else { polite() };
        let mut handle = None;
        let mut spawn = || {
            let child = command.spawn().unwrap();
            handle = Some(child.handle());
            child
        };
        match way {
            "none" => {
                let child = spawn();
                up(&mut reader);
                drop(child);
            }
            "gone" => {
                let runtime = multi_thread();
                let child = runtime.block_on(async { spawn() });
                up(&mut reader);
                drop(runtime);
                drop(child);
            }
            "local" => {
                let local = tokio::task::LocalSet::new();
                local.block_on(&current_thread(), async {
                    let child = spawn();
                    up(&mut reader);
                    tokio::task::spawn_local(async move { drop(child) }).await.unwrap();
                });
            }
            "cancelled run" => multi_thread().block_on(async {
                let run = tokio::spawn(command.run());
                up(&mut reader);
                run.abort();
                assert!(run.await.unwrap_err().is_cancelled());
            }),
            _ => {
                let runtime = if way == "multi-thread" { multi_thread() } else { current_thread() };
                runtime.block_on(async {
                    let child = spawn();
                    up(&mut reader);
                    drop(child);
                });
            }
        }
        drop(command);
        assert_eq!(rest(reader), "caught SIGTERM\n", "{way}");
        if let Some(handle) = handle {
            assert_eq!(code(&handle), Some(7), "{way}");
        }
    }
}

#[test]
fn who_is_deaf_is_killed_with_all_that_it_started() {
    run(async {
        let mut command = fixture(&["ignore:TERM", "spawn:[ignore:TERM,mark:up,hang]", "mark:up", "hang"]);
        let leash = Leash::tie(&mut command);
        command.stdout(Stdio::piped()).on_drop(asked(Duration::from_millis(50)));
        let mut child = command.spawn().unwrap();
        for _ in 0..2 {
            assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        }
        let pid = child.id().unwrap();
        drop((child, command));
        leash.wait_free();
        eventually("it is reaped", || is_gone(pid));
    });
}

#[test]
fn its_last_words_go_nowhere_and_do_not_hold_it_up() {
    run(async {
        // More than a pipe takes. Without a reader it would hang, or fail with another code.
        let mut command = fixture(&["on:TERM:[both:256K,exit:7]", "mark:up", "hang"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).on_drop(asked(HOUR));
        let mut child = command.spawn().unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        let handle = child.handle();
        drop(child);
        assert_eq!(within(handle.wait()).await.unwrap().code(), Some(7));
    });
}

#[test]
fn standard_input_is_closed_when_the_policy_says_so() {
    run(async {
        let mut command = fixture(&["mark:up", "eof-wait", "exit:7"]);
        let policy = Termination::new().close_stdin(HOUR);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).on_drop(OnDrop::Terminate(policy));
        let mut child = command.spawn().unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        let handle = child.handle();
        drop(child);
        assert_eq!(within(handle.wait()).await.unwrap().code(), Some(7));
    });
}

#[test]
fn a_runtime_is_shut_down_while_it_goes_on() {
    let mut command = fixture(&["ignore:TERM", "mark:up", "hang"]);
    command.stdout(Stdio::piped()).on_drop(asked(HOUR));
    let runtime = multi_thread();
    let mut child = runtime.block_on(async {
        let mut child = command.spawn().unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "up");
        child
    });
    let handle = child.handle();
    runtime.spawn(async move { child.wait().await });
    // If that waited for the steps, it would be an hour.
    drop(runtime);
    assert_eq!(handle.try_wait().unwrap(), None);
    handle.start_kill().unwrap();
    assert_eq!(code(&handle), None);
}

#[test]
fn one_thread_for_all() {
    let (command, mut reader) = polite();
    let mut children = Vec::new();
    for _ in 0..50 {
        children.push(command.spawn().unwrap());
        up(&mut reader);
    }
    drop(command);
    let handles: Vec<_> = children.iter().map(herder::Child::handle).collect();
    drop(children);
    let is_ours = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "herder-end\n")
    };
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().flatten().filter(is_ours).count();
    // A thread that it starts has its name until it has its own.
    eventually("there is one thread of that name", || threads() == 1);
    assert_eq!(rest(reader), "caught SIGTERM\n".repeat(50));
    assert!(handles.iter().all(|handle| code(handle) == Some(7)));
    eventually("there still is one", || threads() == 1);
}

/// What a drop of `child` panics with, if it does.
fn said<T>(child: T) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| drop(child))).err().map(|text| *text.downcast::<String>().unwrap())
}

#[test]
fn the_guard_kills_and_panics() {
    for zombie in [false, true] {
        let mut command = fixture(if zombie { &[] } else { &["hang"] });
        let leash = Leash::tie(&mut command);
        let child = command.name("worker").on_drop(OnDrop::Panic).spawn().unwrap();
        drop(command);
        let pid = child.id().unwrap();
        if zombie {
            eventually("it ends", || crate::support::is_dead(pid));
        }
        let said = said(child).unwrap();
        assert!(said.contains("the child \"worker\" was dropped"), "{said}");
        leash.wait_free();
        eventually("it is reaped", || is_gone(pid));
    }
}

#[test]
fn the_guard_is_content_with_one_that_was_ended_or_let_go() {
    run(async {
        for way in ["wait", "kill", "start_kill", "terminate", "detach", "Kill", "joined", "run", "spawn"] {
            let (reader, writer) = std::io::pipe().unwrap();
            let steps: &[&str] = if way == "wait" { &[] } else { &["eof-wait"] };
            let mut command = fixture(steps);
            command.stdin(Stdio::from(reader)).on_drop(OnDrop::Panic);
            let never = Duration::from_millis(20);
            if way == "run" {
                assert!(tokio::time::timeout(never, command.run()).await.is_err());
                continue;
            }
            if way == "spawn" {
                // No child that anybody had in hand.
                if let Some(child) = cancelled(1, command.spawn_async()).await {
                    child.unwrap().detach();
                }
                continue;
            }
            let mut child = command.spawn().unwrap();
            match way {
                "wait" => drop(child.wait().await.unwrap()),
                "kill" => child.kill().await.unwrap(),
                "start_kill" => child.start_kill().unwrap(),
                "terminate" => drop(child.terminate(&Termination::default()).await.unwrap()),
                "detach" => child.detach(),
                "Kill" => child.set_on_drop(OnDrop::Kill),
                _ => {
                    assert!(tokio::time::timeout(never, child.wait_with_output()).await.is_err());
                    continue;
                }
            }
            assert_eq!(said(child), None, "{way}");
            drop(writer);
        }
    });
}

#[test]
fn the_guard_never_panics_twice() {
    let mut command = fixture(&["hang"]);
    let leash = Leash::tie(&mut command);
    let child = command.on_drop(OnDrop::Panic).spawn().unwrap();
    drop(command);
    // A second panic would abort all tests.
    let first = catch_unwind(AssertUnwindSafe(|| {
        let _child = child;
        std::panic::resume_unwind(Box::new("the first"));
    }));
    assert_eq!(first.unwrap_err().downcast_ref(), Some(&"the first"));
    leash.wait_free();
}

#[test]
fn the_guard_may_be_armed_later() {
    let mut child = fixture(&["hang"]).spawn().unwrap();
    child.set_on_drop(OnDrop::Panic);
    assert!(said(child).is_some());
}

#[test]
fn a_herd_has_the_same_choice() {
    for containment in [Containment::Auto, Containment::Group] {
        run(async {
            let (reader, writer) = std::io::pipe().unwrap();
            let mut command = fixture(&["on:TERM:exit:7", "mark:up", "hang"]);
            command.stdout(Stdio::from(writer));
            let mut reader = reader;
            let herd = |on_drop| {
                let mut herd = Herd::contained("test", containment).unwrap();
                herd.set_on_drop(on_drop);
                herd
            };
            let asking = herd(asked(HOUR));
            let mut member = asking.spawn(&command).unwrap();
            up(&mut reader);
            drop(asking);
            assert_eq!(within(member.wait()).await.unwrap().code(), Some(7));

            let guarded = herd(OnDrop::Panic);
            let mut member = guarded.spawn(&command).unwrap();
            assert!(said(guarded).unwrap().contains("the herd \"test\" was dropped"));
            assert_eq!(within(member.wait()).await.unwrap().code(), None);
            let guarded = herd(OnDrop::Panic);
            assert!(within(guarded.spawn(&fixture(&[])).unwrap().wait()).await.unwrap().success());
            assert_eq!(said(guarded), None);

            let open = herd(OnDrop::Detach);
            let mut child =
                open.spawn(fixture(&["echo-stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
            drop(open);
            drop(child.stdin.take());
            let mut text = String::new();
            within(child.stdout.take().unwrap().read_to_string(&mut text)).await.unwrap();
            assert!(within(child.wait()).await.unwrap().success());
        });
    }
}

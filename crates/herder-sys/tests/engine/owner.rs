//! Children that die with their owner, and only then.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::channel;

use herder_sys::{
    FdSource, Signal, SpawnRequest, is_permanent_thread, pipe, set_nonblocking, spawn, spawn_on_thread,
};

use crate::support::{LIMIT, alone, launched, os, sh, sleeper, status, until};

fn dying(mut request: SpawnRequest) -> SpawnRequest {
    request.die_with_owner = Some(Signal::KILL);
    request
}

/// A child that repeats each line, with our ends.
fn echo() -> (SpawnRequest, File, BufReader<File>) {
    let (stdin, stdout) = (pipe(true).expect("a pipe"), pipe(false).expect("a pipe"));
    let mut request = sh("while read line; do echo $line; done");
    request.fds = vec![(0, FdSource::Fd(Arc::new(stdin.theirs))), (1, FdSource::Fd(Arc::new(stdout.theirs)))];
    let ours = |fd: OwnedFd| {
        set_nonblocking(&fd, false).expect("our own");
        File::from(fd)
    };
    (request, ours(stdin.ours), BufReader::new(ours(stdout.ours)))
}

#[test]
fn a_child_of_the_permanent_thread_survives_the_thread_that_asked() {
    let (request, mut stdin, mut stdout) = echo();
    let (sender, receiver) = channel();
    let asked = std::thread::spawn(move || {
        let done = move |spawned| sender.send(spawned).unwrap();
        spawn_on_thread(dying(request), done).unwrap();
        // SAFETY: no arguments.
        unsafe { libc::gettid() }
    });
    let thread = asked.join().unwrap();
    let spawned = receiver.recv_timeout(LIMIT).unwrap().unwrap();
    spawned.launch.wait(LIMIT).unwrap().unwrap();
    until("the thread is gone", || !std::path::Path::new(&format!("/proc/self/task/{thread}")).exists());
    let mut line = String::new();
    for word in ["one\n", "two\n"] {
        line.clear();
        stdin.write_all(word.as_bytes()).unwrap();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, word);
    }
    drop(stdin);
    assert!(status(&spawned.process).success());
}

#[test]
#[cfg_attr(herder_portable, ignore = "no thread bears children whose end is bound to its own")]
fn a_child_of_a_thread_that_ends_dies() {
    let spawned = std::thread::spawn(|| {
        assert!(!is_permanent_thread());
        launched(dying(sleeper()))
    });
    let spawned = spawned.join().unwrap();
    let status = status(&spawned.process);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
}

/// Runs `life` in a forked copy of us, which gets a pipe to tell pids, and gives what was told after its end.
fn in_copy(life: impl FnOnce(&mut File)) -> (i32, BufReader<File>) {
    let ends = pipe(false).expect("a pipe");
    set_nonblocking(&ends.ours, false).expect("our own");
    let mut tell = File::from(ends.theirs);
    let pid = os::fork();
    if pid == 0 {
        life(&mut tell);
        os::exit_now(0);
    }
    drop(tell);
    (pid, BufReader::new(File::from(ends.ours)))
}

#[test]
fn a_child_dies_when_its_owner_is_killed() {
    alone(|| {
        let (owner, mut told) = in_copy(|tell| {
            let spawned = launched(dying(sleeper()));
            writeln!(tell, "{}", spawned.process.pid()).unwrap();
            loop {
                std::thread::park();
            }
        });
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let child = line.trim().parse().unwrap();
        assert!(os::lives(child));
        os::kill(owner, libc::SIGKILL);
        assert_eq!(os::wait(owner), libc::SIGKILL);
        until("the child is gone", || !os::lives(child));
    });
}

#[test]
fn a_child_dies_though_its_owner_was_gone_before_it_asked() {
    alone(|| {
        for _ in 0..100 {
            let (owner, mut told) = in_copy(|tell| {
                let spawned = spawn(dying(sleeper())).unwrap();
                writeln!(tell, "{}", spawned.process.pid()).unwrap();
                os::exit_now(0);
            });
            let mut line = String::new();
            told.read_to_string(&mut line).unwrap();
            let child = line.trim().parse().unwrap();
            assert_eq!(os::wait(owner), 0);
            until("the child is gone", || !os::lives(child));
        }
    });
}

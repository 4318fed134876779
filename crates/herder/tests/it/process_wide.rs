//! What belongs to the whole program, and is changed by it or by a library that knows nothing of us: each test in a
//! process of its own.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use herder::contain::Strength;
use herder::{Command, Signal, Stdio, Termination};
use nix::sys::signal::SigSet;
use nix::unistd::Uid;

use crate::support::alone::{alone, children, open_fds};
use crate::support::{eventually, fixture, run};

#[test]
fn standard_descriptors_that_are_closed() {
    alone(|| {
        for closed in [&[0][..], &[1], &[2], &[0, 1], &[1, 2], &[0, 1, 2]] {
            let outcome = with_closed(closed, || {
                run(async {
                    let mut command = fixture(&["stdin-count", "eprint:err", "exit:7"]);
                    let report = command.stdin(Stdio::bytes(vec![0; 100_000])).output().await?;
                    let mut bare = Command::new("ls");
                    bare.args(["-l", "/proc/self/fd"]).stdin(Stdio::null());
                    let mut child = fixture(&["hang"]).stdout(Stdio::null()).spawn()?;
                    child.kill().await.map_err(std::io::Error::from)?;
                    Ok::<_, std::io::Error>((report, bare.output().await?))
                })
            });
            let (report, bare) = outcome.unwrap();
            assert_eq!(report.status.code(), Some(7));
            assert_eq!((&*report.stdout, &*report.stderr), (&b"100000\n"[..], &b"err"[..]));
            // Three streams, and the folder that is listed: nothing of ours has slipped in.
            assert_eq!(bare.stdout_lossy().matches(" -> ").count(), 4, "{}", bare.stdout_lossy());
        }
    });
}

/// Does it with some of our own standard streams closed, and opens those again, so that failures can be told.
fn with_closed<T>(closed: &[i32], body: impl FnOnce() -> T) -> T {
    let kept = [std::io::stdin().as_fd(), std::io::stdout().as_fd(), std::io::stderr().as_fd()]
        .map(|fd| fd.try_clone_to_owned().unwrap());
    // What the library makes once, and keeps, is made before.
    drop(fixture(&["hang"]).spawn().unwrap());
    eventually("it is reaped", || children().is_empty());
    for fd in closed {
        nix::unistd::close(*fd).unwrap();
    }
    let value = body();
    let is_closed = |fd: &i32| open_fds().iter().all(|(open, _)| open != fd);
    eventually("nothing is left in their place", || closed.iter().all(is_closed));
    nix::unistd::dup2_stdin(&kept[0]).unwrap();
    nix::unistd::dup2_stdout(&kept[1]).unwrap();
    nix::unistd::dup2_stderr(&kept[2]).unwrap();
    value
}

#[test]
fn the_working_directory() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let (here, there) = (dir.path().join("here"), dir.path().join("there"));
        for (path, text) in [(&here, "here"), (&there, "there")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("tool"), format!("#!/bin/sh\necho {text}; pwd\n")).unwrap();
            fs::set_permissions(path.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        }
        std::env::set_current_dir(&here).unwrap();
        let canonical = |path: &std::path::Path| path.canonicalize().unwrap().display().to_string();
        let (at_here, at_there) = (canonical(&here), canonical(&there));
        run(async {
            let mut tool = Command::new("./tool");
            assert_eq!(tool.read().await.unwrap(), format!("here\n{at_here}"));
            // A relative program is meant in the directory of the child, and a relative directory in ours.
            tool.current_dir("../there");
            assert_eq!(tool.read().await.unwrap(), format!("there\n{at_there}"));
            // A directory that is gone is no business of a child that does not need it.
            fs::remove_dir_all(&here).unwrap();
            assert_eq!(Command::new("echo").arg("x").read().await.unwrap(), "x");
            let mut pwd = Command::new("pwd");
            assert_eq!(pwd.current_dir(&there).read().await.unwrap(), at_there);
            assert!(Command::new("./tool").spawn().is_err());
        });
        std::env::set_current_dir("/").unwrap();
    });
}

#[test]
fn the_signal_mask_is_ours_again_whatever_happened() {
    alone(|| {
        let mut mask = SigSet::empty();
        mask.add(nix::sys::signal::SIGUSR1);
        mask.thread_set_mask().unwrap();
        run(async {
            for command in
                [&Command::new("true"), &Command::new("gone"), Command::new("true").current_dir("/gone")]
            {
                drop(command.spawn());
                assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
                drop(command.spawn_async().await);
                assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
                drop(command.output().await);
                assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
            }
        });
    });
}

#[test]
fn a_signal_that_is_not_permitted_is_an_error_that_names_it() {
    alone(|| {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not shown: only root can start a child of another user");
            return;
        }
        let (root, nobody) = (Uid::from_raw(0), Uid::from_raw(65_534));
        run(async {
            let mut command = Command::new("sleep");
            let mut child = command.arg("1000").uid(12_345).spawn().unwrap();
            nix::unistd::seteuid(nobody).unwrap();
            let error = child.signal(Signal::TERM).unwrap_err();
            let kill = child.start_kill();
            let policy = Termination::new().signal(Signal::TERM, Duration::from_millis(10));
            let ending = tokio::time::timeout(Duration::from_millis(500), child.terminate(&policy)).await;
            nix::unistd::seteuid(root).unwrap();
            assert_eq!(error.io_kind(), std::io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("SIGTERM") && error.to_string().contains("sleep"), "{error}");
            match kill {
                Err(error) => assert!(error.to_string().starts_with("can't kill \"sleep\""), "{error}"),
                // A keeper is who we were, and may have been quicker.
                Ok(()) => assert_eq!(child.strength(), Strength::Keeper),
            }
            // The ladder went on to its end, and waits for what it could not do; but a keeper is who we were.
            assert_eq!(ending.is_err(), child.strength() != Strength::Keeper);
            if ending.is_ok() {
                return;
            }
            child.kill().await.unwrap();
            let report = child.wait_with_output().await.unwrap();
            assert_eq!(report.attempts().len(), 2);
            assert!(report.attempts().iter().all(|attempt| attempt.error_kind().is_some()));
        });
    });
}

//! There is one keeper, whoever asks and whatever happens to it, and it is small and out of reach.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Barrier;

use herder_sys::facts;
use herder_sys::keeper::{self, State};

use crate::support::house::House;
use crate::support::{alone, alone_with, launched, os, seccomp, sleeper, until};

/// The pid of the keeper that runs, or of the one that is about to.
fn pid() -> i32 {
    let mut found = None;
    until("there is one", || {
        found = match keeper::state() {
            State::Running { pid } => Some(pid),
            State::Starting => None,
            other => panic!("{other:?}"),
        };
        found.is_some()
    });
    found.unwrap()
}

fn status_line(pid: i32, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().to_owned()
}

fn keepers() -> BTreeSet<i32> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Ok(name) = entry.unwrap().file_name().into_string() else { continue };
        let Ok(pid) = name.parse() else { continue };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if comm == "herder-keeper\n" && os::lives(pid) {
            found.insert(pid);
        }
    }
    found
}

#[test]
fn it_is_started_when_first_asked_for_and_once() {
    alone(|| {
        assert!(matches!(keeper::state(), State::Idle));
        let barrier = Barrier::new(64);
        let pids: BTreeSet<i32> = std::thread::scope(|scope| {
            let ask = || {
                barrier.wait();
                keeper::ensure(None).unwrap();
                pid()
            };
            let threads: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(pids.len(), 1, "{pids:?}");
        assert!(keepers().is_superset(&pids));
        assert!(os::children().is_empty(), "it is not our child, nor is there anything else to wait for");
    });
}

#[test]
fn it_is_small_and_nothing_of_ours_reaches_it() {
    alone(|| {
        let file = os::named_file("ours");
        os::keep_on_exec(&file);
        keeper::ensure(None).unwrap();
        let keeper = pid();
        assert_eq!(fs::read_to_string(format!("/proc/{keeper}/comm")).unwrap(), "herder-keeper\n");
        let kib: u32 = status_line(keeper, "VmRSS").trim_end_matches(" kB").parse().unwrap();
        println!("resident: {kib} KiB");
        assert!(kib < 2048, "{kib} KiB");
        let open: Vec<String> = fs::read_dir(format!("/proc/{keeper}/fd"))
            .unwrap()
            .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
            .collect();
        let own =
            |path: &String| path == "/dev/null" || path.starts_with("socket:") || path.contains("[pidfd]");
        assert!(open.iter().all(own) && open.len() <= 5, "{open:?}");
        let mask = u64::from_str_radix(&status_line(keeper, "SigBlk"), 16).unwrap();
        assert_eq!(!mask, 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1));
        assert_eq!(fs::read_link(format!("/proc/{keeper}/cwd")).unwrap().to_str(), Some("/"));
        let session = |pid: i32| {
            // SAFETY: a number only.
            unsafe { libc::getsid(pid) }
        };
        assert_eq!(session(keeper), keeper);
        assert_ne!(session(keeper), session(0));
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGPIPE]
        {
            os::kill(keeper, signal);
        }
        keeper::ensure(None).unwrap();
        assert!(os::lives(keeper) && pid() == keeper);
        assert!(!matches!(os::state(keeper), Some('T')));
    });
}

#[test]
fn one_that_is_killed_is_replaced_and_told_everything() {
    if !facts().pidfd {
        return;
    }
    alone(|| {
        let house = House::new();
        if let Some(house) = &house {
            house.ensure();
        }
        let child = launched(sleeper());
        let watch = keeper::watch(&child.process).unwrap();
        for _ in 0..5 {
            let before = pid();
            std::thread::sleep(std::time::Duration::from_millis(60));
            os::kill(before, libc::SIGKILL);
            until("there is another one", || !os::lives(before) && pid() != before);
            assert!(os::lives(child.process.pid()));
            let pidfds = fs::read_dir(format!("/proc/{}/fd", pid())).unwrap().count();
            // Three null devices, the lifeline, us, the child, and the house.
            until("it has been told", || {
                fs::read_dir(format!("/proc/{}/fd", pid())).unwrap().count()
                    == 6 + usize::from(house.is_some())
            });
            assert!(pidfds >= 4);
        }
        drop(watch);
        until("it has forgotten", || {
            fs::read_dir(format!("/proc/{}/fd", pid())).unwrap().count() == 5 + usize::from(house.is_some())
        });
    });
}

#[test]
fn one_that_is_ended_at_once_again_and_again_is_given_up() {
    alone(|| {
        keeper::ensure(None).unwrap();
        until("it is given up", || {
            if let State::Running { pid } = keeper::state() {
                // It may be gone already.
                // SAFETY: numbers only.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            matches!(keeper::state(), State::Refused(_))
        });
        keeper::ensure(None).unwrap();
        assert!(os::lives(pid()));
    });
}

#[test]
fn a_forked_copy_of_us_has_its_own() {
    alone(|| {
        keeper::ensure(None).unwrap();
        let ours = pid();
        let child = launched(sleeper());
        let watch = keeper::watch(&child.process);
        assert_eq!(watch.is_ok(), facts().pidfd);
        let copy = os::fork();
        if copy == 0 {
            let works = std::panic::catch_unwind(|| {
                assert!(matches!(keeper::state(), State::Idle));
                keeper::ensure(None).unwrap();
                assert_ne!(pid(), ours);
            });
            os::exit_now(i32::from(works.is_err()));
        }
        assert_eq!(os::wait(copy), 0);
        assert!(os::lives(ours) && pid() == ours && os::lives(child.process.pid()));
    });
}

#[test]
fn numbers_are_used_again_and_there_are_many() {
    if !facts().pidfd {
        return;
    }
    alone(|| {
        let child = launched(sleeper());
        for _ in 0..3 {
            let mut watches = Vec::new();
            // One that has too much to read for now is an error; it must not be for long.
            until("all are watched", || {
                watches.extend(keeper::watch(&child.process));
                watches.len() == 600
            });
            drop(watches);
            until("all are forgotten", || fs::read_dir(format!("/proc/{}/fd", pid())).unwrap().count() == 5);
        }
    });
}

#[test]
fn one_that_does_not_run_never_makes_us_wait() {
    if !facts().pidfd {
        return;
    }
    alone(|| {
        let child = launched(sleeper());
        keeper::ensure(None).unwrap();
        let keeper = pid();
        os::kill(keeper, libc::SIGSTOP);
        let start = std::time::Instant::now();
        let mut watches: Vec<_> = (0..20_000).map_while(|_| keeper::watch(&child.process).ok()).collect();
        let error = keeper::watch(&child.process).unwrap_err();
        assert!(watches.len() < 20_000, "there is no end to what can be said");
        println!("{} messages, then {error}", watches.len());
        watches.clear();
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
        os::kill(keeper, libc::SIGCONT);
        // What is read in order: this one is behind all others.
        let last = launched(sleeper());
        let mut watch = None;
        until("there is room again", || {
            watch = keeper::watch(&last.process).ok();
            watch.is_some()
        });
        let line = format!("Pid:\t{}\n", last.process.pid());
        until("it has read all", || {
            let infos = fs::read_dir(format!("/proc/{keeper}/fdinfo")).unwrap().flatten();
            let mut texts = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
            texts.any(|text| text.contains(&line))
        });
        until("it has forgotten the others", || {
            fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count() == 6
        });
    });
}

#[test]
fn why_there_is_none_is_told() {
    alone(|| {
        seccomp::refuse(libc::SYS_memfd_create, None, libc::EACCES);
        let error = keeper::ensure(None).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("vm.memfd_noexec"), "{error}");
        let State::Refused(why) = keeper::state() else { panic!("{:?}", keeper::state()) };
        assert_eq!((why.to_string(), why.errno()), (error.to_string(), libc::EACCES));
        let child = launched(sleeper());
        let watched = keeper::watch(&child.process).unwrap_err();
        assert!(!facts().pidfd || watched.to_string() == error.to_string());
    });
}

#[test]
fn it_starts_on_every_rung() {
    for disabled in ["clone3", "clone3,clone_pidfd", "pidfd", "shared_memory", "close_range"] {
        alone_with(&[("HERDER_DISABLE", disabled)], || {
            keeper::ensure(None).unwrap();
            assert!(os::lives(pid()));
        });
    }
}

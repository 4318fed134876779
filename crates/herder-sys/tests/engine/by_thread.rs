//! Children that the thread which never ends makes, moved to the processor of who waits for it.

use std::fs::{self, File};
use std::thread;

use herder_sys::{FdSource, SpawnRequest, spawn_by_thread, thread_is_free};

use crate::support::{LIMIT, alone, sh, status, until};

const ALLOWED: &str = "Cpus_allowed_list:";

/// Of a thread of ours, or of the main one.
fn allowed(task: &str) -> String {
    allowed_of(&format!("/proc/self/{task}status"))
}

fn allowed_of(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().find_map(|line| line.strip_prefix(ALLOWED)).unwrap().trim().to_owned()
}

/// The processors that this thread may use: the numbers of them.
fn processors() -> Vec<usize> {
    let list = allowed_of("/proc/thread-self/status");
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        first.parse::<usize>().unwrap()..=last.parse().unwrap()
    };
    list.split(',').flat_map(range).collect()
}

/// Lets a thread use this processor only: the calling one if it is 0.
fn keep_on(thread: i32, processor: usize) {
    // SAFETY: all zeroes is a set without any processor.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes to a live local; the number comes from the kernel, on a host with fewer than the set holds.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: reads a live local.
    assert_eq!(unsafe { libc::sched_setaffinity(thread, size_of_val(&set), &raw const set) }, 0);
}

/// What a child of that thread writes.
fn said(mut request: SpawnRequest) -> String {
    let ends = herder_sys::pipe(false).unwrap();
    request.fds.push((1, FdSource::Fd(ends.theirs.into())));
    let spawned = spawn_by_thread(request).unwrap();
    spawned.launch.wait(LIMIT).unwrap().unwrap();
    herder_sys::set_nonblocking(&ends.ours, false).unwrap();
    let text = std::io::read_to_string(File::from(ends.ours)).unwrap();
    assert!(status(&spawned.process).success());
    text
}

fn its_processors() -> String {
    let text = said(sh(&format!("grep {ALLOWED} /proc/self/status")));
    text.strip_prefix(ALLOWED).unwrap().trim().to_owned()
}

/// The folder of the thread that never ends.
fn its_task() -> String {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let is_it = |path: &std::path::PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "herder-spawn")
    };
    let path = tasks.map(|entry| entry.path()).find(is_it).unwrap();
    format!("task/{}/", path.file_name().unwrap().display())
}

#[test]
fn it_comes_to_who_waits_and_its_children_may_go_where_the_main_thread_may() {
    alone(|| {
        let everywhere = allowed("");
        for round in 0..10 {
            for processor in processors() {
                let here = everywhere.clone();
                let asker = thread::spawn(move || {
                    keep_on(0, processor);
                    if round > 0 {
                        until("it is free", thread_is_free);
                    }
                    assert_eq!(its_processors(), here, "of a child");
                    if round > 0 {
                        assert_eq!(allowed(&its_task()), processor.to_string(), "of the thread");
                    }
                });
                asker.join().unwrap();
            }
        }
        // The caller's wish goes before.
        let mut request = sh(&format!("grep {ALLOWED} /proc/self/status"));
        request.affinity = Some(vec![processors()[0]]);
        assert_eq!(said(request).split_whitespace().last(), Some(processors()[0].to_string().as_str()));
    });
}

#[test]
fn children_may_go_no_further_than_the_main_thread() {
    alone(|| {
        let (first, most) = (processors()[0], processors().len());
        // SAFETY: no arguments.
        let main = unsafe { libc::getpid() };
        keep_on(main, first);
        for _ in 0..5 {
            // From a thread that may use all that there are.
            assert_eq!((its_processors(), processors().len()), (first.to_string(), most));
        }
    });
}

#[test]
fn many_may_wait_for_it_at_once() {
    let ask = |thread: i32| {
        move || {
            for round in 0..50 {
                let code = (thread + round) % 100;
                let spawned = spawn_by_thread(sh(&format!("exit {code}"))).unwrap();
                assert_eq!(status(&spawned.process).code(), Some(code));
            }
        }
    };
    let askers: Vec<_> = (0..8).map(|index| thread::spawn(ask(index))).collect();
    askers.into_iter().for_each(|asker| asker.join().unwrap());
}

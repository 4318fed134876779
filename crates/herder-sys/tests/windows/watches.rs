//! Being told of exits: many at once, and dropped at any time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use herder_sys::{ExitWatch, Process};

use crate::support::{LIMIT, Numbers, line, piped, request, start};

/// A child that hangs, once it does.
fn hanging() -> Process {
    let mut request = request(&["mark:ready", "hang"]);
    let mut reader = piped(&mut request);
    let process = start(request);
    assert_eq!(line(&mut reader), "ready");
    process
}

fn count(told: &AtomicUsize) {
    told.fetch_add(1, Ordering::Relaxed);
}

/// How many threads this process has.
fn threads() -> usize {
    use windows_sys::Win32::Foundation::CloseHandle;
    use windows_sys::Win32::System::Diagnostics::ToolHelp::{
        CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
    };
    // SAFETY: numbers only.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    let mut entry = THREADENTRY32 { dwSize: size_of::<THREADENTRY32>() as u32, ..Default::default() };
    let mut count = 0;
    // SAFETY: one structure of the size that it names.
    let mut more = unsafe { Thread32First(snapshot, &raw mut entry) };
    while more != 0 {
        count += usize::from(entry.th32OwnerProcessID == std::process::id());
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot, &raw mut entry) };
    }
    // SAFETY: ours, and used no more.
    unsafe { CloseHandle(snapshot) };
    count
}

#[test]
fn a_thousand_waits_take_no_thread_each_and_all_are_told() {
    const CHILDREN: usize = 100;
    const EACH: usize = 10;
    let children: Vec<Process> = (0..CHILDREN).map(|_| start(request(&["hang"]))).collect();
    let before = threads();
    let (sender, told) = channel();
    let watches: Vec<ExitWatch> = children
        .iter()
        .flat_map(|child| (0..EACH).map(|_| child.handle()))
        .map(|child| {
            let sender = sender.clone();
            let pid = child.pid();
            child.watch(move || sender.send(pid).unwrap()).unwrap()
        })
        .collect();
    assert_eq!(watches.len(), 1000);
    let during = threads();
    // Other tests have threads of their own meanwhile.
    assert!(during < before + 100, "{before} threads, then {during}");
    assert!(told.try_recv().is_err());
    for child in &children {
        child.kill_all().unwrap();
    }
    let mut counts = std::collections::HashMap::new();
    for _ in 0..CHILDREN * EACH {
        *counts.entry(told.recv_timeout(LIMIT).unwrap()).or_insert(0) += 1;
    }
    assert!(counts.len() == CHILDREN && counts.values().all(|&count| count == EACH), "{counts:?}");
}

#[test]
fn one_that_has_exited_is_told_at_once() {
    let process = start(request(&["exit:0"]));
    process.wait_exited().unwrap();
    let (sender, told) = channel();
    let _watch = process.watch(move || sender.send(()).unwrap()).unwrap();
    told.recv_timeout(LIMIT).unwrap();
}

#[test]
fn a_watch_that_is_dropped_says_nothing() {
    let process = hanging();
    let told = Arc::new(AtomicUsize::new(0));
    for round in 0..10_000 {
        let told = Arc::clone(&told);
        let watch = process.watch(move || count(&told)).unwrap();
        if round % 10 == 0 {
            // Somewhere else.
            std::thread::spawn(move || drop(watch)).join().unwrap();
        }
    }
    process.kill_all().unwrap();
    process.wait_exited().unwrap();
    let (sender, last) = channel();
    let _watch = process.watch(move || sender.send(()).unwrap()).unwrap();
    last.recv_timeout(LIMIT).unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 0);
}

/// Where the function that is called drops the very watch that calls it.
#[test]
fn a_watch_may_be_dropped_by_its_own_call() {
    let process = start(request(&["exit:0"]));
    process.wait_exited().unwrap();
    for _ in 0..2_000 {
        let slot = Arc::new(Mutex::new(None::<ExitWatch>));
        let (sender, told) = channel();
        let inner = Arc::clone(&slot);
        // Held until the watch is in its place, so that the call finds it there.
        let mut place = slot.lock().unwrap();
        *place = Some(
            process
                .watch(move || {
                    drop(inner.lock().unwrap().take());
                    sender.send(()).unwrap();
                })
                .unwrap(),
        );
        drop(place);
        told.recv_timeout(LIMIT).unwrap();
        assert!(slot.lock().unwrap().is_none());
    }
}

/// Drops beside the exit itself: each watch is told once or not at all.
#[test]
fn drops_beside_the_exit() {
    let mut numbers = Numbers(7);
    for _ in 0..40 {
        let process = start(request(&["hang"]));
        let told = Arc::new(AtomicUsize::new(0));
        let watches: Vec<ExitWatch> = (0..200)
            .map(|_| {
                let told = Arc::clone(&told);
                process.watch(move || count(&told)).unwrap()
            })
            .collect();
        let handle = process.handle();
        let kill = std::thread::spawn(move || handle.kill_all().unwrap());
        let mut kept = Vec::new();
        for watch in watches {
            if numbers.below(2) == 0 {
                drop(watch);
            } else {
                kept.push(watch);
            }
        }
        kill.join().unwrap();
        process.wait_exited().unwrap();
        let kept_count = kept.len();
        crate::support::eventually("all that were kept are told", || {
            told.load(Ordering::Relaxed) >= kept_count
        });
        drop(kept);
        assert!(told.load(Ordering::Relaxed) <= 200);
    }
}

#[test]
fn a_call_that_panics_harms_nobody() {
    let process = start(request(&["exit:0"]));
    process.wait_exited().unwrap();
    let _bad = process.watch(|| panic!("a test of a panic")).unwrap();
    let (sender, told) = channel();
    let _good = process.watch(move || sender.send(()).unwrap()).unwrap();
    told.recv_timeout(LIMIT).unwrap();
}

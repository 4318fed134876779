//! What a child gets of our handles: what was named, and nothing else.

use std::io::{Read, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::Arc;

use herder_sys::{FdSource, Process};
use windows_sys::Win32::Foundation::{HANDLE_FLAG_INHERIT, SetHandleInformation};

use crate::support::{ended, line, output_of, piped, request, request_for, start, status, with_variable};

#[test]
fn streams_go_where_they_were_sent() {
    let (output, output_writer) = std::io::pipe().unwrap();
    let (error, error_writer) = std::io::pipe().unwrap();
    let (input, mut writer) = std::io::pipe().unwrap();
    let mut asked = request(&["cat", "eprint:err"]);
    let give = |end: OwnedHandle| FdSource::Fd(Arc::new(end));
    asked.fds =
        vec![(0, give(input.into())), (1, give(output_writer.into())), (2, give(error_writer.into()))];
    let process = start(asked);
    writer.write_all(b"moo").unwrap();
    drop(writer);
    let read = |mut end: std::io::PipeReader| {
        let mut text = String::new();
        end.read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!((read(output), read(error)), ("moo".into(), "err".into()));
    assert!(status(&process).success());
}

#[test]
fn standard_error_follows_standard_output() {
    let mut asked = request(&["print:a", "eprint:b", "print:c"]);
    asked.fds.push((2, FdSource::Same(1)));
    let mut reader = piped(&mut asked);
    let process = start(asked);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "abc");
    assert!(status(&process).success());
}

#[test]
fn the_null_device_is_empty_and_takes_everything() {
    let mut asked = request(&["stdin-count"]);
    asked.fds.push((2, FdSource::Null));
    assert_eq!(output_of(asked).unwrap(), "0\n");
}

/// 64 children are started at once, each with a pipe of its own, and end one after the other. A pipe ends with its
/// child while all the others live: nobody else has its other end. What anybody may inherit, but was not named, has
/// nobody.
#[test]
fn no_child_gets_the_handles_of_another() {
    const COUNT: usize = 64;
    let (stray, stray_writer) = std::io::pipe().unwrap();
    // SAFETY: numbers, and a handle that is open.
    let marked = unsafe {
        SetHandleInformation(stray_writer.as_raw_handle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)
    };
    assert_ne!(marked, 0);
    let children: Vec<_> = std::thread::scope(|threads| {
        let started: Vec<_> = (0..COUNT)
            .map(|_| {
                threads.spawn(|| {
                    let mut asked = request(&["mark:ready", "hang"]);
                    let reader = piped(&mut asked);
                    // Besides: a handle that is inheritable as long as the child is being started, and after.
                    let (extra, extra_writer) = std::io::pipe().unwrap();
                    asked.windows.handles = vec![Arc::new(OwnedHandle::from(extra_writer))];
                    (start(asked), reader, extra)
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut children: Vec<(Process, _, _)> = children;
    for (_, reader, _) in &mut children {
        assert_eq!(line(reader), "ready");
    }
    drop(stray_writer);
    ended(stray);
    for (process, reader, extra) in children {
        process.kill_all().unwrap();
        process.wait_exited().unwrap();
        ended(reader);
        ended(extra);
    }
}

/// A named handle arrives under its number.
#[test]
fn a_named_handle_arrives_under_its_number() {
    const NUMBER: &str = "HERDER_TEST_HANDLE";
    if let Ok(number) = std::env::var(NUMBER) {
        let handle = number.parse::<usize>().unwrap() as *mut std::ffi::c_void;
        // SAFETY: it was given to this process, and to nobody else in it.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        std::fs::File::from(handle).write_all(b"through the handle").unwrap();
        return;
    }
    let (mut reader, writer) = std::io::pipe().unwrap();
    let writer = Arc::new(OwnedHandle::from(writer));
    let number = (writer.as_raw_handle() as usize).to_string();
    let exe = std::env::current_exe().unwrap();
    let mut asked = request_for(exe, ["--exact", "streams::a_named_handle_arrives_under_its_number"]);
    asked.env = Some(with_variable(NUMBER, &number));
    asked.fds = vec![(0, FdSource::Null), (1, FdSource::Null)];
    asked.windows.handles = vec![writer];
    let process = start(asked);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through the handle");
    assert!(status(&process).success());
}

//! Starting, ending, the surroundings of a child.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use herder_sys::{Group, KILL_CODE, LaunchError, Signal, SpawnStep, Strings, environment, spawn, was_ended};

use crate::support::{
    escaped, in_a_console, line, output_of, piped, request, request_for, skipped_by_wine, start, status,
    strings,
};

#[test]
fn exit_codes_are_told_as_they_are() {
    for code in [0, 1, 2, 3, 259, 0xC000_0005_u32] {
        let process = start(request(&[&format!("exit:{code}")]));
        assert_eq!(status(&process).code().map(i32::cast_unsigned), Some(code));
    }
}

#[test]
fn a_process_that_runs_has_no_status() {
    let mut request = request(&["mark:ready", "hang"]);
    let mut reader = piped(&mut request);
    let process = start(request);
    assert_eq!(line(&mut reader), "ready");
    assert!(process.reap().unwrap().is_none() && !process.has_exited().unwrap());
    process.kill_all().unwrap();
    let status = status(&process);
    assert_eq!(status.code().map(i32::cast_unsigned), Some(KILL_CODE));
    assert!(was_ended(status));
    // Once more is no error.
    process.kill_all().unwrap();
    process.signal(Signal::KILL).unwrap();
}

#[test]
fn what_it_used_is_told() {
    let process = start(request(&["memory:64M", "spin:300ms"]));
    process.wait_exited().unwrap();
    let usage = process.reap().unwrap().unwrap().usage.unwrap();
    if skipped_by_wine("it counts neither memory nor, exactly, time of a process that has ended") {
        return;
    }
    assert!(usage.user + usage.system >= Duration::from_millis(100), "{usage:?}");
    assert!(usage.max_rss >= 64 << 20, "{usage:?}");
}

#[test]
fn why_it_could_not_be_started() {
    let missing = spawn(request_for(r"C:\no\such\program.exe", [""; 0])).unwrap_err();
    assert_eq!((missing.step, missing.errno), (SpawnStep::Exec, 2));
    let folder = tempfile::tempdir().unwrap();
    let error = spawn(request_for(folder.path(), [""; 0])).unwrap_err();
    assert_eq!((error.step, error.errno), (SpawnStep::Exec, 5));
    let text = folder.path().join("text.exe");
    std::fs::write(&text, "no program").unwrap();
    let error = spawn(request_for(&text, [""; 0])).unwrap_err();
    assert_eq!((error.step, error.errno), (SpawnStep::Exec, 193));
    let mut lost = request(&["exit:0"]);
    lost.cwd = Some(r"C:\no\such\folder".into());
    assert_eq!(spawn(lost).unwrap_err().step, SpawnStep::Chdir);
}

#[test]
fn the_first_candidate_that_is_there_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut request = request(&["print:here"]);
    let files = [folder.path().join("missing.exe"), folder.path().to_owned(), test_child::path().to_owned()];
    request.candidates = strings(files);
    assert_eq!(output_of(request).unwrap(), "here");
}

#[test]
fn the_working_directory_is_the_childs_and_relative_programs_are_meant_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(test_child::path(), folder.path().join("here.exe")).unwrap();
    let mut request = request_for(r".\here.exe", ["cwd"]);
    request.cwd = Some(folder.path().into());
    let cwd = output_of(request).unwrap();
    let expected = escaped(folder.path().as_os_str());
    assert_eq!(cwd.trim_end().to_lowercase(), expected.trim_end_matches('\\').to_lowercase());
}

#[test]
fn the_environment_arrives_as_it_was_given() {
    let mut variables = Strings::new();
    let mut given = BTreeMap::new();
    for (key, value) in environment().pairs() {
        if key.eq_ignore_ascii_case("SystemRoot") {
            variables.push(&[key, "=".as_ref(), value]).unwrap();
        }
    }
    for index in 0..300 {
        let value: OsString = "\u{e4}= \"x\" \u{1f600}%PATH%".repeat(index % 7).into();
        let key = format!("{}_{}", ["herder", "HERDER", "Zz", "\u{e4}"][index % 4], index);
        variables.push(&[key.as_ref(), "=".as_ref(), &value]).unwrap();
        given.insert(escaped(key.as_ref()), escaped(&value));
    }
    let mut request = request(&["env-all"]);
    request.env = Some(Arc::new(variables));
    let text = output_of(request).unwrap();
    let arrived: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .filter(|(key, _)| given.contains_key(key))
        .collect();
    assert_eq!(arrived, given);
}

#[test]
fn what_only_unix_has_is_refused() {
    let refused = |error: LaunchError| assert_eq!((error.step, error.errno), (SpawnStep::Prepare, 50));
    let mut user = request(&["exit:0"]);
    user.uid = Some(0);
    refused(spawn(user).unwrap_err());
    let mut group = request(&["exit:0"]);
    group.group = Group::Join(4);
    refused(spawn(group).unwrap_err());
}

#[test]
fn a_ctrl_break_ends_the_group_and_not_us() {
    if !in_a_console("basics::a_ctrl_break_ends_the_group_and_not_us") {
        return;
    }
    let mut asked = request(&["mark:ready", "hang"]);
    asked.group = Group::New;
    let mut reader = piped(&mut asked);
    let process = start(asked);
    assert!(process.leads_group());
    assert_eq!(line(&mut reader), "ready");
    process.signal(Signal::TERM).unwrap();
    assert!(!status(&process).success());
    // Gone: no error.
    process.signal(Signal::TERM).unwrap();

    let process = start(request(&["hang"]));
    let error = process.signal(Signal::TERM).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert_eq!(process.signal(Signal::USR1).unwrap_err().kind(), std::io::ErrorKind::Unsupported);
}

#[test]
fn a_drop_ends_the_child_unless_it_was_released() {
    let mut asked = request(&["mark:ready", "hang"]);
    let mut reader = piped(&mut asked);
    let process = start(asked);
    let handle = process.handle();
    assert_eq!(line(&mut reader), "ready");
    drop(process);
    handle.wait_exited().unwrap();
    assert!(was_ended(handle.reap().unwrap().unwrap().status));

    let mut released = request(&["eof-wait", "exit:5"]);
    let (input, writer) = std::io::pipe().unwrap();
    let input = Arc::new(std::os::windows::io::OwnedHandle::from(input));
    released.fds = vec![(0, herder_sys::FdSource::Fd(input))];
    released.die_with_owner = Some(Signal::KILL);
    let mut process = start(released);
    process.set_release(true);
    let handle = process.handle();
    drop(process);
    assert!(!handle.has_exited().unwrap());
    drop(writer);
    handle.wait_exited().unwrap();
    assert_eq!(handle.reap().unwrap().unwrap().status.code(), Some(5));
}

//! Programs that are open for writing: `ETXTBSY`.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use herder_sys::{SpawnRequest, SpawnStep, Strings};

use crate::support::{LIMIT, alone, born, everywhere, failure, status, strings};

/// A copy of a program that is open for writing while this value lives.
pub(crate) struct BusyProgram {
    path: PathBuf,
    writer: Option<File>,
}

impl BusyProgram {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("herder-busy-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::copy("/bin/sh", &path).expect("a copy");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
        let writer = OpenOptions::new().append(true).open(&path).expect("our own file");
        Self { path, writer: Some(writer) }
    }

    pub(crate) fn request(&self) -> SpawnRequest {
        let mut candidates = Strings::new();
        candidates.push(&[self.path.as_os_str()]).expect("no NUL");
        SpawnRequest::new(candidates, strings(&["sh", "-c", "exit 8"]))
    }
}

impl Drop for BusyProgram {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// Alone: a child of another test, born meanwhile and not through its `execve`, would have the file open too.
#[test]
fn a_writer_that_lets_go_soon_is_waited_for() {
    alone(|| {
        everywhere(|| {
            for latch in [false, true] {
                let mut busy = BusyProgram::new();
                let writer = busy.writer.take();
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        // Not for order: the time that a slow writer takes.
                        std::thread::sleep(Duration::from_millis(20));
                        drop(writer);
                    });
                    let mut request = busy.request();
                    request.latch = latch;
                    let spawned = born(request).expect("born");
                    spawned.launch.wait(LIMIT).expect("in time").expect("executed");
                    assert_eq!(status(&spawned.process).code(), Some(8));
                });
            }
        });
    });
}

#[test]
fn a_writer_that_does_not_let_go_is_an_error() {
    everywhere(|| {
        let busy = BusyProgram::new();
        let error = failure(busy.request());
        assert_eq!((error.step, error.errno), (SpawnStep::Exec, libc::ETXTBSY));
    });
}

#[test]
fn a_child_that_waits_for_a_writer_can_be_ended() {
    everywhere(|| {
        let busy = BusyProgram::new();
        let spawned = born(busy.request()).unwrap();
        spawned.process.kill_all().unwrap();
        assert_eq!(spawned.launch.wait(LIMIT), Some(Ok(())), "its status tells");
        assert!(status(&spawned.process).code().is_none_or(|code| code == 127));
    });
}

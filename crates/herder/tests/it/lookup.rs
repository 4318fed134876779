//! Which file is meant, and what is said when none can be run.

use std::collections::HashSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use herder::error::{SpawnError, SpawnErrorKind};
use herder::{Command, Stdio};

use crate::support::alone::alone;
use crate::support::{fixture, run};

struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, mode: u32, content: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

/// The error, after a look that all ways to start give the same.
async fn refused(command: &Command) -> SpawnError {
    let error = command.spawn().unwrap_err();
    let other = command.spawn_async().await.unwrap_err();
    assert_eq!(error.to_string(), other.to_string());
    assert_eq!(error.kind(), other.kind());
    let run = command.output().await.unwrap_err();
    assert_eq!(run.kind(), herder::report::RunErrorKind::Spawn);
    assert_eq!(run.as_spawn_error().unwrap().to_string(), error.to_string());
    let io = std::io::Error::from(run);
    assert_eq!(io.kind(), error.io_kind());
    error
}

#[test]
fn each_reason_has_its_kind_and_names_what_is_wrong() {
    run(async {
        let scratch = Scratch::new();
        let missing_dir = scratch.path().join("gone");
        let plain = scratch.file("plain", 0o644, "#!/bin/sh\n");
        let lost = scratch.file("lost", 0o755, "#!/no/such/interpreter\n");
        let dos = scratch.file("dos", 0o755, "#!/bin/sh\r\n");
        let text = scratch.file("text", 0o755, "hello\n");
        let empty = scratch.file("empty", 0o755, "");
        let file = scratch.file("file", 0o644, "");
        let long = "x".repeat(131_072);

        let not_found = Command::new("no-such-program-at-all");
        let no_path = Command::new(scratch.path().join("absent"));
        let mut no_dir = fixture(&[]);
        no_dir.current_dir(&missing_dir);
        let mut dir_is_file = fixture(&[]);
        dir_is_file.current_dir(&file);
        let mut too_long = fixture(&[&long]);
        too_long.arg("after");
        let nul_program = Command::new("a\0b");
        let nul_arg = fixture(&["a\0b"]);
        let mut equals = fixture(&[]);
        equals.env("SOME=KEY", "content");

        use SpawnErrorKind as Kind;
        let cases: [(&Command, Kind, &[&str]); 13] = [
            (&not_found, Kind::ProgramNotFound, &["no-such-program-at-all", "/bin", "not found"]),
            (&no_path, Kind::ProgramNotFound, &["absent", "not found"]),
            (&no_dir, Kind::CurrentDir, &["working directory", "gone", "does not exist"]),
            (&dir_is_file, Kind::CurrentDir, &["working directory", "file", "can't be entered"]),
            (&Command::new(&plain), Kind::NotExecutable, &["plain", "chmod +x"]),
            (&Command::new(scratch.path()), Kind::NotExecutable, &["directory"]),
            (&Command::new(&text), Kind::NotExecutable, &["text", "'#!'"]),
            (&Command::new(&empty), Kind::NotExecutable, &["empty"]),
            (&Command::new(&lost), Kind::InterpreterNotFound, &["lost", "/no/such/interpreter"]),
            (&Command::new(&dos), Kind::InterpreterNotFound, &["dos", "/bin/sh", "carriage return"]),
            (&too_long, Kind::ArgumentsTooLong, &["argument 1", "131073", "131072"]),
            (&nul_program, Kind::InvalidInput, &["NUL"]),
            (&nul_arg, Kind::InvalidInput, &["NUL"]),
        ];
        let mut texts = HashSet::new();
        for (command, kind, words) in cases {
            let error = refused(command).await;
            assert_eq!(error.kind(), kind, "{error}");
            for word in words {
                assert!(error.to_string().contains(word), "{error} has no {word:?}");
            }
            assert!(error.to_string().contains(error.name()) || error.name().contains('\0'), "{error}");
            assert!(!error.to_string().contains("xxx"), "the argument is shown");
            texts.insert(error.to_string());
        }
        assert!(texts.len() >= 12);
        let error = refused(&equals).await;
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(error.to_string().contains("SOME") && !error.to_string().contains("KEY"), "{error}");
    });
}

#[test]
fn errors_keep_the_kinds_of_std() {
    run(async {
        let scratch = Scratch::new();
        let plain = scratch.file("plain", 0o644, "");
        let io = |command: Command| std::io::Error::from(command.spawn().unwrap_err()).kind();
        assert_eq!(io(Command::new("no-such-program-at-all")), ErrorKind::NotFound);
        assert_eq!(io(Command::new(plain)), ErrorKind::PermissionDenied);
        assert_eq!(io(fixture(&["\0"])), ErrorKind::InvalidInput);
        assert_eq!(io(fixture(&[&"x".repeat(200_000)])), ErrorKind::ArgumentListTooLong);
        assert_eq!(io(Command::new("")), ErrorKind::InvalidInput);
    });
}

#[test]
fn the_longest_argument_passes_and_an_empty_one_too() {
    run(async {
        let longest = "x".repeat(131_071);
        let mut command = fixture(&["args", "--", &longest, "", "end"]);
        assert_eq!(command.read().await.unwrap(), format!("{longest}\n\nend"));
        command.arg(longest + "x");
        assert_eq!(command.spawn().unwrap_err().kind(), SpawnErrorKind::ArgumentsTooLong);
    });
}

#[test]
fn arguments_too_long_together_are_counted() {
    run(async {
        let mut command = fixture(&[]);
        command.args(std::iter::repeat_n("y".repeat(100_000), 80));
        let error = refused(&command).await;
        assert_eq!(error.kind(), SpawnErrorKind::ArgumentsTooLong);
        assert!(error.to_string().contains("81 arguments"), "{error}");
    });
}

#[test]
fn the_path_of_the_child_is_searched() {
    run(async {
        let scratch = Scratch::new();
        scratch.file("herder-test-tool", 0o755, "#!/bin/sh\necho found\n");
        let mut command = Command::new("herder-test-tool");
        assert_eq!(command.spawn().unwrap_err().kind(), SpawnErrorKind::ProgramNotFound);
        let path = format!("/nowhere:{}", scratch.path().display());
        command.env("PATH", path);
        assert_eq!(command.read().await.unwrap(), "found");
        // And ours is not.
        let mut command = Command::new("sh");
        command.env("PATH", scratch.path());
        let error = refused(&command).await;
        assert_eq!(error.kind(), SpawnErrorKind::ProgramNotFound);
        assert!(error.to_string().contains(&scratch.path().join("sh").display().to_string()), "{error}");
        // Without any, the system's default.
        assert_eq!(Command::new("echo").arg("moo").env_clear().read().await.unwrap(), "moo");
        assert_eq!(Command::new("echo").arg("moo").env_remove("PATH").read().await.unwrap(), "moo");
    });
}

#[test]
fn files_that_can_not_be_run_are_passed_over() {
    run(async {
        let (first, second) = (Scratch::new(), Scratch::new());
        first.file("herder-test-tool", 0o644, "#!/bin/sh\necho first\n");
        fs::create_dir(first.path().join("herder-test-dir")).unwrap();
        for name in ["herder-test-tool", "herder-test-dir"] {
            second.file(name, 0o755, "#!/bin/sh\necho second\n");
            let mut command = Command::new(name);
            command.env("PATH", format!("{}:{}", first.path().display(), second.path().display()));
            assert_eq!(command.read().await.unwrap(), "second");
        }
        // Only one, and it can't be run: that is said, not "not found".
        let mut command = Command::new("herder-test-tool");
        command.env("PATH", format!("{}:/nowhere", first.path().display()));
        assert_eq!(refused(&command).await.kind(), SpawnErrorKind::NotExecutable);
    });
}

#[test]
fn odd_entries_of_the_path() {
    run(async {
        let scratch = Scratch::new();
        scratch.file("herder-test-tool", 0o755, "#!/bin/sh\necho found\n");
        let file = scratch.file("file", 0o755, "");
        let (dir, file) = (scratch.path().display().to_string(), file.display().to_string());
        let mut command = Command::new("herder-test-tool");
        // A file, and one that is not there, relative as it is: the next is tried.
        command.env("PATH", format!("{file}:no/such:{dir}"));
        assert_eq!(command.read().await.unwrap(), "found");
        // An empty entry is the working directory: that of the child.
        command.current_dir(scratch.path());
        for path in ["", ":", "/nowhere:", ":/nowhere", "/nowhere::/nowhere", "."] {
            command.env("PATH", path);
            assert_eq!(command.read().await.unwrap(), "found", "{path:?}");
        }
        command.current_dir("/");
        let error = refused(command.env("PATH", "")).await;
        assert_eq!(error.kind(), SpawnErrorKind::ProgramNotFound);
        // All alone, what is wrong with an entry is not what is wrong with the program.
        assert_eq!(refused(command.env("PATH", file)).await.kind(), SpawnErrorKind::ProgramNotFound);
    });
}

#[test]
fn a_relative_path_is_meant_in_the_directory_of_the_child() {
    run(async {
        let scratch = Scratch::new();
        scratch.file("here", 0o755, "#!/bin/sh\npwd\n");
        let mut command = Command::new("./here");
        command.current_dir(scratch.path());
        let dir = scratch.path().canonicalize().unwrap();
        assert_eq!(command.read().await.unwrap(), dir.display().to_string());
        assert_eq!(Command::new("./here").spawn().unwrap_err().kind(), SpawnErrorKind::ProgramNotFound);
    });
}

#[test]
fn a_program_that_was_written_just_now_runs() {
    // While another thread starts children, one of them may hold the file open for writing until its execve.
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            run(async {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    fixture(&[]).stdout(Stdio::null()).status().await.unwrap();
                }
            });
        });
        run(async {
            let scratch = Scratch::new();
            for round in 0..100 {
                let path = scratch.path().join(format!("tool{round}"));
                let mut file = fs::File::create(&path).unwrap();
                file.write_all(b"#!/bin/sh\nexit 7\n").unwrap();
                file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
                drop(file);
                let status = Command::new(&path).status().await.unwrap();
                assert_eq!(status.code(), Some(7));
            }
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_program_that_is_open_for_writing_is_waited_for_and_then_named() {
    // A child that another test starts just then could hold the file open too, for as long as it is not executed.
    alone(|| {
        run(async {
            let scratch = Scratch::new();
            let path = scratch.path().join("copy");
            fs::copy(test_child::path(), &path).unwrap();
            let held = fs::OpenOptions::new().append(true).open(&path).unwrap();
            let error = Command::new(&path).spawn().unwrap_err();
            assert_eq!(error.io_kind(), ErrorKind::ExecutableFileBusy);
            assert!(error.to_string().contains("open for writing"), "{error}");
            // Released while it is tried: nobody notices.
            let command = Command::new(&path);
            let release = async {
                tokio::task::yield_now().await;
                drop(held);
            };
            let (status, ()) = tokio::join!(command.status(), release);
            assert!(status.unwrap().success());
        });
    });
}

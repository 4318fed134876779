use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ETXTBSY: i32 = 26;
const E2BIG: i32 = 7;

fn look_up(program: &str, path: Option<&str>) -> Vec<PathBuf> {
    candidates(OsStr::new(program), |_| path.map(OsStr::new)).unwrap()
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

#[test]
fn a_name_with_a_slash_is_a_path() {
    assert_eq!(look_up("./x", Some("/a:/b")), paths(&["./x"]));
    assert_eq!(look_up("/x", None), paths(&["/x"]));
    assert_eq!(look_up("d/", Some("/a")), paths(&["d/"]));
}

#[test]
fn a_name_is_looked_up_in_each_entry_of_the_path() {
    assert_eq!(look_up("x", Some("/a:rel:/b/")), paths(&["/a/x", "rel/x", "/b/x"]));
    assert_eq!(look_up("x", Some("/a::/b:")), paths(&["/a/x", "./x", "/b/x", "./x"]));
    assert_eq!(look_up("x", Some("")), paths(&["./x"]));
    assert_eq!(look_up("x", None), paths(&["/bin/x", "/usr/bin/x"]));
}

#[test]
fn the_current_directory_is_spelled_out() {
    // Path comparison ignores a leading dot in some places; execve without a slash would not.
    assert_eq!(look_up("x", Some(":/a"))[0].as_os_str(), "./x");
}

#[test]
fn a_name_must_be_one() {
    assert_eq!(candidates(OsStr::new(""), |_| None), Err(ProgramError::Empty));
    assert_eq!(candidates(OsStr::new("a\0b"), |_| None), Err(ProgramError::Nul));
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn add(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn not_executable(path: &Path, why: NotExecutable) -> Diagnosis {
    Diagnosis::NotExecutable { path: path.into(), why: why.to_string() }
}

#[test]
fn a_missing_program_lists_where_it_was_looked_for() {
    let files = Files::new();
    let searched = vec![files.path("a"), files.path("b")];
    let diagnosis = diagnose(ENOENT, &searched, None);
    assert!(diagnosis.to_string().contains(&format!("{:?}, {:?}", searched[0], searched[1])), "{diagnosis}");
    assert_eq!(diagnosis, Diagnosis::ProgramNotFound { searched });
}

#[test]
fn a_missing_interpreter_is_told_from_a_missing_program() {
    let files = Files::new();
    let script = files.add("script", "#!/no/such/interpreter -x\n", 0o755);
    assert_eq!(
        diagnose(ENOENT, &[files.path("missing"), script.clone()], None),
        Diagnosis::InterpreterNotFound { path: script.clone(), interpreter: "/no/such/interpreter".into() }
    );
    // A script whose interpreter is that script.
    let outer = files.add("outer", format!("#!{}\n", script.display()), 0o755);
    assert_eq!(
        diagnose(ENOENT, &[outer], None),
        Diagnosis::InterpreterNotFound { path: script, interpreter: "/no/such/interpreter".into() }
    );
}

#[test]
fn a_carriage_return_is_pointed_out() {
    let files = Files::new();
    let script = files.add("script", "#!/bin/sh\r\nexit\r\n", 0o755);
    let message = diagnose(ENOENT, &[script], None).to_string();
    assert!(message.contains("carriage return") && message.contains("\"/bin/sh\\r\""), "{message}");
}

#[test]
fn scripts_in_a_circle_end() {
    let files = Files::new();
    let path = files.path("circle");
    files.add("circle", format!("#!{}\n", path.display()), 0o755);
    assert_eq!(diagnose(ENOENT, &[path], None), Diagnosis::Unexplained);
}

#[test]
fn relative_paths_are_meant_in_the_directory_of_the_child() {
    let files = Files::new();
    files.add("script", "#!./interpreter\n", 0o755);
    let missing =
        Diagnosis::InterpreterNotFound { path: "./script".into(), interpreter: "./interpreter".into() };
    assert_eq!(diagnose(ENOENT, &paths(&["./script"]), Some(files.0.path())), missing);
    files.add("interpreter", "", 0o755);
    assert_eq!(diagnose(ENOENT, &paths(&["./script"]), Some(files.0.path())), Diagnosis::Unexplained);
}

#[test]
fn denied_files_tell_why() {
    let files = Files::new();
    let plain = files.add("plain", "#!/bin/sh\n", 0o644);
    let dir = files.path("dir");
    fs::create_dir(&dir).unwrap();
    let missing = files.path("missing");
    assert_eq!(
        diagnose(EACCES, &[missing, plain.clone()], None),
        not_executable(&plain, NotExecutable::NoPermissionBit)
    );
    assert_eq!(
        diagnose(EACCES, std::slice::from_ref(&dir), None),
        not_executable(&dir, NotExecutable::Directory)
    );
    let script = files.add("script", format!("#!{}\n", plain.display()), 0o755);
    assert_eq!(diagnose(EACCES, &[script], None), not_executable(&plain, NotExecutable::NoPermissionBit));
    // A socket, a device or a FIFO is not opened, let alone read.
    let device = PathBuf::from("/dev/null");
    assert_eq!(
        diagnose(EACCES, std::slice::from_ref(&device), None),
        not_executable(&device, NotExecutable::NotAFile)
    );
}

#[test]
fn files_without_a_format_tell_why() {
    let files = Files::new();
    for (content, why) in [
        ("exit 0\n", NotExecutable::NoFormat),
        ("", NotExecutable::Empty),
        ("\x7fELF", NotExecutable::ForeignBinary),
    ] {
        let path = files.add("file", content, 0o755);
        assert_eq!(diagnose(ENOEXEC, std::slice::from_ref(&path), None), not_executable(&path, why));
    }
    let passed_over = files.add("passed-over", "", 0o644);
    let file = files.add("file", "exit 0\n", 0o755);
    assert_eq!(
        diagnose(ENOEXEC, &[passed_over, file.clone()], None),
        not_executable(&file, NotExecutable::NoFormat)
    );
}

#[test]
fn other_errors_speak_for_themselves() {
    let files = Files::new();
    let file = files.add("file", "", 0o755);
    let file = std::slice::from_ref(&file);
    assert_eq!(diagnose(ETXTBSY, file, None), not_executable(&file[0], NotExecutable::Busy));
    assert_eq!(diagnose(E2BIG, file, None), Diagnosis::Unexplained);
    // The files have changed since.
    assert_eq!(diagnose(EACCES, &[files.path("gone")], None), Diagnosis::Unexplained);
}

#[test]
fn the_deepest_mount_decides() {
    let mounts = "\
22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/root rw
23 22 0:22 / /tmp rw,nosuid,noexec - tmpfs tmpfs rw
24 23 0:23 / /tmp/with\\040space rw - tmpfs tmpfs rw
25 22 0:24 / /tmpfoo rw - tmpfs tmpfs rw
26 22 0:25 / /over rw,noexec - tmpfs tmpfs rw
27 26 0:26 / /over rw - tmpfs tmpfs rw
not a mount
";
    for (file, noexec) in [
        ("/bin/sh", false),
        ("/tmp/x", true),
        ("/tmp/with space/x", false),
        ("/tmpfoo/x", false),
        ("/over/x", false),
    ] {
        assert_eq!(is_noexec(mounts, Path::new(file)), noexec, "{file}");
    }
}

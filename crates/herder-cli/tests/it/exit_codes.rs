//! The exit code says how it went.

use crate::support::{fixture, herder, output, script, stderr};

#[cfg(unix)]
async fn code(args: &[&str]) -> Option<i32> {
    output(&herder(args)).await.status.code()
}

#[tokio::test]
async fn the_programs_own() {
    for own in [0, 1, 2, 77, 124, 255] {
        let report = output(&script(&[], &[&format!("exit:{own}")])).await;
        assert_eq!((report.status.code(), stderr(&report).as_str()), (Some(own), ""));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn death_by_a_signal_is_128_and_its_number() {
    for (signal, code) in [("HUP", 129), ("INT", 130), ("KILL", 137), ("TERM", 143), ("USR1", 138)] {
        let report = output(&script(&[], &[&format!("kill-self:{signal}")])).await;
        assert_eq!(report.status.code(), Some(code), "{signal}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_limit_is_124() {
    for limit in ["-t", "--idle"] {
        let report = output(&script(&[limit, "50ms"], &["hang"])).await;
        assert_eq!(report.status.code(), Some(124), "{limit}");
        let report = output(&script(&[limit, "50ms", "--preserve-status"], &["hang"])).await;
        assert_eq!(report.status.code(), Some(143), "{limit}");
    }
    let report = output(&script(&["-t", "200ms"], &["on:TERM:exit:0", "mark:up", "hang"])).await;
    assert_eq!(report.status.code(), Some(124));
}

#[tokio::test]
async fn failures_of_our_own_are_125() {
    for args in [
        &[][..],
        &["run"],
        &["nonsense"],
        &["run", "--nonsense", fixture()],
        &["run", "-t", "soon", "true"],
        &["run", "-e", "novalue", "true"],
        &["run", "--stdin", "/no/such/file", "true"],
        &["run", "--json", "/no/such/dir/file", "true"],
        &["run", "--json", "fd:77", "true"],
        &["run", "--spill", "/no/such/dir/out", "true"],
        &["run", "-C", "/no/such/dir", fixture()],
        &["run", "--uid", "no such user", "true"],
        &["run", "--", ""],
        &["man", "nonsense"],
    ] {
        let report = output(&herder(args)).await;
        assert_eq!(report.status.code(), Some(125), "{args:?}: {}", stderr(&report));
        assert!(report.stdout.is_empty() && !report.stderr.is_empty(), "{args:?}");
        assert!(args.is_empty() || stderr(&report).starts_with("herder: "), "{}", stderr(&report));
    }
}

#[tokio::test]
async fn errors_show_no_argument_and_no_value() {
    let env = ["-e", "TOKEN=hunter2", "--env=KEY=hunter2"];
    for rest in [
        &["no-such-program", "hunter2"][..],
        &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "hunter2"],
        &["-C", "/no/such/dir", fixture(), "hunter2"],
        &["-t", "50ms", fixture(), "hang", "--", "hunter2"],
        &["-e", "hunter2", "true"],
        &["--nonsense=hunter2", "true"],
        &["--uid", "no such user", "true", "hunter2"],
        &[],
    ] {
        let report = output(&herder([&["run"], &env[..], rest].concat())).await;
        let text = stderr(&report);
        assert!(!report.status.success() && text.starts_with("herder: "), "{rest:?}: {text}");
        assert!(!text.contains("hunter2"), "{rest:?}: {text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn not_executable_is_126_and_not_found_127() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let plain = file("plain", "text", 0o644);
    let orphan = file("orphan", "#!/no/such/interpreter\n", 0o755);
    let directory = folder.path().to_str().unwrap();
    assert_eq!(code(&["run", &plain]).await, Some(126));
    assert_eq!(code(&["run", &orphan]).await, Some(126));
    assert_eq!(code(&["run", directory]).await, Some(126));
    assert_eq!(code(&["run", "no-such-program"]).await, Some(127));
    assert_eq!(code(&["run", "./no/such/program"]).await, Some(127));
}

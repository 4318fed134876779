use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::rotate::{RotatingFile, Rotation};

use super::*;

fn open(path: &Path, rotation: Rotation) -> RotatingFile {
    let file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    let mut file = RotatingFile::new(path.to_owned(), file);
    file.rotate(rotation).unwrap();
    file
}

fn rotated(file: &RotatingFile) -> Rotated {
    file.rotated().lock().unwrap().clone()
}

fn write(file: &mut RotatingFile, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let count = file.write(bytes).unwrap();
        bytes = &bytes[count..];
    }
}

/// All files, the oldest first.
fn files(path: &Path) -> Vec<Vec<u8>> {
    let name = |number| match number {
        0 => path.to_owned(),
        number => path.with_extension(number.to_string()),
    };
    let numbers = (0..).take_while(|number| name(*number).exists()).collect::<Vec<_>>();
    numbers.into_iter().rev().map(|number| fs::read(name(number)).unwrap()).collect()
}

fn texts(path: &Path) -> Vec<String> {
    files(path).into_iter().map(|file| String::from_utf8(file).unwrap()).collect()
}

#[test]
fn the_oldest_file_falls_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = open(&path, Rotation::new(8, 3));
    for line in ["one\n", "two\n", "three\n", "four\n", "five\n", "sixsix\n"] {
        write(&mut file, line.as_bytes());
    }
    assert_eq!(texts(&path), ["three\nfo", "ur\nfive\n", "sixsix\n"]);
    assert_eq!(rotated(&file), Rotated { times: 3, error: None });
}

#[test]
fn lines_are_cut_only_if_they_are_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = open(&path, Rotation::new(80, 9));
    // Ten bytes at the end are the slack; lines have no more.
    let text: String = (0..40).map(|line| format!("{}\n", "x".repeat(line % 10))).collect();
    write(&mut file, text.as_bytes());
    let texts = texts(&path);
    assert_eq!(texts.concat(), text);
    assert!(texts.iter().all(|text| text.ends_with('\n') && text.len() <= 80), "{texts:?}");
    assert!(texts.len() > 2);
    write(&mut file, &[b'y'; 200]);
    assert!(files(&path).iter().all(|file| file.len() <= 80));
}

#[test]
fn what_is_in_the_file_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "0123456789").unwrap();
    write(&mut open(&path, Rotation::new(12, 2)), b"ab\ncd\n");
    assert_eq!(texts(&path), ["0123456789ab", "\ncd\n"]);
}

#[test]
fn one_file_is_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    write(&mut open(&path, Rotation::new(4, 0)), b"one\ntwo\nend");
    assert_eq!(texts(&path), ["end"]);
}

#[test]
fn a_rotation_that_fails_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = open(&path, Rotation::new(4, 2));
    // A file can't be renamed over a directory.
    fs::create_dir(folder.path().join("log.1")).unwrap();
    write(&mut file, b"one\ntwo\nsix\n");
    assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\nsix\n");
    let (kind, message) = rotated(&file).error.unwrap();
    // Windows has no other word for it.
    let refused = [io::ErrorKind::IsADirectory, io::ErrorKind::PermissionDenied];
    assert!(refused.contains(&kind), "{kind:?} {message}");
    // It is tried again.
    fs::remove_dir(folder.path().join("log.1")).unwrap();
    write(&mut file, b"ten\n");
    assert_eq!(texts(&path), ["one\ntwo\nsix\n", "ten\n"]);
    assert_eq!(rotated(&file).times, 1);
}

#[cfg(unix)]
#[test]
fn a_device_is_not_rotated() {
    let file = fs::OpenOptions::new().append(true).open("/dev/null").unwrap();
    let mut file = RotatingFile::new("/dev/null".into(), file);
    assert_eq!(file.rotate(Rotation::new(4, 2)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[cfg(unix)]
#[test]
fn permissions_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = open(&path, Rotation::new(4, 2));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    write(&mut file, b"one\ntwo\n");
    assert_eq!(texts(&path), ["one\n", "two\n"]);
    for path in [path.clone(), folder.path().join("log.1")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(rotated(&file).error, None);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let [path, link] = ["log", "link"].map(|name| folder.path().join(name));
    fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    write(&mut open(&link, Rotation::new(4, 2)), b"one\ntwo\n");
    assert_eq!(texts(&path), ["one\n", "two\n"]);
    assert!(link.is_symlink());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_chunks_give_the_same_files_with_every_byte(
        chunks in prop::collection::vec("[ab\n]{0,30}", 0..8),
        bytes in 1..40u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["log", "other"].map(|name| folder.path().join(name));
        let all = chunks.concat();
        let rotation = Rotation::new(bytes, 1000);
        let mut file = open(&path, rotation);
        chunks.iter().for_each(|chunk| write(&mut file, chunk.as_bytes()));
        write(&mut open(&other, rotation), all.as_bytes());
        let found = texts(&path);
        prop_assert_eq!(found.concat(), all);
        prop_assert!(found.iter().all(|file| file.len() as u64 <= bytes));
        prop_assert_eq!(found, texts(&other));
    }
}

//! Arguments arrive exactly, or are refused.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use herder_sys::{WideError, check_command_line, spawn};

use crate::support::{Numbers, escaped, output_of, request_for, wide};

/// Letters that parsers act on, some that they don't, and a half of a pair.
const LETTERS: &[u16] = &[
    0x22, 0x22, 0x5c, 0x5c, 0x20, 0x20, 0x09, 0x61, 0x62, 0x25, 0x5e, 0x26, 0x7c, 0x3c, 0x3e, 0x28, 0x29,
    0x21, 0x27, 0x60, 0x3b, 0x2c, 0x3d, 0x0b, 0x0a, 0x0d, 0xe9, 0xa0, 0x3042, 0xd83d, 0xde00, 0xd800,
];

fn word(numbers: &mut Numbers) -> OsString {
    let length = numbers.below(10);
    let units: Vec<u16> = (0..length).map(|_| numbers.pick(LETTERS)).collect();
    wide(&units)
}

/// What the fixture program got behind its `--`.
fn arrived(file: &Path, words: &[OsString]) -> Vec<String> {
    let steps = ["args", "--"].map(OsString::from);
    let text = output_of(request_for(file, steps.iter().chain(words))).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// 10,000 lists, some fifty of them to a child, between words that no list has.
#[test]
fn ten_thousand_lists_arrive_exactly() {
    let mut numbers = Numbers(1);
    let mut lists = 0;
    while lists < 10_000 {
        let mut words: Vec<OsString> = Vec::new();
        for _ in 0..100 {
            words.push("next-list".into());
            words.extend((0..numbers.below(6)).map(|_| word(&mut numbers)));
            lists += 1;
        }
        let expected: Vec<String> = words.iter().map(|word| escaped(word)).collect();
        assert_eq!(arrived(test_child::path(), &words), expected);
    }
}

/// A batch file that hands its arguments to the fixture program.
fn batch(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let program = test_child::path().display().to_string().replace('/', "\\");
    std::fs::write(&path, format!("@echo off\r\n\"{program}\" args -- %*\r\n")).unwrap();
    path
}

fn through_batch(file: &Path, words: &[OsString]) -> Vec<String> {
    let text = output_of(request_for(file, words)).unwrap();
    text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

#[test]
fn the_published_attacks_on_batch_files_arrive_as_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = batch(folder.path(), "a b.bat");
    let cases = [
        r#""&calc.exe"#,
        r#"" & echo owned"#,
        r#""&echo owned&""#,
        "%PATH%",
        "%CMDCMDLINE:~-1%&echo owned",
        "%SystemRoot%",
        "%",
        "%%",
        "100%",
        "^",
        "^^&",
        "a&b",
        "a|b",
        "a<b>c",
        "(x)",
        "!PATH!",
        "a,b;c=d",
        "a b",
        "",
        r"end\",
        r"a\\b\\",
        r#"back\"slash"#,
        r#"""#,
        "\u{e9}\u{a0}\u{3042}",
        "*?",
        "~x",
        "-/+@:.",
        "tab\there",
    ];
    for case in cases {
        let words = [OsString::from("first"), case.into(), "last".into()];
        let expected: Vec<String> = words.iter().map(|word| escaped(word)).collect();
        assert_eq!(through_batch(&file, &words), expected, "{case:?}");
    }
}

#[test]
fn generated_words_arrive_through_a_batch_file_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = batch(folder.path(), "x.CMD");
    let mut numbers = Numbers(2);
    for _ in 0..100 {
        let words: Vec<OsString> = (0..8).map(|_| word(&mut numbers)).collect();
        let argv = || std::iter::once(file.as_os_str()).chain(words.iter().map(OsString::as_os_str));
        match check_command_line(&file, argv()) {
            Ok(()) => {
                // The shell and its batch files know no halves of pairs.
                let whole: Vec<OsString> =
                    words.iter().map(|word| word.to_string_lossy().into_owned().into()).collect();
                let expected: Vec<String> = whole.iter().map(|word| escaped(word)).collect();
                assert_eq!(through_batch(&file, &whole), expected, "{words:?}");
            }
            Err(error) => {
                assert!(matches!(error, WideError::LineEnd { .. }), "{error}");
                assert!(spawn(request_for(&file, &words)).is_err());
            }
        }
    }
}

#[test]
fn names_that_mean_a_batch_file_are_treated_as_one() {
    let folder = tempfile::tempdir().unwrap();
    batch(folder.path(), "x.bat");
    for name in ["x.bat.", "x.bat ", "x.BAT . ."] {
        let file = folder.path().join(name);
        let words = ["x".into(), OsString::from("a\nb")];
        let argv = std::iter::once(file.as_os_str()).chain(words.iter().map(OsString::as_os_str));
        assert_eq!(check_command_line(&file, argv), Err(WideError::LineEnd { index: 2 }), "{name:?}");
    }
}

#[test]
fn limits_are_checked_before_anything_is_started() {
    let long = OsString::from("x".repeat(40_000));
    let program = test_child::path();
    let error = check_command_line(program, [program.as_os_str(), long.as_os_str()]).unwrap_err();
    assert!(matches!(error, WideError::TooLong { limit: 32_767, .. }), "{error}");
    let failure = spawn(request_for(program, [&long])).unwrap_err();
    assert_eq!(failure.errno, 206);
    let batch = Path::new("x.bat");
    let error = check_command_line(batch, [batch.as_os_str(), OsStr::new(&"x".repeat(9_000))]).unwrap_err();
    assert!(matches!(error, WideError::TooLong { limit: 8_191, .. }), "{error}");
}

//! Arguments arrive exactly, or are refused.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use herder_sys::{WideError, check_command_line, spawn};

use crate::support::{Numbers, escaped, output_of, request_for, skipped_by_wine, wide};

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

/// How batch files hand their arguments on: all as they are, one by one, and with quotes of their own.
const HANDED_ON: [&str; 3] =
    ["%*", "%1 %2 %3 %4 %5 %6 %7 %8 %9", r#""%~1" "%~2" "%~3" "%~4" "%~5" "%~6" "%~7" "%~8" "%~9""#];

/// A batch file that hands its arguments to the fixture program.
fn batch(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let program = test_child::path().display().to_string().replace('/', "\\");
    std::fs::write(&path, format!("@echo off\r\n\"{program}\" args -- {arguments}\r\n")).unwrap();
    path
}

fn through_batch(file: &Path, words: &[OsString]) -> Vec<String> {
    let mut request = request_for(file, words);
    // What they would write to is there.
    request.cwd = file.parent().map(|folder| folder.to_owned().into());
    let text = output_of(request).unwrap();
    text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

/// Those of CVE-2024-24576 and their kin: quotes that end a quotation, and what `cmd.exe` makes of the rest.
const ATTACKS: &[&str] = &[
    r#""&calc.exe"#,
    r#"" & echo owned"#,
    r#""&echo owned&""#,
    r#""&echo owned&whoami.exe"#,
    r#"x"&echo owned"#,
    r#"123">owned.txt"#,
    r#"">owned.txt"#,
    ">owned.txt",
    "&whoami.exe",
    "&echo owned ",
    "owned &echo owned >owned.txt",
    "%PATH%",
    "%PATH%PATH%",
    "%CMDCMDLINE:~-1%&echo owned",
    r#""%CMDCMDLINE:~-1%&echo owned"#,
    "%%cd:~,%",
    "%SystemRoot%",
    "%=ExitCode%",
    "%1 %* %~dp0",
    "%half",
    "%",
    "%%",
    "100%",
    "^",
    "^^&",
    r#"a^"b"#,
    "a&b",
    "a|b",
    "a<b>c",
    "(x)",
    "!PATH!",
    "a,b;c=d",
    "key=value",
    "key = value",
    r#"key="a b""#,
    r#""key=value""#,
    r#"key="value"=5"#,
    r#"key="&whoami""#,
    r#"key=["a>owned.txt","b"]"#,
    r#"key=["half]"#,
    r"key\=value",
    "a b",
    " ",
    r"end\",
    r"a\\b\\",
    r#"back\"slash"#,
    r#"""#,
    r#" ""#,
    "\u{e9}\u{a0}\u{3042}",
    "*?",
    "~x",
    "-/+@:.",
    "tab\there",
];

#[test]
fn the_published_attacks_on_batch_files_arrive_as_words() {
    let folder = tempfile::tempdir().unwrap();
    for (index, handed_on) in HANDED_ON.into_iter().enumerate() {
        let file = batch(folder.path(), &format!("a {index}.bat"), handed_on);
        let mangles =
            handed_on.contains('~') && skipped_by_wine("its %~1 mangles words with quotes and percents");
        let shown = |case: &&str| !(mangles && case.contains(['"', '%']));
        let cases: Vec<&str> = ATTACKS.iter().copied().filter(shown).collect();
        // A batch file knows nine words.
        for cases in cases.chunks(7) {
            let case = |case: &&str| OsString::from(case);
            let words: Vec<OsString> =
                [&"first"].into_iter().chain(cases).chain([&"last"]).map(case).collect();
            let expected: Vec<String> = words.iter().map(|word| escaped(word)).collect();
            let mut arrived = through_batch(&file, &words);
            // Words that were not given are empty ones there.
            arrived.truncate(expected.len());
            assert_eq!(arrived, expected, "{handed_on}");
        }
    }
    // An empty word is one, too.
    let file = batch(folder.path(), "empty.bat", HANDED_ON[0]);
    assert_eq!(through_batch(&file, &["".into(), "x".into()]), ["", "x"]);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, HANDED_ON.len() + 1, "nothing was written to");
}

#[test]
fn generated_words_arrive_through_a_batch_file_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = batch(folder.path(), "x.CMD", HANDED_ON[0]);
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
    batch(folder.path(), "x.bat", HANDED_ON[0]);
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

use super::*;
use proptest::prelude::*;

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn line_of(script: &str, arguments: &[&str]) -> Result<String, WideError> {
    let arguments: Vec<Vec<u16>> = arguments.iter().map(|text| wide(text)).collect();
    let line = join(&wide(script), arguments.iter().map(Vec::as_slice))?;
    Ok(String::from_utf16(line.strip_suffix(&[0]).unwrap()).unwrap())
}

/// What stands between the script and the last quotation mark.
fn arguments_of(arguments: &[&str]) -> Result<String, WideError> {
    let line = line_of("s.bat", arguments)?;
    Ok(line
        .strip_prefix(SHELL)
        .unwrap()
        .strip_prefix("\"s.bat\"")
        .unwrap()
        .strip_suffix('"')
        .unwrap()
        .to_owned())
}

#[test]
fn whatever_ends_like_a_batch_file_is_one() {
    let batch =
        ["a.bat", "A.CMD", r"C:\x y\b.Bat", "c.bat.", "c.bat . .", "d/e.cmd ", "C:f.bat", "g.bat::$DATA"];
    for path in batch {
        assert!(is_batch(&wide(path)), "{path}");
    }
    for path in ["a.exe", "bat", ".ba", r"C:\a.bat\b", "a.bat.exe", "cmd", "", "C:", "a.b\u{e4}t"] {
        assert!(!is_batch(&wide(path)), "{path}");
    }
}

#[test]
fn the_line_is_in_quotes_of_its_own() {
    let expected = r#"cmd.exe /e:ON /v:OFF /d /c ""C:\a b\s.bat" x "y z"""#;
    assert_eq!(line_of(r"C:\a b\s.bat", &["x", "y z"]).unwrap(), expected);
}

#[test]
fn the_published_attacks_stay_words() {
    for (argument, expected) in [
        (r#""&calc.exe"#, r#" """&calc.exe""#),
        ("%CMDCMDLINE:~-1%&calc.exe", r#" "%%cd:~,%CMDCMDLINE:~-1%%cd:~,%&calc.exe""#),
        ("a&b|c<d>e^f", r#" "a&b|c<d>e^f""#),
        ("!PATH!", r#" "!PATH!""#),
        ("a,b;c=d", r#" "a,b;c=d""#),
        ("(x)", r#" "(x)""#),
        (r"end\", r#" "end\\""#),
        (r#"back\"slash"#, r#" "back\\""slash""#),
        ("", r#" """#),
        ("plain-1.2_3", " plain-1.2_3"),
        ("\u{a0}x", " \"\u{a0}x\""),
        ("\u{e9}", " \u{e9}"),
    ] {
        assert_eq!(arguments_of(&[argument]).unwrap(), expected, "{argument:?}");
    }
}

#[test]
fn what_no_rule_makes_safe_is_refused_and_not_shown() {
    for bad in ["hunter2\r", "hunter2\nx", "\n"] {
        let error = arguments_of(&["fine", bad]).unwrap_err();
        assert_eq!(error, WideError::LineEnd { index: 2 });
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert_eq!(arguments_of(&["a\0"]), Err(WideError::Nul { index: 1 }));
    for script in ["%x%.bat", "a\".bat", "a\n.bat", "x.bat\\"] {
        assert_eq!(line_of(script, &[]), Err(WideError::BatchPath), "{script:?}");
    }
}

#[test]
fn the_limit_is_that_of_the_shell() {
    let frame = arguments_of(&[]).unwrap().len() + SHELL.len() + "\"s.bat\"\"".len();
    let longest = LONGEST - frame - 2;
    assert!(arguments_of(&[&"x".repeat(longest)]).is_ok());
    let error = arguments_of(&[&"x".repeat(longest + 1)]).unwrap_err();
    assert_eq!(error, WideError::TooLong { length: LONGEST + 1, limit: LONGEST });
}

/// What `cmd.exe` makes of a part of its line: whether it comes out of the quotes that it went in with, whatever
/// stands in them, and what is left when all empty variables are gone.
fn survives(part: &[u16]) -> Option<Vec<u16>> {
    let text = String::from_utf16_lossy(part);
    let text = text.replace("%%cd:~,%", "%");
    let inside = text.strip_prefix(' ')?;
    match inside.strip_prefix('"') {
        Some(quoted) => {
            let quoted = quoted.strip_suffix('"')?;
            // Every quotation mark is doubled, so that the state is that of inside again behind each pair.
            let single = quoted.replace("\"\"", "");
            (!single.contains('"')).then(|| wide(quoted))
        }
        None => inside.bytes().all(|byte| !byte.is_ascii() || is_harmless(unit(byte))).then(|| wide(inside)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// No argument leaves its quotes, and as the C runtime reads what is left, it is what it was.
    #[test]
    fn every_argument_stays_one_word(text in "[\"\\\\ %&|<>^!(),;=a-c\\t\u{a0}\u{e9}]{0,12}") {
        let part = wide(&arguments_of(&[&text]).unwrap());
        let left = survives(&part);
        prop_assert!(left.is_some(), "{:?}", String::from_utf16_lossy(&part));
        let line: Vec<u16> = wide("x").into_iter().chain(wide(&String::from_utf16_lossy(&part).replace("%%cd:~,%", "%"))).collect();
        let argv = super::super::command_line::tests::by_c_runtime(&line);
        prop_assert_eq!(argv, vec![wide("x"), wide(&text)]);
    }
}

use super::*;
use proptest::prelude::*;

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn line_of(argv: &[Vec<u16>]) -> Result<Vec<u16>, WideError> {
    join(argv.iter().map(Vec::as_slice))
}

fn shown(argv: &[&str]) -> String {
    let argv: Vec<Vec<u16>> = argv.iter().map(|text| wide(text)).collect();
    String::from_utf16(line_of(&argv).unwrap().strip_suffix(&[0]).unwrap()).unwrap()
}

/// How the universal C runtime reads its command line, as its documentation has it.
pub(crate) fn by_c_runtime(line: &[u16]) -> Vec<Vec<u16>> {
    let line = line.strip_suffix(&[0]).unwrap_or(line);
    let (first, mut rest) = first_by_c_runtime(line);
    let mut argv = vec![first];
    loop {
        let start = rest.iter().take_while(|&&letter| is_space(letter)).count();
        rest = &rest[start..];
        if rest.is_empty() {
            return argv;
        }
        let (argument, behind) = next_by_c_runtime(rest);
        argv.push(argument);
        rest = behind;
    }
}

fn is_space(letter: u16) -> bool {
    letter == SPACE || letter == unit(b'\t')
}

fn first_by_c_runtime(line: &[u16]) -> (Vec<u16>, &[u16]) {
    let (mut name, mut quoted) = (Vec::new(), false);
    for (at, &letter) in line.iter().enumerate() {
        match letter {
            QUOTE => quoted = !quoted,
            _ if is_space(letter) && !quoted => return (name, &line[at..]),
            _ => name.push(letter),
        }
    }
    (name, &[])
}

fn next_by_c_runtime(line: &[u16]) -> (Vec<u16>, &[u16]) {
    let (mut argument, mut quoted, mut at) = (Vec::new(), false, 0);
    while at < line.len() {
        let backslashes = line[at..].iter().take_while(|&&letter| letter == BACKSLASH).count();
        at += backslashes;
        if line.get(at) == Some(&QUOTE) {
            argument.extend(std::iter::repeat_n(BACKSLASH, backslashes / 2));
            if backslashes % 2 == 1 {
                argument.push(QUOTE);
            } else if quoted && line.get(at + 1) == Some(&QUOTE) {
                argument.push(QUOTE);
                at += 1;
            } else {
                quoted = !quoted;
            }
            at += 1;
            continue;
        }
        argument.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        match line.get(at) {
            Some(&letter) if is_space(letter) && !quoted => return (argument, &line[at..]),
            Some(&letter) => argument.push(letter),
            None => break,
        }
        at += 1;
    }
    (argument, &[])
}

/// How `CommandLineToArgvW` reads it: quotation marks are counted in threes, as Wine found out.
fn by_shell(line: &[u16]) -> Vec<Vec<u16>> {
    let line = line.strip_suffix(&[0]).unwrap_or(line);
    let (first, mut rest) = match line.strip_prefix(&[QUOTE]) {
        Some(inside) => {
            let end = inside.iter().position(|&letter| letter == QUOTE).unwrap_or(inside.len());
            (inside[..end].to_vec(), inside.get(end + 1..).unwrap_or_default())
        }
        None => {
            let end = line.iter().position(|&letter| is_space(letter)).unwrap_or(line.len());
            (line[..end].to_vec(), &line[end..])
        }
    };
    let mut argv = vec![first];
    loop {
        let start = rest.iter().take_while(|&&letter| is_space(letter)).count();
        rest = &rest[start..];
        if rest.is_empty() {
            return argv;
        }
        let (argument, behind) = next_by_shell(rest);
        argv.push(argument);
        rest = behind;
    }
}

fn next_by_shell(line: &[u16]) -> (Vec<u16>, &[u16]) {
    let (mut argument, mut quotes, mut backslashes, mut at) = (Vec::new(), 0, 0, 0);
    while at < line.len() {
        let letter = line[at];
        if is_space(letter) && quotes == 0 {
            return (argument, &line[at..]);
        }
        at += 1;
        match letter {
            BACKSLASH => {
                argument.push(letter);
                backslashes += 1;
            }
            QUOTE => {
                argument.truncate(argument.len() - backslashes + backslashes / 2);
                if backslashes % 2 == 1 {
                    argument.push(QUOTE);
                } else {
                    quotes += 1;
                }
                backslashes = 0;
                while line.get(at) == Some(&QUOTE) {
                    quotes += 1;
                    if quotes == 3 {
                        argument.push(QUOTE);
                        quotes = 0;
                    }
                    at += 1;
                }
                if quotes == 2 {
                    quotes = 0;
                }
            }
            _ => {
                argument.push(letter);
                backslashes = 0;
            }
        }
    }
    (argument, &[])
}

#[test]
fn the_examples_of_the_documentation() {
    assert_eq!(shown(&["prog"]), r#""prog""#);
    assert_eq!(shown(&["prog", "abc", "d", "e"]), r#""prog" abc d e"#);
    assert_eq!(shown(&["prog", "a b", ""]), r#""prog" "a b" """#);
    assert_eq!(shown(&["prog", r#"ab"c"#, r"\", "d"]), r#""prog" ab\"c \ d"#);
    assert_eq!(shown(&["prog", r"a\\b", "d e", "f"]), r#""prog" a\\b "d e" f"#);
    assert_eq!(shown(&["prog", r#"a\"b"#, r"c d\"]), r#""prog" a\\\"b "c d\\""#);
}

/// The two models against the tables in Microsoft's documentation and in Wine's tests.
#[test]
fn the_models_read_as_documented() {
    let both = [
        (r#"x "abc" d e"#, ["abc", "d", "e"]),
        (r#"x a\\b d"e f"g h"#, [r"a\\b", "de fg", "h"]),
        (r#"x a\\\"b c d"#, [r#"a\"b"#, "c", "d"]),
        (r#"x a\\\\"b c" d e"#, [r"a\\b c", "d", "e"]),
    ];
    for (line, expected) in both {
        let expected: Vec<Vec<u16>> = std::iter::once("x").chain(expected).map(wide).collect();
        assert_eq!(by_c_runtime(&wide(line)), expected, "{line}");
        assert_eq!(by_shell(&wide(line)), expected, "{line}");
    }
    // Where the two part, and where a line of ours must not lead them.
    let parting = wide(r#"x "a""b c" d"#);
    assert_eq!(by_c_runtime(&parting), [wide("x"), wide(r#"a"b c"#), wide("d")]);
    assert_eq!(by_shell(&parting), [wide("x"), wide(r#"a"b"#), wide("c d")]);
}

#[test]
fn what_cannot_be_passed_is_refused_and_not_shown() {
    let nul = [wide("prog"), wide("fine"), wide("hunter2\0")];
    let error = line_of(&nul).unwrap_err();
    assert_eq!(error, WideError::Nul { index: 2 });
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(line_of(&[wide("a\"b")]).unwrap_err(), WideError::QuoteInName);
}

#[test]
fn the_limit_counts_quotes_and_the_nul() {
    let fits = |length: usize| line_of(&[wide("p"), vec![unit(b'x'); length]]);
    // `"p" ` and the NUL take five.
    assert_eq!(fits(LONGEST - 5).unwrap().len(), LONGEST);
    assert_eq!(fits(LONGEST - 4), Err(WideError::TooLong { length: LONGEST + 1, limit: LONGEST }));
    let quotes = vec![QUOTE; LONGEST / 2];
    assert!(matches!(line_of(&[wide("p"), quotes]), Err(WideError::TooLong { .. })));
}

/// Letters that the parsers act on, and some that they don't, lone surrogates included.
fn argument() -> impl Strategy<Value = Vec<u16>> {
    let letter = prop_oneof![
        4 => prop::sample::select(wide("\"\\ \t")),
        2 => prop::sample::select(wide("ab%^&|<>()!\n\r\u{b}'`;,=")),
        1 => 1..=u16::MAX,
    ];
    prop::collection::vec(letter, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn both_parsers_give_back_what_was_joined(
        name in prop::collection::vec(1..=u16::MAX, 0..6),
        arguments in prop::collection::vec(argument(), 0..6),
    ) {
        let name: Vec<u16> = name.into_iter().filter(|&letter| letter != QUOTE).collect();
        let argv: Vec<Vec<u16>> = std::iter::once(name).chain(arguments).collect();
        let line = line_of(&argv).unwrap();
        prop_assert_eq!(&by_c_runtime(&line), &argv);
        prop_assert_eq!(&by_shell(&line), &argv);
    }
}

use proptest::prelude::*;

use super::*;

fn run(redact: &Redact, chunks: &[&[u8]]) -> (Vec<u8>, u64, u64) {
    let mut redactor = Redactor::new(redact.clone());
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| redactor.push(chunk.to_vec())).collect();
    out.extend(redactor.end());
    assert_eq!(redactor.held(), 0);
    (out, redactor.stretches(), redactor.bytes())
}

fn shown(redact: &Redact, chunks: &[&str]) -> String {
    let chunks: Vec<_> = chunks.iter().map(|chunk| chunk.as_bytes()).collect();
    String::from_utf8(run(redact, &chunks).0).unwrap()
}

/// What is to be replaced of a whole stream, byte by byte.
fn literal_marks(literals: &[Vec<u8>], text: &[u8]) -> Vec<bool> {
    let mut marks = vec![false; text.len()];
    for literal in literals {
        for at in 0..text.len() {
            let rest = &text[at..];
            if rest.starts_with(literal) || literal.starts_with(rest) && 2 * rest.len() >= literal.len() {
                marks[at..text.len().min(at + literal.len())].fill(true);
            }
        }
    }
    marks
}

fn render(text: &[u8], marks: &[bool]) -> (Vec<u8>, u64, u64) {
    let (mut out, mut stretches) = (Vec::new(), 0);
    for (at, byte) in text.iter().enumerate() {
        if !marks[at] {
            out.push(*byte);
        } else if at == 0 || !marks[at - 1] {
            out.push(b'#');
            stretches += 1;
        }
    }
    (out, stretches, marks.iter().filter(|marked| **marked).count() as u64)
}

fn with_literals(literals: &[Vec<u8>]) -> Redact {
    literals.iter().fold(Redact::new().marker("#"), Redact::literal)
}

#[test]
fn a_secret_in_any_two_chunks_is_never_shown() {
    let redact = Redact::new().literal("hunter2");
    let text = "user=joe pass=hunter2\n";
    for at in 0..=text.len() {
        let (begin, end) = text.split_at(at);
        assert_eq!(shown(&redact, &[begin, end]), "user=joe pass=[redacted]\n", "{at}");
    }
}

#[test]
fn only_what_may_be_a_secret_is_held_back() {
    let mut redactor = Redactor::new(Redact::new().literal("hunter2"));
    let prompt = bytes::Bytes::from_static(b"Password: ");
    assert_eq!(redactor.push(prompt.clone()).as_ptr(), prompt.as_ptr());
    assert_eq!(redactor.push("hunte"), "");
    assert_eq!(redactor.held(), 5);
    assert_eq!(redactor.push("d"), "hunted");
    assert_eq!((redactor.held(), redactor.stretches()), (0, 0));
}

#[test]
fn stretches_that_overlap_or_touch_are_one() {
    let redact = Redact::new().marker("#").literal("abc").literal("cd");
    assert_eq!(shown(&redact, &["xabc", "dx"]), "x#x");
    assert_eq!(shown(&redact, &["abcabc", "abcx"]), "#x");
    assert_eq!(shown(&redact, &["abc abc"]), "# #");
    assert_eq!(shown(&Redact::new().marker("").literal("b"), &["abc"]), "ac");
}

#[test]
fn half_a_secret_at_the_end_is_replaced() {
    let redact = Redact::new().literal("secret");
    assert_eq!(shown(&redact, &["process"]), "process");
    assert_eq!(shown(&redact, &["it is sec"]), "it is [redacted]");
}

#[test]
fn nothing_is_replaced_by_nothing() {
    let redact = Redact::new().literal("");
    assert!(redact.is_empty());
    assert_eq!(shown(&redact, &["a", "b"]), "ab");
}

#[test]
fn secrets_are_not_in_debug() {
    let redact = Redact::new().literal("hunter2");
    let mut redactor = Redactor::new(redact.clone());
    redactor.push("hunter");
    let shown = format!("{redact:?} {redactor:?}");
    // Neither as text nor as the numbers of its bytes.
    assert!(!shown.contains("hunt") && !shown.contains("104"), "{shown}");
    assert!(shown.contains("literals: 1"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn literals_are_replaced_as_in_the_model(
        literals in prop::collection::vec(prop::collection::vec(97..99u8, 1..5), 0..4),
        text in prop::collection::vec(97..100u8, 0..40),
        size in 1..40usize,
    ) {
        let expected = render(&text, &literal_marks(&literals, &text));
        let chunks: Vec<_> = text.chunks(size).collect();
        prop_assert_eq!(run(&with_literals(&literals), &chunks), expected);
    }

    #[test]
    fn no_piece_of_the_output_has_a_secret(
        literal in prop::collection::vec(97..99u8, 1..6),
        text in prop::collection::vec(97..99u8, 0..60),
        size in 1..9usize,
    ) {
        let chunks: Vec<_> = text.chunks(size).collect();
        let (out, _, bytes) = run(&with_literals(std::slice::from_ref(&literal)), &chunks);
        for piece in out.split(|byte| *byte == b'#') {
            prop_assert!(!piece.windows(literal.len()).any(|window| window == literal));
        }
        let kept = out.iter().filter(|byte| **byte != b'#').count();
        prop_assert_eq!(kept as u64 + bytes, text.len() as u64);
    }
}

#[cfg(feature = "redact")]
mod patterns {
    use super::*;
    use regex::Regex;

    #[test]
    fn lines_are_looked_at_whole() {
        let redact = Redact::new().pattern(r"token=\S+").unwrap();
        assert_eq!(
            shown(&redact, &["a tok", "en=12", "34 b\r\ntoken=x\ntok", "en=5"]),
            "a [redacted] b\r\n[redacted]\n[redacted]"
        );
        let mut redactor = Redactor::new(redact);
        assert_eq!(redactor.push("ready\nPassword: "), "ready\n");
        assert_eq!(redactor.held(), 10);
    }

    #[test]
    fn an_ending_is_no_part_of_the_line() {
        let redact = Redact::new().pattern("^secret$").unwrap();
        assert_eq!(shown(&redact, &["secret\nsecret\r\nsecret"]), "[redacted]\n[redacted]\r\n[redacted]");
    }

    #[test]
    fn a_line_that_is_too_long_is_replaced() {
        let redact = Redact::new().pattern("secret").unwrap().max_line(10).marker("#");
        assert_eq!(shown(&redact, &["0123456789\n0123", "4567890", "123\nok\n"]), "0123456789\n#\nok\n");
        let mut redactor = Redactor::new(redact);
        assert_eq!(redactor.push("0123456789"), "");
        assert_eq!(redactor.push("0"), "#");
        assert_eq!((redactor.push("x"), redactor.push("y\nz\n")), ("".into(), "\nz\n".into()));
        assert_eq!((redactor.stretches(), redactor.bytes()), (1, 13));
    }

    #[test]
    fn what_is_not_text_does_not_end_a_secret() {
        let redact = Redact::new().pattern("token=.+").unwrap();
        let (out, ..) = run(&redact, &[b"\xfe token=ab\xffcd\xe2\x82\nx\xff"]);
        assert_eq!(out, b"\xfe [redacted]\nx\xff");
    }

    #[test]
    fn literals_and_patterns_see_the_same_bytes() {
        let redact = Redact::new().pattern("key=[a-z]{8}").unwrap().literal("abcd");
        assert_eq!(shown(&redact, &["key=abcdefgh"]), "[redacted]");
        // A literal may go over lines; what may be its beginning is held back behind a whole line, too.
        let redact = redact.literal("BEGIN\nxyz");
        assert_eq!(shown(&redact, &["a BEGIN\n", "xyz"]), "a [redacted]");
        assert_eq!(shown(&redact, &["a BEGIN\n", "xxx"]), "a BEGIN\nxxx");
    }

    #[test]
    fn a_bad_pattern_is_not_shown() {
        let error = Redact::new().pattern("hunter2(").unwrap_err();
        assert_eq!(error.to_string(), "invalid pattern: unclosed group");
        assert!(!format!("{error:?}").contains("hunter2"));
        let error = Redact::new().pattern(r"(\w{500}){500}").unwrap_err();
        assert!(error.to_string().contains("bytes when compiled"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn both_are_replaced_as_in_the_model(
            literals in prop::collection::vec("[ab\n]{1,3}", 0..3),
            patterns in prop::collection::vec(prop::sample::select(vec!["ab+", "^b", "a.c$", "c*"]), 1..3),
            text in "[abc\n]{0,40}",
            size in 1..40usize,
            max_line in 0..12usize,
        ) {
            let literals: Vec<_> = literals.into_iter().map(String::into_bytes).collect();
            let mut redact = with_literals(&literals).max_line(max_line);
            let mut marks = literal_marks(&literals, text.as_bytes());
            let mut start = 0;
            for line in text.split('\n') {
                if line.len() > max_line {
                    marks[start..start + line.len()].fill(true);
                }
                for pattern in &patterns {
                    let found = Regex::new(pattern).unwrap();
                    let found = found.find_iter(line);
                    found.for_each(|found| marks[start + found.start()..start + found.end()].fill(true));
                }
                start += line.len() + 1;
            }
            for pattern in patterns {
                redact = redact.pattern(pattern).unwrap();
            }
            let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(run(&redact, &chunks), render(text.as_bytes(), &marks));
        }
    }
}

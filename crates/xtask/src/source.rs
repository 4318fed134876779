//! Just enough of Rust's lexing to look at code without its comments and literals.

/// The source with every comment, string and character literal blanked out, line for line and byte for byte.
///
/// Nested comments, raw strings, byte and C strings are known; lifetimes and loop labels are left alone.
pub(crate) fn code_only(source: &str) -> String {
    let mut lexer = Lexer { source: source.as_bytes(), at: 0, code: Vec::with_capacity(source.len()) };
    while lexer.at < lexer.source.len() {
        lexer.token();
    }
    // Blanking replaces whole tokens, so what is left of the text is as valid as the text was.
    String::from_utf8_lossy(&lexer.code).into_owned()
}

struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    code: Vec<u8>,
}

impl Lexer<'_> {
    fn token(&mut self) {
        let rest = &self.source[self.at..];
        match rest {
            [b'/', b'/', ..] => self.blank(rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())),
            [b'/', b'*', ..] => self.blank(block_comment(rest)),
            [b'"', ..] => self.blank(string(rest)),
            [b'\'', ..] => match character(rest) {
                Some(length) => self.blank(length),
                None => self.keep(1),
            },
            [byte, ..] if is_word(*byte) => {
                let length = rest.iter().position(|&byte| !is_word(byte)).unwrap_or(rest.len());
                match raw_string(rest, length) {
                    Some(whole) => self.blank(whole),
                    None => self.keep(length),
                }
            }
            _ => self.keep(1),
        }
    }

    fn keep(&mut self, length: usize) {
        self.code.extend_from_slice(&self.source[self.at..self.at + length]);
        self.at += length;
    }

    fn blank(&mut self, length: usize) {
        let blanked = &self.source[self.at..self.at + length];
        self.code.extend(blanked.iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
        self.at += length;
    }
}

/// Whether the byte may stand in an identifier; those of non-ASCII letters count.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn block_comment(text: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a character literal, or `None` where the quote begins a lifetime or a label.
fn character(text: &[u8]) -> Option<usize> {
    let end = |from: usize| {
        let line = text[from..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| from + at);
        text[from..line].iter().position(|&byte| byte == b'\'').map(|at| from + at + 1)
    };
    match text.get(1)? {
        b'\\' => end(3.min(text.len())),
        // One letter of up to four bytes, then the closing quote; a lifetime has none there.
        _ => (2..=5)
            .find(|&at| text.get(at) == Some(&b'\''))
            .filter(|&at| str::from_utf8(&text[1..at]).is_ok_and(|letter| letter.chars().count() == 1))
            .map(|at| at + 1),
    }
}

/// The whole length of a raw string whose prefix is the word at the start of the text.
fn raw_string(text: &[u8], word: usize) -> Option<usize> {
    if !matches!(&text[..word], b"r" | b"br" | b"cr") {
        return None;
    }
    let hashes = text[word..].iter().take_while(|&&byte| byte == b'#').count();
    if text.get(word + hashes) != Some(&b'"') {
        return None;
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let from = word + hashes + 1;
    let found = text[from..].windows(end.len()).position(|window| window == end);
    Some(found.map_or(text.len(), |at| from + at + end.len()))
}

/// Every place where the word stands by itself.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    let alone = move |&at: &usize| {
        let before = at.checked_sub(1).is_some_and(|before| is_word(bytes[before]));
        !before && !bytes.get(at + word.len()).copied().is_some_and(is_word)
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone)
}

/// The line, counted from 1, of a place in the text.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// What stands between the bracket at `open` and the one that closes it.
pub(crate) fn bracketed(code: &str, open: usize) -> &str {
    let (opening, closing) = match code.as_bytes().get(open) {
        Some(b'(') => (b'(', b')'),
        Some(b'{') => (b'{', b'}'),
        _ => return "",
    };
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        if byte == opening {
            depth += 1;
        } else if byte == closing {
            depth -= 1;
            if depth == 0 {
                return &code[open + 1..at];
            }
        }
    }
    &code[open + 1..]
}

/// The code with the bodies of `mod tests { .. }` blanked out.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = code.to_owned();
    for at in words(code, "tests") {
        let before = code[..at].trim_end();
        let after = &code[at + "tests".len()..];
        let open = at + "tests".len() + (after.len() - after.trim_start().len());
        if before.ends_with("mod") && code[open..].starts_with('{') {
            let body = open + 1..open + 1 + bracketed(code, open).len();
            let blank: String =
                code[body.clone()].chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect();
            // Only ASCII may change its length, and blanks are ASCII: pad what a wider letter took.
            let blank = format!("{blank}{}", " ".repeat(body.len() - blank.len()));
            kept.replace_range(body, &blank);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_vanish_and_lines_stay() {
        let source = "a // unsafe\n/* b /* unsafe */\n*/ c \"unsafe\\\" unsafe\" d 'x' '\\'' e";
        let code = code_only(source);
        assert_eq!(code.len(), source.len());
        assert_eq!(code.lines().count(), source.lines().count());
        assert_eq!(code.split_whitespace().collect::<String>(), "acde");
    }

    #[test]
    fn raw_strings_of_every_kind_vanish() {
        let source = "a r\"\\\" b r#\"unsafe \" unsafe\"# c br##\"x\"#\"## d c\"x\" e b'x' r#type";
        assert_eq!(
            code_only(source).split_whitespace().collect::<Vec<_>>().join(" "),
            "a b c d c e b r#type"
        );
    }

    #[test]
    fn lifetimes_are_not_literals() {
        let source = "fn f<'a>(x: &'a str) -> &'static str { 'outer: loop { break 'outer; } '\u{e9}' }";
        let code = code_only(source);
        assert!(code.contains("&'static str") && code.contains("break 'outer;"), "{code}");
        assert!(!code.contains('\u{e9}'), "{code}");
    }

    #[test]
    fn unfinished_text_ends() {
        for source in ["\"a", "/* a", "r#\"a", "'", "'\\", "r", "\"\\"] {
            let _ = code_only(source);
        }
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("unsafe unsafe_code my_unsafe unsafe{", "unsafe").collect::<Vec<_>>(), [0, 29]);
    }

    #[test]
    fn tests_are_blanked() {
        let code = "use crate::a;\nmod tests {\n use crate::b; { }\n}\nuse crate::c; mod tests;";
        let kept = without_tests(code);
        assert!(
            kept.contains("crate::a") && kept.contains("crate::c") && !kept.contains("crate::b"),
            "{kept}"
        );
        assert_eq!(kept.len(), code.len());
    }
}

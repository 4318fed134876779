//! Regular expressions over lines that need not be text.

use std::fmt;
use std::ops::Range;

use regex::Regex;

/// A compiled pattern.
#[derive(Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, PatternError> {
        Regex::new(pattern).map(Self).map_err(|error| PatternError::new(&error))
    }
}

/// Finds what the patterns match in a line without its ending.
pub(super) fn matches(patterns: &[Pattern], line: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut each = |text: &str, place: &dyn Fn(usize) -> usize| {
        for Pattern(regex) in patterns {
            let ranges = regex.find_iter(text).map(|found| place(found.start())..place(found.end()));
            ranges.filter(|range| !range.is_empty()).for_each(&mut found);
        }
    };
    match std::str::from_utf8(line) {
        Ok(text) => each(text, &|at| at),
        Err(_) => {
            let (text, starts) = lossy(line);
            each(&text, &|at| place(&starts, at));
        }
    }
}

/// The line as text, and where each of its parts begins: in the text, and in the line.
fn lossy(line: &[u8]) -> (String, Vec<(usize, usize)>) {
    let mut text = String::with_capacity(line.len() + 16);
    let mut starts = Vec::new();
    let mut at = 0;
    for chunk in line.utf8_chunks() {
        starts.push((text.len(), at));
        text.push_str(chunk.valid());
        at += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            starts.push((text.len(), at));
            text.push(char::REPLACEMENT_CHARACTER);
            at += chunk.invalid().len();
        }
    }
    starts.push((text.len(), at));
    (text, starts)
}

/// Where a boundary of characters of the text is in the line.
fn place(starts: &[(usize, usize)], at: usize) -> usize {
    let part = starts.partition_point(|(text, _)| *text <= at).saturating_sub(1);
    starts.get(part).map_or(0, |(text, line)| line + (at - text))
}

/// A pattern that is not valid.
///
/// It does not show the pattern, which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PatternError(String);

impl PatternError {
    fn new(error: &regex::Error) -> Self {
        let words = match error {
            regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes when compiled"),
            // The message shows the pattern, and says last what is wrong with it.
            error => {
                let message = error.to_string();
                let last = message.lines().last().and_then(|line| line.trim().strip_prefix("error: "));
                last.unwrap_or("it is not a regular expression").to_owned()
            }
        };
        Self(words)
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid pattern: {}", self.0)
    }
}

impl fmt::Debug for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PatternError").field(&self.0).finish()
    }
}

impl std::error::Error for PatternError {}

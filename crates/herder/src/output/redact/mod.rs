//! Redaction: what must never be shown is replaced before anything else sees it.

use std::fmt;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::LineOptions;

#[cfg(feature = "redact")]
mod pattern;
mod redactor;
#[cfg(test)]
mod tests;

#[cfg(feature = "redact")]
pub use pattern::PatternError;
pub use redactor::Redactor;

/// What is to be replaced in the output of a program.
///
/// There are two kinds, and both may be given, several of each:
///
/// - A **literal**, such as the secret that the program got, is found anywhere in the stream, also across chunks
///   and lines. Only what may be the beginning of one is held back, until the next bytes tell.
/// - A **pattern** is found within a line; it needs the feature `redact`. The stream then goes on line by line: a line
///   that is not complete, a prompt say, is held back until it is. A line that is longer than [`max_line`] can't be
///   looked at as a whole and is replaced as a whole.
///
/// Literals and patterns look at the bytes as the program wrote them, each without the other; what any of them covers
/// is replaced. Stretches that overlap or touch are one, with one marker in their place.
///
/// It closes rather than opens: at the end of the stream, half of a literal or more is replaced, too. What it
/// can't know is a secret in another form: in base64, in UTF-16, with an escape sequence in its midst.
///
/// ```
/// use herder::output::{Redact, Redactor};
///
/// let mut redactor = Redactor::new(Redact::new().literal("hunter2"));
/// let mut out = redactor.push("the password is hunt").to_vec();
/// assert_eq!(out, b"the password is ");
/// out.extend(redactor.push("er2, really"));
/// out.extend(redactor.end());
/// assert_eq!(out, b"the password is [redacted], really");
/// assert_eq!((redactor.stretches(), redactor.bytes()), (1, 7));
/// ```
///
/// [`max_line`]: Self::max_line
#[derive(Clone, Default)]
#[must_use]
pub struct Redact {
    /// None as long as nothing was said, which is nearly always so. Shared, as each command and each child has one.
    rules: Option<Arc<Rules>>,
}

/// What was said.
#[derive(Clone)]
struct Rules {
    literals: Vec<Finder<'static>>,
    #[cfg(feature = "redact")]
    patterns: Vec<pattern::Pattern>,
    marker: String,
    max_line: usize,
}

impl Redact {
    /// What stands in place of a stretch, unless another marker is set.
    pub const DEFAULT_MARKER: &str = "[redacted]";

    /// Nothing is replaced yet.
    pub const fn new() -> Self {
        Self { rules: None }
    }

    fn rules(&mut self) -> &mut Rules {
        Arc::make_mut(self.rules.get_or_insert_default())
    }

    /// Replaces these very bytes. An empty literal, from a variable that is not set say, replaces nothing.
    pub fn literal(mut self, secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        if !secret.is_empty() {
            self.rules().literals.push(Finder::new(secret).into_owned());
        }
        self
    }

    /// Replaces what a [regular expression](https://docs.rs/regex/1/regex/#syntax) matches within a line.
    ///
    /// It sees the line as text, without its ending (`\n` or `\r\n`): what is not UTF-8 is `U+FFFD` to it, so that
    /// `.` and `\S` do not stop there. All matches are replaced, whole: `token=\S+` hides the word `token=`, too.
    ///
    /// # Errors
    ///
    /// The pattern is not valid, or too large when compiled. The error does not show the pattern.
    #[cfg(feature = "redact")]
    pub fn pattern(mut self, pattern: &str) -> Result<Self, PatternError> {
        self.rules().patterns.push(pattern::Pattern::new(pattern)?);
        Ok(self)
    }

    /// Puts this in place of each stretch; it may be empty.
    pub fn marker(mut self, marker: impl Into<String>) -> Self {
        self.rules().marker = marker.into();
        self
    }

    /// Holds back at most so many bytes of a line for the patterns [default: 64 KiB]; a longer one is replaced.
    ///
    /// Without a pattern it does not matter.
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.rules().max_line = bytes;
        self
    }

    /// Whether nothing is replaced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.literals.is_empty() && !rules.is_line_wise())
    }
}

impl Rules {
    #[cfg(feature = "redact")]
    fn is_line_wise(&self) -> bool {
        !self.patterns.is_empty()
    }

    #[cfg(not(feature = "redact"))]
    #[expect(clippy::unused_self, reason = "the same function as with the feature")]
    fn is_line_wise(&self) -> bool {
        false
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            literals: Vec::new(),
            #[cfg(feature = "redact")]
            patterns: Vec::new(),
            marker: Redact::DEFAULT_MARKER.to_owned(),
            max_line: LineOptions::DEFAULT_MAX_LEN,
        }
    }
}

/// Shows how many secrets there are and none of them.
impl fmt::Debug for Redact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Redact");
        if let Some(rules) = &self.rules {
            shown.field("literals", &rules.literals.len());
            #[cfg(feature = "redact")]
            shown.field("patterns", &rules.patterns.len());
            shown.field("marker", &rules.marker).field("max_line", &rules.max_line);
        }
        shown.finish()
    }
}

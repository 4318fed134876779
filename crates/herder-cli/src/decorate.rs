//! What stands before each line of the output: a time, and whose line it is.

use std::time::SystemTime;

use herder::output::{Endings, LineEnd, LineOptions, LineSplitter};

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) prefix: bool,
    pub(crate) timestamps: bool,
}

impl Style {
    /// Whether lines stay as they are.
    pub(crate) fn is_plain(self) -> bool {
        self == Self::default()
    }
}

/// Puts something before the lines of one stream.
#[derive(Debug)]
pub(crate) struct Decorator {
    prefix: String,
    timestamps: bool,
    lines: LineSplitter,
}

impl Decorator {
    /// `stream` is none where both are one.
    pub(crate) fn new(style: Style, name: &str, stream: Option<&str>) -> Self {
        let prefix = match stream.filter(|_| style.prefix) {
            Some(stream) => format!("{name} {stream} | "),
            None if style.prefix => format!("{name} | "),
            None => String::new(),
        };
        // The bytes of a line stay as they are, a `\r` at its end included.
        let lines = LineSplitter::new(LineOptions::new().endings(Endings::Lf));
        Self { prefix, timestamps: style.timestamps, lines }
    }

    /// Takes the next bytes and appends the lines that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], now: SystemTime, out: &mut Vec<u8>) {
        self.lines.push(bytes.to_vec());
        self.lines(now, out);
    }

    /// Appends what is left, as a line.
    pub(crate) fn end(&mut self, now: SystemTime, out: &mut Vec<u8>) {
        self.lines.end();
        self.lines(now, out);
    }

    fn lines(&mut self, now: SystemTime, out: &mut Vec<u8>) {
        while let Some(line) = self.lines.next_line() {
            if !line.is_continuation() {
                if self.timestamps {
                    let time = humantime::format_rfc3339_millis(now);
                    out.extend_from_slice(format!("{time} ").as_bytes());
                }
                out.extend_from_slice(self.prefix.as_bytes());
            }
            out.extend_from_slice(line.bytes());
            if line.end() != LineEnd::Split {
                out.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn decorated(style: Style, stream: Option<&str>, chunks: &[&str]) -> String {
        let mut decorator = Decorator::new(style, "web", stream);
        let mut out = Vec::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_123);
        chunks.iter().for_each(|chunk| decorator.push(chunk.as_bytes(), now, &mut out));
        decorator.end(now, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_line_has_a_time_and_a_name() {
        let both = Style { prefix: true, timestamps: true };
        assert_eq!(
            decorated(both, Some("stderr"), &["a\r\n\nb", "c"]),
            "2001-09-09T01:46:40.123Z web stderr | a\r\n\
             2001-09-09T01:46:40.123Z web stderr | \n\
             2001-09-09T01:46:40.123Z web stderr | bc\n"
        );
        let prefix = Style { prefix: true, timestamps: false };
        assert_eq!(decorated(prefix, None, &["a\nb\n"]), "web | a\nweb | b\n");
        let timestamps = Style { prefix: false, timestamps: true };
        assert_eq!(decorated(timestamps, Some("stdout"), &["a\n"]), "2001-09-09T01:46:40.123Z a\n");
    }

    #[test]
    fn a_line_that_is_very_long_stays_one() {
        let long = "x".repeat(LineOptions::DEFAULT_MAX_LEN + 10);
        let prefix = Style { prefix: true, timestamps: false };
        assert_eq!(decorated(prefix, None, &[&long]), format!("web | {long}\n"));
    }
}

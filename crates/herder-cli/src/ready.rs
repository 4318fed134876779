//! When the program says that it is ready.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use herder::output::{LineOptions, LineSplitter};
use regex::Regex;

use crate::duration;
use crate::message::Voice;

/// The line that is waited for.
#[derive(Debug)]
pub(crate) struct Ready {
    line: Regex,
    name: String,
    voice: Voice,
    begin: Instant,
    seen: OnceLock<Seen>,
}

/// The line that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) after: Duration,
    pub(crate) stream: &'static str,
    pub(crate) line: String,
}

/// Looks for it in one stream.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    ready: &'a Ready,
    stream: &'static str,
    lines: LineSplitter,
}

impl Ready {
    pub(crate) fn new(line: Regex, name: &str, voice: Voice, begin: Instant) -> Self {
        Self { line, name: name.to_owned(), voice, begin, seen: OnceLock::new() }
    }

    pub(crate) fn seen(&self) -> Option<&Seen> {
        self.seen.get()
    }

    pub(crate) fn watch(&self, stream: &'static str) -> Watch<'_> {
        Watch { ready: self, stream, lines: LineSplitter::new(LineOptions::new()) }
    }
}

impl Watch<'_> {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.ready.seen.get().is_none() {
            self.lines.push(bytes.to_vec());
            self.look();
        }
    }

    pub(crate) fn end(&mut self) {
        self.lines.end();
        self.look();
    }

    fn look(&mut self) {
        let Ready { line: wanted, name, voice, begin, seen } = self.ready;
        while seen.get().is_none()
            && let Some(line) = self.lines.next_line()
        {
            let line = line.text();
            if wanted.is_match(&line) {
                let after = begin.elapsed();
                let found = Seen { after, stream: self.stream, line: line.into_owned() };
                if seen.set(found).is_ok() {
                    voice.inform(&format!(
                        "{name} is ready after {}",
                        duration::show(Duration::from_millis(
                            after.as_millis().try_into().unwrap_or(u64::MAX)
                        ))
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_matches_in_either_stream() {
        let line = Regex::new("^listening on [0-9]+$").unwrap();
        let ready = Ready::new(line, "web", Voice { quiet: true }, Instant::now());
        let (mut out, mut err) = (ready.watch("stdout"), ready.watch("stderr"));
        out.push(b"not listening on 1\nlistening on ");
        assert!(ready.seen().is_none());
        err.push(b"listening on 80\r\nlistening on 81\n");
        out.push(b"82\n");
        out.end();
        let seen = ready.seen().unwrap();
        assert_eq!((seen.line.as_str(), seen.stream), ("listening on 80", "stderr"));
    }

    #[test]
    fn a_last_line_without_an_end_counts() {
        let ready = Ready::new(Regex::new("up").unwrap(), "web", Voice { quiet: true }, Instant::now());
        let mut watch = ready.watch("stdout");
        watch.push(b"up");
        assert!(ready.seen().is_none());
        watch.end();
        assert!(ready.seen().is_some());
    }
}

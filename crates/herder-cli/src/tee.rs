//! The file that gets the output, too.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use herder::output::{Endings, FileReport, LineEnd, LineOptions, LineSplitter, LogFile};
use tokio::io::AsyncWrite;

use crate::stall::Stream;

/// How long the disk may take at the end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// One file for both streams.
#[derive(Debug)]
pub(crate) struct Tee(Mutex<State>);

#[derive(Debug)]
struct State {
    file: LogFile,
    /// What is on its way to the file, and how much of it has gone.
    pending: Vec<u8>,
    gone: usize,
    /// Whose line is not complete.
    open: Option<Stream>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) report: FileReport,
    /// Why it does not have everything.
    pub(crate) error: Option<String>,
}

/// The part of one stream in it.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    tee: &'a Tee,
    stream: Stream,
    /// Where two streams meet: a line of one is not to be cut by the other.
    lines: Option<LineSplitter>,
}

impl Tee {
    pub(crate) fn new(file: LogFile) -> Self {
        Self(Mutex::new(State { file, pending: Vec::new(), gone: 0, open: None }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `alone` is the stream that writes lines, or the only one.
    pub(crate) fn part(&self, stream: Stream, alone: bool) -> Part<'_> {
        let lines = (!alone).then(|| LineSplitter::new(LineOptions::new().endings(Endings::Lf)));
        Part { tee: self, stream, lines }
    }

    /// Waits until everything is written, for so long at most, and tells what became of it.
    pub(crate) async fn finish(&self, patience: Duration) -> Written {
        let written = async {
            std::future::poll_fn(|context| self.poll_room(context)).await;
            drop(std::future::poll_fn(|context| Pin::new(&mut self.state().file).poll_flush(context)).await);
        };
        let late = tokio::time::timeout(patience, written).await.is_err();
        let report = self.state().file.report();
        let error = report.error_message().map(str::to_owned);
        Written { error: error.or_else(|| late.then(|| "it takes no more".to_owned())), report }
    }

    /// Ready when nothing waits to be handed over to the file, or it takes nothing any more, as its report says.
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.state();
        while state.gone < state.pending.len() {
            match Pin::new(&mut state.file).poll_write(context, &state.pending[state.gone..]) {
                Poll::Ready(Ok(count)) => state.gone += count,
                Poll::Ready(Err(_)) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        state.pending.clear();
        state.gone = 0;
        Poll::Ready(())
    }
}

impl State {
    fn add(&mut self, stream: Stream, bytes: &[u8]) {
        if self.open.is_some_and(|open| open != stream) {
            self.pending.push(b'\n');
        }
        self.pending.extend_from_slice(bytes);
        if let Some(last) = bytes.last() {
            self.open = (*last != b'\n').then_some(stream);
        }
    }
}

impl Part<'_> {
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.tee.poll_room(context)
    }

    /// Takes the next bytes, whether there is room or not.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match &mut self.lines {
            None => self.tee.state().add(self.stream, bytes),
            Some(lines) => {
                lines.push(bytes.to_vec());
                self.lines();
            }
        }
    }

    /// Takes the line that is not complete, too.
    pub(crate) fn end(&mut self) {
        if let Some(lines) = &mut self.lines {
            lines.end();
            self.lines();
        }
    }

    fn lines(&mut self) {
        let Some(lines) = &mut self.lines else { return };
        let mut state = self.tee.state();
        while let Some(line) = lines.next_line() {
            state.add(self.stream, line.bytes());
            if line.end() == LineEnd::Lf {
                state.add(self.stream, b"\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn written(parts: impl FnOnce(&Tee)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let tee = Tee::new(LogFile::append(&path).unwrap());
        parts(&tee);
        let Written { report, error } = tee.finish(PATIENCE).await;
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!((report.written(), error), (text.len() as u64, None));
        text
    }

    #[tokio::test]
    async fn a_line_of_one_stream_is_not_cut_by_the_other() {
        let text = written(|tee| {
            let (mut out, mut err) = (tee.part(Stream::Stdout, false), tee.part(Stream::Stderr, false));
            out.push(b"a");
            err.push(b"e\nf");
            out.push(b"b\nend");
            out.end();
            err.end();
        });
        assert_eq!(text.await, "e\nab\nend\nf");
    }

    #[tokio::test]
    async fn one_stream_alone_is_written_as_it_comes() {
        let text = written(|tee| {
            let mut out = tee.part(Stream::Stdout, true);
            out.push(b"a");
            out.push(b"b\nprompt: ");
        });
        assert_eq!(text.await, "ab\nprompt: ");
    }
}

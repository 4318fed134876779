//! A subscriber that gives lines.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use futures_core::Stream;

use super::lines::Found;
use super::{Event, Line, LineOptions, LineSplitter, OutputEnd, Subscriber};

/// The lines of a [`SharedOutput`](super::SharedOutput), from the place of one subscriber on.
///
/// A gap in the stream glues nothing together: the lines around it are marked, see [`Line::missing`].
///
/// It is a [`Stream`] of lines that last, too; these share the memory of their chunk
/// ([`Line::into_shared`]).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use herder::{Command, Stdio, output::LineOptions};
///
/// let script = "echo starting; echo listening on 4711; echo first request";
/// let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
/// let mut lines = child.stdout.take().unwrap().share().subscribe().lines(LineOptions::new());
/// let ready = lines.wait_for_line(|line| line.text().starts_with("listening")).await.unwrap();
/// assert_eq!(ready.text(), "listening on 4711");
/// assert_eq!(lines.next().await.unwrap().text(), "first request");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Lines {
    subscriber: Subscriber,
    splitter: LineSplitter,
    /// A line that was found and not given out.
    found: Option<Found>,
    with_times: bool,
    ended: bool,
}

impl Subscriber {
    /// Goes on line by line.
    pub fn lines(self, options: LineOptions) -> Lines {
        let splitter = LineSplitter::new(options);
        Lines { subscriber: self, splitter, found: None, with_times: false, ended: false }
    }
}

impl Lines {
    /// Gives each line the time at which the end of it was taken from the stream: see [`Line::at`].
    ///
    /// For a subscriber that keeps up this is when it was read from the child.
    #[must_use]
    pub fn with_times(mut self) -> Self {
        self.with_times = true;
        self
    }

    /// The next line; `None` when the stream has ended, or was given up.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, nothing is lost.
    pub async fn next(&mut self) -> Option<Line<'_>> {
        // Most lines are there, and need no detour.
        if self.found.is_none()
            && let Some(found) = self.splitter.find_line()
        {
            return Some(self.splitter.line(found));
        }
        std::future::poll_fn(|context| self.poll_found(context)).await;
        self.take()
    }

    /// Waits for a line of which `is_it` says that it is it. The lines before it are gone for this reader, and for no
    /// other; what comes behind it is what this reader gets next. `None` if the stream ends before.
    ///
    /// How long to wait is for [`tokio::time::timeout`] to say. A reader that waits for one line and is then forgotten
    /// holds up the child if it [blocks](super::WhenFull::Block): drop it, or let it
    /// [drop the oldest](super::WhenFull::DropOldest).
    ///
    /// # Cancel safety
    ///
    /// Cancelled, lines that were looked at are gone, and no others.
    pub async fn wait_for_line(&mut self, mut is_it: impl FnMut(&Line<'_>) -> bool) -> Option<Line<'static>> {
        loop {
            let line = self.next().await?;
            if is_it(&line) {
                return Some(line.into_owned());
            }
        }
    }

    /// As [`wait_for_line`](Self::wait_for_line), for programs that ask and wait for an answer: `is_it` also sees a line
    /// that is not complete, each time that it has grown.
    ///
    /// If that is it, it ends with [`LineEnd::Prompt`](super::LineEnd::Prompt), and what comes next begins a new line.
    /// A number at its end may be half of one.
    ///
    /// # Cancel safety
    ///
    /// As [`wait_for_line`](Self::wait_for_line).
    pub async fn wait_for_prompt(&mut self, mut is_it: impl FnMut(&[u8]) -> bool) -> Option<Line<'static>> {
        loop {
            while self.find() {
                let line = self.take()?;
                if is_it(line.bytes()) {
                    return Some(line.into_owned());
                }
            }
            if self.ended {
                return None;
            }
            let pending = self.splitter.pending();
            if !pending.is_empty() && is_it(pending) {
                self.found = self.splitter.take_pending();
                return self.take().map(Line::into_owned);
            }
            std::future::poll_fn(|context| self.poll_more(context)).await;
        }
    }

    /// How the stream ended, or `None` if it has not. Some of it may still have to be read here.
    #[must_use]
    pub fn end(&self) -> Option<OutputEnd> {
        self.subscriber.end()
    }

    /// Goes on with the bytes behind the last line, as they are; those of a line that is not complete come first.
    #[must_use]
    pub fn into_subscriber(mut self) -> Subscriber {
        let (missing, rest) = self.splitter.into_rest();
        self.subscriber.put_back(missing, rest);
        self.subscriber
    }

    /// Looks for a line in what is there.
    fn find(&mut self) -> bool {
        if self.found.is_none() {
            self.found = self.splitter.find_line();
        }
        self.found.is_some()
    }

    fn take(&mut self) -> Option<Line<'_>> {
        self.found.take().map(|found| self.splitter.line(found))
    }

    /// Takes the next piece of the stream.
    fn poll_more(&mut self, context: &Context<'_>) -> Poll<()> {
        match ready!(self.subscriber.poll_event(context)) {
            Some(Event::Chunk(chunk)) if self.with_times => self.splitter.push_at(chunk, SystemTime::now()),
            Some(Event::Chunk(chunk)) => self.splitter.push(chunk),
            Some(Event::Gap(bytes)) => self.splitter.gap(bytes),
            None => {
                self.splitter.end();
                self.ended = true;
            }
        }
        Poll::Ready(())
    }

    /// Ready when a line was found, or there is none any more.
    fn poll_found(&mut self, context: &Context<'_>) -> Poll<()> {
        while !self.find() && !self.ended {
            ready!(self.poll_more(context));
        }
        Poll::Ready(())
    }
}

impl Stream for Lines {
    type Item = Line<'static>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Line<'static>>> {
        ready!(self.poll_found(context));
        Poll::Ready(self.take().map(Line::into_shared))
    }
}

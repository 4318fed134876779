//! Consumers that look at lines.

use std::future::Future;
use std::ops::ControlFlow;

use bytes::Bytes;

use super::{AsyncVisitor, Consumer, Line, LineOptions, LineSplitter, Subscriber, Visitor};

impl Subscriber {
    /// Calls `look` with each line, in a task of its own.
    ///
    /// It blocks a thread of the runtime while it runs. When the consumer is cancelled it still gets what is there of
    /// the last line.
    pub fn inspect_lines(
        self,
        options: LineOptions,
        look: impl FnMut(Line<'_>) -> ControlFlow<()> + Send + 'static,
    ) -> Consumer<()> {
        self.visit(LineVisitor::new(options, Inspect(look)))
    }

    /// Calls `look` with each line, and waits for what it gives before the next, in a task of its own.
    ///
    /// The lines share the memory of their chunk ([`Line::into_shared`]).
    pub fn inspect_lines_async<F, U>(self, options: LineOptions, look: F) -> Consumer<()>
    where
        F: FnMut(Line<'static>) -> U + Send + 'static,
        U: Future<Output = ControlFlow<()>> + Send,
    {
        self.visit_async(LineVisitor::new(options, look))
    }
}

/// What looks at lines.
pub(super) trait LineLook: Send + 'static {
    type Output: Send + 'static;

    fn line(&mut self, line: Line<'_>) -> ControlFlow<()>;

    fn finish(self) -> Self::Output;
}

/// Splits what comes into lines.
pub(super) struct LineVisitor<L> {
    splitter: LineSplitter,
    look: L,
    broke: bool,
}

impl<L> LineVisitor<L> {
    pub(super) fn new(options: LineOptions, look: L) -> Self {
        Self { splitter: LineSplitter::new(options), look, broke: false }
    }
}

impl<L: LineLook> LineVisitor<L> {
    fn lines(&mut self) -> ControlFlow<()> {
        let flow = self.splitter.each_line(|line| self.look.line(line));
        self.broke |= flow.is_break();
        flow
    }
}

impl<L: LineLook> Visitor for LineVisitor<L> {
    type Output = L::Output;

    fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.splitter.push(chunk);
        self.lines()
    }

    fn gap(&mut self, bytes: u64) -> ControlFlow<()> {
        self.splitter.gap(bytes);
        self.lines()
    }

    fn finish(mut self) -> L::Output {
        if !self.broke {
            // The end of the stream, or cancelled: what is there of the last line is better than nothing of it.
            self.splitter.end();
            // There is nothing left to break off.
            let _: ControlFlow<()> = self.lines();
        }
        self.look.finish()
    }
}

struct Inspect<F>(F);

impl<F: FnMut(Line<'_>) -> ControlFlow<()> + Send + 'static> LineLook for Inspect<F> {
    type Output = ();

    fn line(&mut self, line: Line<'_>) -> ControlFlow<()> {
        (self.0)(line)
    }

    fn finish(self) {}
}

impl<F, U> LineVisitor<F>
where
    F: FnMut(Line<'static>) -> U + Send + 'static,
    U: Future<Output = ControlFlow<()>> + Send,
{
    async fn lines_async(&mut self) -> ControlFlow<()> {
        while let Some(line) = self.splitter.next_line().map(Line::into_shared) {
            if (self.look)(line).await.is_break() {
                self.broke = true;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

impl<F, U> AsyncVisitor for LineVisitor<F>
where
    F: FnMut(Line<'static>) -> U + Send + 'static,
    U: Future<Output = ControlFlow<()>> + Send,
{
    type Output = ();

    async fn chunk(&mut self, chunk: Bytes) -> ControlFlow<()> {
        self.splitter.push(chunk);
        self.lines_async().await
    }

    async fn gap(&mut self, bytes: u64) -> ControlFlow<()> {
        self.splitter.gap(bytes);
        self.lines_async().await
    }

    async fn finish(mut self) {
        if !self.broke {
            // The end of the stream, or cancelled: what is there of the last line is better than nothing of it.
            self.splitter.end();
            // There is nothing left to break off.
            let _: ControlFlow<()> = self.lines_async().await;
        }
    }
}

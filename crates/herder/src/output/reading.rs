//! Who reads a shared stream: its task, and in the place of the task a subscriber that waits for bytes.
//!
//! A task that gives way to the only subscriber, and is polled after it, costs a runtime of several threads a wake-up of
//! another thread each time (Tokio takes it for a lack of threads), and that thread is then told of every write of the
//! child. So the subscriber goes on reading where the task has given way, in its own poll. What the reading waits for
//! wakes the task and never the subscriber, which may not be polled again; and where the subscriber stops though there may
//! be more, the task is still to be polled after having given way, and reads on.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, Id};

use super::OutputEnd;
use super::log::Taken;
use super::reader::{Closing, read};
use super::share::{Inner, State};

/// The reading of a stream, from its start to its end, as far as it has come.
type Reading = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where the reading is.
#[derive(Default)]
pub(super) enum Place {
    /// It has not begun, or has ended.
    #[default]
    Nowhere,
    /// Nobody is at it.
    Here(Reading),
    /// The task is at it.
    Task,
    /// A subscriber is; the task may have been polled meanwhile, and is to be woken again.
    Subscriber { missed: bool },
}

/// The reading, and who may do it.
#[derive(Default)]
pub(super) struct Turn {
    place: Place,
    /// It has stopped where there may be more to read.
    gave_way: bool,
    /// That of the task.
    waker: Option<Waker>,
    /// That of the task: in another one the stream would wait for the wrong reactor.
    runtime: Option<Id>,
}

/// What the reading does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    /// It lets others have their turn.
    Yield,
    /// It stops: whoever reads in the place of the task has what it wanted.
    Stop,
}

impl Turn {
    /// Bytes have come, and it was the turn of the reading for long enough, or not.
    pub(super) fn pushed(&mut self, long: bool) -> Next {
        let next = match self.place {
            Place::Subscriber { .. } => Next::Stop,
            _ if long => Next::Yield,
            _ => Next::GoOn,
        };
        self.gave_way = next != Next::GoOn;
        next
    }

    pub(super) fn goes_on(&mut self) {
        self.gave_way = false;
    }

    /// The reading and the waker of the task, for a subscriber of this task and runtime.
    fn lend(&mut self) -> Option<(Reading, Waker)> {
        // Outside of a task we may be on another thread than all tasks: then to wake the task would cost what is saved.
        if !self.gave_way || tokio::task::try_id().is_none() {
            return None;
        }
        if Handle::try_current().ok().map(|runtime| runtime.id()) != self.runtime {
            return None;
        }
        let waker = self.waker.clone()?;
        match std::mem::take(&mut self.place) {
            Place::Here(reading) => {
                self.place = Place::Subscriber { missed: false };
                Some((reading, waker))
            }
            other => {
                self.place = other;
                None
            }
        }
    }

    /// Puts the reading back, if it goes on; tells whether the task is to be woken, which it is if it has been polled
    /// meanwhile: else it is still to be. Gives what nobody needs any more.
    fn put_back(&mut self, reading: Option<Reading>) -> (bool, Option<Reading>) {
        let Place::Subscriber { missed } = self.place else {
            // The task was ended meanwhile.
            return (false, reading);
        };
        self.place = reading.map_or(Place::Nowhere, Place::Here);
        (missed, None)
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("gave_way", &self.gave_way).finish_non_exhaustive()
    }
}

/// The task.
struct Task(Arc<Inner>);

impl Future for Task {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        let turn = &mut state.turn;
        match &mut turn.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => turn.waker = Some(context.waker().clone()),
        }
        let mut reading = match std::mem::take(&mut turn.place) {
            Place::Here(reading) => reading,
            Place::Subscriber { .. } => {
                turn.place = Place::Subscriber { missed: true };
                return Poll::Pending;
            }
            Place::Nowhere | Place::Task => return Poll::Ready(()),
        };
        turn.place = Place::Task;
        drop(state);
        if reading.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        self.0.lock().turn.place = Place::Here(reading);
        Poll::Pending
    }
}

/// The reading ends with its task: it is dropped, here or by the subscriber that is at it, which closes the stream.
impl Drop for Task {
    fn drop(&mut self) {
        let place = std::mem::take(&mut self.0.lock().turn.place);
        drop(place);
    }
}

impl Inner {
    /// Starts the reader if it was not. It may have to wait.
    pub(super) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let mut state = self.lock();
        if state.source.is_some() {
            let runtime = Handle::try_current().map_err(std::io::Error::other)?;
            if let Some(source) = state.source.take() {
                state.turn.place = Place::Here(Box::pin(read(Closing(Arc::clone(self)), source)));
                state.turn.runtime = Some(runtime.id());
                // A runtime that shuts down drops the task here and now.
                drop(state);
                let task = runtime.spawn(Task(Arc::clone(self)));
                self.lock().task = Some(task.abort_handle());
            }
        }
        Ok(())
    }

    /// What the subscriber gets next.
    pub(super) fn poll_take(self: &Arc<Self>, id: u64, context: &Context<'_>) -> Poll<Taken> {
        let mut state = self.lock();
        let mut taken = state.log.take(id);
        let mut waker = None;
        let mut unneeded = None;
        if taken == Taken::Empty
            && state.log.has_one_cursor()
            && let Some((reading, task)) = state.turn.lend()
        {
            drop(state);
            let reading = go_on(reading, &task);
            state = self.lock();
            let (wake, rest) = state.turn.put_back(reading);
            (waker, unneeded) = (wake.then_some(task), rest);
            taken = state.log.take(id);
        }
        let pending = taken == Taken::Empty;
        if pending {
            state.wait(id, context.waker());
        } else if state.admitted() > 0 && state.reader.is_some() {
            waker = state.reader.take();
        }
        let unstarted = pending && state.source.is_some();
        drop(state);
        drop(unneeded);
        if let Some(waker) = waker {
            waker.wake();
        }
        if unstarted && let Err(error) = self.start() {
            self.close(OutputEnd::failed(&error));
        }
        if pending { Poll::Pending } else { Poll::Ready(taken) }
    }
}

/// Does the next part of the reading; nothing is left of it at its end.
fn go_on(mut reading: Reading, task: &Waker) -> Option<Reading> {
    let mut context = Context::from_waker(task);
    // A source that panics ends its stream, and not whoever reads it.
    let ended =
        catch_unwind(AssertUnwindSafe(|| reading.as_mut().poll(&mut context).is_ready())).unwrap_or(true);
    (!ended).then_some(reading)
}

impl State {
    /// The subscriber waits for bytes.
    fn wait(&mut self, id: u64, waker: &Waker) {
        match self.waiting.iter_mut().find(|(waiting, _)| *waiting == id) {
            Some((_, old)) => old.clone_from(waker),
            None => self.waiting.push((id, waker.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::output::{ShareOptions, SharedOutput};

    use super::*;

    #[test]
    fn a_task_that_was_polled_while_a_subscriber_was_reading_is_woken() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let work = async {
                let shared = SharedOutput::new(tokio::io::repeat(b'x'), &ShareOptions::new());
                let subscriber = shared.subscribe();
                let inner = &shared.inner;
                let (reading, task) = loop {
                    tokio::task::yield_now().await;
                    if let Some(lent) = inner.lock().turn.lend() {
                        break lent;
                    }
                };
                // The task has its turn, and finds nothing to do.
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                let before = shared.total();
                let (wake, rest) = inner.lock().turn.put_back(Some(reading));
                assert!(wake && rest.is_none());
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                assert_eq!(shared.total(), before, "it was woken by somebody else");
                task.wake();
                while shared.total() == before {
                    tokio::task::yield_now().await;
                }
                drop(subscriber);
            };
            tokio::spawn(work).await.unwrap();
        });
    }

    #[test]
    fn a_reading_whose_task_is_gone_is_not_kept() {
        let mut turn = Turn::default();
        let (wake, rest) = turn.put_back(Some(Box::pin(async {})));
        assert!(!wake && rest.is_some() && matches!(turn.place, Place::Nowhere));
    }
}

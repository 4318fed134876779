//! What is done about the signals that come to `herder`.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::Pin;

use herder::error::WaitError;
use herder::{ChildHandle, ExitStatus, Signal};
use tokio::sync::Notify;

use crate::message::Voice;
use crate::platform::{self, Signals};
use crate::resolve::Stop;
use crate::stall::Stall;

/// Whom the signals are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge<'a> {
    pub(crate) child: &'a ChildHandle,
    pub(crate) stop: &'a Stop,
    pub(crate) stall: &'a Stall,
    /// The terminal sends the keyboard's signals to the program as it does to us.
    pub(crate) shares_terminal: bool,
    pub(crate) voice: Voice,
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Stop the program.
    Stop,
    /// The program has it already, and decides.
    Theirs,
    /// The system has a way of its own with it.
    Other,
}

/// Does what the signals that come mean, as long as it is polled.
pub(crate) async fn attend(signals: &mut Signals, charge: Charge<'_>) -> Infallible {
    let hurry = Notify::new();
    let mut stopping = Stopping { charge, signals: 0, ladder: None };
    loop {
        let signal = tokio::select! {
            biased;
            signal = signals.next() => signal,
            () = stopping.advance() => continue,
        };
        match platform::meaning(signal, charge.shares_terminal) {
            Meaning::Stop => stopping.stop(signal, &hurry),
            Meaning::Theirs => {
                // It decides as long as it is there.
                if charge.child.id().is_none() {
                    charge.stall.ask();
                }
            }
            Meaning::Other => platform::serve(signal, &charge),
        }
    }
}

type Ladder<'a> = Pin<Box<dyn Future<Output = Result<ExitStatus, WaitError>> + 'a>>;

/// The program on its way out.
struct Stopping<'a> {
    charge: Charge<'a>,
    signals: u32,
    ladder: Option<Ladder<'a>>,
}

impl<'a> Stopping<'a> {
    /// The first signal begins, the second takes the next step at once, the third does not discuss.
    fn stop<'b: 'a>(&mut self, signal: Signal, hurry: &'b Notify) {
        let Charge { child, stop, stall, shares_terminal, voice, .. } = self.charge;
        self.signals += 1;
        stall.ask();
        match self.signals {
            1 => {
                if !shares_terminal && io::stderr().is_terminal() {
                    voice.inform(&format!("{signal}: stopping {}; once more hurries", child.name()));
                }
                let policy = stop.on(signal);
                self.ladder = Some(Box::pin(async move { child.terminate_or_hurry(&policy, hurry).await }));
            }
            2 => hurry.notify_one(),
            _ => drop(child.start_kill()),
        }
    }

    /// Goes down the ladder. Ready once, at its end.
    async fn advance(&mut self) {
        match &mut self.ladder {
            Some(ladder) => {
                // Whether its end can be learnt is the business of the join.
                drop(ladder.as_mut().await);
                self.ladder = None;
            }
            None => std::future::pending().await,
        }
    }
}

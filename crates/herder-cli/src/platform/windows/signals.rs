//! Control events of the console, as the signals that they are most like.

use std::io;
use std::task::{Context, Poll, Waker};

use herder::{ChildHandle, Signal};
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

use crate::signals::{Charge, Meaning};

/// The events that have come and were not looked at yet.
///
/// Made before the program is started, so that none is lost; each kind is kept once.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: CtrlC,
    /// Typed, or sent to us by whoever wants us to end.
    interrupt_group: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

/// What an event means: Ctrl-C and Ctrl-Break are SIGINT, the end of the console, session or system is SIGHUP.
pub(crate) fn meaning(signal: Signal, shares_terminal: bool) -> Meaning {
    match signal {
        Signal::INT if shares_terminal => Meaning::Theirs,
        Signal::INT => Meaning::Stop,
        _ => Meaning::Other,
    }
}

/// The system tells the program, too, and ends both of us in a few seconds. It may use them.
pub(crate) fn serve(_signal: Signal, charge: &Charge<'_>) {
    charge.stall.ask();
}

impl Signals {
    /// Listens from now on. What is ignored now stays so, for us and for the program: whoever starts a process group
    /// means Ctrl-C.
    pub(crate) fn listen(_shares_terminal: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            interrupt_group: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Ends a program that is just there if Ctrl-C came before it: nothing else could tell it.
    pub(crate) fn pass_early(&mut self, child: &ChildHandle) {
        let mut context = Context::from_waker(Waker::noop());
        if self.poll_next(&mut context) == Poll::Ready(Signal::INT) {
            // One that has ended needs none.
            drop(child.start_kill());
        }
    }

    /// The next event. Cancelled, none is lost.
    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Signal> {
        if self.interrupt.poll_recv(context).is_ready() || self.interrupt_group.poll_recv(context).is_ready()
        {
            return Poll::Ready(Signal::INT);
        }
        let ends = self.close.poll_recv(context).is_ready()
            || self.logoff.poll_recv(context).is_ready()
            || self.shutdown.poll_recv(context).is_ready();
        if ends { Poll::Ready(Signal::HUP) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctrl_c_is_the_programs_where_it_has_the_console() {
        assert_eq!(
            (meaning(Signal::INT, true), meaning(Signal::INT, false)),
            (Meaning::Theirs, Meaning::Stop)
        );
        assert_eq!(
            (meaning(Signal::HUP, true), meaning(Signal::HUP, false)),
            (Meaning::Other, Meaning::Other)
        );
    }
}

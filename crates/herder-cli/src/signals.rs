//! Signals that come to `herder`, and what is done about them.

use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use herder::error::WaitError;
use herder::{ChildHandle, ExitStatus, Signal};
use rustix::process::{getpid, kill_process};
use signal_hook::flag::register_usize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::leftovers;
use crate::message::Voice;
use crate::resolve::Stop;
use crate::stall::Stall;

/// What Ctrl-C and Ctrl-\ send.
const KEYBOARD: [Signal; 2] = [Signal::INT, Signal::QUIT];

/// The signals that have come and were not looked at yet.
///
/// Made before the program is started, so that none is lost; each kind is kept once.
#[derive(Debug)]
pub(crate) struct Signals {
    streams: Vec<(Signal, tokio::signal::unix::Signal)>,
    /// The last signal of the keyboard, noted as it comes.
    typed: Arc<AtomicUsize>,
}

/// Whom the signals are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge<'a> {
    pub(crate) child: &'a ChildHandle,
    pub(crate) stop: &'a Stop,
    pub(crate) stall: &'a Stall,
    /// The terminal sends the keyboard's signals to the program as it does to us.
    pub(crate) shares_terminal: bool,
    /// Orphans come to us.
    pub(crate) adopts: bool,
    pub(crate) voice: Voice,
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Stop the program.
    Stop,
    /// The program has it already, and decides.
    Theirs,
    /// Give it to the program.
    Pass,
    /// Stop the program and ourselves, until we are continued.
    Suspend,
    /// A child of ours has ended: the program, or an orphan that came to us.
    Reap,
}

fn meaning(signal: Signal, shares_terminal: bool) -> Meaning {
    match signal {
        Signal::INT | Signal::QUIT if shares_terminal => Meaning::Theirs,
        Signal::INT | Signal::TERM | Signal::HUP => Meaning::Stop,
        Signal::TSTP => Meaning::Suspend,
        Signal::CHLD => Meaning::Reap,
        _ => Meaning::Pass,
    }
}

impl Signals {
    /// Listens from now on.
    ///
    /// What is ignored now stays so, for us and for the program: nohup(1) means SIGHUP, and a shell without job
    /// control means SIGINT for its background jobs.
    ///
    /// Where the terminal is shared, SIGTSTP keeps its default action: Ctrl-Z stops both, and `fg` continues both.
    ///
    /// SIGCHLD is the exception: ignored, it would keep us from learning how the program ended.
    pub(crate) fn listen(shares_terminal: bool) -> io::Result<Self> {
        let always = [Signal::TERM, Signal::HUP, Signal::USR1, Signal::USR2, Signal::CHLD];
        let apart = [Signal::TSTP, Signal::CONT, Signal::WINCH];
        let apart = apart.into_iter().filter(|_| !shares_terminal);
        let mut signals = Self { streams: Vec::new(), typed: Arc::default() };
        let ignored = ignored();
        for kind in KEYBOARD.into_iter().chain(always).chain(apart) {
            let raw = kind.as_raw();
            if kind == Signal::CHLD || ignored >> (raw - 1) & 1 == 0 {
                signals.streams.push((kind, signal(SignalKind::from_raw(raw))?));
                if KEYBOARD.contains(&kind) {
                    register_usize(raw, Arc::clone(&signals.typed), raw.unsigned_abs() as usize)?;
                }
            }
        }
        Ok(signals)
    }

    /// Listens to every signal that can be passed on, and to SIGCHLD; else as [`listen`](Self::listen).
    pub(crate) fn listen_to_all(shares_terminal: bool) -> io::Result<Self> {
        let mut signals = Self::listen(shares_terminal)?;
        let known: Vec<_> = signals.streams.iter().map(|(known, _)| *known).collect();
        let ignored = ignored();
        let others = (1..=64).filter_map(Signal::from_raw).filter(|kind| {
            let terminals = [Signal::TSTP, Signal::WINCH, Signal::CONT].contains(kind) && shares_terminal;
            let raw = kind.as_raw();
            !(known.contains(kind) || terminals || is_of_a_fault(*kind)) && ignored >> (raw - 1) & 1 == 0
        });
        for kind in others {
            // The C library keeps two for itself.
            if let Ok(stream) = signal(SignalKind::from_raw(kind.as_raw())) {
                signals.streams.push((kind, stream));
            }
        }
        Ok(signals)
    }

    /// The last signal of the keyboard, if one has come. Asked when the program is just there: who pressed Ctrl-C may
    /// have been too early for it.
    pub(crate) fn typed_early(&self) -> Option<Signal> {
        let typed = self.typed.swap(0, Ordering::Relaxed);
        KEYBOARD.into_iter().find(|kind| kind.as_raw().unsigned_abs() as usize == typed)
    }

    /// The next signal. Cancelled, none is lost.
    pub(crate) async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            let mut streams = self.streams.iter_mut();
            let ready =
                streams.find_map(|(signal, stream)| stream.poll_recv(context).is_ready().then_some(*signal));
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Waits for the next signal that matters when the program has ended: whether it says to stop. The others say
    /// that a child has ended, or what the program does not need any more.
    pub(crate) async fn hurries(&mut self) -> bool {
        meaning(self.next().await, false) == Meaning::Stop
    }

    /// Does what the signals that come mean, as long as it is polled.
    pub(crate) async fn attend(&mut self, charge: Charge<'_>) -> Infallible {
        let hurry = Notify::new();
        let mut stopping = Stopping { charge, signals: 0, ladder: None };
        loop {
            let signal = tokio::select! {
                biased;
                signal = self.next() => signal,
                () = stopping.advance() => continue,
            };
            match meaning(signal, charge.shares_terminal) {
                Meaning::Stop => stopping.stop(signal, &hurry),
                Meaning::Theirs => {
                    // It decides as long as it is there.
                    if charge.child.id().is_none() {
                        charge.stall.ask();
                    }
                }
                // One that may not be signalled changed its user; it was not ours to begin with.
                // Who shares the terminal is one of several in our group, and the signal was for one.
                Meaning::Pass if charge.shares_terminal => drop(charge.child.signal_child(signal)),
                Meaning::Pass => drop(charge.child.signal(signal)),
                Meaning::Suspend => suspend(charge.child),
                Meaning::Reap if charge.adopts => leftovers::reap(charge.child.id()),
                Meaning::Reap => {}
            }
        }
    }
}

/// One that says what is wrong with the process that gets it, or that can't be caught.
fn is_of_a_fault(signal: Signal) -> bool {
    const FAULTS: [&str; 13] = [
        "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV", "SIGSYS", "SIGKILL", "SIGSTOP",
        "SIGPIPE", "SIGTTIN", "SIGTTOU", "SIGXFSZ",
    ];
    signal.name().is_some_and(|name| FAULTS.contains(&name))
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

/// Asks the program to stop, and stops ourselves; the SIGCONT that ends it is passed on like any other signal.
///
/// A program that does not care to be stopped goes on, as it would at the keyboard.
fn suspend(child: &ChildHandle) {
    drop(child.signal(Signal::TSTP));
    // Only a signal that does not exist could fail.
    let _ = kill_process(getpid(), rustix::process::Signal::STOP);
}

/// The signals that are ignored, as a mask; where there is no /proc, none is taken to be.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyboards_signals_are_the_programs_where_it_has_the_terminal() {
        for (signal, shared, apart) in [
            (Signal::INT, Meaning::Theirs, Meaning::Stop),
            (Signal::QUIT, Meaning::Theirs, Meaning::Pass),
            (Signal::TERM, Meaning::Stop, Meaning::Stop),
            (Signal::HUP, Meaning::Stop, Meaning::Stop),
            (Signal::USR1, Meaning::Pass, Meaning::Pass),
            (Signal::CONT, Meaning::Pass, Meaning::Pass),
            (Signal::TSTP, Meaning::Suspend, Meaning::Suspend),
            (Signal::CHLD, Meaning::Reap, Meaning::Reap),
        ] {
            assert_eq!((meaning(signal, true), meaning(signal, false)), (shared, apart), "{signal}");
        }
    }

    #[test]
    fn rust_ignores_sigpipe() {
        assert_eq!(ignored() >> (Signal::PIPE.as_raw() - 1) & 1, 1);
    }
}

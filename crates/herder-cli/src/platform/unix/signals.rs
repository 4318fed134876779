//! Signals that come to `herder`, and those that are no more than passed on.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use herder::{ChildHandle, Signal};
use rustix::process::{getpid, kill_process};
use signal_hook::flag::register_usize;
use tokio::signal::unix::{SignalKind, signal};

use super::leftovers;
use crate::signals::{Charge, Meaning};

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

/// What a signal means.
pub(crate) fn meaning(signal: Signal, shares_terminal: bool) -> Meaning {
    match signal {
        Signal::INT | Signal::QUIT if shares_terminal => Meaning::Theirs,
        Signal::INT | Signal::TERM | Signal::HUP => Meaning::Stop,
        _ => Meaning::Other,
    }
}

/// Does what the others mean.
pub(crate) fn serve(signal: Signal, charge: &Charge<'_>) {
    match signal {
        // Stops the program and ourselves, until we are continued.
        Signal::TSTP => suspend(charge.child),
        // A child of ours has ended: the program, or an orphan that came to us.
        Signal::CHLD if leftovers::come_to_us() => leftovers::reap(charge.child.id()),
        Signal::CHLD => {}
        // One that may not be signalled changed its user; it was not ours to begin with.
        // Who shares the terminal is one of several in our group, and the signal was for one.
        signal if charge.shares_terminal => drop(charge.child.signal_child(signal)),
        signal => drop(charge.child.signal(signal)),
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

    /// Gives the last signal of the keyboard, if one has come, to a program that is just there: who pressed Ctrl-C may
    /// have been too early for it.
    pub(crate) fn pass_early(&self, child: &ChildHandle) {
        let typed = self.typed.swap(0, Ordering::Relaxed);
        if let Some(signal) = KEYBOARD.into_iter().find(|kind| kind.as_raw().unsigned_abs() as usize == typed)
        {
            // One too many does no harm to a program that has hardly begun, one too few is lost. One that has ended
            // needs none.
            drop(child.signal_child(signal));
        }
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

    /// Waits for the next signal that matters when the program has ended: whether it says to stop. The others say that
    /// a child has ended, or what the program does not need any more.
    pub(super) async fn hurries(&mut self) -> bool {
        meaning(self.next().await, false) == Meaning::Stop
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
            (Signal::QUIT, Meaning::Theirs, Meaning::Other),
            (Signal::TERM, Meaning::Stop, Meaning::Stop),
            (Signal::HUP, Meaning::Stop, Meaning::Stop),
            (Signal::USR1, Meaning::Other, Meaning::Other),
            (Signal::CONT, Meaning::Other, Meaning::Other),
            (Signal::TSTP, Meaning::Other, Meaning::Other),
            (Signal::CHLD, Meaning::Other, Meaning::Other),
        ] {
            assert_eq!((meaning(signal, true), meaning(signal, false)), (shared, apart), "{signal}");
        }
    }

    #[test]
    fn rust_ignores_sigpipe() {
        assert_eq!(ignored() >> (Signal::PIPE.as_raw() - 1) & 1, 1);
    }
}

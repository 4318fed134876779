//! The ladder from asking to killing, as a pure state machine: events and the time go in, one action comes out.
//!
//! ```text
//! Ready ──take a rung──▶ Waiting ──grace is over──▶ Ready ── … ──no rung left: kill──▶ Killed
//!   └─────────────────────┴──────────────── exited ────────────────────────────────▶ Done
//! ```
//!
//! The driver performs an action and comes back at once with [`Event::Tick`], or with [`Event::StepFailed`] if the
//! action could not be done. On [`Action::WaitUntil`] it comes back when that time has come or something happened.

use std::time::{Duration, Instant};
use std::vec;

use herder_sys::Signal;

use super::{Ask, Rung, Termination};

/// How long to wait, within the grace period, after a step that failed. Not zero: a step often fails because the
/// process is ending just then, and its exit should win over the next rung.
const GRACE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The end of a wait that has none: about thirty years, which every clock can still represent.
const FAR_FUTURE: Duration = Duration::from_secs(86_400 * 365 * 30);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing but time; also the first event.
    Tick,
    /// The process has exited.
    Exited,
    /// The last action could not be done.
    StepFailed,
    /// Someone does not want to wait any longer: take the next rung at once.
    Hurry,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Close the standard input of the process.
    CloseStdin,
    /// Send a signal.
    Signal(Signal),
    /// Kill.
    Kill,
    /// Do nothing until then; never a time that has passed.
    WaitUntil(Instant),
    /// The kill was sent and nothing is left to do but to wait for the exit.
    WaitForExit,
    /// The process has exited; the ladder is over.
    Done,
}

/// A walk down one [`Termination`].
#[derive(Debug)]
pub(crate) struct Ladder {
    rungs: vec::IntoIter<Rung>,
    state: State,
    started: Instant,
    /// The latest time seen: a clock that goes backwards is taken to stand still.
    now: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The next rung is due.
    Ready,
    /// The last step has until then to take effect.
    Waiting(Instant),
    Killed,
    Done,
}

impl Ladder {
    /// A ladder of which no rung was taken yet.
    pub(crate) fn new(policy: &Termination, now: Instant) -> Self {
        Self { rungs: policy.rungs.to_vec().into_iter(), state: State::Ready, started: now, now }
    }

    /// The time since the ladder began, as an [`Attempt`](super::Attempt) reports it.
    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Takes in what happened and says what to do next.
    ///
    /// The grace of a rung counts from when the rung is taken, so that a driver that comes late does not shorten
    /// the time of the next one.
    pub(crate) fn step(&mut self, event: Event, now: Instant) -> Action {
        self.now = self.now.max(now);
        match (event, self.state) {
            (Event::Exited, _) | (_, State::Done) => {
                self.state = State::Done;
                Action::Done
            }
            (_, State::Killed) => Action::WaitForExit,
            (_, State::Ready) | (Event::Hurry, State::Waiting(_)) => self.take_next_rung(),
            (Event::StepFailed, State::Waiting(until)) => {
                self.wait(until.min(self.after(GRACE_AFTER_FAILURE)))
            }
            (Event::Tick, State::Waiting(until)) => self.wait(until),
        }
    }

    fn wait(&mut self, until: Instant) -> Action {
        if until <= self.now {
            return self.take_next_rung();
        }
        self.state = State::Waiting(until);
        Action::WaitUntil(until)
    }

    fn take_next_rung(&mut self) -> Action {
        let Some(rung) = self.rungs.next() else {
            self.state = State::Killed;
            return Action::Kill;
        };
        self.state = State::Waiting(self.after(rung.grace));
        match rung.ask {
            Ask::CloseStdin => Action::CloseStdin,
            Ask::Signal(signal) => Action::Signal(signal),
        }
    }

    fn after(&self, grace: Duration) -> Instant {
        self.now.checked_add(grace.min(FAR_FUTURE)).unwrap_or(self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_asks_waits_escalates_and_kills() {
        let start = Instant::now();
        let policy = Termination::new().close_stdin(ms(200)).signal(Signal::TERM, ms(500));
        let mut ladder = Ladder::new(&policy, start);
        assert_eq!(ladder.step(Event::Tick, start), Action::CloseStdin);
        assert_eq!(ladder.step(Event::Tick, start), Action::WaitUntil(start + ms(200)));
        // Woken too early: the same wait again.
        assert_eq!(ladder.step(Event::Tick, start + ms(199)), Action::WaitUntil(start + ms(200)));
        assert_eq!(ladder.step(Event::Tick, start + ms(200)), Action::Signal(Signal::TERM));
        assert_eq!(ladder.step(Event::Tick, start + ms(200)), Action::WaitUntil(start + ms(700)));
        assert_eq!(ladder.step(Event::Tick, start + ms(700)), Action::Kill);
        assert_eq!(ladder.step(Event::Tick, start + ms(700)), Action::WaitForExit);
        assert_eq!(ladder.elapsed(start + ms(700)), ms(700));
        assert_eq!(ladder.step(Event::Exited, start + ms(701)), Action::Done);
        assert_eq!(ladder.step(Event::Hurry, start + ms(702)), Action::Done);
    }

    #[test]
    fn without_rungs_it_kills_at_once() {
        let now = Instant::now();
        let mut ladder = Ladder::new(&Termination::kill(), now);
        assert_eq!(ladder.step(Event::Tick, now), Action::Kill);
        assert_eq!(ladder.step(Event::StepFailed, now), Action::WaitForExit);
        assert_eq!(ladder.step(Event::Hurry, now), Action::WaitForExit);
    }

    #[test]
    fn no_grace_goes_straight_on() {
        let now = Instant::now();
        let policy = Termination::new().signal(Signal::CONT, ms(0)).signal(Signal::TERM, ms(5));
        let mut ladder = Ladder::new(&policy, now);
        assert_eq!(ladder.step(Event::Tick, now), Action::Signal(Signal::CONT));
        assert_eq!(ladder.step(Event::Tick, now), Action::Signal(Signal::TERM));
    }

    #[test]
    fn a_failed_step_waits_a_moment_and_never_longer_than_its_grace() {
        let now = Instant::now();
        let mut ladder = Ladder::new(&Termination::default(), now);
        assert_eq!(ladder.step(Event::Tick, now), Action::Signal(Signal::TERM));
        assert_eq!(ladder.step(Event::StepFailed, now), Action::WaitUntil(now + ms(100)));
        // Told twice, it does not wait longer.
        assert_eq!(ladder.step(Event::StepFailed, now + ms(50)), Action::WaitUntil(now + ms(100)));
        assert_eq!(ladder.step(Event::Tick, now + ms(100)), Action::Kill);

        let mut ladder = Ladder::new(&Termination::new().signal(Signal::TERM, ms(30)), now);
        assert_eq!(ladder.step(Event::Tick, now), Action::Signal(Signal::TERM));
        assert_eq!(ladder.step(Event::StepFailed, now), Action::WaitUntil(now + ms(30)));
    }

    #[test]
    fn hurry_takes_the_next_rung_and_no_more() {
        let now = Instant::now();
        let policy = Termination::new().signal(Signal::INT, ms(1000)).signal(Signal::TERM, ms(1000));
        let mut ladder = Ladder::new(&policy, now);
        assert_eq!(ladder.step(Event::Hurry, now), Action::Signal(Signal::INT));
        assert_eq!(ladder.step(Event::Hurry, now), Action::Signal(Signal::TERM));
        assert_eq!(ladder.step(Event::Tick, now), Action::WaitUntil(now + ms(1000)));
        assert_eq!(ladder.step(Event::Hurry, now), Action::Kill);
    }

    #[test]
    fn an_endless_grace_does_not_overflow() {
        let now = Instant::now();
        let mut ladder = Ladder::new(&Termination::new().signal(Signal::TERM, Duration::MAX), now);
        assert_eq!(ladder.step(Event::Tick, now), Action::Signal(Signal::TERM));
        assert_eq!(ladder.step(Event::Tick, now), Action::WaitUntil(now + FAR_FUTURE));
    }

    fn policies() -> impl Strategy<Value = Termination> {
        prop::collection::vec((0..10i32, 0..2000u64), 0..5).prop_map(|rungs| {
            rungs.into_iter().fold(Termination::new(), |policy, (signal, grace)| {
                match Signal::from_raw(signal) {
                    Some(signal) => policy.signal(signal, ms(grace)),
                    None => policy.close_stdin(ms(grace)),
                }
            })
        })
    }

    fn asked(policy: &Termination) -> Vec<Action> {
        let ask = |rung: &Rung| match rung.ask {
            Ask::CloseStdin => Action::CloseStdin,
            Ask::Signal(signal) => Action::Signal(signal),
        };
        policy.rungs.iter().map(ask).chain([Action::Kill]).collect()
    }

    proptest! {
        /// A driver that wakes on time, whatever fails: each rung once and in order, the kill within the sum.
        #[test]
        fn kill_is_reached_within_the_sum_of_graces(policy in policies(), fails in any::<u16>()) {
            let start = Instant::now();
            let mut ladder = Ladder::new(&policy, start);
            let (mut now, mut event, mut taken) = (start, Event::Tick, Vec::new());
            for _ in 0..=3 * policy.rungs.len() + 1 {
                let action = ladder.step(event, now);
                event = Event::Tick;
                match action {
                    Action::WaitUntil(until) => {
                        prop_assert!(until > now, "a wait that spins");
                        now = until;
                    }
                    Action::WaitForExit => break,
                    Action::Done => prop_assert!(false, "done without an exit"),
                    action => {
                        if fails >> taken.len() & 1 == 1 {
                            event = Event::StepFailed;
                        }
                        taken.push(action);
                    }
                }
            }
            prop_assert_eq!(taken, asked(&policy));
            prop_assert!(now <= start + policy.total_grace());
        }

        /// Any events at any times, the clock going backwards included.
        #[test]
        fn any_events_take_each_rung_once_in_order(
            policy in policies(),
            events in prop::collection::vec((0..4u8, 0..5000u64), 0..40),
        ) {
            let start = Instant::now();
            let mut ladder = Ladder::new(&policy, start);
            let (mut exited, mut taken, mut latest) = (false, Vec::new(), start);
            for (event, at) in events {
                let event = [Event::Tick, Event::StepFailed, Event::Hurry, Event::Exited][usize::from(event)];
                let now = start + ms(at);
                latest = latest.max(now);
                exited |= event == Event::Exited;
                let action = ladder.step(event, now);
                prop_assert_eq!(action == Action::Done, exited);
                match action {
                    Action::WaitUntil(until) => prop_assert!(until > latest),
                    Action::WaitForExit => prop_assert_eq!(taken.last(), Some(&Action::Kill)),
                    Action::Done => {}
                    action => taken.push(action),
                }
            }
            let all = asked(&policy);
            prop_assert!(all.starts_with(&taken));
        }

        /// While time stands still a tick takes steps or asks to wait, and then always asks for the same wait.
        #[test]
        fn time_going_nowhere_does_not_spin(policy in policies()) {
            let now = Instant::now();
            let mut ladder = Ladder::new(&policy, now);
            let steps = (0..=policy.rungs.len()).map(|_| ladder.step(Event::Tick, now)).count();
            prop_assert_eq!(steps, policy.rungs.len() + 1);
            let settled = ladder.step(Event::Tick, now);
            prop_assert!(matches!(settled, Action::WaitUntil(_) | Action::WaitForExit));
            prop_assert_eq!(ladder.step(Event::Tick, now), settled);
        }
    }
}

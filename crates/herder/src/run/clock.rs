//! When a run has to be ended: pure, over given times.

use std::time::{Duration, Instant};

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// That of the whole run.
    Wall,
    /// That of the time without output.
    Idle,
}

/// The limits of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    wall: Option<Duration>,
    idle: Option<Duration>,
}

impl Clock {
    pub(super) fn new(started: Instant, wall: Option<Duration>, idle: Option<Duration>) -> Self {
        Self { started, wall, idle }
    }

    /// The shorter of both limits.
    pub(super) fn shortest(&self) -> Duration {
        self.wall.unwrap_or(Duration::MAX).min(self.idle.unwrap_or(Duration::MAX))
    }

    /// When the limit of the whole run is reached.
    pub(super) fn wall(&self) -> Option<Instant> {
        self.wall.and_then(|wall| self.started.checked_add(wall))
    }

    /// When to look again, given the time of the last output. A limit beyond what a clock can tell is none.
    pub(super) fn next(&self, last_output: Option<Instant>) -> Option<Instant> {
        let wall = self.wall();
        let idle = self.idle.and_then(|idle| last_output.unwrap_or(self.started).checked_add(idle));
        wall.into_iter().chain(idle).min()
    }

    /// The limit that is reached at `now`; the wall, if both are.
    pub(super) fn reached(&self, last_output: Option<Instant>, now: Instant) -> Option<Limit> {
        let over = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.saturating_duration_since(since) >= limit)
        };
        if over(self.started, self.wall) {
            Some(Limit::Wall)
        } else if over(last_output.unwrap_or(self.started), self.idle) {
            Some(Limit::Idle)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn output_moves_the_idle_limit_and_not_the_wall() {
        let start = Instant::now();
        let clock = Clock::new(start, Some(secs(10)), Some(secs(3)));
        assert_eq!(clock.next(None), Some(start + secs(3)));
        assert_eq!(clock.reached(None, start + secs(2)), None);
        assert_eq!(clock.reached(None, start + secs(3)), Some(Limit::Idle));
        let output = Some(start + secs(2));
        assert_eq!(clock.next(output), Some(start + secs(5)));
        assert_eq!(clock.reached(output, start + secs(4)), None);
        let late = Some(start + secs(9));
        assert_eq!(clock.next(late), Some(start + secs(10)));
        assert_eq!(clock.reached(late, start + secs(10)), Some(Limit::Wall));
    }

    #[test]
    fn no_limit_and_an_endless_one_never_come() {
        let start = Instant::now();
        assert_eq!(Clock::new(start, None, None).next(None), None);
        assert_eq!(Clock::new(start, Some(Duration::MAX), None).next(None), None);
        assert_eq!(Clock::new(start, None, None).shortest(), Duration::MAX);
    }
}

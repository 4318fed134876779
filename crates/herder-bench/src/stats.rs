//! Percentiles, and an order that changes from turn to turn.

use std::time::Duration;

/// Nanoseconds, for sorting.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The percentiles of a set of measurements, in its own unit; NaN for an empty set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) p10: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
}

impl Summary {
    pub(crate) fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).map_or(f64::NAN, |&value| value as f64)
        };
        Self { count: values.len(), p10: at(10), median: at(50), p90: at(90), p99: at(99) }
    }
}

/// What a few numbers have to say; NaN for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) count: usize,
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

pub(crate) fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_unstable_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let count = values.len();
    Spread { count, least: at(0), median: at(count / 2), most: at(count.saturating_sub(1)) }
}

/// A small generator of orders (xorshift), the same in every run.
pub(crate) struct Shuffle(u64);

impl Shuffle {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            items.swap(end, (self.0 % (end as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shuffle, Summary, spread};

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let summary = Summary::of((1..=100).rev().collect());
        assert_eq!((summary.count, summary.p10, summary.median), (100, 10.0, 50.0));
        assert_eq!((summary.p90, summary.p99), (90.0, 99.0));
        assert_eq!(Summary::of(vec![7]).p99, 7.0);
        assert!(Summary::of(Vec::new()).median.is_nan());
        assert_eq!(spread(vec![3.0, 1.0, 2.0]).median, 2.0);
        assert!(spread(Vec::new()).most.is_nan());
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<_> = (0..1_000).collect();
        Shuffle::new(0).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1_000));
    }
}

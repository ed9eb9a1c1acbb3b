//! Computes figures from samples.

use serde::Serialize;
use std::time::Duration;

/// The sample of a number of writers.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The duration of each append, as seen by its writer.
    pub latencies: Vec<Duration>,
    /// From the start of the first append to the end of the last.
    pub took: Duration,
    /// How often work was restarted after a conflict.
    pub conflicts: u64,
}

impl Sample {
    /// Appends per second.
    pub fn rate(&self) -> f64 {
        rate(self.latencies.len(), self.took)
    }
}

/// Count per second; 0 for no time.
pub(super) fn rate(count: usize, took: Duration) -> f64 {
    let seconds = took.as_secs_f64();
    if seconds > 0.0 { number(count) / seconds } else { 0.0 }
}

/// `figure` relative to `of`; 0 if `of` is 0.
pub(super) fn part(figure: f64, of: f64) -> f64 {
    if of > 0.0 { figure / of } else { 0.0 }
}

/// A count as a floating-point number.
#[expect(clippy::cast_precision_loss, reason = "counts of a measurement are far below 2^52")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// A figure over several rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Range {
    /// The lowest round's.
    pub low: f64,
    /// The middle round's; the lower one of two.
    pub median: f64,
    /// The highest round's.
    pub high: f64,
}

impl Range {
    /// Over all rounds; zeros for none.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = rounds.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let last = sorted.len().saturating_sub(1);
        Self { low: at(0), median: at(last / 2), high: at(last) }
    }
}

/// Latencies of all rounds, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

impl Spread {
    /// Percentiles of these latencies; zeros for none.
    pub fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            // The nearest rank: the smallest value that `percent` percent of the values don't
            // exceed.
            let rank = (latencies.len() * percent).div_ceil(100).max(1) - 1;
            latencies.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        Self { p50_ms: at(50), p99_ms: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_ranks() {
        let spread = |values: &[u64]| {
            let spread = Spread::of(values.iter().map(|ms| Duration::from_millis(*ms)).collect());
            (spread.p50_ms, spread.p99_ms)
        };
        assert_eq!(spread(&[]), (0.0, 0.0));
        assert_eq!(spread(&[7]), (7.0, 7.0));
        assert_eq!(spread(&[3, 1, 2]), (2.0, 3.0));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(spread(&hundred), (50.0, 99.0));
        let two_hundred: Vec<u64> = (1..=200).collect();
        assert_eq!(spread(&two_hundred), (100.0, 198.0));
    }

    #[test]
    fn a_range_has_the_middle_round() {
        assert_eq!(Range::of([]), Range::default());
        assert_eq!(Range::of([3.0, 1.0, 2.0]), Range { low: 1.0, median: 2.0, high: 3.0 });
        assert_eq!(Range::of([4.0, 1.0]), Range { low: 1.0, median: 1.0, high: 4.0 });
    }

    #[test]
    fn a_rate_is_a_count_by_its_time() {
        let sample = Sample {
            latencies: vec![Duration::ZERO; 50],
            took: Duration::from_millis(500),
            conflicts: 0,
        };
        assert!((sample.rate() - 100.0).abs() < 1e-9);
        assert!(Sample::default().rate().abs() < 1e-9);
    }
}

//! How long invocations waited.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Waiting times in microseconds, each kept to three digits, in constant space.
///
/// ```
/// use std::time::Duration;
/// use fc_sched::sim::report::Waits;
/// let mut waits = Waits::default();
/// (0..98).for_each(|_| waits.record(Duration::ZERO));
/// (0..2).for_each(|_| waits.record(Duration::from_millis(300)));
/// assert_eq!((waits.count(), waits.quantile_ms(0.5), waits.quantile_ms(0.99)), (100, 0.0, 300.0));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Waits {
    histogram: Histogram<u64>,
    longest_us: u64,
}

/// Longer waits count as this one, 72 h: nothing runs or waits longer (INV-7).
const LONGEST_US: u64 = 259_200_000_000;

impl Waits {
    /// One invocation waited so long for its slot.
    pub fn record(&mut self, wait: Duration) {
        let us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        let us = us.min(LONGEST_US);
        self.histogram.saturating_record(us);
        self.longest_us = self.longest_us.max(us);
    }

    /// Invocations recorded.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The wait that `share` of the invocations did not exceed, milliseconds; 0 without any.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        // The upper end of a bucket, which the longest wait need not reach.
        self.histogram.value_at_quantile(share).min(self.longest_us) as f64 / 1000.0
    }
}

impl Default for Waits {
    fn default() -> Self {
        // Both bounds and the digits are legal, so that this cannot fail.
        #[expect(clippy::expect_used, reason = "constants")]
        let histogram = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("legal bounds");
        Self { histogram, longest_us: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut waits = Waits::default();
        assert_eq!(waits.quantile_ms(0.99), 0.0);
        for ms in 1..=10_000 {
            waits.record(Duration::from_millis(ms));
        }
        for (share, expected) in [(0.01, 100.0), (0.5, 5_000.0), (0.99, 9_900.0), (1.0, 10_000.0)] {
            let found = waits.quantile_ms(share);
            assert!((found / expected - 1.0).abs() < 0.001, "{share}: {found}");
        }
        waits.record(Duration::MAX);
        assert!((waits.quantile_ms(1.0) / 259_200_000.0 - 1.0).abs() < 0.001);
    }
}

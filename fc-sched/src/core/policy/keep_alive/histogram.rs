//! Idle times by minute.

use std::time::Duration;

/// Observed idle times at which all bins are halved, so that what was long ago counts less.
const OBSERVED_MAX: u32 = 10_000;

/// How often a function was idle for so many minutes, and how often for longer than the range.
///
/// Bin `i` holds idle times from `i` bin widths to just under `i + 1`. Two bytes a bin.
#[derive(Clone, Debug)]
pub(super) struct IdleHistogram {
    bins: Box<[u16]>,
    width: Duration,
    within: u32,
    beyond: u32,
    /// Σ of the bins' squares: the coefficient of variation without a walk over the bins.
    squares: u64,
}

impl IdleHistogram {
    pub(super) fn new(bins: u16, width: Duration) -> Self {
        let bins = vec![0; bins.max(1).into()].into();
        Self { bins, width: width.max(Duration::from_nanos(1)), within: 0, beyond: 0, squares: 0 }
    }

    pub(super) fn observe(&mut self, idle: Duration) {
        if self.within + self.beyond >= OBSERVED_MAX {
            self.halve();
        }
        let bin = usize::try_from(idle.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX);
        match self.bins.get_mut(bin) {
            Some(bin) => {
                self.squares += 2 * u64::from(*bin) + 1;
                *bin += 1;
                self.within += 1;
            }
            None => self.beyond += 1,
        }
    }

    /// Idle times within the range.
    pub(super) fn within(&self) -> u32 {
        self.within
    }

    /// Which part of all idle times was longer than the range: 0 to 1.
    pub(super) fn beyond_share(&self) -> f64 {
        match self.within + self.beyond {
            0 => 0.0,
            all => f64::from(self.beyond) / f64::from(all),
        }
    }

    /// The coefficient of variation of the bins' counts: 0 if all are alike, the higher the fewer
    /// bins hold everything.
    pub(super) fn variation(&self) -> f64 {
        let (within, bins) = (f64::from(self.within), self.bins.len() as f64);
        if self.within == 0 {
            return 0.0;
        }
        (bins * self.squares as f64 / (within * within) - 1.0).max(0.0).sqrt()
    }

    /// The bin that holds the smallest idle time which at least `percent` of those within the range
    /// do not exceed.
    pub(super) fn percentile(&self, percent: u32) -> Option<usize> {
        let rank = u64::from(self.within) * u64::from(percent);
        let mut seen = 0;
        self.bins.iter().position(|count| {
            seen += 100 * u64::from(*count);
            *count > 0 && seen >= rank
        })
    }

    /// Where a bin begins.
    pub(super) fn edge(&self, bin: usize) -> Duration {
        self.width.saturating_mul(u32::try_from(bin).unwrap_or(u32::MAX))
    }

    fn halve(&mut self) {
        (self.within, self.squares) = (0, 0);
        for bin in &mut self.bins {
            *bin /= 2;
            self.within += u32::from(*bin);
            self.squares += u64::from(*bin) * u64::from(*bin);
        }
        self.beyond /= 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn sch_11_bins_begin_at_whole_minutes_and_end_at_the_range() {
        let mut histogram = IdleHistogram::new(240, MINUTE);
        assert_eq!((histogram.percentile(5), histogram.beyond_share()), (None, 0.0));
        let last = 240 * MINUTE - Duration::from_nanos(1);
        for idle in [Duration::ZERO, MINUTE - Duration::from_nanos(1), MINUTE, last] {
            histogram.observe(idle);
        }
        histogram.observe(240 * MINUTE);
        histogram.observe(Duration::MAX);
        assert_eq!((histogram.within(), histogram.beyond), (4, 2));
        assert_eq!([0, 1, 239].map(|bin| histogram.bins[bin]), [2, 1, 1]);
        assert_eq!(
            [1, 50, 51, 75, 76, 100].map(|percent| histogram.percentile(percent).unwrap()),
            [0, 0, 1, 1, 239, 239]
        );
    }

    #[test]
    fn sch_11_old_idle_times_count_less() {
        let mut histogram = IdleHistogram::new(10, MINUTE);
        (0..OBSERVED_MAX).for_each(|_| histogram.observe(MINUTE));
        (0..OBSERVED_MAX).for_each(|_| histogram.observe(3 * MINUTE));
        assert!(histogram.bins[1] < histogram.bins[3] / 2, "{histogram:?}");
        // And one bin alone cannot overflow.
        (0..1_000_000).for_each(|_| histogram.observe(3 * MINUTE));
        assert!(u32::from(histogram.bins[3]) <= OBSERVED_MAX);
    }

    proptest! {
        /// Against the idle times themselves, sorted.
        #[test]
        fn sch_11_percentiles_and_variation_are_those_of_the_idle_times(
            idle in prop::collection::vec(0u64..20_000, 1..300),
            percent in 1u32..=100,
        ) {
            let mut histogram = IdleHistogram::new(240, MINUTE);
            idle.iter().for_each(|idle| histogram.observe(Duration::from_secs(*idle)));
            let mut minutes: Vec<usize> =
                idle.iter().map(|idle| (idle / 60) as usize).filter(|idle| *idle < 240).collect();
            minutes.sort_unstable();
            let beyond = idle.len() - minutes.len();
            prop_assert_eq!(histogram.beyond_share(), beyond as f64 / idle.len() as f64);
            // Nearest rank: the first that at least so many do not exceed.
            let rank = (minutes.len() * percent as usize).div_ceil(100);
            let expected = rank.checked_sub(1).and_then(|rank| minutes.get(rank)).copied();
            prop_assert_eq!(histogram.percentile(percent), expected);

            let counts: Vec<f64> = (0..240)
                .map(|bin| minutes.iter().filter(|minute| **minute == bin).count() as f64)
                .collect();
            let mean = counts.iter().sum::<f64>() / 240.0;
            let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 240.0;
            let expected = if mean > 0.0 { variance.sqrt() / mean } else { 0.0 };
            prop_assert!((histogram.variation() - expected).abs() < 1e-6 * expected.max(1.0));
        }
    }
}

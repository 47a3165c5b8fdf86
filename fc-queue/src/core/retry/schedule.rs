//! The gaps between one attempt and the next.

use std::time::Duration;

use fc_core::{Error, Result};

/// Longest gap that can be configured: FC's longest age, 30 days.
pub(super) const GAP_MAX: Duration = Duration::from_secs(2_592_000);

const GROWTH_MAX: u32 = 10;
const JITTER_PERCENT_MAX: u32 = 100;

/// The gaps between the attempts of one class of failure.
///
/// The gap before the k-th retry is `first · growth^(k-1)`, at most `interval_max`, and up to
/// `jitter_percent` of itself longer: jitter only adds (I6). With a growth of 2 or more a gap is never
/// shorter than the one before until the cap is reached; there each is at least the cap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Before the first retry, 1 ms to 30 days.
    pub first: Duration,
    /// By what each gap is longer than the one before, 1 to 10; 1: all alike.
    pub growth: u32,
    /// Longest gap before jitter, `first` to 30 days.
    pub interval_max: Duration,
    /// Most that is added to a gap, percent of it, 0 to 100.
    pub jitter_percent: u32,
}

impl Schedule {
    /// Doubling from `first` to `interval_max`, with up to a fifth of jitter.
    pub const fn doubling(first: Duration, interval_max: Duration) -> Self {
        Self { first, growth: 2, interval_max, jitter_percent: 20 }
    }

    /// The gap before retry `k`, which counts from 1, without jitter; whole milliseconds.
    pub fn base(&self, k: u32) -> Duration {
        Duration::from_millis(self.base_ms(k))
    }

    /// The gap before retry `k` with the jitter that `seed` gives.
    pub fn gap(&self, k: u32, seed: u64) -> Duration {
        let base = self.base_ms(k);
        let most = u128::from(base) * u128::from(self.jitter_percent) / 100;
        let random = u128::from(mix(seed ^ u64::from(k).rotate_left(32)));
        // Below `most + 1`, which is far below 2^64.
        let jitter = (random * (most + 1)) >> 64;
        Duration::from_millis(base.saturating_add(u64::try_from(jitter).unwrap_or(u64::MAX)))
    }

    fn base_ms(&self, k: u32) -> u64 {
        let grown = u64::from(self.growth).saturating_pow(k.saturating_sub(1));
        millis_up(self.first).saturating_mul(grown).min(millis_up(self.interval_max))
    }

    /// Proves the numbers; `field` is what the schedule is called.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field, the limit and the value.
    pub fn validate(&self, field: &str) -> Result<()> {
        let (first, cap) = (millis_up(self.first), millis_up(self.interval_max));
        within(&format!("{field}.first"), "milliseconds", 1, millis_up(GAP_MAX), first)?;
        within(&format!("{field}.interval_max"), "milliseconds", first, millis_up(GAP_MAX), cap)?;
        within(&format!("{field}.growth"), "", 1, GROWTH_MAX.into(), self.growth.into())?;
        let jitter = u64::from(self.jitter_percent);
        within(&format!("{field}.jitter_percent"), "percent", 0, JITTER_PERCENT_MAX.into(), jitter)
    }
}

/// Proves that `value` is `min` to `max`.
pub(super) fn within(field: &str, unit: &str, min: u64, max: u64, value: u64) -> Result<()> {
    if value < min {
        return Err(Error::invalid(
            field,
            format_args!("{value} {unit} is under the least, {min}"),
        ));
    }
    if value > max {
        return Err(Error::over_limit(field, unit, max, value));
    }
    Ok(())
}

/// Whole milliseconds, never fewer than `duration` has.
pub(super) fn millis_up(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Spreads a seed's bits over all of the result (the finisher of SplitMix64).
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Schedule =
        Schedule::doubling(Duration::from_millis(500), Duration::from_secs(18_000));

    #[test]
    fn asy_3_half_a_second_doubles() {
        let seconds = |k| HALF.base(k).as_secs_f64();
        assert_eq!([1, 2, 3, 4, 5].map(seconds), [0.5, 1.0, 2.0, 4.0, 8.0]);
        assert_eq!(HALF.base(100), HALF.interval_max);
        assert_eq!(HALF.base(u32::MAX), HALF.interval_max);
    }

    #[test]
    fn jitter_reaches_both_ends_of_its_band_and_no_further() {
        let gaps = (0..10_000).map(|seed| HALF.gap(1, seed).as_millis());
        let (low, high) = gaps.fold((u128::MAX, 0), |(l, h), gap| (l.min(gap), h.max(gap)));
        assert_eq!((low, high), (500, 600));
    }

    #[test]
    fn a_part_of_a_millisecond_is_a_whole_one() {
        let tiny = Schedule::doubling(Duration::from_nanos(1), Duration::from_secs(1));
        assert_eq!(tiny.base(1), Duration::from_millis(1));
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_by_name() {
        let refused = |schedule: Schedule| schedule.validate("throttled").unwrap_err().to_string();
        assert!(HALF.validate("throttled").is_ok());
        assert_eq!(
            refused(Schedule { first: Duration::ZERO, ..HALF }),
            "throttled.first: 0 milliseconds is under the least, 1"
        );
        assert_eq!(
            refused(Schedule { interval_max: Duration::from_millis(499), ..HALF }),
            "throttled.interval_max: 499 milliseconds is under the least, 500"
        );
        let over = GAP_MAX + Duration::from_nanos(1);
        assert!(refused(Schedule { interval_max: over, ..HALF }).contains("limit of 2592000000"));
        assert!(refused(Schedule { growth: 0, ..HALF }).contains("growth"));
        assert!(refused(Schedule { growth: 11, ..HALF }).contains("growth"));
        assert!(refused(Schedule { jitter_percent: 101, ..HALF }).contains("jitter_percent"));
    }
}

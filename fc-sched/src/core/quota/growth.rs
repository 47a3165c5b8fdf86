//! How fast something may grow: a burst at once, then so much a minute.

use std::time::Duration;

use fc_core::Instant;

/// One unit is worth this much credit: at one unit a minute a nanosecond earns one.
const CREDIT_A_UNIT: u128 = 60 * 1_000_000_000;

/// A burst at once, then linear growth: whole numbers, so that nothing drifts, and what is not used
/// never adds up to more than the burst.
///
/// ```
/// use std::time::Duration;
/// use fc_core::Instant;
/// use fc_sched::core::quota::Growth;
///
/// let start = Instant::from_nanos(0);
/// let mut growth = Growth::new(300, 300, start);
/// assert!(growth.take(300, start).is_ok());
/// // 300 a minute are one in 200 ms.
/// assert_eq!(growth.take(1, start), Err(Some(Duration::from_millis(200))));
/// assert!(growth.take(5, start + Duration::from_secs(1)).is_ok());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Growth {
    burst: u64,
    per_minute: u64,
    credit: u128,
    seen: Instant,
}

impl Growth {
    /// `burst` units now, and `per_minute` from `now` on.
    pub const fn new(burst: u64, per_minute: u64, now: Instant) -> Self {
        Self { burst, per_minute, credit: burst as u128 * CREDIT_A_UNIT, seen: now }
    }

    /// Units at most at once.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Whole units that may be taken at `now`.
    pub fn available(&self, now: Instant) -> u64 {
        // Never above the burst, which is a u64.
        u64::try_from(self.credit_at(now) / CREDIT_A_UNIT).unwrap_or(u64::MAX)
    }

    /// Takes `units`, all or none.
    ///
    /// # Errors
    ///
    /// After which time they are there; `None`: never, they are more than the burst or nothing
    /// grows.
    pub fn take(&mut self, units: u64, now: Instant) -> Result<(), Option<Duration>> {
        let credit = self.credit_at(now);
        let price = u128::from(units) * CREDIT_A_UNIT;
        if price > credit {
            return Err(self.wait(units, price - credit));
        }
        self.credit = credit - price;
        self.seen = self.seen.max(now);
        Ok(())
    }

    /// Gives back units that were taken and not used, up to the burst.
    pub fn put_back(&mut self, units: u64, now: Instant) {
        let credit = self.credit_at(now).saturating_add(u128::from(units) * CREDIT_A_UNIT);
        self.credit = credit.min(u128::from(self.burst) * CREDIT_A_UNIT);
        self.seen = self.seen.max(now);
    }

    /// From `now` on by other numbers. What was grown by the old ones stays, up to the new burst; a
    /// higher burst is not there at once, it grows.
    pub fn set(&mut self, burst: u64, per_minute: u64, now: Instant) {
        self.credit = self.credit_at(now).min(u128::from(burst) * CREDIT_A_UNIT);
        self.seen = self.seen.max(now);
        (self.burst, self.per_minute) = (burst, per_minute);
    }

    fn credit_at(&self, now: Instant) -> u128 {
        let grown = (now - self.seen).as_nanos() * u128::from(self.per_minute);
        (self.credit + grown).min(u128::from(self.burst) * CREDIT_A_UNIT)
    }

    fn wait(&self, units: u64, missing: u128) -> Option<Duration> {
        if units > self.burst || self.per_minute == 0 {
            return None;
        }
        let nanos = missing.div_ceil(u128::from(self.per_minute));
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, without a running credit: a unit is there if no window that ends now has
    /// taken more than burst + rate x time. Times are nanoseconds, amounts exact.
    fn admits(taken: &[(u64, u64)], units: u64, now: u64, burst: u64, per_minute: u64) -> bool {
        (0..=taken.len()).all(|first| {
            let begin = taken.get(first).map_or(now, |(at, _)| *at);
            let sum: u64 = taken[first..].iter().map(|(_, units)| units).sum();
            let may = u128::from(burst) * CREDIT_A_UNIT
                + u128::from(now - begin) * u128::from(per_minute);
            u128::from(sum + units) * CREDIT_A_UNIT <= may
        })
    }

    proptest! {
        /// I15: over every window at most burst + rate x time, and never less than that allows.
        #[test]
        fn quo_2_admits_just_what_every_window_allows(
            burst in 0u64..50, per_minute in 0u64..600,
            steps in prop::collection::vec((0u64..3_000_000_000, 0u64..20), 1..80),
        ) {
            let mut growth = Growth::new(burst, per_minute, Instant::from_nanos(0));
            let (mut now, mut taken) = (0, Vec::new());
            for (pause, units) in steps {
                now += pause;
                let at = Instant::from_nanos(now);
                let expected = admits(&taken, units, now, burst, per_minute);
                let before = growth;
                match growth.take(units, at) {
                    Ok(()) => { prop_assert!(expected); taken.push((now, units)); }
                    Err(after) => {
                        prop_assert!(!expected);
                        prop_assert_eq!(before, growth, "a refusal takes nothing");
                        // The time it names is the first at which it would do.
                        if let Some(after) = after {
                            prop_assert!(before.available(at + after) >= units);
                            let early = after - Duration::from_nanos(1);
                            prop_assert!(before.available(at + early) < units);
                        } else {
                            prop_assert!(units > burst || per_minute == 0);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn quo_2_does_not_drift_over_36_hours() {
        let mut growth = Growth::new(7, 7, Instant::from_nanos(0));
        assert!(growth.take(7, Instant::from_nanos(0)).is_ok());
        // 7 a minute: one in 8.571… s. Asked each 100 ms, just 36 x 60 x 7 are given.
        let steps = 36 * 3600 * 10u64;
        let given: u64 = (1..=steps)
            .filter(|step| growth.take(1, Instant::from_nanos(step * 100_000_000)).is_ok())
            .count() as u64;
        assert_eq!(given, 36 * 60 * 7);
    }
}

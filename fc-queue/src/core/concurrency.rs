//! How many tasks may run at once: rises while they succeed, falls when capacity is short.

use std::time::Duration;

use fc_core::Instant;

/// Bounds of a [`Concurrency`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConcurrencyLimits {
    /// At the beginning: a backlog is not begun as one wave (ASY-11).
    pub start: u32,
    /// At most.
    pub max: u32,
    /// It is cut at most once in this time: tasks that were begun together are throttled together.
    pub cut_pause: Duration,
}

/// A limit on what runs at once: additive increase, multiplicative decrease, as TCP has it.
///
/// Each success admits one more until the first cut, so that the rate at most doubles in the time that
/// a task takes; after it, one more for each round of successes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Concurrency {
    limits: ConcurrencyLimits,
    /// Thousandths of a task.
    milli: u64,
    is_starting: bool,
    cut_at: Option<Instant>,
}

impl Concurrency {
    /// Nothing is known yet.
    pub fn new(limits: ConcurrencyLimits) -> Self {
        let start = u64::from(limits.start.clamp(1, limits.max.max(1)));
        Self { limits, milli: start * 1000, is_starting: true, cut_at: None }
    }

    /// How many may run; at least 1.
    pub fn limit(&self) -> u32 {
        u32::try_from(self.milli / 1000).unwrap_or(u32::MAX)
    }

    /// One has succeeded.
    pub fn succeeded(&mut self) {
        let by = if self.is_starting { 1000 } else { 1_000_000 / self.milli.max(1) };
        self.milli = (self.milli + by.max(1)).min(u64::from(self.limits.max.max(1)) * 1000);
    }

    /// One found no capacity: half as many, unless that was just decided.
    pub fn throttled(&mut self, now: Instant) {
        let is_told = self.cut_at.is_some_and(|cut| now < cut + self.limits.cut_pause);
        if !is_told {
            self.cut_at = Some(now);
            self.is_starting = false;
            self.milli = (self.milli / 2).max(1000);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: ConcurrencyLimits =
        ConcurrencyLimits { start: 8, max: 100, cut_pause: Duration::from_secs(1) };

    /// ASY-11: a round of successes at most doubles what runs.
    #[test]
    fn asy_11_the_rate_rises_and_is_bounded() {
        let mut concurrency = Concurrency::new(LIMITS);
        let mut rounds = Vec::new();
        while concurrency.limit() < 100 {
            let running = concurrency.limit();
            (0..running).for_each(|_| concurrency.succeeded());
            assert!(concurrency.limit() <= running * 2);
            rounds.push(concurrency.limit());
        }
        assert_eq!(rounds, [16, 32, 64, 100]);
        concurrency.succeeded();
        assert_eq!(concurrency.limit(), 100);
    }

    #[test]
    fn what_was_begun_together_is_throttled_once() {
        let mut concurrency = Concurrency::new(LIMITS);
        let now = Instant::from_nanos(5);
        (0..8).for_each(|_| concurrency.throttled(now));
        assert_eq!(concurrency.limit(), 4);
        (0..4).for_each(|_| concurrency.succeeded());
        assert_eq!(concurrency.limit(), 4, "four successes of four are nearly one more");
        concurrency.succeeded();
        assert_eq!(concurrency.limit(), 5);
        (0..9).for_each(|n| concurrency.throttled(now + Duration::from_secs(n)));
        assert_eq!(concurrency.limit(), 1);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(steps in prop::collection::vec(any::<Option<u16>>(), 0..300)) {
            let mut concurrency = Concurrency::new(LIMITS);
            let mut now = Instant::ORIGIN;
            for step in steps {
                match step {
                    None => concurrency.succeeded(),
                    Some(ms) => {
                        now = now + Duration::from_millis(u64::from(ms));
                        concurrency.throttled(now);
                    }
                }
                prop_assert!((1..=100).contains(&concurrency.limit()));
            }
        }
    }
}

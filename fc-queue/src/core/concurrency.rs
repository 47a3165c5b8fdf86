//! How many tasks may run at once: rises while they succeed, falls when capacity is short.

use std::time::Duration;

use fc_core::Instant;

/// How many tasks may run at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConcurrencyLimits {
    /// At the beginning: a backlog is not begun as one wave (ASY-11).
    pub start: u32,
    /// At most.
    pub max: u32,
}

/// A limit on what runs at once: additive increase, multiplicative decrease, as TCP has it.
///
/// Each success admits one more until the first cut, so that the rate at most doubles in the time that
/// a task takes. After a cut that goes on up to an eighth below where it was cut, which is known to be
/// near; from there on, one more for each round of successes. Nine tenths of what there is are used so,
/// where one more for each round all the way would use three quarters.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Concurrency {
    max: u64,
    cut_pause: Duration,
    /// Thousandths of a task.
    milli: u64,
    /// Below it the limit rises fast.
    known: u64,
    cut_at: Option<Instant>,
}

impl Concurrency {
    /// Nothing is known yet. The limit will be halved at most once in `cut_pause`.
    pub fn new(limits: ConcurrencyLimits, cut_pause: Duration) -> Self {
        let max = u64::from(limits.max.max(1)) * 1000;
        let milli = (u64::from(limits.start) * 1000).clamp(1000, max);
        Self { max, cut_pause, milli, known: u64::MAX, cut_at: None }
    }

    /// How many may run; at least 1.
    pub fn limit(&self) -> u32 {
        u32::try_from(self.milli / 1000).unwrap_or(u32::MAX)
    }

    /// One has succeeded.
    pub fn succeeded(&mut self) {
        let one_a_round = (1_000_000 / self.milli.max(1)).max(1);
        let by = self.known.saturating_sub(self.milli).clamp(one_a_round, 1000);
        self.milli = (self.milli + by).min(self.max);
    }

    /// One that was begun at `begun` found no capacity: half as many, or one less if that was just
    /// decided; nothing if it was begun before, with those that said so.
    pub fn throttled(&mut self, begun: Instant, now: Instant) {
        let less = match self.cut_at {
            Some(cut) if begun <= cut => return,
            Some(cut) if now < cut + self.cut_pause => self.milli.saturating_sub(1000),
            _ => {
                self.cut_at = Some(now);
                self.known = self.milli / 8 * 7;
                self.milli / 2
            }
        };
        self.milli = less.max(1000);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: ConcurrencyLimits = ConcurrencyLimits { start: 8, max: 100 };
    const PAUSE: Duration = Duration::from_secs(1);

    /// ASY-11: a round of successes at most doubles what runs.
    #[test]
    fn asy_11_the_rate_rises_and_is_bounded() {
        let mut concurrency = Concurrency::new(LIMITS, PAUSE);
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
        let mut concurrency = Concurrency::new(LIMITS, PAUSE);
        let now = Instant::from_nanos(5);
        (0..8).for_each(|_| concurrency.throttled(Instant::ORIGIN, now));
        assert_eq!(concurrency.limit(), 4);
        (0..3).for_each(|_| concurrency.succeeded());
        assert_eq!(concurrency.limit(), 7, "near where it was cut, at once");
        (0..7).for_each(|_| concurrency.succeeded());
        assert_eq!(concurrency.limit(), 7, "seven successes of seven are nearly one more");
        concurrency.succeeded();
        assert_eq!(concurrency.limit(), 8);
        let later = |ms| now + Duration::from_millis(ms);
        (0..3).for_each(|n| concurrency.throttled(later(1), later(2 + n)));
        assert_eq!(concurrency.limit(), 5, "what is begun behind a cut, and soon: one each");
        (1..9).for_each(|n| concurrency.throttled(later(n * 1000), later(n * 1000)));
        assert_eq!(concurrency.limit(), 1);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(steps in prop::collection::vec(any::<Option<(u16, u16)>>(), 0..300)) {
            let mut concurrency = Concurrency::new(LIMITS, PAUSE);
            let mut now = Instant::ORIGIN;
            for step in steps {
                match step {
                    None => concurrency.succeeded(),
                    Some((ran, ms)) => {
                        let begun = now;
                        now = now + Duration::from_millis(u64::from(ms));
                        concurrency.throttled(begun, now + Duration::from_millis(u64::from(ran)));
                    }
                }
                prop_assert!((1..=100).contains(&concurrency.limit()));
            }
        }
    }
}

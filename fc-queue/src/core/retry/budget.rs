//! How much a function's retries may add to its load (T22).

use std::time::Duration;

use fc_core::{Result, Timestamp};

use super::schedule::{GAP_MAX, millis_up, within};

const THOUSAND: i64 = 1000;

/// How much the retries of function errors may add to a function's load before they are held back.
///
/// Each first attempt earns `percent` of a retry, and time earns `per_second` more; up to `burst` are
/// saved. A retry that finds nothing saved is booked for when time will have earned it, at most
/// `delay_max` later: held back, never dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Retries per hundred first attempts, 0 to 1000.
    pub percent: u32,
    /// Retries per second that are always there, 1 to 100 000.
    pub per_second: u32,
    /// Retries that can be saved, 1 to 1 000 000.
    pub burst: u32,
    /// How long a retry is held back at most, up to 30 days; zero: retries are not held back.
    pub delay_max: Duration,
}

impl Budget {
    /// A tenth of the load, one a second and ten at once; ten minutes at most.
    pub const fn tenth() -> Self {
        Self { percent: 10, per_second: 1, burst: 10, delay_max: Duration::from_secs(600) }
    }

    /// Proves the numbers.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field, the limit and the value.
    pub fn validate(&self) -> Result<()> {
        within("budget.percent", "percent", 0, 1000, self.percent.into())?;
        within("budget.per_second", "retries", 1, 100_000, self.per_second.into())?;
        within("budget.burst", "retries", 1, 1_000_000, self.burst.into())?;
        let delay_max = millis_up(self.delay_max);
        within("budget.delay_max", "milliseconds", 0, millis_up(GAP_MAX), delay_max)
    }
}

/// What one function, or one account, has left of its [`Budget`].
///
/// It is one process's and is not stored: a restart begins with a full one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    /// Thousandths of a retry; below zero: booked ahead.
    saved: i64,
    at: Timestamp,
}

impl Bucket {
    /// A full one.
    pub fn new(budget: &Budget, now: Timestamp) -> Self {
        Self { saved: full(budget), at: now }
    }

    /// A first attempt was made.
    pub fn earn(&mut self, budget: &Budget, now: Timestamp) {
        self.refill(budget, now);
        self.saved = (self.saved + i64::from(budget.percent) * 10).min(full(budget));
    }

    /// Books one retry, and gives how long it is held back.
    pub fn book(&mut self, budget: &Budget, now: Timestamp) -> Duration {
        self.refill(budget, now);
        let delay_max = millis_up(budget.delay_max);
        // What is owed never exceeds what `delay_max` earns, so that a function that has stopped
        // failing is out of debt by then.
        let rate = i64::from(budget.per_second);
        let debt_max = i64::try_from(delay_max).unwrap_or(i64::MAX).saturating_mul(rate);
        self.saved = (self.saved - THOUSAND).max(-debt_max);
        let owed = u64::try_from(-self.saved).unwrap_or(0);
        Duration::from_millis(owed.div_ceil(u64::from(budget.per_second.max(1))).min(delay_max))
    }

    /// A clock that goes back earns nothing.
    fn refill(&mut self, budget: &Budget, now: Timestamp) {
        let passed = now.as_unix_millis().saturating_sub(self.at.as_unix_millis());
        let earned = passed.saturating_mul(budget.per_second.into());
        let earned = i64::try_from(earned).unwrap_or(i64::MAX);
        self.saved = self.saved.saturating_add(earned).min(full(budget));
        self.at = now;
    }
}

fn full(budget: &Budget) -> i64 {
    i64::from(budget.burst) * THOUSAND
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_millis(ms)
    }

    #[test]
    fn t22_the_burst_is_free_and_the_rest_waits_its_turn() {
        let budget = Budget { burst: 2, per_second: 4, ..Budget::tenth() };
        let mut bucket = Bucket::new(&budget, at(0));
        let held: Vec<_> = (0..5).map(|_| bucket.book(&budget, at(0)).as_millis()).collect();
        assert_eq!(held, [0, 0, 250, 500, 750]);
        assert_eq!(bucket.book(&budget, at(10_000)).as_millis(), 0);
    }

    #[test]
    fn t22_first_attempts_pay_for_a_tenth_as_many_retries() {
        let budget = Budget { burst: 1, per_second: 1, ..Budget::tenth() };
        let mut bucket = Bucket::new(&budget, at(0));
        assert_eq!(bucket.book(&budget, at(0)), Duration::ZERO);
        for _ in 0..9 {
            bucket.earn(&budget, at(0));
        }
        let mut nine = bucket;
        assert_eq!(nine.book(&budget, at(0)), Duration::from_millis(100));
        bucket.earn(&budget, at(0));
        assert_eq!(bucket.book(&budget, at(0)), Duration::ZERO);
    }

    #[test]
    fn a_debt_ends_with_the_longest_delay() {
        let budget = Budget { delay_max: Duration::from_secs(3), ..Budget::tenth() };
        let mut bucket = Bucket::new(&budget, at(0));
        let longest = (0..1000).map(|_| bucket.book(&budget, at(0))).max();
        assert_eq!(longest, Some(Duration::from_secs(3)));
        assert_eq!(bucket.book(&budget, at(4_000)), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_jumps_earns_no_more_than_the_burst() {
        let budget = Budget { burst: 3, ..Budget::tenth() };
        let mut bucket = Bucket::new(&budget, at(u64::MAX / 2));
        bucket.earn(&budget, at(0));
        bucket.earn(&budget, at(u64::MAX));
        let free = (0..10).filter(|_| bucket.book(&budget, at(u64::MAX)).is_zero()).count();
        assert_eq!(free, 3);
    }

    #[test]
    fn a_budget_without_a_delay_holds_nothing_back() {
        let budget = Budget { delay_max: Duration::ZERO, ..Budget::tenth() };
        let mut bucket = Bucket::new(&budget, at(0));
        assert!((0..100).all(|_| bucket.book(&budget, at(0)).is_zero()));
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_by_name() {
        let refused = |budget: Budget| budget.validate().unwrap_err().to_string();
        assert!(Budget::tenth().validate().is_ok());
        assert!(refused(Budget { percent: 1001, ..Budget::tenth() }).contains("budget.percent"));
        assert!(refused(Budget { per_second: 0, ..Budget::tenth() }).contains("per_second"));
        assert!(refused(Budget { burst: 0, ..Budget::tenth() }).contains("burst"));
        let delay_max = GAP_MAX + Duration::from_millis(1);
        assert!(refused(Budget { delay_max, ..Budget::tenth() }).contains("delay_max"));
    }
}

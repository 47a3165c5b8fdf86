//! Whether and when a result is delivered again.

use std::time::Duration;

use fc_core::{Result, Retry, Timestamp};

use super::decide::later;
use super::schedule::{GAP_MAX, millis_up, within};
use super::{Class, Decision, Next, Outcome, Progress, Schedule};

/// By which numbers a result is delivered again to its destination: as system errors are, on a schedule
/// of its own, within an age that counts from the task's end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryPolicy {
    /// Gaps between deliveries.
    pub schedule: Schedule,
    /// How long after the task's end a delivery may begin.
    pub age: Duration,
}

impl DeliveryPolicy {
    /// From a second, doubling to ten minutes, for a day. The clouds document nothing: this outlasts an
    /// outage of an evening, as standard-webhooks advises.
    pub const fn day() -> Self {
        let schedule = Schedule::doubling(Duration::from_secs(1), Duration::from_secs(600));
        Self { schedule, age: Duration::from_secs(86_400) }
    }

    /// Proves the numbers.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field, the limit and the value.
    pub fn validate(&self) -> Result<()> {
        self.schedule.validate("delivery.schedule")?;
        let most = millis_up(GAP_MAX);
        within("delivery.age", "milliseconds", 1, most, millis_up(self.age))
    }

    /// The last moment at which a delivery may begin.
    pub fn deadline(&self, progress: &Progress) -> Timestamp {
        later(progress.accepted(), self.age)
    }

    /// Judges a delivery that ended at `now`; `failed` is the retry class of its error, if it has one.
    ///
    /// `Safe` and `After` are delivered again, `After` not before the pause that the receiver asked for;
    /// any other class is given up. A result that is given up or too old is a dead letter.
    pub fn decide(
        &self,
        progress: &Progress,
        failed: Option<Retry>,
        now: Timestamp,
        seed: u64,
    ) -> Decision {
        let pause = match failed {
            None => {
                let progress = progress.after(Outcome::Succeeded);
                return Decision { next: Next::Succeeded, progress };
            }
            Some(Retry::Safe) => Duration::ZERO,
            Some(Retry::After(pause)) => pause,
            Some(Retry::Never | Retry::Exhausted) => {
                let progress = progress.after(Outcome::System);
                return Decision { next: Next::Failed { condition: "DestinationError" }, progress };
            }
        };
        let progress = progress.after(Outcome::System);
        let failures = progress.failures(Class::System);
        let deadline = self.deadline(&progress);
        // What is not whole milliseconds is rounded up: a pause is never shortened.
        let pause = Duration::from_millis(millis_up(pause));
        let next = if later(now, self.schedule.base(failures).max(pause)) > deadline {
            Next::Expired { condition: "DestinationExpired" }
        } else {
            let gap = self.schedule.gap(failures, seed).max(pause);
            Next::Retry { at: later(now, gap).min(deadline) }
        };
        Decision { next, progress }
    }
}

impl Default for DeliveryPolicy {
    fn default() -> Self {
        Self::day()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_millis(ms)
    }

    fn next(policy: &DeliveryPolicy, failed: Option<Retry>, now: u64) -> Next {
        policy.decide(&Progress::new(at(0)), failed, at(now), 1).next
    }

    #[test]
    fn asy_5_a_delivery_that_failed_comes_again_unless_it_never_can() {
        let policy = DeliveryPolicy::day();
        policy.validate().unwrap();
        assert_eq!(next(&policy, None, 0), Next::Succeeded);
        for class in [Retry::Never, Retry::Exhausted] {
            let given_up = Next::Failed { condition: "DestinationError" };
            assert_eq!(next(&policy, Some(class), 0), given_up);
        }
        let Next::Retry { at } = next(&policy, Some(Retry::Safe), 5_000) else { panic!() };
        assert!((6_000..=6_200).contains(&at.as_unix_millis()), "{at:?}");
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_to_the_deadline() {
        let policy = DeliveryPolicy { age: Duration::from_secs(60), ..DeliveryPolicy::day() };
        let after = |pause| next(&policy, Some(Retry::After(Duration::from_micros(pause))), 0);
        assert_eq!(after(37_000_001), Next::Retry { at: at(37_001) });
        assert_eq!(after(60_000_000), Next::Retry { at: at(60_000) });
        assert_eq!(after(60_000_001), Next::Expired { condition: "DestinationExpired" });
        // A pause shorter than the gap does not shorten it.
        let Next::Retry { at: again } = after(1) else { panic!() };
        assert!(again >= at(1_000));
    }

    #[test]
    fn i8_a_day_s_deliveries_never_stop_before_its_end() {
        let policy = DeliveryPolicy::day();
        let (mut progress, mut now) = (Progress::new(at(0)), at(0));
        let mut last = now;
        for seed in 0..1_000 {
            let decision = policy.decide(&progress, Some(Retry::Safe), now, seed);
            progress = decision.progress;
            match decision.next {
                Next::Retry { at } => (last, now) = (now, at),
                end => {
                    assert_eq!(end, Next::Expired { condition: "DestinationExpired" });
                    break;
                }
            }
        }
        assert!(now.as_unix_millis() > 86_400_000 - 600_000, "{last:?} {now:?}");
        assert!((100..200).contains(&progress.attempts()), "{progress:?}");
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_by_name() {
        let policy = DeliveryPolicy { age: Duration::ZERO, ..DeliveryPolicy::day() };
        let refused = policy.validate().unwrap_err().to_string();
        assert_eq!(refused, "delivery.age: 0 milliseconds is under the least, 1");
    }
}

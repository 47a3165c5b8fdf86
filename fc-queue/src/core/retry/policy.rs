//! The numbers by which tasks are tried again.

use std::time::Duration;

use fc_core::{AsyncConfig, Error, Result, Timestamp};

use super::decide::later;
use super::schedule::{GAP_MAX, millis_up, within};
use super::{Budget, Progress, Schedule};

/// Most retries of function errors that any preset or product can allow.
const RETRIES_MAX: u32 = 1_000;

/// The words in which a record says why a task ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Conditions {
    /// The failure's type or the error's code, empty after a success (FC, FunctionGraph).
    ErrorType,
    /// `Success`, `RetriesExhausted`, `EventAgeExceeded` (Lambda).
    Reason,
}

impl Conditions {
    /// After a success.
    pub const fn succeeded(self) -> &'static str {
        match self {
            Self::ErrorType => "",
            Self::Reason => "Success",
        }
    }

    /// After the maximum age. FC documents no word: this is the task's status.
    pub const fn expired(self) -> &'static str {
        match self {
            Self::ErrorType => "Expired",
            Self::Reason => "EventAgeExceeded",
        }
    }

    /// After a stop. Nobody documents a word: this is the task's status.
    pub const fn stopped(self) -> &'static str {
        "Stopped"
    }

    pub(super) const fn used_up(self, what: &'static str) -> &'static str {
        match self {
            Self::ErrorType => what,
            Self::Reason => "RetriesExhausted",
        }
    }
}

/// By which numbers the tasks of a function are tried again: every one configurable, with the clouds'
/// as presets.
///
/// A task's age counts from its acceptance, a deferral (`X-Fc-Async-Delay`) included: FC counts «from
/// submission to dequeue» (`alibaba-fc.md` 3.3). A deferral beyond the age is refused on acceptance
/// ([`RetryPolicy::check_delay`]): the task would surely expire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetryPolicy {
    /// The words for how a task ended.
    pub conditions: Conditions,
    /// Gaps behind function errors.
    pub function_error: Schedule,
    /// How often a function that failed is run again; ASY-2.
    pub retries: u32,
    /// The most that a function's own settings can ask for.
    pub retries_max: u32,
    /// Gaps behind attempts that found no room; ASY-3.
    pub throttled: Schedule,
    /// How often such a task is tried again; `None`: until its age.
    pub throttled_retries: Option<u32>,
    /// Gaps behind failures of the platform; ASY-3.
    pub system: Schedule,
    /// How often such a task is tried again; `None`: until its age. A late page of FC prints «no retry»
    /// for these: that is `Some(0)`.
    pub system_retries: Option<u32>,
    /// How long after its acceptance an attempt may begin; ASY-4.
    pub age: Duration,
    /// The least that a function's own settings can ask for.
    pub age_min: Duration,
    /// The most that a function's own settings can ask for.
    pub age_max: Duration,
    /// How much retries of function errors may add to a function's load.
    pub budget: Budget,
}

impl RetryPolicy {
    /// Proves the numbers.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field, the limit and the value.
    pub fn validate(&self) -> Result<()> {
        self.function_error.validate("function_error")?;
        self.throttled.validate("throttled")?;
        self.system.validate("system")?;
        within("retries_max", "retries", 0, RETRIES_MAX.into(), self.retries_max.into())?;
        within("retries", "retries", 0, self.retries_max.into(), self.retries.into())?;
        let (min, max) = (millis_up(self.age_min), millis_up(self.age_max));
        within("age_max", "milliseconds", 1, millis_up(GAP_MAX), max)?;
        within("age_min", "milliseconds", 1, max, min)?;
        within("age", "milliseconds", min, max, millis_up(self.age))?;
        self.budget.validate()
    }

    /// This policy with a function's own settings.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field by its wire name, the limit and the value.
    pub fn configured(&self, config: &AsyncConfig) -> Result<Self> {
        let mut policy = self.clone();
        if let Some(retries) = config.max_async_retry_attempts {
            let field = "maxAsyncRetryAttempts";
            within(field, "retries", 0, self.retries_max.into(), retries.into())?;
            policy.retries = retries;
        }
        if let Some(age) = config.max_async_event_age_in_seconds {
            let field = "maxAsyncEventAgeInSeconds";
            let min = millis_up(self.age_min).div_ceil(1000);
            within(field, "seconds", min, self.age_max.as_secs(), age)?;
            policy.age = Duration::from_secs(age);
        }
        Ok(policy)
    }

    /// Proves that a task can be deferred so long without being too old to run.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the limit, which is the age, and the value.
    pub fn check_delay(&self, delay: Duration) -> Result<()> {
        if delay <= self.age {
            return Ok(());
        }
        let (limit, value) = (millis_up(self.age), millis_up(delay));
        let what = format_args!("{value} milliseconds is over the maximum age of {limit}");
        Err(Error::invalid("async_delay", what))
    }

    /// The last moment at which an attempt may begin.
    pub fn deadline(&self, progress: &Progress) -> Timestamp {
        later(progress.accepted(), self.age)
    }

    /// Whether an attempt must not begin at `now` (I7): to be asked before each.
    pub fn is_expired(&self, progress: &Progress, now: Timestamp) -> bool {
        now > self.deadline(progress)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::function_compute()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presets() -> [RetryPolicy; 3] {
        [RetryPolicy::function_compute(), RetryPolicy::function_graph(), RetryPolicy::lambda()]
    }

    fn asked(retries: Option<u32>, age: Option<u64>) -> AsyncConfig {
        AsyncConfig {
            max_async_retry_attempts: retries,
            max_async_event_age_in_seconds: age,
            ..AsyncConfig::default()
        }
    }

    #[test]
    fn presets_are_valid() {
        for preset in presets() {
            preset.validate().unwrap();
        }
    }

    #[test]
    fn asy_2_three_retries_by_default_and_eight_at_most() {
        let [compute, graph, lambda] = presets();
        assert_eq!((compute.retries, graph.retries, lambda.retries), (3, 3, 2));
        for (policy, most) in [(&compute, 8), (&graph, 8), (&lambda, 2)] {
            for retries in [0, most] {
                let configured = policy.configured(&asked(Some(retries), None)).unwrap();
                assert_eq!(configured.retries, retries);
            }
            let refused = policy.configured(&asked(Some(most + 1), None)).unwrap_err();
            let said = format!("maxAsyncRetryAttempts: {} retries is over the limit of", most + 1);
            assert!(refused.to_string().starts_with(&said), "{refused}");
        }
    }

    #[test]
    fn asy_4_an_age_on_both_sides_of_its_range() {
        let [compute, graph, lambda] = presets();
        for (policy, least, most) in
            [(&compute, 1, 604_800), (&graph, 1, 86_400), (&lambda, 60, 21_600)]
        {
            for age in [least, most] {
                let configured = policy.configured(&asked(None, Some(age))).unwrap();
                assert_eq!(configured.age.as_secs(), age);
                configured.validate().unwrap();
            }
            for age in [least - 1, most + 1] {
                let refused = policy.configured(&asked(None, Some(age))).unwrap_err();
                assert!(refused.to_string().starts_with("maxAsyncEventAgeInSeconds: "));
            }
        }
    }

    #[test]
    fn asy_4_what_is_not_configured_stays() {
        let policy = RetryPolicy::lambda();
        assert_eq!(policy.configured(&AsyncConfig::default()).unwrap(), policy);
    }

    #[test]
    fn i7_an_attempt_may_begin_at_the_deadline_and_no_later() {
        let policy = RetryPolicy { age: Duration::from_secs(2), ..RetryPolicy::function_compute() };
        let progress = Progress::new(Timestamp::from_unix_millis(1_000));
        assert!(!policy.is_expired(&progress, Timestamp::from_unix_millis(3_000)));
        assert!(policy.is_expired(&progress, Timestamp::from_unix_millis(3_001)));
    }

    #[test]
    fn i7_a_deferral_beyond_the_age_is_refused() {
        let policy = RetryPolicy { age: Duration::from_secs(60), ..RetryPolicy::lambda() };
        assert!(policy.check_delay(Duration::from_secs(60)).is_ok());
        let refused = policy.check_delay(Duration::from_millis(60_001)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "async_delay: 60001 milliseconds is over the maximum age of 60000"
        );
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_by_name() {
        let valid = RetryPolicy::function_compute;
        for (policy, field) in [
            (RetryPolicy { retries: 9, ..valid() }, "retries: 9 retries"),
            (RetryPolicy { retries_max: 1001, ..valid() }, "retries_max: 1001"),
            (RetryPolicy { age: Duration::ZERO, ..valid() }, "age: 0 milliseconds"),
            (RetryPolicy { age_min: Duration::ZERO, ..valid() }, "age_min: 0"),
            (RetryPolicy { age_max: Duration::MAX, ..valid() }, "age_max: "),
            (RetryPolicy { budget: Budget { burst: 0, ..Budget::tenth() }, ..valid() }, "budget."),
        ] {
            let refused = policy.validate().unwrap_err().to_string();
            assert!(refused.starts_with(field), "{refused}");
        }
    }
}

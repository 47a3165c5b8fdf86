//! The clouds' numbers.

use std::time::Duration;

use super::{Budget, Conditions, RetryPolicy, Schedule};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

impl RetryPolicy {
    /// Alibaba Cloud Function Compute (`alibaba-fc.md` 3.2, 3.3).
    ///
    /// Throttling and system errors: from half a second, doubling, with no cap but the age of 5 h, as
    /// printed. An age of 1 s to 7 days (the SDK's range). Documented nowhere, and chosen here: the gaps
    /// behind function errors, from 1 s, doubling to a minute; the jitter, up to a fifth.
    pub const fn function_compute() -> Self {
        let age = Duration::from_secs(5 * 3_600);
        let back_off = Schedule::doubling(Duration::from_millis(500), age);
        Self {
            conditions: Conditions::ErrorType,
            function_error: Schedule::doubling(SECOND, MINUTE),
            retries: 3,
            retries_max: 8,
            throttled: back_off,
            throttled_retries: None,
            system: back_off,
            system_retries: None,
            age,
            age_min: SECOND,
            age_max: Duration::from_secs(7 * 86_400),
            budget: Budget::tenth(),
        }
    }

    /// Huawei Cloud FunctionGraph (`functiongraph-lambda.md` A5).
    ///
    /// Its sources contradict each other: here are 3 retries of 0 to 8 (row ASY-2), and an age of 1 h
    /// of 1 s to a day. It publishes no gaps («with delays»): here are Function Compute's.
    pub const fn function_graph() -> Self {
        Self { age: HOUR, age_max: DAY, ..Self::function_compute() }
    }

    /// AWS Lambda (`functiongraph-lambda.md` B6).
    ///
    /// A function error: 1 min, then 2 min. Throttling and system errors: from 1 s, doubling to 5 min,
    /// within the age of 6 h. That gaps grow when its queue is deep is not followed.
    pub const fn lambda() -> Self {
        let back_off = Schedule::doubling(SECOND, Duration::from_secs(300));
        Self {
            conditions: Conditions::Reason,
            function_error: Schedule::doubling(MINUTE, Duration::from_secs(120)),
            retries: 2,
            retries_max: 2,
            throttled: back_off,
            system: back_off,
            age: Duration::from_secs(21_600),
            age_min: MINUTE,
            age_max: Duration::from_secs(21_600),
            ..Self::function_compute()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asy_2_lambda_waits_one_minute_and_then_two() {
        let schedule = RetryPolicy::lambda().function_error;
        assert_eq!([1, 2].map(|k| schedule.base(k).as_secs()), [60, 120]);
    }

    #[test]
    fn asy_3_lambda_doubles_from_one_second_to_five_minutes() {
        let schedule = RetryPolicy::lambda().throttled;
        assert_eq!([1, 2, 9, 10, 11].map(|k| schedule.base(k).as_secs()), [1, 2, 256, 300, 300]);
    }

    #[test]
    fn asy_3_function_compute_doubles_from_half_a_second_within_five_hours() {
        let policy = RetryPolicy::function_compute();
        for schedule in [policy.throttled, policy.system] {
            let millis = [1, 2, 3, 4, 5, 15].map(|k| schedule.base(k).as_millis());
            assert_eq!(millis, [500, 1_000, 2_000, 4_000, 8_000, 8_192_000]);
        }
        assert_eq!(policy.age, 5 * HOUR);
    }
}

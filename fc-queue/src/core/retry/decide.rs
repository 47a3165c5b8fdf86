//! What becomes of a task after an attempt.

use std::time::Duration;

use fc_core::Timestamp;

use super::{Bucket, Class, Outcome, Progress, RetryPolicy};

/// What becomes of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It is over, and well.
    Succeeded,
    /// Again, not before `at`, which is no later than the task's age allows.
    Retry {
        /// Not before this time.
        at: Timestamp,
    },
    /// Its retries are used up.
    Failed {
        /// Why, in the policy's words.
        condition: &'static str,
    },
    /// The next attempt would begin after the task's age.
    Expired {
        /// Why, in the policy's words.
        condition: &'static str,
    },
    /// It cannot run.
    Invalid {
        /// The error's code.
        condition: &'static str,
    },
}

/// What becomes of a task, and what is known of it now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What becomes of it.
    pub next: Next,
    /// The attempt counted: the note of a task that is tried again, the figures of the record of one
    /// that is over.
    pub progress: Progress,
}

impl RetryPolicy {
    /// Judges an attempt that ended at `now` with `outcome`, where `progress` is what was known before.
    ///
    /// The k-th failure of a class waits its class's k-th gap, whatever happened in between. `seed`
    /// gives the jitter: the same seed, the same decision. Jitter never turns a retry into an expiry: one
    /// that would begin in time without it begins at the last moment.
    pub fn decide(
        &self,
        progress: &Progress,
        outcome: Outcome,
        now: Timestamp,
        seed: u64,
    ) -> Decision {
        let progress = progress.after(outcome);
        let (class, allowed, schedule) = match outcome {
            Outcome::Succeeded => return Decision { next: Next::Succeeded, progress },
            Outcome::Invalid(kind) => {
                return Decision { next: Next::Invalid { condition: kind.code() }, progress };
            }
            Outcome::FunctionError(_) => {
                (Class::FunctionError, Some(self.retries), &self.function_error)
            }
            Outcome::Throttled => (Class::Throttled, self.throttled_retries, &self.throttled),
            Outcome::System => (Class::System, self.system_retries, &self.system),
        };
        let failures = progress.failures(class);
        if allowed.is_some_and(|allowed| failures > allowed) {
            let condition = self.conditions.used_up(outcome.error_type());
            return Decision { next: Next::Failed { condition }, progress };
        }
        let deadline = self.deadline(&progress);
        let next = if later(now, schedule.base(failures)) > deadline {
            Next::Expired { condition: self.conditions.expired() }
        } else {
            Next::Retry { at: later(now, schedule.gap(failures, seed)).min(deadline) }
        };
        Decision { next, progress }
    }

    /// [`RetryPolicy::decide`] under the function's budget: a retry of a function error that is over it
    /// is held back, up to the task's age. This comes on top of the gap; the budget never ends a task.
    pub fn decide_within(
        &self,
        bucket: &mut Bucket,
        progress: &Progress,
        outcome: Outcome,
        now: Timestamp,
        seed: u64,
    ) -> Decision {
        let mut decision = self.decide(progress, outcome, now, seed);
        let has_run = matches!(outcome, Outcome::Succeeded | Outcome::FunctionError(_));
        let ran_before = progress.failures(Class::FunctionError) > 0;
        if has_run && !ran_before {
            bucket.earn(&self.budget, now);
        }
        if let (Next::Retry { at }, Some(Class::FunctionError)) =
            (&mut decision.next, outcome.class())
        {
            let held = bucket.book(&self.budget, now);
            *at = later(*at, held).min(self.deadline(progress));
        }
        decision
    }
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_millis(at.as_unix_millis().saturating_add(by_ms))
}

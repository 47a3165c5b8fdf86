//! Retry budgets of functions.

use std::collections::HashMap;

use fc_core::{AccountId, FunctionName, Timestamp};
use parking_lot::Mutex;

use crate::core::retry::{Bucket, Budget, Decision, Outcome, Progress, RetryPolicy};

/// Functions whose budgets are remembered; beyond, all are forgotten, which lets each have a burst.
const FUNCTIONS_MAX: usize = 100_000;

/// What functions may still spend on retries of their own errors.
#[derive(Debug)]
pub(crate) struct Budgets {
    budget: Budget,
    buckets: Mutex<HashMap<(AccountId, FunctionName), Bucket>>,
}

impl Budgets {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, buckets: Mutex::default() }
    }

    /// [`RetryPolicy::decide_within`] of the function's bucket.
    pub(crate) fn decide(
        &self,
        policy: &RetryPolicy,
        (account, function): (AccountId, &FunctionName),
        progress: &Progress,
        outcome: Outcome,
        (now, seed): (Timestamp, u64),
    ) -> Decision {
        let mut buckets = self.buckets.lock();
        if buckets.len() >= FUNCTIONS_MAX {
            buckets.clear();
        }
        let fresh = || Bucket::new(&self.budget, now);
        let bucket = buckets.entry((account, function.clone())).or_insert_with(fresh);
        policy.decide_within(bucket, progress, outcome, now, seed)
    }
}

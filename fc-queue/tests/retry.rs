//! The retry policy against naive models (ASY-2 to 4, I6, I7, T22).

use std::time::Duration;

use fc_core::{ErrorKind, FailureType, Timestamp};
use fc_queue::core::retry::{
    Bucket, Budget, Class, Conditions, Next, Outcome, Progress, RetryPolicy, Schedule,
};
use proptest::prelude::*;

const FAILED: Outcome = Outcome::FunctionError(FailureType::Unhandled);

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_millis(ms)
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        1 => Just(Outcome::Succeeded),
        6 => Just(FAILED),
        2 => Just(Outcome::FunctionError(FailureType::Handled)),
        2 => Just(Outcome::FunctionError(FailureType::Initialization)),
        8 => Just(Outcome::Throttled),
        8 => Just(Outcome::System),
        1 => Just(Outcome::Invalid(ErrorKind::FunctionNotFound)),
    ]
}

prop_compose! {
    fn schedules()(
        first in 1_u64..5_000,
        above in 0_u64..100_000,
        growth in 1_u32..=4,
        jitter_percent in 0_u32..=100,
    ) -> Schedule {
        Schedule {
            first: Duration::from_millis(first),
            growth,
            interval_max: Duration::from_millis(first + above),
            jitter_percent,
        }
    }
}

prop_compose! {
    fn policies()(
        conditions in prop_oneof![Just(Conditions::ErrorType), Just(Conditions::Reason)],
        function_error in schedules(),
        throttled in schedules(),
        system in schedules(),
        retries in 0_u32..=8,
        throttled_retries in proptest::option::weighted(0.2, 0_u32..20),
        system_retries in proptest::option::weighted(0.2, 0_u32..20),
        age_ms in 1_u64..1_000_000,
    ) -> RetryPolicy {
        RetryPolicy {
            conditions,
            function_error,
            retries,
            throttled,
            throttled_retries,
            system,
            system_retries,
            age: Duration::from_millis(age_ms),
            age_min: Duration::from_millis(1),
            ..RetryPolicy::function_compute()
        }
    }
}

/// One attempt of a task's life: when it began, how long it took, how it ended.
#[derive(Clone, Debug)]
struct Step {
    late_ms: u64,
    runs_ms: u64,
    outcome: Outcome,
    seed: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u64..2_000, 0_u64..2_000, outcomes(), any::<u64>());
    let step =
        step.prop_map(|(late_ms, runs_ms, outcome, seed)| Step { late_ms, runs_ms, outcome, seed });
    proptest::collection::vec(step, 1..60)
}

/// What happened to a task, written down by whoever drove it.
#[derive(Default)]
struct History {
    begun: Vec<u64>,
    /// Class, when the failure ended, when the next attempt was allowed.
    gaps: Vec<(Class, u64, u64)>,
    end: Option<(Next, u64, Progress)>,
}

/// Drives a task as an engine does: its note is stored between attempts, and its age is asked before.
fn live(policy: &RetryPolicy, steps: &[Step], mut bucket: Option<Bucket>) -> History {
    let accepted = at(1_000_000);
    let mut history = History::default();
    let mut note = Progress::new(accepted).encode();
    let mut visible = accepted.as_unix_millis();
    for step in steps {
        let progress = Progress::decode(&note).expect("a note that was written");
        let begins = visible + step.late_ms;
        if policy.is_expired(&progress, at(begins)) {
            let condition = policy.conditions.expired();
            history.end = Some((Next::Expired { condition }, begins, progress));
            return history;
        }
        history.begun.push(begins);
        let ends = begins + step.runs_ms;
        let decision = match &mut bucket {
            Some(bucket) => {
                policy.decide_within(bucket, &progress, step.outcome, at(ends), step.seed)
            }
            None => policy.decide(&progress, step.outcome, at(ends), step.seed),
        };
        let Next::Retry { at } = decision.next else {
            history.end = Some((decision.next, ends, decision.progress));
            return history;
        };
        visible = at.as_unix_millis();
        history.gaps.push((step.outcome.class().expect("a failure"), ends, visible));
        note = decision.progress.encode();
    }
    history
}

/// The k-th gap, by multiplying k - 1 times.
fn naive_gap(schedule: &Schedule, k: usize) -> u64 {
    let cap = schedule.interval_max.as_millis() as u64;
    (1..k).fold(schedule.first.as_millis() as u64, |gap, _| {
        (gap * u64::from(schedule.growth)).min(cap)
    })
}

fn schedule_of(policy: &RetryPolicy, class: Class) -> &Schedule {
    match class {
        Class::FunctionError => &policy.function_error,
        Class::Throttled => &policy.throttled,
        Class::System => &policy.system,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn asy_2_function_errors_are_tried_again_so_often_and_no_oftener(
        policy in policies(), steps in steps(),
    ) {
        policy.validate().unwrap();
        let history = live(&policy, &steps, None);
        let is_failure = |step: &&Step| matches!(step.outcome, Outcome::FunctionError(_));
        let ran = &steps[..history.begun.len()];
        let failures = ran.iter().filter(is_failure).count() as u32;
        prop_assert!(failures <= policy.retries + 1);
        let over = failures == policy.retries + 1;
        match history.end {
            Some((Next::Failed { condition }, _, progress)) => {
                let counted = progress.failures(Class::FunctionError);
                prop_assert_eq!(counted, failures);
                let last = ran.last().unwrap().outcome;
                if let Outcome::FunctionError(failure) = last {
                    prop_assert!(over);
                    let word = match policy.conditions {
                        Conditions::ErrorType => failure.as_str(),
                        Conditions::Reason => "RetriesExhausted",
                    };
                    prop_assert_eq!(condition, word);
                }
            }
            _ => prop_assert!(!over),
        }
    }

    #[test]
    fn asy_3_throttling_and_system_errors_end_by_the_age_and_not_by_their_number(
        policy in policies(), steps in steps(),
    ) {
        let policy = RetryPolicy { throttled_retries: None, system_retries: None, ..policy };
        let no_function = |step: &Step| matches!(step.outcome, Outcome::Throttled | Outcome::System);
        let steps: Vec<Step> = steps.into_iter().filter(no_function).collect();
        let history = live(&policy, &steps, None);
        let deadline = 1_000_000 + policy.age.as_millis() as u64;
        match history.end {
            None => prop_assert_eq!(history.begun.len(), steps.len()),
            Some((Next::Expired { condition }, ended, progress)) => {
                prop_assert_eq!(condition, policy.conditions.expired());
                prop_assert_eq!(progress.attempts() as usize, history.begun.len());
                // Not a moment too early: the next attempt would have begun too late.
                // Unless the dispatcher itself came too late.
                if ended <= deadline {
                    let last = steps[history.begun.len() - 1].outcome.class().unwrap();
                    let count = progress.failures(last) as usize;
                    let gap = naive_gap(schedule_of(&policy, last), count);
                    prop_assert!(ended + gap > deadline);
                }
            }
            Some(other) => prop_assert!(false, "{:?}", other.0),
        }
    }

    #[test]
    fn i6_each_class_has_its_own_gaps_that_jitter_only_lengthens(
        policy in policies(), steps in steps(),
    ) {
        let deadline = 1_000_000 + policy.age.as_millis() as u64;
        let history = live(&policy, &steps, None);
        for class in [Class::FunctionError, Class::Throttled, Class::System] {
            let schedule = schedule_of(&policy, class);
            let cap = schedule.interval_max.as_millis() as u64;
            let of_class = history.gaps.iter().filter(|(of, ..)| *of == class);
            let mut before = 0;
            for (index, (_, ended, visible)) in of_class.enumerate() {
                let (gap, base) = (visible - ended, naive_gap(schedule, index + 1));
                prop_assert!(gap >= base);
                prop_assert!(gap <= base + base * u64::from(schedule.jitter_percent) / 100);
                // Where the age cuts the jitter off, the gap may be shorter than the one before.
                if schedule.growth >= 2 && *visible < deadline {
                    prop_assert!(gap.min(cap) >= before, "{} after {}", gap, before);
                }
                before = gap.min(cap);
            }
        }
    }

    #[test]
    fn i7_no_attempt_begins_after_the_age(
        policy in policies(), steps in steps(), has_budget in any::<bool>(),
    ) {
        let deadline = 1_000_000 + policy.age.as_millis() as u64;
        let bucket = has_budget.then(|| Bucket::new(&policy.budget, at(1_000_000)));
        let history = live(&policy, &steps, bucket);
        prop_assert!(history.begun.iter().all(|begun| *begun <= deadline));
        prop_assert!(history.gaps.iter().all(|(_, _, visible)| *visible <= deadline));
    }

    #[test]
    fn a_seed_decides(policy in policies(), outcome in outcomes(), seed in any::<u64>()) {
        let progress = Progress::new(at(5));
        let decide = || policy.decide(&progress, outcome, at(6), seed);
        prop_assert_eq!(decide(), decide());
    }

    #[test]
    fn t22_a_budget_only_holds_back_and_never_past_the_age(
        policy in policies(), steps in steps(), booked in 0_u32..700,
    ) {
        let accepted = at(1_000_000);
        let deadline = policy.deadline(&Progress::new(accepted));
        let mut bucket = Bucket::new(&policy.budget, accepted);
        for _ in 0..booked {
            bucket.book(&policy.budget, accepted);
        }
        for step in &steps {
            let now = at(1_000_000 + step.late_ms);
            let progress = Progress::new(accepted);
            let free = policy.decide(&progress, step.outcome, now, step.seed);
            let held = policy.decide_within(&mut bucket, &progress, step.outcome, now, step.seed);
            prop_assert_eq!(free.progress, held.progress);
            match (free.next, held.next) {
                (Next::Retry { at: free }, Next::Retry { at: held }) => {
                    prop_assert!(held >= free && held <= deadline);
                    prop_assert!(held == free || step.outcome.class() == Some(Class::FunctionError));
                }
                (free, held) => prop_assert_eq!(free, held),
            }
        }
    }

    #[test]
    fn notes_that_no_version_wrote_are_errors_and_no_panics(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        match Progress::decode(&bytes) {
            Ok(progress) => prop_assert_eq!(&progress.encode()[..], &bytes[..]),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::InternalServerError),
        }
    }
}

/// A function that fails on every one of 100 calls a second adds a tenth and one a second, after its
/// burst, and not three times its load.
#[test]
fn t22_a_function_that_always_fails_makes_no_retry_storm() {
    let budget = Budget { delay_max: Duration::from_secs(3_600), ..Budget::tenth() };
    let policy = RetryPolicy { budget, ..RetryPolicy::function_compute() };
    let mut bucket = Bucket::new(&budget, at(0));
    let mut retries_due = [0_u32; 120];
    for call in 0..6_000_u64 {
        let now = at(call * 10);
        let decision = policy.decide_within(&mut bucket, &Progress::new(now), FAILED, now, call);
        let Next::Retry { at } = decision.next else { panic!("{decision:?}") };
        if let Some(second) = retries_due.get_mut(at.as_unix_millis() as usize / 1000) {
            *second += 1;
        }
    }
    let within_a_minute: u32 = retries_due[..60].iter().sum();
    let allowed = 10 + 60 + 600;
    assert!(within_a_minute <= allowed, "{within_a_minute} retries in the first minute");
    assert!(within_a_minute >= 60, "the budget lets {within_a_minute} through");
}

#[test]
fn asy_3_a_task_that_is_throttled_for_five_hours_expires_by_then() {
    let policy = RetryPolicy::function_compute();
    let mut progress = Progress::new(at(0));
    let mut now = at(0);
    let mut gaps = Vec::new();
    loop {
        let decision = policy.decide(&progress, Outcome::Throttled, now, 1);
        progress = decision.progress;
        match decision.next {
            Next::Retry { at } => {
                gaps.push(at.as_unix_millis() - now.as_unix_millis());
                now = at;
            }
            end => {
                assert_eq!(end, Next::Expired { condition: "Expired" });
                break;
            }
        }
    }
    assert!(gaps[0] >= 500 && gaps.is_sorted(), "{gaps:?}");
    assert!((14..=15).contains(&gaps.len()), "{gaps:?}");
}

#[test]
fn asy_2_a_throttled_attempt_uses_up_no_retry_of_the_function() {
    let policy = RetryPolicy { retries: 1, ..RetryPolicy::function_compute() };
    let mut progress = Progress::new(at(0));
    for outcome in [Outcome::Throttled, FAILED, Outcome::System, Outcome::Throttled] {
        let decision = policy.decide(&progress, outcome, at(0), 0);
        assert!(matches!(decision.next, Next::Retry { .. }), "{decision:?}");
        progress = decision.progress;
    }
    let last = policy.decide(&progress, FAILED, at(0), 0);
    assert_eq!(last.next, Next::Failed { condition: "UnhandledInvocationError" });
    assert_eq!(last.progress.attempts(), 5);
}

#[test]
fn asy_2_no_retry_where_none_is_configured() {
    let policy = RetryPolicy { retries: 0, ..RetryPolicy::lambda() };
    let decision = policy.decide(&Progress::new(at(0)), FAILED, at(0), 0);
    assert_eq!(decision.next, Next::Failed { condition: "RetriesExhausted" });
}

#[test]
fn asy_3_system_errors_can_be_left_alone() {
    let policy = RetryPolicy { system_retries: Some(0), ..RetryPolicy::function_compute() };
    let decision = policy.decide(&Progress::new(at(0)), Outcome::System, at(0), 0);
    assert_eq!(decision.next, Next::Failed { condition: "InternalServerError" });
}

#[test]
fn asy_4_an_expiry_and_an_invalid_task_have_their_words() {
    let old = Progress::new(at(0));
    let now = at(21_600_001);
    let policy = RetryPolicy::lambda();
    let expired = policy.decide(&old, Outcome::Throttled, now, 0).next;
    assert_eq!(expired, Next::Expired { condition: "EventAgeExceeded" });
    let invalid = Outcome::Invalid(ErrorKind::FunctionNotFound);
    let invalid = policy.decide(&old, invalid, now, 0).next;
    assert_eq!(invalid, Next::Invalid { condition: "FunctionNotFound" });
    assert_eq!(policy.decide(&old, Outcome::Succeeded, now, 0).next, Next::Succeeded);
}

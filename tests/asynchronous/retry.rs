//! Attempts: how often, when, and how it ends.

use std::time::Duration;

use fc::core::{Asynchronous, ErrorKind, FailureType, TaskStatus};

use crate::support::{Act, HOUR, MS, World};

const FAIL: Act = Act::Fail(FailureType::Unhandled);

/// INV-2: what was accepted runs, and keeps the request's id.
#[tokio::test]
async fn inv_2_what_was_accepted_runs_once() {
    let world = World::new().await;
    let id = world.submit("f", "hello").await.unwrap();
    world.settle().await;
    assert_eq!(world.seen(), ["f 0 hello"]);
    assert_eq!(world.functions.seen.lock()[0].request_id.to_string(), id);
    assert_eq!(world.statuses(), [TaskStatus::Running, TaskStatus::Succeeded]);
    world.pass(HOUR * 6).await;
    assert_eq!(world.seen().len(), 1, "and once");
    assert_eq!(world.engine.depth(&world.lane()).await.unwrap(), Default::default());
}

/// INV-2: a refusal is no 202, and nothing runs.
#[tokio::test]
async fn inv_2_what_was_refused_does_not_run() {
    let world = World::new().await;
    let refused = world.submit("nobody", "").await.unwrap_err();
    assert_eq!(refused.code(), "FunctionNotFound");
    let large = "x".repeat(128 * 1024 + 1);
    assert_eq!(world.submit("f", &large).await.unwrap_err().code(), "InvalidArgument");
    assert!(world.submit("f", &large[1..]).await.is_ok(), "128 KB are allowed");
    assert_eq!(world.submit_named("f", "", "1a").await.unwrap_err().code(), "InvalidArgument");
    world.settle().await;
    world.engine.shutdown(fc::core::Instant::MAX).await;
    assert_eq!(world.submit("f", "").await.unwrap_err().code(), "ResourceThrottled");
    assert_eq!(world.seen().len(), 1);
}

/// ASY-2: three retries by default, then a dead letter.
#[tokio::test]
async fn asy_2_a_function_that_fails_runs_four_times() {
    let world = World::new().await;
    world.act("f", [FAIL]);
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR * 6).await;
    assert_eq!(world.seen(), ["f 0 x", "f 1 x", "f 2 x", "f 3 x"]);
    assert_eq!(world.statuses().last(), Some(&TaskStatus::Failed));
    let letters = world.engine.dead_letters(&world.lane(), None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason.as_deref(), Some("UnhandledInvocationError: as told"));
}

/// ASY-2: the count is configurable.
#[tokio::test]
async fn asy_2_retries_are_what_is_configured() {
    for retries in [0, 1, 8] {
        let world = World::new().await;
        world.act("f", [FAIL]);
        let config = serde_json::json!({ "maxAsyncRetryAttempts": retries });
        world.configure("f", config).await.unwrap();
        world.submit("f", "x").await.unwrap();
        world.pass(HOUR * 6).await;
        assert_eq!(world.seen().len(), retries + 1);
    }
    let world = World::new().await;
    let refused = world.configure("f", serde_json::json!({ "maxAsyncRetryAttempts": 9 })).await;
    assert!(refused.unwrap_err().to_string().contains("maxAsyncRetryAttempts"));
}

/// ASY-3, I6: throttling is retried after 0.5 s, 1, 2, 4 …, however often, and costs no retry.
#[tokio::test]
async fn asy_3_throttling_backs_off_and_costs_no_retry() {
    let world = World::new().await;
    let throttled = Act::Error(ErrorKind::ResourceExhausted);
    let mut acts = vec![throttled; 6];
    acts.extend([FAIL, FAIL, FAIL, Act::Echo]);
    world.act("f", acts);
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR * 5).await;
    let times = world.times();
    assert_eq!(times.len(), 10);
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, base) in gaps.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0]) {
        assert!((base..base * 1.3).contains(gap), "{gaps:?}");
    }
    assert_eq!(world.statuses().last(), Some(&TaskStatus::Succeeded));
}

/// ASY-4, I7: no attempt begins after the age; what is expired is a dead letter.
#[tokio::test]
async fn asy_4_nothing_begins_after_its_age() {
    let world = World::new().await;
    world.act("f", [Act::Error(ErrorKind::ResourceThrottled)]);
    world.configure("f", serde_json::json!({ "maxAsyncEventAgeInSeconds": 60 })).await.unwrap();
    let accepted = fc::core::Clock::now(&world.clock);
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR).await;
    let seen = world.functions.seen.lock().clone();
    assert!(seen.len() > 5);
    assert!(seen.iter().all(|seen| seen.at - accepted <= Duration::from_secs(60) + MS));
    assert_eq!(world.statuses().last(), Some(&TaskStatus::Expired));
    let letters = world.engine.dead_letters(&world.lane(), None, 10).await.unwrap();
    assert!(letters[0].reason.as_deref().unwrap().starts_with("Expired"), "{letters:?}");
}

/// INV-5, I5: never early, and within a millisecond or two here; jumps of the wall clock change nothing.
#[tokio::test]
async fn inv_5_a_deferred_invocation_runs_after_its_delay() {
    let world = World::new().await;
    let delay = Duration::from_secs(3600);
    let submitted = fc::core::Clock::now(&world.clock);
    let options = Asynchronous { task_id: None, delay: Some(delay) };
    world.submit_as("f", "later", options).await.unwrap();
    world.clock.jump_wall(3_600_000);
    world.pass(delay - MS).await;
    assert_eq!(world.seen(), [""; 0]);
    world.clock.jump_wall(-7_200_000);
    world.pass(MS * 3).await;
    assert_eq!(world.seen(), ["f 0 later"]);
    let began = world.functions.seen.lock()[0].at;
    assert!(began - submitted >= delay && began - submitted <= delay + MS * 3);
}

/// INV-5: (0, 3600].
#[tokio::test]
async fn inv_5_a_delay_out_of_range_is_refused() {
    let world = World::new().await;
    for (delay, is_allowed) in [
        (Duration::ZERO, false),
        (Duration::from_millis(1), true),
        (Duration::from_secs(3600), true),
        (Duration::from_millis(3_600_001), false),
    ] {
        let options = Asynchronous { task_id: None, delay: Some(delay) };
        let submitted = world.submit_as("f", "", options).await;
        assert_eq!(submitted.is_ok(), is_allowed, "{delay:?}: {submitted:?}");
    }
}

/// ASY-9: what can never run is `Invalid`, at once.
#[tokio::test]
async fn asy_9_a_function_that_was_deleted_makes_its_tasks_invalid() {
    let world = World::new().await;
    world.act("f", [Act::Error(ErrorKind::FunctionNotFound)]);
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR).await;
    assert_eq!(world.seen().len(), 1);
    assert_eq!(world.statuses().last(), Some(&TaskStatus::Invalid));
}

/// ASY-6: dead letters are listed, redriven with their attempts counted anew, and purged.
#[tokio::test]
async fn asy_6_dead_letters_are_redriven_and_purged() {
    let world = World::new().await;
    world.act("f", [FAIL]);
    world.configure("f", serde_json::json!({ "maxAsyncRetryAttempts": 1 })).await.unwrap();
    world.submit("f", "a").await.unwrap();
    world.submit("f", "b").await.unwrap();
    world.pass(HOUR).await;
    let lane = world.lane();
    let letters = world.engine.dead_letters(&lane, None, 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    world.functions.seen.lock().clear();
    let one = Some(&*letters[0].id);
    assert_eq!(world.engine.redrive(world.cx(), &lane, one).await.unwrap(), 1);
    world.pass(HOUR).await;
    assert_eq!(world.seen(), ["f 0 a", "f 1 a"], "as often as at first");
    world.act("f", [Act::Echo]);
    assert_eq!(world.engine.redrive(world.cx(), &lane, None).await.unwrap(), 2);
    world.pass(HOUR).await;
    assert_eq!(world.engine.depth(&lane).await.unwrap(), Default::default());

    world.act("f", [FAIL]);
    world.submit("f", "c").await.unwrap();
    world.pass(HOUR).await;
    assert_eq!(world.engine.purge_dead_letters(world.cx(), &lane).await.unwrap(), 1);
    assert_eq!(world.engine.depth(&lane).await.unwrap(), Default::default());
}

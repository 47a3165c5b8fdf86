//! What an engine counts of what the simulation does not do (I32); that judges the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use fc::core::{ErrorKind, Instant, Retry};
use fc::queue::core::destination::{Address, Kind, Message};
use fc::queue::destination::{Deliver, Registry};
use fc::queue::{DeliveryCounters, Engine, EnginePorts, SubmissionCounters};
use fc::{AccountId, Context, Error, Result};
use serde_json::json;

use crate::support::{Act, HOUR, World};

/// I32: each answer is counted as what it is.
#[tokio::test]
async fn i32_submissions_are_counted_by_their_answer() {
    let world = World::new().await;
    world.submit_named("f", "", "a").await.unwrap();
    world.submit_named("f", "", "a").await.unwrap_err();
    world.submit("f", &"x".repeat(128 * 1024 + 1)).await.unwrap_err();
    for _ in 0..2 {
        world.submit("nobody", "").await.unwrap_err();
    }
    world.settle().await;
    world.engine.shutdown(Instant::MAX).await;
    world.submit("f", "").await.unwrap_err();
    let expected = SubmissionCounters {
        accepted: 1,
        duplicates: 1,
        too_large: 1,
        throttled: 1,
        refused: 2,
        unknown: 0,
    };
    assert_eq!(world.engine.counters().submissions, expected);
}

/// I32, ASY-9: what can never run.
#[tokio::test]
async fn i32_what_can_never_run_is_counted_as_invalid() {
    let world = World::new().await;
    world.act("f", [Act::Error(ErrorKind::FunctionNotFound)]);
    world.submit("f", "x").await.unwrap();
    world.pass(HOUR).await;
    let counters = world.engine.counters();
    assert_eq!((counters.attempts.begun, counters.attempts.invalid), (1, 1));
    assert_eq!((counters.ended.invalid, counters.dead_letters), (1, 1));
}

/// Takes the third message that it is given; the fourth is refused for ever, others for now.
#[derive(Debug, Default)]
struct Slow(AtomicU32);

#[async_trait]
impl Deliver for Slow {
    fn check(&self, _: AccountId, _: &Address) -> Result<()> {
        Ok(())
    }

    async fn deliver(&self, _: Context, _: &Address, _: &Message) -> Result<()> {
        let retry = match self.0.fetch_add(1, Ordering::Relaxed) {
            2 => return Ok(()),
            3 => Retry::Never,
            _ => Retry::Safe,
        };
        Err(Error::internal("as told").with_retry(retry))
    }
}

/// I32, ASY-5: two tries and the delivery, and one that is given up.
#[tokio::test]
async fn i32_deliveries_are_counted() {
    let mut world = World::new().await;
    world.engine.shutdown(Instant::MAX).await;
    let slow = Registry::default().serve(Kind::Http, Arc::new(Slow::default())).unwrap();
    let ports = EnginePorts { destinations: Arc::new(slow), ..world.ports() };
    world.engine = Engine::start(world.config.clone(), ports).await.unwrap();
    let to = json!({ "onSuccess": { "destination": "https://example.com/in" } });
    world.configure("f", json!({ "destinationConfig": to })).await.unwrap();
    for _ in 0..2 {
        world.submit("f", "x").await.unwrap();
        world.pass(HOUR).await;
    }
    let counters = world.engine.counters();
    assert_eq!(counters.deliveries, DeliveryCounters { done: 1, retried: 2, dead: 1 });
    assert_eq!((counters.ended.succeeded, counters.dead_letters), (2, 1));
    assert_eq!((counters.leases, counters.retries), (6, 0), "two tasks and four deliveries");
}

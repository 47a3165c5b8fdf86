//! What a backlog, or a function that fails, can do to others.

use std::sync::Arc;
use std::time::Duration;

use fc::core::port::queue::Lane;
use fc::core::{Asynchronous, Clock, ErrorKind, FailureType, Instant, Invocation, Invoke};
use fc::queue::core::concurrency::ConcurrencyLimits;
use fc::queue::core::sideline::SidelineLimits;
use fc::{AccountId, CodeRef, FunctionSpec};

use crate::support::{Act, HOUR, MS, World, account, name};

const SECOND: Duration = Duration::from_secs(1);
const A_SECOND: Act = Act::Take(SECOND);

fn limits(start: u32, max: u32) -> ConcurrencyLimits {
    ConcurrencyLimits { start, max }
}

/// How many tasks a lane has that are not over.
async fn in_lane(world: &World, lane: &Lane) -> u64 {
    let depth = world.engine.depth(lane).await.unwrap();
    depth.waiting + depth.leased
}

/// When the tasks of `function` began.
pub fn begun(world: &World, function: &str) -> Vec<Instant> {
    let seen = world.functions.seen.lock();
    seen.iter().filter(|seen| seen.function == function).map(|seen| seen.at).collect()
}

/// Another account, with one function.
fn neighbour(world: &World) -> AccountId {
    let neighbour = AccountId::new("5678").unwrap();
    let spec = FunctionSpec {
        function_name: "quiet".into(),
        runtime: "in-process".into(),
        ..FunctionSpec::default()
    };
    world.catalog.create(&neighbour, &spec, Arc::new(CodeRef::Registered)).unwrap();
    neighbour
}

async fn submit_quiet(world: &World, neighbour: AccountId) {
    let mut invocation = Invocation::event(neighbour, name("quiet"), "q".to_owned());
    invocation.asynchronous = Some(Box::new(Asynchronous::default()));
    world.engine.invoke(world.cx(), invocation).await.unwrap();
}

/// ASY-7: above the bound a function has a lane of its own, and its account's others do not wait for
/// it; once it is quiet, it is one of them again.
#[tokio::test]
async fn asy_7_a_busy_function_has_its_own_lane_while_it_is_busy() {
    let world = World::with(|config| {
        config.sideline = SidelineLimits { enter: 5, leave: 2 };
        config.lane_concurrency = limits(1, 1);
    })
    .await;
    let own = Lane::function(account(), &name("f"));
    world.act("f", [A_SECOND]);
    for n in 0..50 {
        world.submit("f", &n.to_string()).await.unwrap();
    }
    assert_eq!(in_lane(&world, &world.lane()).await, 5, "as many as may stand before others");
    assert_eq!(in_lane(&world, &own).await, 45);
    world.submit("g", "g").await.unwrap();
    world.pass(SECOND * 6).await;
    assert_eq!(begun(&world, "g").len(), 1, "behind five, not fifty: {:?}", world.seen());
    assert!(in_lane(&world, &own).await > 30, "while the backlog is there");

    // The own lane runs empty; the last of it are few enough.
    world.pass(SECOND * 50).await;
    assert_eq!(begun(&world, "f").len(), 50);
    assert_eq!(in_lane(&world, &own).await, 0);
    world.submit("f", "again").await.unwrap();
    assert_eq!((in_lane(&world, &world.lane()).await, in_lane(&world, &own).await), (1, 0));
    world.pass(SECOND * 2).await;
    assert_eq!(begun(&world, "f").len(), 51);
}

/// ASY-7: with a permit free, a neighbour's task begins at once, whatever one account has queued.
#[tokio::test]
async fn asy_7_a_backlog_of_one_account_does_not_delay_anothers_task() {
    let world = World::with(|_| {}).await;
    let neighbour = neighbour(&world);
    world.act("f", [A_SECOND]);
    for n in 0..10_000 {
        world.submit("f", &n.to_string()).await.unwrap();
    }
    for _ in 0..5 {
        world.pass(SECOND * 2 + Duration::from_millis(300)).await;
        submit_quiet(&world, neighbour).await;
        let now = world.clock.now();
        world.settle().await;
        assert_eq!(begun(&world, "quiet").last(), Some(&now), "in the same moment");
    }
    assert!(begun(&world, "f").len() < 5_000, "the backlog is still there");
    world.pass(HOUR).await;
    assert_eq!(begun(&world, "f").len(), 10_000);
}

/// ASY-7: with no permit free, it is next when one falls free.
#[tokio::test]
async fn asy_7_who_waits_for_a_permit_is_next_whatever_a_backlog_wants() {
    let world = World::with(|config| {
        config.concurrency = limits(16, 16);
        config.lane_concurrency = limits(256, 256);
    })
    .await;
    let neighbour = neighbour(&world);
    world.act("f", [A_SECOND]);
    for n in 0..10_000 {
        world.submit("f", &n.to_string()).await.unwrap();
    }
    world.pass(SECOND * 10 + Duration::from_millis(500)).await;
    assert_eq!(*world.functions.running.lock(), 16, "no permit is free");
    let asked = world.clock.now();
    submit_quiet(&world, neighbour).await;
    world.settle().await;
    assert_eq!(begun(&world, "quiet"), []);
    world.pass(SECOND).await;
    let waited = begun(&world, "quiet")[0] - asked;
    assert!(waited <= Duration::from_millis(500) + MS, "the end of one task: {waited:?}");
    assert!(begun(&world, "f").len() < 200, "of ten thousand");
}

/// ASY-7: a function for which there is never capacity makes its own lane slow, and nobody else's.
#[tokio::test]
async fn asy_7_an_account_without_capacity_takes_nobody_elses_permits() {
    let world = World::with(|config| {
        config.concurrency = limits(64, 64);
        config.lane_concurrency = limits(64, 64);
    })
    .await;
    let neighbour = neighbour(&world);
    world.act("f", [Act::Error(ErrorKind::ResourceThrottled)]);
    for n in 0..500 {
        world.submit("f", &n.to_string()).await.unwrap();
    }
    world.pass(SECOND * 60).await;
    let tried = world.engine.counters().attempts.throttled;
    assert!(tried > 500, "{tried}: it is tried again and again");
    world.act("quiet", [A_SECOND]);
    for _ in 0..60 {
        submit_quiet(&world, neighbour).await;
    }
    let now = world.clock.now();
    world.pass(MS).await;
    let at_once = begun(&world, "quiet").iter().filter(|at| **at < now + MS).count();
    assert_eq!(at_once, 60, "there are 64 permits");
}

/// ASY-11: after a restart a backlog is begun with few, at most twice as many in each round, never
/// more than the most, and what was due first is first.
#[tokio::test]
async fn asy_11_a_backlog_is_replayed_by_degrees_and_oldest_first() {
    let (start, max) = (16, 256);
    let mut world = World::with(|config| {
        config.lane_concurrency = limits(start, max);
        // One lane: each has its own degrees.
        config.sideline.enter = 10_000;
    })
    .await;
    let mut expected = Vec::new();
    for n in 0..5_000u32 {
        // The last third of them is due first.
        let delay = Duration::from_secs(3600 - u64::from(n % 3) * 600);
        let options = Asynchronous { task_id: None, delay: Some(delay) };
        world.submit_as("f", &n.to_string(), options).await.unwrap();
        expected.push((delay, n));
    }
    world.engine.shutdown(world.clock.now()).await;
    world.clock.advance(HOUR + SECOND);
    world.settle().await;
    assert_eq!(world.seen(), [""; 0], "nobody is there");

    world.act("f", [A_SECOND]);
    world.restart().await;
    world.pass(HOUR).await;
    let mut rounds: Vec<(Instant, u32)> = Vec::new();
    for at in begun(&world, "f") {
        match rounds.last_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => rounds.push((at, 1)),
        }
    }
    let counts: Vec<u32> = rounds.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts[0], start);
    assert!(counts.windows(2).all(|pair| pair[1] <= 2 * pair[0]), "{counts:?}");
    assert_eq!(*world.functions.peak.lock(), max, "and it gets there: {counts:?}");
    assert_eq!(counts.iter().sum::<u32>(), 5_000, "each once");

    expected.sort();
    let order: Vec<u32> =
        world.functions.seen.lock().iter().map(|seen| seen.payload.parse().unwrap()).collect();
    assert_eq!(order, expected.iter().map(|(_, n)| *n).collect::<Vec<_>>());
}

/// T22: what a function's failures add to its load is its budget, in every second; and no retry is
/// dropped.
#[tokio::test]
async fn t22_a_function_that_always_fails_is_not_stormed() {
    const TASKS: usize = 1_000;
    let world = World::with(|config| {
        // Longer than all retries take: nothing comes early because it was held back for long.
        config.retry.budget.delay_max = HOUR * 4;
    })
    .await;
    let budget = world.config.retry.budget;
    world.act("f", [Act::Fail(FailureType::Unhandled)]);
    let start = world.clock.now();
    for n in 0..TASKS {
        world.submit("f", &n.to_string()).await.unwrap();
    }
    world.pass(HOUR * 3).await;
    let seen = world.functions.seen.lock().clone();
    let retries: Vec<_> = seen.iter().filter(|seen| seen.attempt > 0).collect();
    let free = f64::from(budget.burst) + TASKS as f64 * f64::from(budget.percent) / 100.0;
    for (count, retry) in retries.iter().enumerate() {
        let allowed = free + (retry.at - start).as_secs_f64() * f64::from(budget.per_second);
        assert!(count as f64 <= allowed, "{count} after {:?}", retry.at - start);
    }
    assert_eq!(retries.len(), TASKS * 3, "held back, and not dropped");
    assert_eq!(seen.len(), TASKS * 4);
    assert_eq!(world.engine.depth(&world.lane()).await.unwrap().buried, TASKS as u64);
}

//! What a task, or a process that dies, can do to others: leases, holders, a drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc::core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc::core::{Clock, ErrorKind, Queue, TaskStatus, Timestamp};
use fc::queue::EngineConfig;
use fc::queue::core::concurrency::ConcurrencyLimits;
use fc::queue::driver::MemoryQueue;
use fc::store::MemoryStore;
use fc::{Context, Error, Result};
use fc_testkit::SimClock;

use crate::isolation::begun;
use crate::support::{Act, HOUR, MS, World};

const SECOND: Duration = Duration::from_secs(1);

/// A run of ten visibilities holds its lease: it is not begun twice.
#[tokio::test]
async fn a_long_run_is_renewed_and_runs_once() {
    let world = World::new().await;
    let long = world.config.visibility * 10;
    world.act("f", [Act::Take(long)]);
    world.submit("f", "x").await.unwrap();
    for _ in 0..9 {
        world.pass(world.config.visibility).await;
        let depth = world.engine.depth(&world.lane()).await.unwrap();
        assert_eq!((depth.waiting, depth.leased), (0, 1));
    }
    world.pass(HOUR).await;
    assert_eq!(world.seen(), ["f 0 x"]);
    assert_eq!(world.statuses(), [TaskStatus::Running, TaskStatus::Succeeded]);
}

/// I3: whoever loses the lease stops, so that the task does not run twice at once.
#[tokio::test]
async fn a_lost_lease_cancels_the_run() {
    let clock = SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000));
    let queue = Arc::new(Jealous {
        inner: MemoryQueue::new(Arc::new(clock.clone())),
        refuses: AtomicBool::new(true),
    });
    let config = EngineConfig::default();
    let visibility = config.visibility;
    let world = World::over(clock, queue.clone(), Arc::new(MemoryStore::new()), config).await;
    world.act("f", [Act::Take(visibility / 2)]);
    world.submit("f", "x").await.unwrap();
    world.pass(visibility / 3 - MS).await;
    assert_eq!(*world.functions.running.lock(), 1);
    world.pass(MS * 2).await;
    assert_eq!(*world.functions.running.lock(), 0, "as soon as it is known");
    assert_eq!(world.seen(), ["f 0 x"]);

    queue.refuses.store(false, Ordering::Relaxed);
    world.pass(visibility).await;
    world.pass(visibility).await;
    assert_eq!(world.seen(), ["f 0 x", "f 0 x"], "again once the lease has ended");
    assert_eq!(*world.functions.peak.lock(), 1, "and not at once");
    let counters = world.engine.counters();
    assert_eq!((counters.leases, counters.leases_lost, counters.attempts.cut), (2, 1, 1), "I32");
    assert_eq!(world.statuses().last(), Some(&TaskStatus::Succeeded));
    assert_eq!(world.engine.depth(&world.lane()).await.unwrap(), Default::default());
}

/// I11: a task that takes its process with it, again and again, is a dead letter in the end; the
/// others of its function run in every one of the processes.
#[test]
fn i11_a_task_that_kills_its_holders_is_a_dead_letter() {
    let clock = SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000));
    let queue: Arc<MemoryQueue> = Arc::new(MemoryQueue::new(Arc::new(clock.clone())));
    let store = Arc::new(MemoryStore::new());
    let config = EngineConfig { lost_leases_max: 3, ..EngineConfig::default() };
    let mut runs = 0;
    for life in 0..6 {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (clock, config) = (clock.clone(), config.clone());
        let visibility = config.visibility;
        let world = runtime.block_on(World::over(clock, queue.clone(), store.clone(), config));
        runtime.block_on(async {
            world.act("f", [Act::NeverTo("poison")]);
            if life == 0 {
                world.submit_named("f", "poison", "poison").await.unwrap();
            }
            for n in 0..20 {
                world.submit_named("f", "ok", &format!("ok-{life}-{n}")).await.unwrap();
            }
            world.pass(SECOND).await;
        });
        let seen = world.seen();
        let is_poison = |seen: &&String| seen.ends_with(" poison");
        runs += seen.iter().filter(is_poison).count();
        assert_eq!(seen.iter().filter(|seen| !is_poison(seen)).count(), 20, "in life {life}");
        let is_over = world.statuses().contains(&TaskStatus::Failed);
        assert_eq!(is_over, life == 4, "its fifth holder gives up, and nobody before");
        if life == 5 {
            let letters = runtime.block_on(world.engine.dead_letters(&world.lane(), None, 9));
            let letters = letters.unwrap();
            assert_eq!(letters.len(), 1);
            assert_eq!(letters[0].id, "i/f/poison");
            assert_eq!(letters[0].reason.as_deref(), Some("HoldersLost"));
        }
        // The process is gone without a word, all its tasks with it; its leases end by themselves.
        drop(runtime);
        world.clock.advance(visibility);
    }
    assert_eq!(runs, 4, "three more than one");
}

/// I28: at the deadline what still runs goes back to the queue, there and then; what can finish before
/// does, and nothing is begun.
#[tokio::test]
async fn i28_a_drain_puts_back_what_does_not_finish_in_time() {
    let few = ConcurrencyLimits { start: 4, max: 4 };
    let mut world = World::with(|config| config.lane_concurrency = few).await;
    world.act("f", [Act::Never]);
    world.act("g", [Act::Take(SECOND * 5)]);
    world.submit("g", "short").await.unwrap();
    for n in 0..8 {
        world.submit("f", &n.to_string()).await.unwrap();
    }
    world.pass(SECOND).await;
    assert_eq!(world.seen(), ["g 0 short", "f 0 0", "f 0 1", "f 0 2"]);

    let engine = world.engine.clone();
    let deadline = world.clock.now() + SECOND * 10;
    let shutdown = tokio::spawn(async move { engine.shutdown(deadline).await });
    world.pass(SECOND * 10 - MS).await;
    assert!(!shutdown.is_finished());
    assert_eq!(world.seen().len(), 4, "nothing is begun, though a place is free");
    assert_eq!(world.statuses().last(), Some(&TaskStatus::Succeeded), "what can finish does");
    assert_eq!(*world.functions.running.lock(), 3);
    world.pass(MS).await;
    assert!(shutdown.is_finished(), "at the deadline");
    assert_eq!(*world.functions.running.lock(), 0);
    let depth = world.engine.depth(&world.lane()).await.unwrap();
    assert_eq!((depth.waiting, depth.leased, depth.buried), (8, 0, 0));

    world.act("f", [Act::Echo]);
    world.functions.seen.lock().clear();
    let restarted = world.clock.now();
    world.restart().await;
    world.settle().await;
    let again = begun(&world, "f");
    assert_eq!(again, [restarted; 8], "at once, and not when a lease would have ended");
    assert_eq!(world.engine.depth(&world.lane()).await.unwrap(), Default::default());
}

/// A queue that says of every lease that it is another's now.
#[derive(Debug)]
struct Jealous {
    inner: MemoryQueue,
    refuses: AtomicBool,
}

#[async_trait]
impl Queue for Jealous {
    fn capabilities(&self) -> QueueCapabilities {
        self.inner.capabilities()
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        self.inner.push(cx, lane, task).await
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        self.inner.wait(cx, lane).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        self.inner.lease(cx, lane, max, visibility).await
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Conflict, "somebody else holds the task"));
        }
        self.inner.extend(cx, lease, visibility).await
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        self.inner.settle(cx, lease, settlement).await
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        self.inner.cancel(cx, lane, id).await
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.inner.depth(lane).await
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        self.inner.lanes(after, max).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        self.inner.list(lane, place, after, max).await
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.inner.redrive(cx, lane, id, at, note).await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.inner.purge(cx, lane, place).await
    }
}

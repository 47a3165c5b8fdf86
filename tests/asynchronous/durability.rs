//! What an engine says of drivers that do not keep what they acknowledge, and which it refuses.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fc::core::{Instant, Queue, Store, Timestamp};
use fc::queue::driver::MemoryQueue;
use fc::queue::driver::embedded::{EmbeddedConfig, EmbeddedQueue};
use fc::queue::{Engine, EngineConfig, EnginePorts};
use fc::store::{MemoryStore, RedbConfig, RedbStore};
use fc::{Limits, Result};
use fc_testkit::SimClock;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::support::World;

thread_local! {
    /// What was warned of in this test.
    static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Writes down what an engine says of its drivers; the whole process's, as a listener of one thread
/// misses what another thread has passed before it listened.
struct Listener;

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "fc_queue::fit" && *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        HEARD.with_borrow_mut(|heard| heard.push(fields.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What is warned of as an engine starts and stops over these drivers.
async fn warnings(clock: SimClock, queue: Arc<dyn Queue>, store: Arc<dyn Store>) -> Vec<String> {
    HEARD.take();
    let world = World::over(clock, queue, store, EngineConfig::default()).await;
    world.settle().await;
    world.engine.shutdown(Instant::MAX).await;
    HEARD.take()
}

fn clock() -> SimClock {
    SimClock::new(Timestamp::from_unix_millis(1_700_000_000_000))
}

fn embedded(clock: &SimClock, dir: &std::path::Path) -> Arc<dyn Queue> {
    let clock = Arc::new(clock.clone());
    Arc::new(EmbeddedQueue::open(dir.join("queue"), &EmbeddedConfig::default(), clock).unwrap())
}

/// I35, T40: what may be lost is said once for each, and nothing where all is kept.
#[tokio::test]
async fn i35_a_weak_durability_is_warned_of_at_the_start() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let (clock, dir) = (clock(), tempfile::tempdir().unwrap());
    let queue = Arc::new(MemoryQueue::new(Arc::new(clock.clone())));
    let heard = warnings(clock.clone(), queue, Arc::new(MemoryStore::new())).await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    for (said, parts) in heard.iter().zip([
        ["port=\"queue\"", "durability=ProcessMemory", "answered with 202"],
        ["port=\"store\"", "durability=ProcessMemory", "records of tasks"],
    ]) {
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }

    let queue = embedded(&clock, dir.path());
    let path = dir.path().join("store.redb");
    let store = Arc::new(RedbStore::open(path, RedbConfig::default()).await.unwrap());
    let heard = warnings(clock, queue, store).await;
    assert_eq!(heard, [""; 0]);
}

/// What is said of an engine over these drivers.
async fn started(limits: Limits, queue: Arc<dyn Queue>, store: Arc<dyn Store>) -> Result<Engine> {
    let world = World::new().await;
    let ports = EnginePorts { queue, store, ..world.ports() };
    Engine::start(EngineConfig { limits, ..EngineConfig::default() }, ports).await
}

/// I35: drivers that break what is acknowledged, or cannot take what is allowed, are refused.
#[tokio::test]
async fn i35_drivers_that_break_the_promise_are_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let memory = || MemoryQueue::new(Arc::new(clock.clone()));
    let store = || Arc::new(MemoryStore::new());
    let compute = Limits::function_compute;
    let hour = Duration::from_secs(3600);
    for (limits, queue, store, field) in [
        (
            compute(),
            Arc::new(memory().payload_bytes_max(128 << 10)),
            store(),
            "queue.payload_bytes",
        ),
        (compute(), Arc::new(memory().note_bytes_max(512)), store(), "queue.note_bytes_max"),
        (compute(), Arc::new(memory().delay_max(hour)), store(), "queue.delay_max"),
        (
            compute(),
            Arc::new(memory()),
            Arc::new(MemoryStore::new().value_bytes_max(1 << 10)),
            "store.value_bytes_max",
        ),
        (
            Limits::function_graph(),
            Arc::new(memory().payload_bytes_max(200 << 10)),
            store(),
            "queue.payload_bytes",
        ),
    ] {
        let refused = started(limits, queue, store).await.unwrap_err();
        assert_eq!(refused.code(), "InvalidArgument");
        assert!(refused.to_string().starts_with(field), "{field}: {refused}");
    }
    // Records that are gone with the process under tasks that are not: they would be dropped unrun.
    let refused = started(compute(), embedded(&clock, dir.path()), store()).await.unwrap_err();
    assert!(refused.to_string().starts_with("store.durability: ProcessMemory"), "{refused}");
    for limits in [compute(), Limits::function_graph()] {
        started(limits, Arc::new(memory()), store()).await.unwrap();
    }
}

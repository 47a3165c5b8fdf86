//! The rules of a queue, on one process, and on two that take turns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{
    Cancelled, Lane, LaneDepth, LeaseToken, Leased, NewTask, Place, Pushed, QueueCapabilities,
    Settlement, TaskView,
};
use fc_core::{Clock, Context, Queue, Result, SystemClock, Timestamp};
use fc_queue::driver::nats::{NatsQueue, NatsQueueConfig};
use fc_testkit::conformance::queue::{Subject, cases};
use fc_testkit::server::{NatsServer, NatsSettings};

/// One server for all cases; it ends with this process.
fn url() -> String {
    static SERVER: OnceLock<NatsServer> = OnceLock::new();
    SERVER.get_or_init(|| NatsServer::start(NatsSettings::default()).unwrap()).url()
}

/// A few streams for all cases: some share one with others, which they must not mind.
fn config() -> NatsQueueConfig {
    static CASES: AtomicUsize = AtomicUsize::new(0);
    let stream = format!("cases-{}", CASES.fetch_add(1, Ordering::Relaxed) % 8);
    let log_bytes_max = 64 << 20;
    NatsQueueConfig { stream, log_bytes_max, ..NatsQueueConfig::new(url()) }
}

async fn connect(config: NatsQueueConfig, clock: Arc<dyn Clock>) -> Arc<dyn Queue> {
    Arc::new(NatsQueue::connect(config, clock).await.unwrap())
}

async fn one() -> Subject {
    let (config, clock) = (config(), Arc::new(SystemClock::new()));
    let queue = connect(config.clone(), clock.clone()).await;
    let again = clock.clone();
    Subject::new(queue, clock).reopened_by(Box::new(move |queue| {
        let (config, clock) = (config.clone(), again.clone());
        drop(queue);
        Box::pin(connect(config, clock))
    }))
}

mod one_process {
    fc_testkit::queue_conformance!(super::one);
}

/// Two processes' queues on one stream. Each call goes to the next.
#[derive(Debug)]
struct Turns {
    queues: [NatsQueue; 2],
    calls: AtomicUsize,
}

impl Turns {
    fn next(&self) -> &NatsQueue {
        &self.queues[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

async fn two() -> Subject {
    let (config, clock) = (config(), Arc::new(SystemClock::new()));
    let one = NatsQueue::connect(config.clone(), clock.clone()).await.unwrap();
    let other = NatsQueue::connect(config, clock.clone()).await.unwrap();
    Subject::new(Arc::new(Turns { queues: [one, other], calls: AtomicUsize::new(0) }), clock)
}

mod two_processes {
    fc_testkit::queue_conformance!(super::two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_needs_no_empty_queue() {
    let subject = two().await;
    for _ in 0..2 {
        for case in cases() {
            assert_eq!(case.run(&subject).await, Ok(()), "{case:?}");
        }
    }
}

#[async_trait]
impl Queue for Turns {
    fn capabilities(&self) -> QueueCapabilities {
        self.next().capabilities()
    }

    async fn push(&self, cx: Context, lane: &Lane, task: NewTask) -> Result<Pushed> {
        self.next().push(cx, lane, task).await
    }

    async fn wait(&self, cx: Context, lane: &Lane) -> Result<bool> {
        self.next().wait(cx, lane).await
    }

    async fn lease(
        &self,
        cx: Context,
        lane: &Lane,
        max: usize,
        visibility: Duration,
    ) -> Result<Vec<Leased>> {
        self.next().lease(cx, lane, max, visibility).await
    }

    async fn extend(&self, cx: Context, lease: &LeaseToken, visibility: Duration) -> Result<()> {
        self.next().extend(cx, lease, visibility).await
    }

    async fn settle(&self, cx: Context, lease: &LeaseToken, settlement: Settlement) -> Result<()> {
        self.next().settle(cx, lease, settlement).await
    }

    async fn cancel(&self, cx: Context, lane: &Lane, id: &str) -> Result<Cancelled> {
        self.next().cancel(cx, lane, id).await
    }

    async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.next().depth(lane).await
    }

    async fn lanes(&self, after: Option<&Lane>, max: usize) -> Result<Vec<Lane>> {
        self.next().lanes(after, max).await
    }

    async fn list(
        &self,
        lane: &Lane,
        place: Place,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        self.next().list(lane, place, after, max).await
    }

    async fn redrive(
        &self,
        cx: Context,
        lane: &Lane,
        id: Option<&str>,
        at: Timestamp,
        note: Bytes,
    ) -> Result<u64> {
        self.next().redrive(cx, lane, id, at, note).await
    }

    async fn purge(&self, cx: Context, lane: &Lane, place: Place) -> Result<u64> {
        self.next().purge(cx, lane, place).await
    }
}

//! What the queue on NATS JetStream costs beside the bare client: pushes, leases with their
//! settlements, and the time from a push to its lease.
//!
//! `cargo bench --features nats --bench queue_nats [-- --json | --test] [push] [cycle] [latency]`
//!
//! Method: as `peers` has it, but in one process with one private nats-server for all contenders, so
//! that each has the same of both.
#![allow(clippy::disallowed_methods, reason = "a benchmark measures the machine's own time")]

mod peers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, AckKind, consumer, stream};
use bytes::Bytes;

use fc_core::port::queue::{Lane, NewTask, Place, Verdict};
use fc_core::{Context, Queue, RequestId, SystemClock};
use fc_queue::driver::nats::{NatsQueue, NatsQueueConfig};
use fc_testkit::server::{NatsServer, NatsSettings};
use futures_util::StreamExt;
use futures_util::future::join_all;
use peers::compare::Series;
use peers::options::Options;
use peers::table::{self, Budget, Row};

/// Enqueue and dispatch over the bare client's loop (`performance.md`, budgets).
const BARE: Budget = Budget::AtLeast { goal: 0.9, least: 0.7 };

const PAYLOAD: &[u8] = &[7; 256];
const CX: Context = Context::new(RequestId::NIL);
const HOLD: Duration = Duration::from_secs(60);

fn main() {
    let options = Options::from_args();
    let server = NatsServer::start(NatsSettings::default()).expect("a nats-server");
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().expect("a runtime");
    let url = server.url();
    // In a task of the runtime, as whoever pushes is.
    let compared = runtime.spawn(async move { compare(&options, &url).await });
    runtime.block_on(compared).expect("no panic");
}

async fn compare(options: &Options, url: &str) {
    let subject = Subject::connect(url).await;
    if options.wants("push") {
        push(options, &subject).await;
    }
    if options.wants("cycle") {
        cycle(options, &subject).await;
    }
    if options.wants("latency") {
        latency(options, &subject).await;
    }
}

/// A queue, how another process joins it, and a bare client with a stream of its own.
struct Subject {
    queue: Arc<NatsQueue>,
    config: NatsQueueConfig,
    bare: jetstream::Context,
    stream: stream::Stream,
    pull: consumer::PullConsumer,
    lane: Lane,
    ids: AtomicU64,
}

impl Subject {
    async fn connect(url: &str) -> Self {
        let config = NatsQueueConfig::new(url);
        let queue = connect(&config).await;
        let client = async_nats::connect(url).await.expect("a connection");
        let bare = jetstream::new(client);
        let own = stream::Config {
            name: "bare".into(),
            subjects: vec!["bare.task".into()],
            retention: stream::RetentionPolicy::WorkQueue,
            ..stream::Config::default()
        };
        let stream = bare.create_stream(own).await.expect("a stream");
        let all = consumer::pull::Config {
            durable_name: Some("pull".into()),
            max_ack_pending: 100_000,
            ..consumer::pull::Config::default()
        };
        let pull = stream.create_consumer(all).await.expect("a consumer");
        let lane = Lane::new("bench").expect("a lane's name");
        Self { queue, config, bare, stream, pull, lane, ids: AtomicU64::new(0) }
    }

    fn id(&self) -> String {
        format!("task-{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    async fn push_one(&self) {
        let task = NewTask::new(self.id(), PAYLOAD);
        self.queue.push(CX, &self.lane, task).await.expect("a push");
    }

    async fn publish_one(&self) {
        let ack = self.bare.publish("bare.task", Bytes::from_static(PAYLOAD)).await;
        ack.expect("a publish").await.expect("an acknowledgement");
    }

    async fn clear(&self) {
        self.queue.purge(CX, &self.lane, Place::Waiting).await.expect("a purge");
        self.stream.purge().await.expect("a purge");
    }
}

async fn connect(config: &NatsQueueConfig) -> Arc<NatsQueue> {
    let clock = Arc::new(SystemClock::new());
    Arc::new(NatsQueue::connect(config.clone(), clock).await.expect("a queue"))
}

/// Turns of two contenders, A B A B, after one of each that is not counted.
macro_rules! turns {
    ($options:expr, $one:expr, $other:expr) => {{
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for round in 0..=$options.rounds() {
            let (first, second) = ($one.await, $other.await);
            if round > 0 {
                one.push(first);
                other.push(second);
            }
        }
        (Series::from_iter(one), Series::from_iter(other))
    }};
}

async fn push(options: &Options, subject: &Subject) {
    let mut rows = Vec::new();
    for in_flight in [1, 16, 64, 256] {
        let count = options.count(if in_flight == 1 { 3_000 } else { 20_000 }, 2 * in_flight);
        let (ours, bare) = turns!(
            options,
            rate(subject, in_flight, count, || subject.push_one()),
            rate(subject, in_flight, count, || subject.publish_one())
        );
        let name = |who: &str| format!("{who}, {in_flight} in flight");
        rows.push(Row::new(name("push"), &ours, "/s").over(ours.over(&bare)).budget(BARE));
        rows.push(Row::new(name("bare publish and ack"), &bare, "/s"));
    }
    let second = connect(&subject.config).await;
    for in_flight in [16, 256] {
        let count = options.count(20_000, 2 * in_flight);
        let (ours, bare) = turns!(
            options,
            rate(subject, in_flight, count, || subject.push_one()),
            rate(subject, in_flight, count, || subject.publish_one())
        );
        let name = format!("push, {in_flight} in flight, another process follows here");
        let row = Row::new(name, &ours, "/s").over(ours.over(&bare));
        rows.push(row.unjudged("the follower's work is on the same cores"));
    }
    drop(second);
    let title = "Tasks of 256 bytes pushed a second, over a bare async-nats loop";
    table::print(options, title, &rows);
}

/// How many a second, `in_flight` at a time.
async fn rate<F: Future<Output = ()>>(
    subject: &Subject,
    in_flight: usize,
    count: usize,
    one: impl Fn() -> F,
) -> f64 {
    let left = AtomicU64::new(count as u64);
    let begin = Instant::now();
    let client = || async {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
        {
            one().await;
        }
    };
    join_all((0..in_flight).map(|_| client())).await;
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    subject.clear().await;
    rate
}

async fn cycle(options: &Options, subject: &Subject) {
    const AT_ONCE: usize = 16;
    let mut rows = Vec::new();
    for workers in [1, 8] {
        let count = options.count(4_000 * workers.min(4), 64);
        let (ours, bare) = turns!(
            options,
            lease_and_settle(subject, workers, AT_ONCE, count),
            pull_and_ack(subject, workers, AT_ONCE, count, true)
        );
        let (plain, _) =
            turns!(options, pull_and_ack(subject, workers, AT_ONCE, count, false), async { 1.0 });
        let name = |who: &str| format!("{who}, {workers} workers with {AT_ONCE} each");
        let row = Row::new(name("lease and settle"), &ours, "/s");
        rows.push(row.over(ours.over(&bare)).budget(BARE));
        rows.push(Row::new(name("bare pull and confirmed ack"), &bare, "/s"));
        let row = Row::new(name("lease and settle"), &ours, "/s").over(ours.over(&plain));
        rows.push(row.unjudged("an ack that is not confirmed may be lost"));
        rows.push(Row::new(name("bare pull and ack that is not confirmed"), &plain, "/s"));
    }
    let title = "Tasks leased and settled a second, over a bare pull consumer's loop";
    table::print(options, title, &rows);
}

async fn lease_and_settle(subject: &Subject, workers: usize, at_once: usize, count: usize) -> f64 {
    join_all((0..count).map(|_| subject.push_one())).await;
    let done = AtomicU64::new(0);
    let begin = Instant::now();
    let worker = || async {
        while done.load(Ordering::Relaxed) < count as u64 {
            let leased = subject.queue.lease(CX, &subject.lane, at_once, HOLD).await;
            let leased = leased.expect("a lease");
            let settled = leased
                .iter()
                .map(|leased| subject.queue.settle(CX, &leased.token, Verdict::Done.into()));
            join_all(settled).await.into_iter().for_each(|settled| settled.expect("settled"));
            done.fetch_add(leased.len() as u64, Ordering::Relaxed);
        }
    };
    join_all((0..workers).map(|_| worker())).await;
    count as f64 / begin.elapsed().as_secs_f64()
}

async fn pull_and_ack(
    subject: &Subject,
    workers: usize,
    at_once: usize,
    count: usize,
    is_confirmed: bool,
) -> f64 {
    join_all((0..count).map(|_| subject.publish_one())).await;
    let done = AtomicU64::new(0);
    let begin = Instant::now();
    let worker = || async {
        while done.load(Ordering::Relaxed) < count as u64 {
            let pulled = subject.pull.fetch().max_messages(at_once).messages().await;
            let pulled: Vec<_> = pulled.expect("a pull").collect().await;
            let acked = pulled.iter().map(|message| async {
                let message = message.as_ref().expect("a message");
                if is_confirmed {
                    message.double_ack_with(AckKind::Ack).await.expect("an ack");
                } else {
                    message.ack().await.expect("an ack");
                }
            });
            join_all(acked).await;
            done.fetch_add(pulled.len() as u64, Ordering::Relaxed);
        }
    };
    join_all((0..workers).map(|_| worker())).await;
    count as f64 / begin.elapsed().as_secs_f64()
}

async fn latency(options: &Options, subject: &Subject) {
    let count = options.count(300, 5);
    let (alone, _) = turns!(options, push_to_lease(subject, &subject.queue, count), async { 1.0 });
    let second = connect(&subject.config).await;
    let (same, other) = turns!(
        options,
        push_to_lease(subject, &subject.queue, count),
        push_to_lease(subject, &second, count)
    );
    let (bare, _) = turns!(options, publish_to_pull(subject, count), async { 1.0 });
    let rows = [
        Row::new("push to lease, one process", &alone, "us").over(alone.over(&bare)),
        Row::new("push to lease, beside another process", &same, "us").over(same.over(&bare)),
        Row::new("push to lease by another process", &other, "us").over(other.over(&bare)),
        Row::new("bare publish to pull", &bare, "us"),
    ];
    let title = "From the call of a push to the lease of its task by one who waits, median";
    table::print(options, title, &rows);
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

async fn push_to_lease(subject: &Subject, lessee: &Arc<NatsQueue>, count: usize) -> f64 {
    let mut times = Vec::new();
    for _ in 0..count {
        let (queue, lane) = (lessee.clone(), subject.lane.clone());
        let leased = tokio::spawn(async move {
            loop {
                queue.wait(CX, &lane).await.expect("a wait");
                let leased = queue.lease(CX, &lane, 1, HOLD).await.expect("a lease");
                if let Some(leased) = leased.into_iter().next() {
                    return (Instant::now(), leased);
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(1)).await;
        let begin = Instant::now();
        subject.push_one().await;
        let (at, leased) = leased.await.expect("no panic");
        times.push(at - begin);
        let settled = subject.queue.settle(CX, &leased.token, Verdict::Done.into()).await;
        settled.expect("settled");
    }
    median_us(times)
}

async fn publish_to_pull(subject: &Subject, count: usize) -> f64 {
    let mut messages = subject.pull.messages().await.expect("messages");
    let mut times = Vec::new();
    for _ in 0..count {
        let begin = Instant::now();
        subject.publish_one().await;
        let message = messages.next().await.expect("a message").expect("a message");
        times.push(begin.elapsed());
        message.double_ack_with(AckKind::Ack).await.expect("an ack");
    }
    median_us(times)
}

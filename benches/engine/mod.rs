//! The sections of the engine's benchmark.
//!
//! Method: contenders take turns, A B A B, in one process, each in a directory of its own below the
//! machine's directory for temporary files. The runtime has a worker for each core, which clients,
//! engine and function share. Payloads are 1 KB of what does not compress.

pub(crate) mod backlog;
pub(crate) mod cycle;
pub(crate) mod enqueue;
pub(crate) mod latency;
pub(crate) mod million;
pub(crate) mod neighbour;
pub(crate) mod stamp;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fc::core::port::queue::{Lane, NewTask};
use fc::core::{Clock, Context, Queue, RequestId, SystemClock, Timestamp};
use fc::queue::core::envelope::{Envelope, Head, InvokeJob, Job};
use fc::queue::driver::embedded::{EmbeddedConfig, EmbeddedQueue};
use fc::queue::{TaskNews, TaskSink};
use fc::store::{RedbConfig, RedbStore};
use fc::{AccountId, AsyncParts, Body, Platform, Response, handler_fn};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::peers::compare::Series;
use crate::peers::options::Options;
use crate::peers::turns::turns;

pub(crate) const CX: Context = Context::new(RequestId::NIL);
/// A function that answers at once, with nothing.
pub(crate) const QUICK: &str = "quick";

/// A platform that queues, and what it is made of.
pub(crate) struct Subject {
    pub(crate) platform: Platform,
    pub(crate) queue: Arc<EmbeddedQueue>,
    pub(crate) over: Arc<Over>,
}

impl Subject {
    /// Over the files in `dir`, with the function [`QUICK`] and what `deploy` adds to it.
    pub(crate) fn start(runtime: &Runtime, dir: &Path, deploy: impl FnOnce(&Platform)) -> Self {
        let queue = open(dir);
        Self::over(runtime, dir, queue, deploy)
    }

    /// The same over a queue that is open already.
    pub(crate) fn over(
        runtime: &Runtime,
        dir: &Path,
        queue: Arc<EmbeddedQueue>,
        deploy: impl FnOnce(&Platform),
    ) -> Self {
        runtime.block_on(async {
            let platform = Platform::builder().build().expect("a platform");
            let quick = handler_fn(|_cx, _request| async { Ok(Response::new(Body::EMPTY)) });
            platform.handle(QUICK, quick).expect("deployed");
            deploy(&platform);
            let store = RedbStore::open(dir.join("store"), RedbConfig::default()).await;
            let store = Arc::new(store.expect("the store opens"));
            let over = Arc::new(Over::default());
            let parts = AsyncParts::new(queue.clone(), store);
            let parts = AsyncParts { sink: Some(over.clone()), ..parts };
            let platform = platform.asynchronous(parts).await.expect("it queues");
            Self { platform, queue, over }
        })
    }

    pub(crate) fn stop(self, runtime: &Runtime) {
        runtime.block_on(self.platform.shutdown(Duration::from_secs(10)));
    }

    /// The lane of the platform's account.
    pub(crate) fn lane(&self) -> Lane {
        Lane::account(self.platform.account())
    }
}

/// Counts the tasks that are over.
#[derive(Debug, Default)]
pub(crate) struct Over {
    count: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Over {
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Ready once so many are over. One task waits at a time.
    pub(crate) async fn reach(&self, count: u64) {
        self.awaited.store(count, Ordering::SeqCst);
        while self.count() < count {
            self.reached.notified().await;
        }
    }
}

impl TaskSink for Over {
    fn told(&self, news: &TaskNews) {
        if news.status.is_final() {
            let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
            if count == self.awaited.load(Ordering::SeqCst) {
                self.reached.notify_one();
            }
        }
    }
}

pub(crate) fn open(dir: &Path) -> Arc<EmbeddedQueue> {
    let clock = Arc::new(SystemClock::new());
    let queue = EmbeddedQueue::open(dir.join("queue"), &EmbeddedConfig::default(), clock);
    Arc::new(queue.expect("the queue opens"))
}

pub(crate) fn payload() -> Bytes {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..1024).map(next).collect::<Vec<u8>>().into()
}

/// What the engine itself would push for a task of `function`, accepted now; not run before
/// `not_before`.
pub(crate) fn envelope(account: AccountId, function: &str, not_before: u64) -> Bytes {
    let accepted_at = SystemClock::new().wall().as_unix_millis();
    let job = InvokeJob {
        not_before,
        age_ms_max: 5 * 3600 * 1000,
        retries_max: 3,
        ..InvokeJob::default()
    };
    let head = Head {
        account: account.to_string(),
        function: function.into(),
        qualifier: "LATEST".into(),
        task_id: "1-00000000-00000000-000000000000".into(),
        request_id: "1-00000000-00000000-000000000000".into(),
        accepted_at,
        depth: 0,
        is_tracked: false,
        job: Job::Invoke(job),
    };
    Envelope { head, body: payload() }.encode().expect("an envelope")
}

/// Pushes tasks of these numbers past the engine, 256 at a time.
pub(crate) async fn fill(
    queue: &Arc<EmbeddedQueue>,
    lane: &Lane,
    numbers: std::ops::Range<u64>,
    envelope: &Bytes,
) {
    fill_until(queue, lane, numbers, envelope, Timestamp::default()).await;
}

/// The same, visible at a time.
pub(crate) async fn fill_until(
    queue: &Arc<EmbeddedQueue>,
    lane: &Lane,
    numbers: std::ops::Range<u64>,
    envelope: &Bytes,
    at: Timestamp,
) {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..256 {
        let (queue, lane, envelope) = (queue.clone(), lane.clone(), envelope.clone());
        let numbers = numbers.clone().skip(client).step_by(256);
        clients.spawn(async move {
            for number in numbers {
                let task = NewTask::new(format!("i/filled/{number:012}"), envelope.clone());
                queue.push(CX, &lane, task.visible_at(at)).await.expect("pushed");
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("no panic");
    }
}

pub(crate) fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime")
}

pub(crate) fn dirs<const N: usize>() -> [tempfile::TempDir; N] {
    std::array::from_fn(|_| tempfile::tempdir().expect("a directory"))
}

/// The figure below which this part of `times` is.
pub(crate) fn quantile(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * part) as usize]
}

/// Lets each contender have its turn, until all had all of theirs. One turn before them is not
/// counted. A turn may have several figures.
pub(crate) fn alternate<const N: usize, const F: usize>(
    options: &Options,
    contenders: [Box<dyn FnMut() -> [f64; F] + '_>; N],
) -> [[Series; F]; N] {
    rounds(options, options.rounds(), contenders)
}

/// The same in so many rounds, for turns that are long.
pub(crate) fn rounds<const N: usize, const F: usize>(
    options: &Options,
    rounds: usize,
    contenders: [Box<dyn FnMut() -> [f64; F] + '_>; N],
) -> [[Series; F]; N] {
    turns(options, rounds, contenders)
        .map(|turns| std::array::from_fn(|figure| turns.iter().map(|turn| turn[figure]).collect()))
}

//! Our side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fc_core::port::queue::{Lane, NewTask, Place, Verdict};
use fc_core::{Context, Queue, RequestId, SystemClock};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::{BATCH, PAYLOAD};

pub(crate) struct Fc {
    queue: Arc<PostgresQueue>,
    next: Arc<AtomicU64>,
}

fn cx() -> Context {
    Context::new(RequestId::NIL)
}

fn lane() -> Lane {
    Lane::new("bench").expect("a good name")
}

const VISIBILITY: Duration = Duration::from_secs(60);

impl Fc {
    pub(crate) async fn connect(url: &str) -> Self {
        let config = PostgresConfig::new(url).expect("a good URL");
        let queue = PostgresQueue::connect(config, Arc::new(SystemClock::new())).await;
        Self { queue: Arc::new(queue.expect("a queue")), next: Arc::default() }
    }

    pub(crate) async fn clear(&self) {
        self.queue.purge(cx(), &lane(), Place::Waiting).await.expect("purged");
    }

    pub(crate) async fn push(&self, clients: usize, count: usize) {
        let given = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let (queue, next, given) = (self.queue.clone(), self.next.clone(), given.clone());
            tokio::spawn(async move {
                let lane = lane();
                while given.fetch_add(1, Ordering::Relaxed) < count {
                    let id = next.fetch_add(1, Ordering::Relaxed).to_string();
                    queue.push(cx(), &lane, NewTask::new(id, PAYLOAD)).await.expect("pushed");
                }
            })
        };
        join_all((0..clients).map(client)).await;
    }

    /// One worker: a batch at a time, each task in a tokio task of its own, as apalis runs them.
    pub(crate) async fn drain(&self, count: usize) {
        let (mut left, lane) = (count, lane());
        while left > 0 {
            let held = self.queue.lease(cx(), &lane, BATCH, VISIBILITY).await.expect("leased");
            left -= held.len();
            let runs = held.into_iter().map(|held| {
                let queue = self.queue.clone();
                tokio::spawn(async move {
                    assert_eq!(held.payload.len(), PAYLOAD.len());
                    queue.settle(cx(), &held.token, Verdict::Done.into()).await.expect("settled");
                })
            });
            join_all(runs).await;
        }
    }

    pub(crate) async fn starts_ms(&self, count: usize) -> Vec<f64> {
        let (begun, mut begins) = mpsc::channel(1);
        let queue = self.queue.clone();
        let worker = tokio::spawn(async move {
            let lane = lane();
            for _ in 0..count {
                let held = loop {
                    queue.wait(cx(), &lane).await.expect("woken");
                    let held = queue.lease(cx(), &lane, BATCH, VISIBILITY).await.expect("leased");
                    if let Some(held) = held.into_iter().next() {
                        break held;
                    }
                };
                begun.send(Instant::now()).await.expect("heard");
                queue.settle(cx(), &held.token, Verdict::Done.into()).await.expect("settled");
            }
        });
        let mut spans = Vec::new();
        for _ in 0..count {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let start = Instant::now();
            self.push(1, 1).await;
            spans.push((begins.recv().await.expect("begun") - start).as_secs_f64() * 1e3);
        }
        worker.await.expect("the worker");
        spans
    }
}

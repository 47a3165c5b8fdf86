//! apalis, as its README has it: a listener, no separate lock of tasks, `parallelize(tokio::spawn)`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::mpsc;

use crate::{BATCH, PAYLOAD};

pub(crate) struct Apalis {
    pool: PgPool,
}

fn config() -> Config {
    Config::default().queue("bench").batch_size(BATCH).lock_tasks(false)
}

impl Apalis {
    pub(crate) async fn connect(url: &str) -> Self {
        let options = PgPoolOptions::new().max_connections(64).test_before_acquire(false);
        let pool = options.connect(url).await.expect("a pool");
        PostgresStorage::setup(&pool).await.expect("apalis's tables");
        Self { pool }
    }

    pub(crate) async fn clear(&self) {
        sqlx::query("TRUNCATE apalis.jobs CASCADE").execute(&self.pool).await.expect("emptied");
    }

    pub(crate) async fn push(&self, clients: usize, count: usize) {
        let given = Arc::new(AtomicUsize::new(0));
        let client = |_| {
            let mut storage = PostgresStorage::new(&self.pool).with_config(config());
            let given = given.clone();
            tokio::spawn(async move {
                while given.fetch_add(1, Ordering::Relaxed) < count {
                    storage.push(PAYLOAD.to_owned()).await.expect("pushed");
                }
            })
        };
        join_all((0..clients).map(client)).await;
    }

    pub(crate) async fn drain(&self, count: usize) {
        let left = Arc::new(AtomicUsize::new(count));
        let run = move |payload: String, worker: WorkerContext| {
            let left = left.clone();
            async move {
                assert_eq!(payload.len(), PAYLOAD.len());
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    worker.stop()?;
                }
                Ok::<_, BoxDynError>(())
            }
        };
        let storage = PostgresStorage::new(&self.pool).with_config(config()).with_pubsub();
        let worker = WorkerBuilder::new(name()).backend(storage).parallelize(tokio::spawn).build(run);
        worker.run().await.expect("the worker");
    }

    pub(crate) async fn starts_ms(&self, count: usize) -> Vec<f64> {
        let (begun, mut begins) = mpsc::channel(1);
        let left = Arc::new(AtomicUsize::new(count + 1));
        let run = move |_: String, worker: WorkerContext| {
            let (left, begun) = (left.clone(), begun.clone());
            async move {
                let _ = begun.send(Instant::now()).await;
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    worker.stop()?;
                }
                Ok::<_, BoxDynError>(())
            }
        };
        let storage = PostgresStorage::new(&self.pool).with_config(config()).with_pubsub();
        let worker = WorkerBuilder::new(name()).backend(storage).parallelize(tokio::spawn).build(run);
        let worker = tokio::spawn(async move { worker.run().await.expect("the worker") });
        // The first start is the worker's own.
        self.push(1, 1).await;
        begins.recv().await.expect("begun");
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

/// A worker's name must be its own.
fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("bench-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

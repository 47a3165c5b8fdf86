//! The server, the queue, and turns.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use fc::core::port::queue::Lane;
use fc::core::{Context, RequestId, SystemClock};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use fc_testkit::server::PostgresServer;

/// A private server with its own defaults: `fsync`, `full_page_writes` and `synchronous_commit` on.
pub(crate) fn start() -> PostgresServer {
    PostgresServer::start(&[("max_connections", "300"), ("shared_buffers", "256MB")])
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A queue in a schema that no other section uses.
pub(crate) async fn queue(url: &str) -> Arc<PostgresQueue> {
    connect(&config(url)).await
}

/// Two queues of one schema, as two processes have them.
pub(crate) async fn pair(url: &str) -> (Arc<PostgresQueue>, Arc<PostgresQueue>) {
    let config = config(url);
    (connect(&config).await, connect(&config).await)
}

fn config(url: &str) -> PostgresConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let schema = format!("bench_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let config = PostgresConfig::new(url).and_then(|config| config.schema(&schema));
    config.expect("a good configuration")
}

async fn connect(config: &PostgresConfig) -> Arc<PostgresQueue> {
    let queue = PostgresQueue::connect(config.clone(), Arc::new(SystemClock::new())).await;
    Arc::new(queue.expect("a queue"))
}

pub(crate) fn cx() -> Context {
    Context::new(RequestId::NIL)
}

pub(crate) fn lane() -> Lane {
    Lane::new("bench").expect("a good name")
}

/// How many of `count` things a second `work` does.
pub(crate) async fn rate(count: usize, work: impl Future<Output = ()>) -> f64 {
    let start = Instant::now();
    work.await;
    count as f64 / start.elapsed().as_secs_f64()
}

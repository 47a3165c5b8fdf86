//! Queues in PostgreSQL, on a private server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alone;
mod at_connect;
mod server;
mod together;

use std::sync::Arc;

use fc_core::{Clock, Queue, SystemClock};
use fc_queue::driver::postgres::{PostgresConfig, PostgresQueue};
use fc_testkit::conformance::queue::Subject;
use futures_util::future::BoxFuture;

async fn opened(config: PostgresConfig, clock: Arc<dyn Clock>) -> Arc<dyn Queue> {
    Arc::new(PostgresQueue::connect(config, clock).await.unwrap())
}

/// A queue in a schema of its own.
async fn queue() -> Subject {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = server::config();
    let queue = opened(config.clone(), clock.clone()).await;
    let again = clock.clone();
    let reopen = move |queue: Arc<dyn Queue>| -> BoxFuture<'static, Arc<dyn Queue>> {
        drop(queue);
        Box::pin(opened(config.clone(), again.clone()))
    };
    Subject::new(queue, clock).reopened_by(Box::new(reopen))
}

mod conformance {
    fc_testkit::queue_conformance!(super::queue);
}

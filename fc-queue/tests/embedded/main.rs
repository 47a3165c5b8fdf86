//! The embedded queue on the machine's file system: every rule of the port, a process that is killed
//! again and again, and a disk that is full.

mod child;
mod full;
mod kill;

use std::sync::Arc;

use fc_core::{Clock, Queue, SystemClock};
use fc_queue::driver::embedded::{EmbeddedConfig, EmbeddedQueue};
use fc_testkit::conformance::queue::Subject;

/// Small segments, so that several are met.
fn config() -> EmbeddedConfig {
    EmbeddedConfig { segment_bytes: 1024 * 1024, ..EmbeddedConfig::default() }
}

fn open(dir: &std::path::Path, clock: &Arc<dyn Clock>) -> EmbeddedQueue {
    EmbeddedQueue::open(dir, &config(), clock.clone()).expect("the queue opens")
}

async fn embedded() -> Subject {
    let dir = tempfile::tempdir().expect("a directory");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let queue: Arc<dyn Queue> = Arc::new(open(dir.path(), &clock));
    let again = clock.clone();
    Subject::new(queue, clock).reopened_by(Box::new(move |queue| {
        drop(queue);
        let queue: Arc<dyn Queue> = Arc::new(open(dir.path(), &again));
        Box::pin(async move { queue })
    }))
}

mod conformance {
    fc_testkit::queue_conformance!(super::embedded);
}

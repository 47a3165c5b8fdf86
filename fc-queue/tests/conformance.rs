//! The memory queue keeps every rule; a queue that breaks one is caught by that rule's case alone.

use std::sync::Arc;

use fc_core::SystemClock;
use fc_queue::driver::MemoryQueue;
use fc_testkit::conformance::queue::{Subject, cases};

async fn memory() -> Subject {
    let clock = Arc::new(SystemClock::new());
    Subject::new(Arc::new(MemoryQueue::new(clock.clone())), clock)
}

mod memory_queue {
    fc_testkit::queue_conformance!(super::memory);
}

/// The suite also runs on a queue that is in use, and on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_needs_no_empty_queue() {
    let subject = Arc::new(memory().await);
    for _ in 0..2 {
        let runs: Vec<_> = cases()
            .into_iter()
            .map(|case| {
                let subject = subject.clone();
                tokio::spawn(async move {
                    let verdict = case.run(&subject).await;
                    (case, verdict)
                })
            })
            .collect();
        for run in runs {
            let (case, verdict) = run.await.unwrap();
            assert_eq!(verdict, Ok(()), "{case:?}");
        }
    }
}

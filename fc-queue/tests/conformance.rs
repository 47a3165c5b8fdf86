//! The memory queue keeps every rule; a queue that breaks one is caught by that rule's case alone (I35).

use std::sync::Arc;

use fc_core::{Clock, Queue, SystemClock};
use fc_queue::driver::MemoryQueue;
use fc_testkit::broken::queue::{BrokenQueue, QueueFault};
use fc_testkit::conformance::queue::{Subject, cases};
use futures_util::StreamExt;
use futures_util::stream;

fn queue() -> (Arc<dyn Queue>, Arc<dyn Clock>) {
    let clock = Arc::new(SystemClock::new());
    (Arc::new(MemoryQueue::new(clock.clone())), clock)
}

async fn memory() -> Subject {
    let (queue, clock) = queue();
    Subject::new(queue, clock)
}

mod memory_queue {
    fc_testkit::queue_conformance!(super::memory);
}

/// A broken queue in front of a good one that outlives its crash.
fn broken(fault: QueueFault) -> Subject {
    let (good, clock) = queue();
    let broken = Arc::new(BrokenQueue::new(good, clock.clone(), fault));
    Subject::new(broken.clone(), clock).reopened_by(Box::new(move |queue| {
        let broken = broken.clone();
        Box::pin(async move {
            broken.crash().await.expect("a memory queue cancels what waits");
            queue
        })
    }))
}

/// All at once would keep the machine so busy that leases end before they are used.
const AT_ONCE: usize = 48;

#[tokio::test]
async fn each_broken_queue_fails_its_case_and_no_other() {
    let pairs = QueueFault::ALL
        .into_iter()
        .flat_map(|fault| cases().into_iter().map(move |case| (fault, case)));
    let runs = pairs.map(|((fault, must), case)| async move {
        let verdict = case.run(&broken(fault)).await;
        let is_wrong = verdict.is_err() != (case.name == must);
        is_wrong.then(|| format!("{fault:?} {case:?}: {verdict:?}"))
    });
    let wrong: Vec<_> =
        stream::iter(runs).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_case_has_a_broken_queue() {
    let mut found: Vec<_> = QueueFault::ALL.iter().map(|(_, case)| *case).collect();
    let mut all: Vec<_> = cases().iter().map(|case| case.name).collect();
    found.sort_unstable();
    all.sort_unstable();
    assert_eq!(found, all);
}

/// The suite also runs on a queue that is in use, that can be opened again, and on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_needs_no_empty_queue() {
    let (queue, clock) = queue();
    for _ in 0..2 {
        let runs: Vec<_> = cases()
            .into_iter()
            .map(|case| {
                let subject = Subject::new(queue.clone(), clock.clone());
                let subject = subject.reopened_by(Box::new(|queue| Box::pin(async { queue })));
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

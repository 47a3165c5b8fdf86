//! The memory store keeps every rule; a store that breaks one is caught by that rule's case alone.

use std::sync::Arc;

use fc_core::Store;
use fc_store::MemoryStore;
use fc_testkit::broken::store::{BrokenStore, StoreFault};
use fc_testkit::conformance::store::cases;

async fn empty() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

mod memory_store {
    fc_testkit::store_conformance!(super::empty);
}

#[tokio::test]
async fn each_broken_store_fails_its_case_and_no_other() {
    let mut wrong = Vec::new();
    for (fault, must) in StoreFault::ALL {
        for case in cases() {
            let broken: Arc<dyn Store> = Arc::new(BrokenStore::new(empty().await, fault));
            let verdict = case.run(&broken).await;
            if verdict.is_err() != (case.name == must) {
                wrong.push(format!("{fault:?} {case:?}: {verdict:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_case_has_a_broken_store() {
    let mut found: Vec<_> = StoreFault::ALL.iter().map(|(_, case)| *case).collect();
    let mut all: Vec<_> = cases().iter().map(|case| case.name).collect();
    found.sort_unstable();
    all.sort_unstable();
    assert_eq!(found, all);
}

/// The suite also runs on a store that is in use, and on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_needs_no_empty_store() {
    let store = empty().await;
    for _ in 0..2 {
        for case in cases() {
            assert_eq!(case.run(&store).await, Ok(()), "{case:?}");
        }
    }
}

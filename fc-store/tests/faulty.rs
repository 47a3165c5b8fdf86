//! A store whose network fails: who reads back what is unknown loses no update.
#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fc_core::port::store::When;
use fc_core::{ErrorKind, Store, SystemClock, Timestamp};
use fc_store::MemoryStore;
use fc_testkit::SimClock;
use fc_testkit::faulty::{FaultCounts, FaultPlan, FaultyStore};

async fn slow() -> Arc<dyn Store> {
    let plan = FaultPlan::slow(7, Duration::from_millis(1));
    Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()), Arc::new(SystemClock::new()), plan))
}

/// Delays and doubles alone break no rule.
mod slow_store {
    fc_testkit::store_conformance!(super::slow);
}

/// Runs a future to its end, and moves time on whenever nothing else happens.
fn run<F: Future>(clock: &SimClock, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut task = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut task) {
            return output;
        }
        clock.advance_to(clock.next_timer().expect("nothing would ever happen again"));
    }
}

/// Counts up `STEPS` times through faults, and gives what the record then says.
fn counted(seed: u64) -> (String, FaultCounts) {
    let clock = SimClock::new(Timestamp::from_unix_millis(1_000_000));
    let good = Arc::new(MemoryStore::new());
    let plan = FaultPlan::rough(seed, Duration::from_millis(20));
    let store = FaultyStore::new(good.clone(), Arc::new(clock.clone()), plan);
    let counting = async {
        for step in 1..=STEPS {
            loop {
                // Read back: an earlier attempt may have been done.
                let Ok(record) = store.get("count").await else {
                    continue;
                };
                let is = record.as_ref().map(|record| record.value.clone()).unwrap_or_default();
                if *is == *step.to_string().as_bytes() {
                    break;
                }
                let must = if step == 1 { String::new() } else { (step - 1).to_string() };
                assert_eq!(*is, *must.as_bytes());
                let when = record.map_or(When::Absent, |record| When::Unchanged(record.revision));
                match store.put("count", step.to_string().into(), when).await {
                    Ok(_) => break,
                    Err(error) => assert_ne!(error.kind(), ErrorKind::Conflict),
                }
            }
        }
    };
    run(&clock, counting);
    let record = run(&clock, good.get("count")).unwrap().unwrap();
    (String::from_utf8(record.value.to_vec()).unwrap(), store.counts())
}

const STEPS: u32 = 30;

#[test]
fn who_reads_back_what_is_unknown_loses_no_update() {
    let mut unknown = 0;
    for seed in 0..100 {
        let (count, counts) = counted(seed);
        assert_eq!(count, STEPS.to_string(), "seed {seed}");
        unknown += counts.unknown();
        assert_eq!(counts.late, 0);
    }
    assert!(unknown > 100, "{unknown}");
    assert_eq!(counted(3), counted(3));
}

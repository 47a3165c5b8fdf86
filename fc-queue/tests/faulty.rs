//! A queue whose network fails: who heeds the contract loses nothing, and one seed is one history.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use fc_core::port::queue::{Lane, NewTask, Verdict};
use fc_core::{Clock, Context, ErrorKind, Queue, RequestId, SystemClock, Timestamp};
use fc_queue::driver::MemoryQueue;
use fc_testkit::SimClock;
use fc_testkit::conformance::queue::Subject;
use fc_testkit::faulty::{FaultCounts, FaultPlan, FaultyQueue};
use futures_util::future::join;
use parking_lot::Mutex;

async fn slow() -> Subject {
    let clock = Arc::new(SystemClock::new());
    let good = Arc::new(MemoryQueue::new(clock.clone()));
    let plan = FaultPlan::slow(7, Duration::from_millis(4));
    Subject::new(Arc::new(FaultyQueue::new(good, clock.clone(), plan)), clock)
}

/// Delays and doubles alone break no rule.
mod slow_queue {
    fc_testkit::queue_conformance!(super::slow);
}

/// Runs a future to its end, and moves time on whenever nothing else happens.
fn run<F: Future>(clock: &SimClock, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut task = TaskContext::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut task) {
            return output;
        }
        clock.advance_to(clock.next_timer().expect("nothing would ever happen again"));
    }
}

const TASKS: u64 = 30;

/// What happened: attempts by id in their order, and faults.
#[derive(PartialEq, Eq, Debug)]
struct History {
    attempts: Vec<(String, u32)>,
    counts: FaultCounts,
}

/// Pushes tasks and does them, through faults.
fn history(seed: u64) -> History {
    let clock = SimClock::new(Timestamp::from_unix_millis(1_000_000));
    let good = Arc::new(MemoryQueue::new(Arc::new(clock.clone())));
    let plan = FaultPlan::rough(seed, Duration::from_millis(20));
    let queue = FaultyQueue::new(good, Arc::new(clock.clone()), plan);
    let (cx, lane) = (Context::new(RequestId::NIL), Lane::new("lane").unwrap());
    let attempts = Mutex::new(Vec::new());
    let all_pushed = Mutex::new(false);
    let pause = || clock.sleep_until(clock.now() + Duration::from_millis(3));

    let client = async {
        for number in 0..TASKS {
            let task = NewTask::new(format!("t{number}"), number.to_string());
            // Whatever the error: the same id again is harmless.
            while queue.push(cx, &lane, task.clone()).await.is_err() {
                pause().await;
            }
        }
        *all_pushed.lock() = true;
    };
    let worker = async {
        loop {
            let visibility = Duration::from_millis(100);
            let leased = queue.lease(cx, &lane, 4, visibility).await.unwrap_or_default();
            if leased.is_empty() {
                if *all_pushed.lock() {
                    queue.turn(false);
                    let depth = queue.depth(&lane).await.unwrap();
                    if depth == Default::default() {
                        return;
                    }
                }
                pause().await;
            }
            for held in leased {
                assert_eq!(
                    format!("t{}", std::str::from_utf8(&held.payload).unwrap()),
                    held.token.task
                );
                attempts.lock().push((held.token.task.clone(), held.leases_before));
                loop {
                    match queue.settle(cx, &held.token, Verdict::Done.into()).await {
                        Ok(()) => break,
                        Err(error) if error.kind() == ErrorKind::Conflict => break,
                        Err(_) => pause().await,
                    }
                }
            }
        }
    };
    run(&clock, join(client, worker));
    History { attempts: attempts.into_inner(), counts: queue.counts() }
}

#[test]
fn who_heeds_the_contract_loses_nothing() {
    let mut sum = FaultCounts::default();
    for seed in 0..300 {
        let History { attempts, counts } = history(seed);
        let mut by_id: BTreeMap<String, u64> = BTreeMap::new();
        for (id, _) in &attempts {
            *by_id.entry(id.clone()).or_default() += 1;
        }
        assert_eq!(by_id.len() as u64, TASKS, "seed {seed}: {by_id:?}");
        // More than one attempt has a reason: a lease that ended, or an answer that was lost.
        let again = attempts.iter().filter(|(_, leases_before)| *leases_before > 0).count() as u64;
        let most = TASKS + again + counts.unknown() + counts.doubled;
        assert!(attempts.len() as u64 <= most, "seed {seed}: {} of {most}", attempts.len());
        sum.refused += counts.refused;
        sum.unanswered += counts.unanswered;
        sum.vanished += counts.vanished;
        sum.late += counts.late;
        sum.doubled += counts.doubled;
        sum.delayed += counts.delayed;
    }
    let each = [sum.refused, sum.unanswered, sum.vanished, sum.late, sum.doubled, sum.delayed];
    assert!(each.iter().all(|count| *count > 300), "{sum:?}");
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..20 {
        assert_eq!(history(seed), history(seed));
    }
    assert_ne!(history(1), history(2));
}

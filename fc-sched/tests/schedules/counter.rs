//! The lock-free counter of what an account runs (QUO-3, I15).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use shuttle::thread;

use crate::core::quota::Concurrency;
use crate::sync::Planted;
use crate::{explore, finds};

const LIMIT: u32 = 2;

/// Three threads take and give twice each, and a fourth lowers the limit.
fn take_and_give() {
    let concurrency = Arc::new(Concurrency::new(LIMIT));
    // Counted without scheduling points: exact, and no help to the counter.
    let running = Arc::new(AtomicU32::new(0));
    let takers = (0..3).map(|_| {
        let (concurrency, running) = (concurrency.clone(), running.clone());
        thread::spawn(move || {
            for _ in 0..2 {
                if concurrency.take().is_ok() {
                    let before = running.fetch_add(1, Ordering::Relaxed);
                    assert!(before < LIMIT, "I15: one more than the limit");
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::Relaxed);
                    concurrency.give();
                }
            }
        })
    });
    let takers: Vec<_> = takers.collect();
    concurrency.set_limit(1);
    takers.into_iter().for_each(|taker| taker.join().unwrap());
    assert_eq!(concurrency.used(), 0, "I15: what ended is still counted");
    concurrency.take().unwrap();
    concurrency.take().unwrap_err();
}

#[test]
fn quo_3_is_exact_in_every_order() {
    explore(2_000, take_and_give);
}

#[test]
fn a_counter_that_counts_in_two_steps_is_found() {
    finds(
        Planted::CountsInTwoSteps,
        2_000,
        &["I15", "more requests ended than began"],
        take_and_give,
    );
}

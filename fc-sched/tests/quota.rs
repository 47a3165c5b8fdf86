//! Accounts' quotas, through the scheduler, in simulated time.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fc_core::{ErrorKind, Retry};
use fc_sched::core::quota::Concurrency;
use support::*;

const SECOND: Duration = Duration::from_secs(1);

/// QUO-2, QUO-4: over all functions of an account, 300 instances at once; the 301st is refused with
/// the time at which it will do, and then does; warm requests are not concerned.
#[tokio::test]
async fn quo_2_the_301st_instance_is_refused_and_five_come_each_second() {
    let world = World::new(|runtime| runtime.run_time(100 * SECOND));
    for name in ["f", "g"] {
        world.deploy(name, |spec| spec.timeout = 200);
    }
    let mut calls: Vec<_> = (0..300).map(|n| world.call(["f", "g"][n % 2], "x")).collect();
    world.settle().await;
    assert_eq!(world.scheduler.account_use(account()).instances, 300);
    let refused = world.err("f").await;
    assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(refused.retry(), Retry::After(Duration::from_millis(200)));
    assert!(refused.message().contains("instances_burst: 1 more over 300 of 300"), "{refused}");
    for _ in 0..3 {
        world.pass(SECOND).await;
        calls.extend((0..5).map(|_| world.call("g", "x")));
        world.settle().await;
        assert_eq!(world.err("g").await.kind(), ErrorKind::ResourceExhausted);
    }
    assert_eq!(world.runtime.witness().starts, 315);
    world.pass(100 * SECOND).await;
    for call in calls {
        assert!(world.finish(call).await.is_ok());
    }
    world.pass(300 * SECOND).await;
    assert_eq!(
        world.scheduler.account_use(account()),
        Default::default(),
        "I18: all is given back"
    );
    world.end().await;
}

/// QUO-1: over all functions of an account, 300 vCPU at once, then 6 more each second, up to 600.
#[tokio::test]
async fn quo_1_300_vcpu_at_once_and_six_more_each_second_up_to_600() {
    let world = World::new(|runtime| runtime.run_time(1_000 * SECOND));
    for name in ["f", "g"] {
        world.deploy(name, |spec| {
            (spec.cpu, spec.memory_size, spec.timeout) = (6.0, 8_192, 2_000);
        });
    }
    let mut calls: Vec<_> = (0..50).map(|n| world.call(["f", "g"][n % 2], "x")).collect();
    world.settle().await;
    assert_eq!(world.scheduler.account_use(account()).cpu_milli, 300_000);
    let refused = world.err("f").await;
    assert_eq!(refused.retry(), Retry::After(SECOND));
    assert!(refused.message().contains("cpu_milli_burst: 6000 more over 300000 of 300000"));
    for second in 1..=50 {
        world.pass(SECOND).await;
        calls.push(world.call("g", "x"));
        world.settle().await;
        let used = world.scheduler.account_use(account()).cpu_milli;
        assert_eq!(used, 300_000 + 6_000 * second, "in second {second}");
    }
    world.pass(100 * SECOND).await;
    let refused = world.err("f").await;
    assert!(refused.message().contains("cpu_milli_max: 6000 more over 600000 of 600000"));
    assert_eq!(refused.retry(), Retry::After(SECOND), "there is no time to name: the kind's own");
    world.pass(1_000 * SECOND).await;
    for call in calls {
        assert!(world.finish(call).await.is_ok());
    }
    world.end().await;
}

/// QUO-4, I18: a start that fails gives its share back.
#[tokio::test]
async fn quo_4_a_failed_start_holds_nothing() {
    let world = World::new(|runtime| runtime.fail_start(1));
    world.deploy("f", |_| {});
    world.err("f").await;
    assert_eq!(world.scheduler.account_use(account()), Default::default());
    world.end().await;
}

#[test]
fn quo_3_on_both_sides_of_the_limit() {
    let concurrency = Concurrency::new(100);
    assert_eq!((0..200).filter(|_| concurrency.take().is_ok()).count(), 100);
    concurrency.set_limit(99);
    concurrency.give();
    assert!(concurrency.take().is_err(), "99 of 99 run");
    concurrency.give();
    assert!(concurrency.take().is_ok());
    assert_eq!(concurrency.used(), 99);
}

/// I15: whoever comes at once, never one more than the limit.
#[test]
fn quo_3_is_exact_with_many_threads() {
    let concurrency = Arc::new(Concurrency::new(7));
    let peak = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (concurrency, peak) = (concurrency.clone(), peak.clone());
            std::thread::spawn(move || {
                let mut granted = 0;
                for _ in 0..20_000 {
                    let held = (0..3).filter(|_| concurrency.take().is_ok()).count();
                    peak.fetch_max(concurrency.used(), Ordering::Relaxed);
                    (0..held).for_each(|_| concurrency.give());
                    granted += held;
                }
                granted
            })
        })
        .collect();
    let granted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(granted > 0 && peak.load(Ordering::Relaxed) <= 7);
    assert_eq!(concurrency.used(), 0);
}

//! Callers that do not read, drivers that hang or panic, shutdowns that run out of time.
#![allow(clippy::unwrap_used)]

mod support;

use fc_core::{Clock, ErrorKind, HookConfig, InstanceLifecycleConfig, Retry};
use fc_testkit::scripted::{Answer, Script};
use support::{Attach, SECOND, World};

/// INV-7, SCH-9: an answer that nobody reads does not hold its slot past the function's time.
#[tokio::test]
async fn inv_7_an_unread_answer_loses_its_slot() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| (spec.timeout, spec.instance_max) = (1, Some(1)));
    let (_feed, call) = world.call_feed("f");
    let unread = world.finish(call).await.unwrap();
    world.pass(2 * SECOND).await;
    let next = world.ok("f").await;
    assert!(next.report.cold, "I17: the instance of the unread answer is not used again");
    drop((unread, next));
    world.end().await;
}

/// INV-7: a stream that always has something more ends at the function's time as well.
#[tokio::test]
async fn inv_7_a_stream_that_never_pauses_is_bounded() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.timeout = 5);
    let (feed, call) = world.call_feed("f");
    let mut body = world.finish(call).await.unwrap().response.into_body();
    for _ in 0..5 {
        feed.send("x".into()).await.unwrap();
        world.settle().await;
        assert!(body.frame().await.unwrap().is_ok());
        world.clock.advance(SECOND);
    }
    feed.send("late".into()).await.unwrap();
    world.settle().await;
    let late = body.frame().await.unwrap().unwrap_err();
    assert_eq!(late.kind(), ErrorKind::FunctionTimeout);
    drop((body, feed));
    world.end().await;
}

/// I4: an error of a function that ran never says that it is safe to run it again.
#[tokio::test]
async fn i_4_nothing_that_ran_is_classed_as_safe() {
    for answer in [Answer::Fail, Answer::Crash, Answer::Never] {
        let world = World::new(|runtime| runtime.answer(answer));
        world.deploy("f", |_| {});
        assert_eq!(world.err("f").await.retry(), Retry::Never, "{answer:?}");
        world.end().await;
    }
}

/// I18, SCH-2: a driver that panics fails its start, and the next request gets a new one.
#[tokio::test]
async fn i_18_a_panic_in_a_driver_costs_one_start() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.instance_max = Some(1));
    *world.network.2.lock() = Attach::Panics;
    let failed = world.err("f").await;
    assert_eq!(failed.kind(), ErrorKind::InternalServerError);
    assert!(failed.message().contains("as the test wants"));
    *world.network.2.lock() = Attach::Works;
    drop(world.ok("f").await);
    world.end().await;
}

/// SCH-9: a driver that hangs has a start's time, not for ever.
#[tokio::test]
async fn sch_9_a_driver_that_hangs_is_given_up() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.instance_max = Some(1));
    *world.network.2.lock() = Attach::Hangs;
    let began = world.clock.now();
    assert_eq!(world.err("f").await.kind(), ErrorKind::FunctionNotStarted);
    assert_eq!(world.clock.now() - began, 120 * SECOND);
    *world.network.2.lock() = Attach::Works;
    drop(world.ok("f").await);
    world.end().await;
}

/// SCH-2, SCH-3: clients that leave while the function is at its maximum owe nothing afterwards.
#[tokio::test]
async fn sch_2_cancellations_under_saturation_start_nothing_later() {
    let world = World::new(|runtime| runtime.answer(Answer::Never));
    world.deploy("f", |spec| (spec.instance_max, spec.timeout) = (Some(1), 600));
    let mut running = world.call("f", "x");
    world.settle().await;
    for _ in 0..20 {
        let waiting = world.call("f", "x");
        world.settle().await;
        running.abort();
        world.settle().await;
        running = waiting;
    }
    running.abort();
    world.settle().await;
    let starts = world.runtime.witness().starts;
    world.pass(3_600 * SECOND).await;
    assert_eq!(world.runtime.witness().starts, starts, "a debt was kept");
    world.end().await;
}

/// I18, I28: at the deadline a shutdown waits for no hook, no driver and no reader.
#[tokio::test]
async fn i_28_a_shutdown_keeps_its_deadline() {
    let world = World::new(|runtime| runtime);
    let slow = Script { hook_time: 60 * SECOND, ..Script::default() };
    world.runtime.set_function("hooked", slow);
    world.deploy("hooked", |spec| {
        let hook = Some(HookConfig { handler: "h".into(), timeout: 90 });
        spec.instance_lifecycle_config =
            Some(InstanceLifecycleConfig { pre_stop: hook, ..Default::default() });
    });
    world.deploy("unread", |spec| spec.timeout = 600);
    world.deploy("hanging", |_| {});
    drop(world.ok("hooked").await);
    let (_feed, call) = world.call_feed("unread");
    let unread = world.finish(call).await.unwrap();
    *world.network.2.lock() = Attach::Hangs;
    let hanging = world.call("hanging", "x");
    world.settle().await;
    let (scheduler, by) = (world.scheduler.clone(), world.clock.now() + SECOND);
    let shutdown = tokio::spawn(async move { scheduler.shutdown(by).await });
    world.finish(shutdown).await;
    assert_eq!(world.clock.now(), by);
    world.nothing_left_but_requests();
    world.finish(hanging).await.unwrap_err();
    drop(unread);
    world.settle().await;
    world.nothing_left();
}

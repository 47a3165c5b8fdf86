//! What an account may run at once, what is reserved, and what waits (QUO-2, QUO-3, SCH-10).
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Blame, Clock, Error, ErrorKind, FunctionName, Retry};
use fc_sched::core::quota::{AccountQuota, PooledQuota};
use fc_sched::{Node, Policies, SchedulerConfig};
use fc_testkit::ScriptedRuntime;
use fc_testkit::scripted::{Answer, Script};
use support::{Decisions, SECOND, World, account, config};

fn world(
    quota: Option<AccountQuota>,
    wait_for_quota: bool,
    script: fn(ScriptedRuntime) -> ScriptedRuntime,
) -> World {
    let policies = Policies { freeze_after: None, wait_for_quota, ..Policies::default() };
    let base = config(policies, &Arc::new(Decisions::default()));
    let config = SchedulerConfig { account_quota: quota, ..base };
    World::with_config(config, script, |runtime| vec![Node::local(vec![runtime]).unwrap()])
}

fn at_once(limit: u32) -> AccountQuota {
    AccountQuota { concurrency: Some(limit), ..AccountQuota::function_compute() }
}

fn in_all(instances: u64) -> AccountQuota {
    let instances = PooledQuota { max: Some(instances), burst: 300, per_minute: 300 };
    AccountQuota { instances, ..AccountQuota::function_compute() }
}

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

fn assert_exceeds(error: &Error, what: &str) {
    assert_eq!((error.kind(), error.blame()), (ErrorKind::ResourceExhausted, Blame::Caller));
    assert!(matches!(error.retry(), Retry::After(_)), "{error:?}");
    assert!(error.message().contains(what), "{error}");
}

fn tens(script: ScriptedRuntime) -> ScriptedRuntime {
    script.run_time(10 * SECOND)
}

fn never(script: ScriptedRuntime) -> ScriptedRuntime {
    script.answer(Answer::Never)
}

/// QUO-3, QUO-4: 100 requests at once over all functions of an account; the 101st is refused with
/// the quota, its limit and its use, and never runs; another account is not concerned.
#[tokio::test]
async fn quo_3_the_101st_request_at_once_is_refused() {
    let world = world(Some(AccountQuota::function_graph()), false, tens);
    for name in ["f", "g"] {
        world.deploy(name, |spec| (spec.timeout, spec.instance_concurrency) = (60, 20));
    }
    let other = fc_core::AccountId::new("2").unwrap();
    world.deploy_for(other, "theirs", |spec| spec.timeout = 60);
    let calls: Vec<_> = (0..100).map(|n| world.call(["f", "g"][n % 2], "x")).collect();
    world.settle().await;
    let began = world.clock.now();
    for name in ["f", "g"] {
        let refused = world.err(name).await;
        assert_exceeds(&refused, "account quota concurrency_max: 1 more over 100 of 100");
    }
    assert_eq!(world.clock.now(), began, "at once");
    assert_eq!(world.runtime.witness().requests, 100, "I4");
    let theirs = world.call("theirs", "x");
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    drop(world.finish(theirs).await.unwrap());
    drop(world.ok("f").await);
    world.end().await;
}

/// QUO-3: a request that waits for its instance counts, and so does an answer until its last byte.
#[tokio::test]
async fn quo_3_a_request_counts_until_its_answer_is_read() {
    let world = world(Some(at_once(1)), false, |runtime| runtime.start_delay(SECOND));
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (60, 10));
    let waiting = world.call("f", "x");
    world.settle().await;
    assert_exceeds(&world.err("f").await, "1 of 1");
    drop(world.finish(waiting).await.unwrap());
    let (feed, call) = world.call_feed("f");
    let reply = world.finish(call).await.unwrap();
    assert_exceeds(&world.err("f").await, "1 of 1");
    drop(feed);
    let read = tokio::spawn(reply.response.into_body().read(100));
    world.finish(read).await.unwrap();
    drop(world.ok("f").await);
    world.end().await;
}

/// QUO-3, I18: clients that leave, at whatever point, failures and time-outs give theirs back.
#[tokio::test]
async fn quo_3_whatever_ends_a_request_gives_its_share_back() {
    let world = world(Some(at_once(1)), false, |runtime| runtime.start_delay(SECOND));
    world.deploy("f", |spec| spec.timeout = 5);
    let leaves = world.call("f", "x");
    world.settle().await;
    leaves.abort();
    world.settle().await;
    world.pass(2 * SECOND).await;
    for answer in [Answer::Fail, Answer::Crash, Answer::Never] {
        world.runtime.set_function("f", Script { answer, ..Script::default() });
        let failed = world.err("f").await;
        assert_ne!(failed.kind(), ErrorKind::ResourceExhausted, "{answer:?}: {failed}");
    }
    let leaves = world.call("f", "x");
    world.settle().await;
    assert_eq!(world.runtime.witness().running(), 1);
    leaves.abort();
    world.settle().await;
    world.runtime.set_function("f", Script::default());
    let (_feed, call) = world.call_feed("f");
    let unread = world.finish(call).await.unwrap();
    drop(unread);
    world.settle().await;
    drop(world.ok("f").await);
    world.end().await;
}

/// QUO-3, I15: another limit holds at once, whatever runs; what runs over it goes on.
#[tokio::test]
async fn quo_3_a_lowered_limit_holds_at_once() {
    let world = world(Some(AccountQuota::function_compute()), false, tens);
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (60, 10));
    let calls: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    world.scheduler.set_account_quota(account(), at_once(2)).unwrap();
    assert_exceeds(&world.err("f").await, "1 more over 3 of 2");
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    let mut calls: Vec<_> = (0..2).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    assert_exceeds(&world.err("f").await, "1 more over 2 of 2");
    world.scheduler.set_account_quota(account(), AccountQuota::function_compute()).unwrap();
    calls.extend((0..8).map(|_| world.call("f", "x")));
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    world.end().await;
}

/// QUO-1, I15: a lowered total holds for the next instance, and what is held over it stays.
#[tokio::test]
async fn quo_1_a_lowered_total_stops_new_instances() {
    let world = world(Some(in_all(10)), false, tens);
    world.deploy("f", |spec| spec.timeout = 60);
    let calls: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    world.scheduler.set_account_quota(account(), in_all(2)).unwrap();
    assert_exceeds(&world.err("f").await, "instances_max: 1 more over 3 of 2");
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    world.scheduler.set_account_quota(account(), in_all(20)).unwrap();
    let calls: Vec<_> = (0..4).map(|_| world.call("f", "x")).collect();
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    world.end().await;
}

/// QUO-3, SCH-10: what is reserved for a function is kept free for it, and is all that it may have.
#[tokio::test]
async fn quo_3_a_reservation_is_kept_free_and_is_a_maximum() {
    let world = world(Some(in_all(4)), false, never);
    for name in ["f", "g"] {
        world.deploy(name, |spec| spec.timeout = 600);
    }
    world.scheduler.reserve(account(), &name("f"), Some(2)).unwrap();
    let too_much = world.scheduler.reserve(account(), &name("g"), Some(3)).unwrap_err();
    assert_exceeds(&too_much, "reserved_instances_max: 3 more over 2 of 4");
    let mut calls: Vec<_> = (0..2).map(|_| world.call("g", "x")).collect();
    world.settle().await;
    assert_exceeds(&world.err("g").await, "unreserved_instances_max: 1 more over 2 of 2");
    calls.extend((0..2).map(|_| world.call("f", "x")));
    world.settle().await;
    assert_eq!(world.runtime.witness().running(), 4, "g could not take what is f's");
    assert_exceeds(&world.err("f").await, "reserved_instances_max: 1 more over 2 of 2");
    calls.pop().unwrap().abort();
    world.settle().await;
    assert_exceeds(&world.err("g").await, "unreserved_instances_max: 1 more over 2 of 2");
    world.scheduler.reserve(account(), &name("f"), None).unwrap();
    calls.push(world.call("g", "x"));
    world.settle().await;
    assert_eq!(world.runtime.witness().running(), 4, "what is not reserved any more is g's too");
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    world.settle().await;
    world.end().await;
}

/// QUO-3: a reservation of 0 stops the function, and what it had; a request that runs is not cut.
#[tokio::test]
async fn quo_3_a_reservation_of_0_stops_the_function() {
    let world = world(Some(in_all(4)), false, tens);
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (60, 10));
    let running = world.call("f", "x");
    world.settle().await;
    world.scheduler.reserve(account(), &name("f"), Some(0)).unwrap();
    assert_exceeds(&world.err("f").await, "reserved_instances_max");
    drop(world.finish(running).await.unwrap());
    world.settle().await;
    assert_eq!(world.runtime.witness().live(), 0);
    assert_exceeds(&world.err("f").await, "reserved_instances_max: 1 more over 0 of 0");
    assert_eq!(world.runtime.witness().requests, 1);
    world.scheduler.reserve(account(), &name("f"), None).unwrap();
    drop(world.ok("f").await);
    world.end().await;
}

/// QUO-3: where accounts have no quota, none is accepted.
#[tokio::test]
async fn quo_3_without_quotas_none_is_accepted() {
    let world = world(None, false, tens);
    let refused = [
        world.scheduler.set_account_quota(account(), at_once(1)).unwrap_err(),
        world.scheduler.reserve(account(), &name("f"), Some(1)).unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.kind(), ErrorKind::PreconditionFailed);
        assert!(refused.message().contains("account_quota"), "{refused}");
    }
    world.end().await;
}

/// QUO-2: a platform may let requests wait for the growth instead of refusing them: the 301st is
/// served after 200 ms, the 302nd after 400.
#[tokio::test]
async fn quo_2_a_request_may_wait_for_the_growth() {
    let world = world(Some(AccountQuota::function_compute()), true, tens);
    world.deploy("f", |spec| spec.timeout = 60);
    world.deploy("g", |spec| spec.timeout = 60);
    let calls: Vec<_> = (0..300).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    let waiting: Vec<_> = (0..2).map(|_| world.call("g", "x")).collect();
    for (step, starts) in [(199, 300), (1, 301), (199, 301), (1, 302)] {
        world.pass(Duration::from_millis(step)).await;
        assert_eq!(world.runtime.witness().starts, starts, "I15");
    }
    for (call, millis) in waiting.into_iter().zip([200, 400]) {
        let served = world.finish(call).await.unwrap();
        assert_eq!(served.report.waited, Duration::from_millis(millis));
        drop(served);
    }
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    world.end().await;
}

/// QUO-1, SCH-9: who waits for a total gets it when something is given back, or the quota's error.
#[tokio::test]
async fn quo_1_a_request_may_wait_for_a_total() {
    let world = world(Some(in_all(1)), true, tens);
    for name in ["f", "g"] {
        world.deploy(name, |spec| spec.timeout = 60);
    }
    let running = world.call("f", "x");
    world.pass(5 * SECOND).await;
    let waiting = world.call("g", "x");
    drop(world.finish(running).await.unwrap());
    world.settle().await;
    let late = world.call("f", "x");
    world.settle().await;
    let began = world.clock.now();
    let refused = world.finish(late).await.unwrap_err();
    assert_exceeds(&refused, "instances_max: 1 more over 1 of 1");
    assert_eq!(world.clock.now() - began, 10 * SECOND, "capacity_wait_ms_max");
    let served = world.finish(waiting).await.unwrap();
    assert_eq!(served.report.waited, 5 * SECOND, "f's idle instance gave way");
    assert_eq!(world.runtime.witness().peak_live, 1);
    drop(served);
    world.end().await;
}

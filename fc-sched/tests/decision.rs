//! Why each invocation went where it went: exactly one decision each (OBS-6).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fc_core::{ErrorKind, FunctionName, Limits, Qualifier, VersionId};
use fc_sched::core::WaitsFor;
use fc_sched::core::policy::ProvisionConfig;
use fc_sched::core::quota::AccountQuota;
use fc_sched::{Policies, SchedulerConfig};
use fc_testkit::ScriptedRuntime;
use fc_testkit::scripted::{Answer, Script};
use support::{Decided, Decisions, Got, SECOND, World, config, node};

fn world(
    change: impl FnOnce(&mut SchedulerConfig),
    script: fn(ScriptedRuntime) -> ScriptedRuntime,
    room: u32,
) -> (World, Arc<Decisions>) {
    let decisions = Arc::new(Decisions::default());
    let policies = Policies { freeze_after: None, ..Policies::default() };
    let mut config = config(policies, &decisions);
    change(&mut config);
    let nodes = |runtime: Arc<ScriptedRuntime>| vec![node("n1", "a", room, &runtime)];
    (World::with_config(config, script, nodes), decisions)
}

/// Two seconds to start, one to run.
fn slow(script: ScriptedRuntime) -> ScriptedRuntime {
    script.start_delay(2 * SECOND).run_time(SECOND)
}

/// What a slot cost: cold, the start's time, the wait, and for what.
fn slot(decided: &Decided) -> (bool, u64, u64, Option<WaitsFor>) {
    match &decided.got {
        Got::Slot { node, cold, initialized, .. } => {
            assert_eq!(node, "n1");
            (*cold, initialized.as_secs(), decided.waited.as_secs(), decided.waited_for)
        }
        refused => panic!("{refused:?}"),
    }
}

fn assert_refused(decided: &Decided, of_kind: ErrorKind, with: &str) {
    match &decided.got {
        Got::Refused { kind, message } => {
            assert_eq!(*kind, of_kind, "{message}");
            assert!(message.contains(with), "{message}");
        }
        slot => panic!("{slot:?}"),
    }
}

/// OBS-6: a cold request says that it waited for the first instance, for another, or for one that
/// was starting anyway; a warm one waited for nothing.
#[tokio::test]
async fn obs_6_why_a_request_was_cold() {
    let (world, decisions) = world(|_| {}, slow, 10);
    world.deploy("f", |spec| spec.instance_concurrency = 2);
    let first = world.call("f", "x");
    world.settle().await;
    world.pass(SECOND).await;
    let joins = world.call("f", "x");
    world.settle().await;
    world.pass(SECOND + SECOND / 2).await;
    let another = world.call("f", "x");
    for call in [first, joins, another] {
        drop(world.finish(call).await.unwrap());
    }
    drop(world.ok("f").await);
    let seen: Vec<_> = decisions.0.lock().iter().map(slot).collect();
    let expected = [
        (true, 2, 2, Some(WaitsFor::FirstInstance)),
        (true, 2, 1, Some(WaitsFor::Start)),
        // It was served by the first instance as soon as that had a slot: that was sooner.
        (false, 2, 0, Some(WaitsFor::AnotherInstance)),
        (false, 2, 0, None),
    ];
    assert_eq!(seen, expected);
    let instances: Vec<_> = decisions.0.lock().iter().map(|each| each.got.clone()).collect();
    let Got::Slot { instance, .. } = &instances[0] else { panic!("{instances:?}") };
    assert!(world.runtime.witness().instances.contains_key(instance));
    world.end().await;
}

/// OBS-6, SCH-7: a frozen instance was thawed for the request.
#[tokio::test]
async fn obs_6_a_thaw_is_no_cold_start() {
    let (world, decisions) = world(|it| it.policies.freeze_after = Some(SECOND), slow, 10);
    world.deploy("f", |_| {});
    drop(world.ok("f").await);
    world.pass(10 * SECOND).await;
    drop(world.ok("f").await);
    assert_eq!(slot(&decisions.last()), (false, 2, 0, Some(WaitsFor::Thaw)));
    world.end().await;
}

/// OBS-6, SCH-10: at its maximum a function's requests wait for a slot; too long, and the decision
/// says so, with the wait.
#[tokio::test]
async fn obs_6_a_request_that_waited_for_a_slot() {
    let (world, decisions) = world(|_| {}, |script| script.run_time(8 * SECOND), 10);
    world.deploy("f", |spec| (spec.timeout, spec.instance_max) = (60, Some(1)));
    let running = world.call("f", "x");
    world.pass(SECOND).await;
    let served = world.call("f", "x");
    world.settle().await;
    let throttled = world.call("f", "x");
    for call in [running, served] {
        drop(world.finish(call).await.unwrap());
    }
    assert!(world.finish(throttled).await.is_err());
    let seen = decisions.0.lock().clone();
    assert_eq!(seen.len(), 3);
    assert_eq!(slot(&seen[1]), (false, 0, 7, Some(WaitsFor::Slot)));
    assert_refused(&seen[2], ErrorKind::ResourceExhausted, "at most 1 (instance_max)");
    assert_eq!((seen[2].waited, seen[2].waited_for), (10 * SECOND, Some(WaitsFor::Slot)));
    world.end().await;
}

/// OBS-6, QUO-4: a refusal names the quota or the limit, its value and its use.
#[tokio::test]
async fn obs_6_a_refusal_says_by_what() {
    let quota = AccountQuota { concurrency: Some(3), ..AccountQuota::function_compute() };
    let mut quota = quota;
    quota.instances.max = Some(1);
    let change = |it: &mut SchedulerConfig| {
        it.account_quota = Some(quota);
        it.limits = Limits { waiting_per_function_max: 1, ..Limits::function_compute() };
    };
    let (world, decisions) = world(change, |script| script.run_time(SECOND), 10);
    world.deploy("f", |spec| spec.instance_max = Some(1));
    world.deploy("g", |_| {});
    world.deploy("off", |spec| spec.instance_max = Some(0));
    let mut calls = vec![world.call("f", "x")];
    world.settle().await;
    world.err("g").await;
    let exhausted = ErrorKind::ResourceExhausted;
    assert_refused(&decisions.last(), exhausted, "instances_max: 1 more over 1 of 1");
    assert_eq!(decisions.last().waited, Duration::ZERO);
    world.err("off").await;
    assert_refused(&decisions.last(), exhausted, "instance_max is 0");
    calls.push(world.call("f", "x"));
    world.settle().await;
    world.err("f").await;
    assert_refused(&decisions.last(), exhausted, "1 requests wait");
    world
        .scheduler
        .set_account_quota(support::account(), AccountQuota { concurrency: Some(2), ..quota })
        .unwrap();
    world.err("f").await;
    assert_refused(&decisions.last(), exhausted, "concurrency_max: 1 more over 2 of 2");
    assert_eq!(decisions.last().waited_for, None);
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    assert_eq!(decisions.0.lock().len(), 6);
    world.end().await;
}

/// OBS-6, NOD-1: a request for which there was no room says how long it waited, and for what the
/// nodes have too little.
#[tokio::test]
async fn obs_6_a_request_without_room() {
    let (world, decisions) = world(|_| {}, |script| script.run_time(30 * SECOND), 1);
    world.deploy("f", |spec| spec.timeout = 60);
    let running = world.call("f", "x");
    world.settle().await;
    world.err("f").await;
    assert_refused(&decisions.last(), ErrorKind::ResourceThrottled, "no node has room");
    let last = decisions.last();
    assert_eq!((last.waited, last.waited_for), (10 * SECOND, Some(WaitsFor::AnotherInstance)));
    drop(world.finish(running).await.unwrap());
    world.end().await;
}

/// OBS-6: an error that is over does not explain a later wait for something else.
#[tokio::test]
async fn obs_6_a_reason_that_is_over_is_not_given_again() {
    let (world, decisions) = world(|_| {}, |script| script.answer(Answer::Never), 1);
    world.deploy("f", |spec| spec.timeout = 600);
    let running = world.call("f", "x");
    world.settle().await;
    world.err("f").await;
    assert_refused(&decisions.last(), ErrorKind::ResourceThrottled, "no node has room");
    let only_provisioned = ProvisionConfig {
        default_target: 1,
        on_demand_disabled: true,
        ..ProvisionConfig::default()
    };
    let name = FunctionName::new("f").unwrap();
    let latest = Qualifier::Version(VersionId::LATEST);
    world.scheduler.provision(support::account(), &name, &latest, only_provisioned).unwrap();
    world.err("f").await;
    assert_refused(&decisions.last(), ErrorKind::ResourceExhausted, "waited 10000 ms");
    running.abort();
    world.settle().await;
    world.end().await;
}

/// OBS-6: whatever becomes of them, as many decisions as invocations, each of its own request.
#[tokio::test]
async fn obs_6_exactly_one_decision_for_each_invocation() {
    let (world, decisions) = world(|_| {}, slow, 2);
    world.deploy("f", |spec| spec.timeout = 60);
    world.deploy("fails", |spec| spec.timeout = 60);
    let failing = Script { start_failures: u32::MAX, ..Script::default() };
    world.runtime.set_function("fails", failing);
    let mut calls = Vec::new();
    for round in 0..10 {
        calls.extend((0..3).map(|_| world.call("f", "x")));
        calls.push(world.call("fails", "x"));
        let leaves = world.call("f", "x");
        world.settle().await;
        leaves.abort();
        world.pass(SECOND * (round % 3)).await;
    }
    for call in calls {
        let _ = world.finish(call).await;
    }
    let mut seen: HashMap<_, u32> = HashMap::new();
    for decided in decisions.0.lock().iter() {
        *seen.entry(decided.request_id).or_default() += 1;
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    world.end().await;
}

/// OBS-6: a caller who leaves while it waits is on record as well.
#[tokio::test]
async fn obs_6_a_caller_who_leaves() {
    let (world, decisions) = world(|_| {}, slow, 2);
    world.deploy("f", |_| {});
    let leaves = world.call("f", "x");
    world.pass(SECOND).await;
    leaves.abort();
    world.settle().await;
    let last = decisions.last();
    assert_refused(&last, ErrorKind::ClientClosedRequest, "left while it waited");
    assert_eq!((last.waited, last.waited_for), (SECOND, Some(WaitsFor::FirstInstance)));
    world.pass(10 * SECOND).await;
    drop(world.ok("f").await);
    assert_eq!(decisions.0.lock().len(), 2);
    world.end().await;
}

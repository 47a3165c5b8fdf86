//! What may happen at once, and what must hold whatever comes first.

use std::time::Duration;

use fc_core::{Clock, FunctionName, FunctionSpec, Instant, NodeId, Qualifier};
use shuttle::future::block_on;

use crate::core::policy::ProvisionConfig;
use crate::core::quota::{AccountQuota, PooledQuota};
use crate::sync::Planted;
use crate::world::{World, account, node};
use crate::{explore, finds};

/// Schedules of each scenario under each of the two schedulers.
const SCHEDULES: usize = 200;

/// Schedules within which a planted bug must be found.
const HUNT: usize = 5_000;

/// One instance at most, one request at a time.
fn narrow(spec: &mut FunctionSpec) {
    (spec.instance_concurrency, spec.instance_max) = (1, Some(1));
}

/// Two requests at a time in each of two instances.
fn wide(spec: &mut FunctionSpec) {
    (spec.instance_concurrency, spec.instance_max) = (2, Some(2));
}

fn id(node: &str) -> NodeId {
    NodeId::new(node).unwrap()
}

/// Callers that stay get their answers, though one leaves whenever it likes (SCH-2, INV-8).
fn a_caller_leaves(spec: fn(&mut FunctionSpec)) {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, spec);
        let leaving = world.call("f", "x");
        let staying = [world.call("f", "stream"), world.call("f", "x")];
        world.leaves(leaving).await;
        for call in staying {
            call.await.unwrap().unwrap();
        }
        world.end().await;
    });
}

/// Requests that were accepted are served when their version is retired, and its pool goes (INV-10).
fn a_version_is_retired() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, wide);
        let calls = [world.call("f", "x"), world.call("f", "stream"), world.call("f", "x")];
        let retired = world.spawn(|world| {
            let old = world.deploy("f", 2, wide).unwrap();
            world.scheduler.retire(&old);
        });
        retired.await.unwrap();
        let late = world.call("f", "x");
        for call in calls.into_iter().chain([late]) {
            call.await.unwrap().unwrap();
        }
        world.forgotten(1).await;
        world.end().await;
    });
}

/// A start that fails answers those it was for, and is not in the way of others.
fn a_start_fails() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, narrow);
        world.seen.lock().failing_starts = 1;
        let calls = [world.call("f", "x"), world.call("f", "x"), world.call("f", "x")];
        for call in calls {
            // Which of them it fails depends on the order.
            let _ = call.await.unwrap();
        }
        world.call("f", "x").await.unwrap().unwrap();
        world.end().await;
    });
}

/// An instance that crashes under a request costs that request and those beside it.
fn an_instance_crashes() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, |spec| {
            (spec.instance_concurrency, spec.instance_max) = (2, Some(1));
        });
        let crash = world.call("f", "crash");
        let others = [world.call("f", "x"), world.call("f", "x")];
        crash.await.unwrap().unwrap_err();
        for call in others {
            let _ = call.await.unwrap();
        }
        world.call("f", "x").await.unwrap().unwrap();
        world.end().await;
    });
}

/// A node is lost, the other is emptied, a third comes: who waits is served there (NOD-5).
fn nodes_go() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, narrow);
        let calls = [world.call("f", "x"), world.call("f", "x")];
        let lost = world.spawn(|world| {
            world.scheduler.lose_node(&id("a")).unwrap();
            world.seen.lock().node_lost("a");
        });
        let others = world.spawn(|world| {
            world.scheduler.drain_node(&id("b")).unwrap();
            world.scheduler.add_node(node("c", &world.seen)).unwrap();
        });
        for call in calls {
            // The node may be lost under it.
            let _ = call.await.unwrap();
        }
        lost.await.unwrap();
        others.await.unwrap();
        world.call("f", "x").await.unwrap().unwrap();
        world.end().await;
    });
}

/// The account's quota changes while two functions want what is there for one (QUO-1, QUO-3).
fn the_quota_changes() {
    block_on(async {
        let none = AccountQuota {
            instances: PooledQuota { max: Some(1), burst: 100, per_minute: 100 },
            concurrency: Some(2),
            ..AccountQuota::function_compute()
        };
        let world = World::with(none, |policies| {
            (policies.freeze_after, policies.wait_for_quota) = (None, true);
        });
        world.deploy("f", 1, narrow);
        world.deploy("g", 2, narrow);
        let calls = [world.call("f", "x"), world.call("g", "x"), world.call("f", "x")];
        let raised = world.spawn(move |world| {
            let zero = PooledQuota { max: Some(0), ..none.instances };
            let closed = AccountQuota { instances: zero, concurrency: Some(0), ..none };
            world.scheduler.set_account_quota(account(), closed).unwrap();
            let two = PooledQuota { max: Some(2), ..none.instances };
            let open = AccountQuota { instances: two, concurrency: Some(3), ..none };
            world.scheduler.set_account_quota(account(), open).unwrap();
        });
        for call in calls {
            // Refused, where as many ran as may.
            let _ = call.await.unwrap();
        }
        raised.await.unwrap();
        world.call("g", "x").await.unwrap().unwrap();
        world.end().await;
    });
}

fn provision(world: &World, target: u32) {
    let config = ProvisionConfig { default_target: target, ..ProvisionConfig::default() };
    let name = FunctionName::new("f").unwrap();
    world.scheduler.provision(account(), &name, &Qualifier::default(), config).unwrap();
}

/// A shutdown that waits for whatever was accepted.
fn a_shutdown_waits() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, narrow);
        world.deploy("g", 2, wide);
        let calls = [world.call("f", "x"), world.call("f", "stream"), world.call("g", "x")];
        world.shutdown(Instant::MAX).await;
        for call in calls {
            // Refused, if it came late.
            let _ = call.await.unwrap();
        }
        world.nothing_left();
    });
}

/// A shutdown that has no time: what runs is cut, and nothing is left.
fn a_shutdown_cuts() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, narrow);
        let calls = [world.call("f", "x"), world.call("f", "stream"), world.call("f", "x")];
        world.shutdown(world.clock.now()).await;
        for call in calls {
            let _ = call.await.unwrap();
        }
        world.nothing_left();
    });
}

/// Time takes CPU from what idles, stops it, and cuts what runs too long, while calls come.
fn time_passes() {
    block_on(async {
        let quota = AccountQuota::function_compute();
        let world = World::with(quota, |policies| {
            policies.freeze_after = Some(Duration::from_secs(1));
        });
        world.deploy("f", 1, narrow);
        let first = world.call("f", "x");
        let passing = world.spawn(|world| {
            for step in [2, 1, 300] {
                world.clock.advance(Duration::from_secs(step));
                shuttle::thread::yield_now();
            }
        });
        let second = world.call("f", "x");
        let _ = first.await.unwrap();
        let _ = second.await.unwrap();
        passing.await.unwrap();
        // A start that was under way may have run out of time, and fails those who joined it.
        let _ = world.call("f", "x").await.unwrap();
        world.call("f", "x").await.unwrap().unwrap();
        world.end().await;
    });
}

/// A shutdown while instances are being provisioned.
fn a_shutdown_meets_a_provision() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, wide);
        let provisioned = world.spawn(|world| provision(world, 2));
        let call = world.call("f", "x");
        world.shutdown(Instant::MAX).await;
        let _ = call.await.unwrap();
        provisioned.await.unwrap();
        world.nothing_left();
    });
}

/// Provisioned instances come and go with their configuration while calls run (SCH-4).
fn provisions_change() {
    block_on(async {
        let world = World::new();
        world.deploy("f", 1, wide);
        let calls = [world.call("f", "x"), world.call("f", "x")];
        let changes = world.spawn(|world| {
            provision(world, 2);
            let old = world.deploy("f", 2, wide).unwrap();
            world.scheduler.retire(&old);
            provision(world, 0);
        });
        for call in calls {
            call.await.unwrap().unwrap();
        }
        changes.await.unwrap();
        world.end().await;
    });
}

macro_rules! tests {
    ($($name:ident: $scenario:expr;)*) => {
        $(
            #[test]
            fn $name() {
                explore(SCHEDULES, $scenario);
            }
        )*
    };
}

tests! {
    inv_8_a_caller_leaves_one_instance: || a_caller_leaves(narrow);
    inv_8_a_caller_leaves_instances_that_serve_others: || a_caller_leaves(wide);
    inv_10_a_version_is_retired: a_version_is_retired;
    sch_2_a_start_fails: a_start_fails;
    i17_an_instance_crashes: an_instance_crashes;
    nod_5_nodes_go: nodes_go;
    quo_1_the_quota_changes: the_quota_changes;
    i18_a_shutdown_waits: a_shutdown_waits;
    i18_a_shutdown_cuts: a_shutdown_cuts;
    i18_a_shutdown_meets_a_provision: a_shutdown_meets_a_provision;
    sch_3_time_passes: time_passes;
    sch_4_provisions_change: provisions_change;
}

#[test]
fn an_instance_that_stays_on_a_lost_node_is_found() {
    finds(Planted::KeepsLost, HUNT, &["I17"], nodes_go);
}

#[test]
fn a_pool_that_opens_during_a_shutdown_is_found() {
    finds(Planted::OpensPoolLate, HUNT, &["I18", "deadlock"], a_shutdown_waits);
}

#[test]
fn a_wake_up_that_is_lost_is_found() {
    finds(Planted::ListensLate, HUNT, &["deadlock"], a_shutdown_waits);
}

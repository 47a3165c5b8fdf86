//! Nodes that are full, that drain, grow old or are lost (NOD-1 to NOD-5), in simulated time.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    AccountId, Blame, Clock, ErrorKind, FunctionName, Instant, Isolation, NodeId, Qualifier, Reply,
    Resources, Retry, RuntimeKind,
};
use fc_sched::core::placement::{Cluster, ClusterRules, Demand, NodeSpec, Spread, Tenancy, Zone};
use fc_sched::core::policy::ProvisionConfig;
use fc_sched::{Needs, NeedsOf, Node, Policies};
use fc_testkit::ScriptedRuntime;
use fc_testkit::scripted::{Answer, Script};
use support::{Decisions, SECOND, World, config, node, node_spec};

type Edit = fn(ScriptedRuntime) -> ScriptedRuntime;

fn still() -> Policies {
    Policies { freeze_after: None, ..Policies::default() }
}

/// A world of nodes (id, zone, instances of the default size).
fn world(
    policies: Policies,
    script: Edit,
    nodes: &'static [(&'static str, &'static str, u32)],
) -> (World, Arc<Decisions>) {
    let decisions = Arc::new(Decisions::default());
    let make = |runtime: Arc<ScriptedRuntime>| {
        nodes.iter().map(|(id, zone, room)| node(id, zone, *room, &runtime)).collect()
    };
    (World::with_config(config(policies, &decisions), script, make), decisions)
}

fn id(id: &str) -> NodeId {
    NodeId::new(id).unwrap()
}

fn node_ids(world: &World) -> Vec<String> {
    let mut ids: Vec<_> = world.scheduler.nodes().iter().map(|each| each.id.to_string()).collect();
    ids.sort();
    ids
}

fn held(world: &World) -> BTreeMap<String, u32> {
    world.scheduler.nodes().iter().map(|each| (each.id.to_string(), each.instances)).collect()
}

fn seconds(script: ScriptedRuntime) -> ScriptedRuntime {
    script.run_time(SECOND)
}

fn half_minutes(script: ScriptedRuntime) -> ScriptedRuntime {
    script.run_time(30 * SECOND)
}

/// NOD-1, NOD-4: a function's instances are spread over the zones, and packed within them.
#[tokio::test]
async fn nod_4_instances_are_spread_over_zones() {
    let nodes = &[("a1", "a", 4), ("a2", "a", 4), ("b1", "b", 4), ("b2", "b", 4)];
    let (world, _) = world(still(), seconds, nodes);
    world.deploy("f", |_| {});
    let calls: Vec<_> = (0..8).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    let held = held(&world);
    assert_eq!((held["a1"] + held["a2"], held["b1"] + held["b2"]), (4, 4), "{held:?}");
    assert_eq!(held.values().filter(|count| **count == 4).count(), 2, "NOD-1: packed: {held:?}");
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    world.end().await;
}

/// NOD-1, SCH-9: on full nodes a request waits its time, then is told that the platform is to blame
/// and when to come back.
#[tokio::test]
async fn nod_1_full_nodes_throttle_after_the_wait() {
    let (world, _) = world(still(), half_minutes, &[("a1", "a", 1), ("b1", "b", 1)]);
    world.deploy("f", |spec| spec.timeout = 60);
    let running = [world.call("f", "x"), world.call("f", "x")];
    world.settle().await;
    let began = world.clock.now();
    let refused = world.err("f").await;
    assert_eq!((refused.kind(), refused.blame()), (ErrorKind::ResourceThrottled, Blame::Platform));
    assert!(matches!(refused.retry(), Retry::After(_)), "{refused:?}");
    assert!(refused.message().contains("no node has room"), "{refused}");
    let most = Duration::from_millis(world.limits.capacity_wait_ms_max);
    assert_eq!(world.clock.now() - began, most);
    for call in running {
        drop(world.finish(call).await.unwrap());
    }
    assert_eq!(world.runtime.witness().requests, 2, "I4: what was refused did not run");
    world.end().await;
}

/// NOD-1, SCH-9: room that comes free, of another function, serves who waits.
#[tokio::test]
async fn nod_1_a_freed_place_serves_the_waiter() {
    let (world, _) = world(still(), seconds, &[("a1", "a", 1)]);
    world.deploy("f", |_| {});
    world.deploy("g", |_| {});
    let running = world.call("f", "x");
    world.settle().await;
    let waiting = world.call("g", "x");
    drop(world.finish(running).await.unwrap());
    let served = world.finish(waiting).await.unwrap();
    assert_eq!(served.report.waited, SECOND, "f's idle instance gave way at once");
    assert_eq!(world.runtime.witness().peak_live, 1, "never more than the node holds");
    drop(served);
    world.end().await;
}

/// NOD-1: a node that is added serves who waits, at once.
#[tokio::test]
async fn nod_1_an_added_node_serves_the_waiter() {
    let (world, decisions) = world(still(), half_minutes, &[("a1", "a", 1)]);
    world.deploy("f", |spec| spec.timeout = 60);
    let running = world.call("f", "x");
    world.settle().await;
    let waiting = world.call("f", "x");
    world.pass(2 * SECOND).await;
    world.scheduler.add_node(node("b1", "b", 1, &world.runtime)).unwrap();
    let again = world.scheduler.add_node(node("b1", "b", 1, &world.runtime)).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    let served = world.finish(waiting).await.unwrap();
    assert_eq!(served.report.waited, 2 * SECOND);
    assert_eq!(decisions.node_of(&served), "b1");
    drop((served, world.finish(running).await.unwrap()));
    world.end().await;
}

async fn refused_at_once(world: &World, name: &str, field: &str) {
    let began = world.clock.now();
    let refused = world.err(name).await;
    assert_eq!(world.clock.now(), began, "{name} waits for nothing");
    let expected = (ErrorKind::InvalidArgument, Blame::Caller, Retry::Never);
    assert_eq!((refused.kind(), refused.blame(), refused.retry()), expected, "{refused}");
    assert!(refused.message().contains(field), "{refused}");
}

/// NOD-1: what no node can ever hold is refused at once, and nobody is told to try again.
#[tokio::test]
async fn nod_1_what_no_node_can_ever_do_is_refused_at_once() {
    let needs = NeedsOf::new(|version| match version.name().as_str() {
        "apart" => Needs { isolation: Isolation::Sandbox, tenancy: Tenancy::Shared },
        "alone" => Needs { isolation: Isolation::None, tenancy: Tenancy::Dedicated },
        _ => Needs::default(),
    });
    let (world, _) = world(Policies { needs: Some(needs), ..still() }, seconds, &[("a1", "a", 2)]);
    for name in ["apart", "alone", "fits"] {
        world.deploy(name, |_| {});
    }
    world.deploy("strange", |spec| spec.runtime = "wasm".into());
    world.deploy("large", |spec| (spec.cpu, spec.memory_size) = (2.0, 2_048));
    refused_at_once(&world, "apart", "isolation").await;
    refused_at_once(&world, "alone", "tenancy").await;
    refused_at_once(&world, "strange", "runtime").await;
    refused_at_once(&world, "large", "2000").await;
    drop(world.ok("fits").await);
    assert_eq!(world.runtime.witness().starts, 1);
    world.end().await;
}

/// NOD-5: what idles on a node that drains goes at once, and so does the node.
#[tokio::test]
async fn nod_5_an_idle_instance_leaves_a_draining_node() {
    let (world, decisions) = world(still(), seconds, &[("a1", "a", 2), ("b1", "b", 1)]);
    world.deploy("f", |_| {});
    let reply = world.ok("f").await;
    let first = decisions.node_of(&reply);
    drop(reply);
    world.settle().await;
    world.scheduler.drain_node(&id(&first)).unwrap();
    world.settle().await;
    assert_eq!(world.runtime.witness().stops, 1);
    assert!(!node_ids(&world).contains(&first), "an empty node is forgotten");
    let reply = world.ok("f").await;
    assert_ne!(decisions.node_of(&reply), first);
    drop(reply);
    let unknown = world.scheduler.drain_node(&id(&first)).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidArgument);
    world.end().await;
}

/// NOD-5, SCH-6: a busy instance is replaced before it goes; its request is not cut; whoever comes
/// meanwhile finds the replacement.
#[tokio::test]
async fn nod_5_a_busy_instance_is_replaced_first() {
    let script: Edit = |runtime| runtime.start_delay(2 * SECOND).run_time(30 * SECOND);
    let (world, decisions) = world(still(), script, &[("a1", "a", 4), ("b1", "b", 4)]);
    world.deploy("f", |spec| spec.timeout = 60);
    let running = world.call("f", "x");
    world.pass(3 * SECOND).await;
    let here = held(&world).into_iter().find(|(_, count)| *count == 1).unwrap().0;
    world.scheduler.drain_node(&id(&here)).unwrap();
    world.pass(3 * SECOND).await;
    assert_eq!(world.runtime.witness().starts, 2, "the replacement comes first");
    let new = world.call("f", "x");
    world.settle().await;
    assert_eq!(world.runtime.witness().starts, 2, "and takes the next request");
    assert!(node_ids(&world).contains(&here), "the request still runs there");
    let old = world.finish(running).await.unwrap();
    assert_eq!(decisions.node_of(&old), here);
    drop(old);
    world.settle().await;
    assert!(!node_ids(&world).contains(&here), "empty, and forgotten at once");
    let new = world.finish(new).await.unwrap();
    assert_eq!((new.report.cold, new.report.waited), (false, Duration::ZERO));
    assert_ne!(decisions.node_of(&new), here);
    drop(new);
    world.end().await;
}

/// NOD-5: with nowhere to go nothing is owed once the request is over: no instance starts later for
/// nobody.
#[tokio::test]
async fn nod_5_a_replacement_that_nobody_needs_any_more_is_not_started() {
    let (world, _) = world(still(), half_minutes, &[("a1", "a", 1)]);
    world.deploy("f", |spec| spec.timeout = 60);
    let running = world.call("f", "x");
    world.settle().await;
    world.scheduler.drain_node(&id("a1")).unwrap();
    drop(world.finish(running).await.unwrap());
    world.settle().await;
    assert_eq!(node_ids(&world), Vec::<String>::new());
    world.scheduler.add_node(node("b1", "b", 1, &world.runtime)).unwrap();
    world.pass(60 * SECOND).await;
    assert_eq!(world.runtime.witness().starts, 1, "nobody asked for it");
    world.end().await;
}

/// NOD-5: what cannot be replaced in time takes no more requests, and still none is cut.
#[tokio::test]
async fn nod_5_a_drain_has_a_deadline() {
    let policies = Policies { drain_within: 5 * SECOND, ..still() };
    let script: Edit = |runtime| runtime.run_time(8 * SECOND);
    let (world, _) = world(policies, script, &[("a1", "a", 1)]);
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (60, 2));
    let mut running = vec![world.call("f", "x")];
    world.settle().await;
    world.scheduler.drain_node(&id("a1")).unwrap();
    world.pass(4 * SECOND).await;
    running.push(world.call("f", "x"));
    world.settle().await;
    assert_eq!(world.runtime.witness().running(), 2, "until then it serves as before");
    world.pass(2 * SECOND).await;
    let waiting = world.call("f", "x");
    for call in running {
        drop(world.finish(call).await.unwrap());
    }
    world.settle().await;
    assert_eq!(node_ids(&world), Vec::<String>::new());
    let refused = world.finish(waiting).await.unwrap_err();
    assert_eq!((refused.kind(), refused.blame()), (ErrorKind::ResourceThrottled, Blame::Platform));
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.requests), (1, 2));
    world.end().await;
}

/// NOD-3: a node of its age drains as if it were told to, and its requests end as they would.
#[tokio::test]
async fn nod_3_a_node_drains_at_its_age() {
    let policies = Policies { node_life: Some(3_600 * SECOND), ..still() };
    let (world, decisions) = world(policies, seconds, &[("a1", "a", 2)]);
    world.deploy("f", |_| {});
    world.pass(3_000 * SECOND).await;
    world.scheduler.add_node(node("b1", "b", 2, &world.runtime)).unwrap();
    world.pass(600 * SECOND - Duration::from_millis(500)).await;
    let running = world.call("f", "x");
    world.settle().await;
    assert_eq!(node_ids(&world), ["a1", "b1"]);
    drop(world.finish(running).await.unwrap());
    world.settle().await;
    assert_eq!(node_ids(&world), ["b1"], "drained at 3600 s, and empty now");
    let reply = world.ok("f").await;
    assert_eq!(decisions.node_of(&reply), "b1");
    drop(reply);
    world.pass(3_000 * SECOND).await;
    assert_eq!(node_ids(&world), Vec::<String>::new());
    world.end().await;
}

/// NOD-3: a node that a placement drained for its age is still reported, once, and due until then.
#[test]
fn nod_3_a_node_that_a_placement_drained_is_reported() {
    let rules = ClusterRules { node_life: Some(10 * SECOND), ..ClusterRules::default() };
    let mut cluster = Cluster::new(rules).unwrap();
    let old = cluster.add(node_spec("a1", "a", 1), Instant::ORIGIN).unwrap();
    let now = Instant::ORIGIN + 10 * SECOND;
    cluster.add(node_spec("b1", "b", 1), now).unwrap();
    let demand = Demand {
        account: support::account(),
        size: Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 },
        runtime: RuntimeKind::InProcess,
        isolation: Isolation::None,
        tenancy: Tenancy::Shared,
    };
    let placed = cluster.place(&demand, &mut Spread::default(), now).unwrap();
    assert_ne!(placed, old);
    assert_eq!(cluster.next_expiry(), Some(now), "whoever waits for this must look now");
    assert_eq!(cluster.expire(now), [old]);
    assert_eq!(cluster.next_expiry(), Some(now + 10 * SECOND));
    assert_eq!(cluster.expire(now), []);
}

/// NOD-5, SCH-4: provisioned instances are replaced before they go, though they idle; there are
/// never fewer than the target.
#[tokio::test]
async fn nod_5_provisioned_instances_are_replaced_first() {
    let script: Edit = |runtime| runtime.start_delay(2 * SECOND);
    let (world, decisions) = world(still(), script, &[("a1", "a", 2)]);
    world.deploy("f", |_| {});
    let config = ProvisionConfig { default_target: 2, ..ProvisionConfig::default() };
    let (name, latest) = (FunctionName::new("f").unwrap(), Qualifier::default());
    world.scheduler.provision(support::account(), &name, &latest, config).unwrap();
    world.pass(3 * SECOND).await;
    world.scheduler.add_node(node("b1", "b", 2, &world.runtime)).unwrap();
    world.scheduler.drain_node(&id("a1")).unwrap();
    world.pass(SECOND).await;
    assert_eq!(held(&world), BTreeMap::from([("a1".into(), 2), ("b1".into(), 2)]));
    let meanwhile = world.ok("f").await;
    assert_eq!((meanwhile.report.cold, meanwhile.report.waited), (false, Duration::ZERO));
    assert_eq!(decisions.node_of(&meanwhile), "a1");
    drop(meanwhile);
    world.pass(SECOND).await;
    assert_eq!(held(&world), BTreeMap::from([("b1".into(), 2)]));
    assert_eq!(world.runtime.witness().starts, 4);
    world.end().await;
}

/// NOD-5, SCH-4: one that was replaced while it was still starting goes when it is there.
#[tokio::test]
async fn nod_5_a_start_on_a_draining_node_goes_when_it_is_not_needed() {
    let script: Edit = |runtime| runtime.start_delay(50 * SECOND);
    let (world, _) = world(still(), script, &[("a1", "a", 1)]);
    world.deploy("f", |_| {});
    let config = ProvisionConfig { default_target: 1, ..ProvisionConfig::default() };
    let (name, latest) = (FunctionName::new("f").unwrap(), Qualifier::default());
    world.scheduler.provision(support::account(), &name, &latest, config).unwrap();
    world.pass(SECOND).await;
    let fast = Script { start_delay: 2 * SECOND, ..Script::default() };
    world.runtime.set_function("f", fast);
    world.scheduler.add_node(node("b1", "b", 1, &world.runtime)).unwrap();
    world.scheduler.drain_node(&id("a1")).unwrap();
    world.pass(10 * SECOND).await;
    assert_eq!(held(&world), BTreeMap::from([("a1".into(), 1), ("b1".into(), 1)]));
    world.pass(40 * SECOND).await;
    assert_eq!(held(&world), BTreeMap::from([("b1".into(), 1)]));
    assert_eq!(world.runtime.witness().live(), 1);
    world.end().await;
}

/// NOD-3, NOD-4: a start under way on a node that is lost is made elsewhere, and its request never
/// knows.
#[tokio::test]
async fn nod_4_a_start_on_a_lost_node_is_made_elsewhere() {
    let script: Edit = |runtime| runtime.start_delay(4 * SECOND);
    let (world, decisions) = world(still(), script, &[("a1", "a", 1), ("b1", "b", 1)]);
    world.deploy("f", |_| {});
    let call = world.call("f", "x");
    world.pass(SECOND).await;
    let there = held(&world).into_iter().find(|(_, count)| *count == 1).unwrap().0;
    world.scheduler.lose_node(&id(&there)).unwrap();
    world.settle().await;
    assert!(!node_ids(&world).contains(&there));
    let served = world.finish(call).await.unwrap();
    assert_ne!(decisions.node_of(&served), there);
    assert_eq!((served.report.cold, served.report.waited), (true, 5 * SECOND));
    drop(served);
    world.end().await;
}

fn assert_lost(outcome: fc_core::Result<Reply>) {
    let lost = outcome.unwrap_err();
    let expected = (ErrorKind::InternalServerError, Blame::Platform, Retry::Never);
    assert_eq!((lost.kind(), lost.blame(), lost.retry()), expected, "{lost}");
    assert!(lost.message().contains("node was lost"), "{lost}");
}

/// NOD-3: a request on a node that is lost fails at once, by the platform's fault, and is not
/// repeated, since it may have run; its quota and its place are free.
#[tokio::test]
async fn nod_3_a_request_on_a_lost_node_fails_at_once() {
    let script: Edit = |runtime| runtime.answer(Answer::Never);
    let (world, _) = world(still(), script, &[("a1", "a", 1)]);
    world.deploy("f", |spec| spec.timeout = 600);
    let running = world.call("f", "x");
    world.pass(SECOND).await;
    let began = world.clock.now();
    world.scheduler.lose_node(&id("a1")).unwrap();
    world.settle().await;
    assert_lost(world.finish(running).await);
    assert_eq!(world.clock.now(), began, "nobody waits for a node that is gone");
    assert_eq!(node_ids(&world), Vec::<String>::new());
    let drained = world.scheduler.drain_node(&id("a1")).unwrap_err();
    assert_eq!(drained.kind(), ErrorKind::InvalidArgument);
    world.runtime.set_function("f", Script::default());
    world.scheduler.add_node(node("b1", "b", 1, &world.runtime)).unwrap();
    assert!(world.ok("f").await.report.cold);
    world.end().await;
}

/// NOD-4: the loss of a zone loses no accepted request that was not running there.
#[tokio::test]
async fn nod_4_a_lost_zone_costs_what_ran_there_alone() {
    let script: Edit = |runtime| runtime.start_delay(SECOND).run_time(10 * SECOND);
    let nodes = &[("a1", "a", 2), ("a2", "a", 2), ("b1", "b", 8)];
    let (world, decisions) = world(still(), script, nodes);
    world.deploy("f", |spec| spec.timeout = 60);
    let running: Vec<_> = (0..4).map(|_| world.call("f", "x")).collect();
    world.pass(2 * SECOND).await;
    let starting: Vec<_> = (0..4).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    assert_eq!(world.scheduler.lose_zone(&Zone::new("a").unwrap()), 2);
    let mut lost = 0;
    for call in running {
        match world.finish(call).await {
            Ok(served) => assert_eq!(decisions.node_of(&served), "b1"),
            error => {
                assert_lost(error);
                lost += 1;
            }
        }
    }
    assert_eq!(lost, 2, "half of them ran there");
    for call in starting {
        let served = world.finish(call).await.unwrap();
        assert_eq!(decisions.node_of(&served), "b1");
    }
    assert_eq!(node_ids(&world), ["b1"]);
    assert_eq!(world.scheduler.lose_zone(&Zone::new("a").unwrap()), 0);
    world.end().await;
}

/// NOD-2: a dedicated node serves the account it is bound to and nobody else, ever.
#[tokio::test]
async fn nod_2_a_dedicated_node_is_never_shared() {
    let needs = NeedsOf::new(|_| Needs { isolation: Isolation::None, tenancy: Tenancy::Dedicated });
    let decisions = Arc::new(Decisions::default());
    let policies = Policies { needs: Some(needs), ..still() };
    let make = |runtime: Arc<ScriptedRuntime>| {
        let spec = NodeSpec { tenancy: Tenancy::Dedicated, ..node_spec("a1", "a", 4) };
        vec![Node::new(spec, vec![runtime]).unwrap()]
    };
    let world = World::with_config(config(policies, &decisions), seconds, make);
    let other = AccountId::new("2").unwrap();
    world.deploy("mine", |_| {});
    world.deploy_for(other, "theirs", |_| {});
    drop(world.ok("mine").await);
    let status = &world.scheduler.nodes()[0];
    assert_eq!(status.owner, Some(support::account()));
    let refused = world.err("theirs").await;
    assert_eq!((refused.kind(), refused.blame()), (ErrorKind::ResourceThrottled, Blame::Platform));
    assert!(refused.message().contains("dedicated to other accounts"), "{refused}");
    world.pass(400 * SECOND).await;
    assert_eq!(world.scheduler.nodes()[0].instances, 0);
    assert_eq!(world.err("theirs").await.kind(), ErrorKind::ResourceThrottled, "also when empty");
    let spec = NodeSpec { tenancy: Tenancy::Dedicated, ..node_spec("a2", "a", 4) };
    world.scheduler.add_node(Node::new(spec, vec![world.runtime.clone()]).unwrap()).unwrap();
    let theirs = world.ok("theirs").await;
    assert_eq!(decisions.node_of(&theirs), "a2");
    drop(theirs);
    let mine = world.ok("mine").await;
    assert_eq!(decisions.node_of(&mine), "a1");
    drop(mine);
    world.end().await;
}

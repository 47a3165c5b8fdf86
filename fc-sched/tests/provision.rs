//! Instances that are there before they are asked for (SCH-4, SCH-11, QUO-3), in simulated time.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    Clock, Error, ErrorKind, FunctionName, Instant, Qualifier, Retry, Timestamp, VersionId,
};
use fc_sched::core::policy::{
    DefaultTarget, Load, ProvisionConfig, Scaling, ScalingState, ScheduledAction,
    TargetTrackingPolicy,
};
use fc_sched::core::quota::{AccountQuota, PooledQuota};
use fc_sched::{Node, Policies, ProvisionStatus, SchedulerConfig};
use fc_testkit::ScriptedRuntime;
use fc_testkit::scripted::{Answer, Event, Script};
use parking_lot::Mutex;
use support::{Decisions, SECOND, World, account, config};

fn world(
    change: impl FnOnce(&mut SchedulerConfig),
    script: fn(ScriptedRuntime) -> ScriptedRuntime,
) -> World {
    let policies = Policies { freeze_after: None, ..Policies::default() };
    let mut config = config(policies, &Arc::new(Decisions::default()));
    change(&mut config);
    World::with_config(config, script, |runtime| vec![Node::local(vec![runtime]).unwrap()])
}

fn latest() -> Qualifier {
    Qualifier::Version(VersionId::LATEST)
}

fn name(text: &str) -> FunctionName {
    FunctionName::new(text).unwrap()
}

fn target(default_target: u32) -> ProvisionConfig {
    ProvisionConfig { default_target, ..ProvisionConfig::default() }
}

fn provision(world: &World, config: ProvisionConfig) -> Result<(), Error> {
    world.scheduler.provision(account(), &name("f"), &latest(), config)
}

fn status(world: &World) -> ProvisionStatus {
    world.scheduler.provisioned(account(), &name("f"), &latest()).unwrap()
}

fn slow(script: ScriptedRuntime) -> ScriptedRuntime {
    script.start_delay(2 * SECOND).run_time(SECOND)
}

/// SCH-4, I19: provisioned instances start without a request, serve at once, and never idle out.
#[tokio::test]
async fn sch_4_provisioned_instances_are_kept_whatever_their_idleness() {
    let world = world(|_| {}, slow);
    world.deploy("f", |spec| spec.timeout = 60);
    provision(&world, target(3)).unwrap();
    world.settle().await;
    assert_eq!((status(&world).target, status(&world).current), (3, 3));
    world.pass(2 * SECOND).await;
    assert_eq!(world.runtime.witness().live(), 3);
    let calls: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    for call in calls {
        let reply = world.finish(call).await.unwrap();
        assert_eq!((reply.report.cold, reply.report.waited), (false, Duration::ZERO));
    }
    world.pass(700 * SECOND).await;
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.stops), (3, 0), "I19");
    world.end().await;
}

/// SCH-4, SCH-6: provisioned instances grow old as others do, and are replaced.
#[tokio::test]
async fn sch_6_a_provisioned_instance_does_not_grow_old() {
    let world = world(|it| it.policies.scaling_tick = 600 * SECOND, |script| script);
    world.deploy("f", |_| {});
    provision(&world, target(1)).unwrap();
    world.pass(36 * 3_600 * SECOND - SECOND).await;
    assert_eq!((world.runtime.witness().starts, world.runtime.witness().stops), (1, 0));
    world.pass(SECOND).await;
    assert_eq!((world.runtime.witness().starts, world.runtime.witness().stops), (2, 1));
    assert_eq!(status(&world).current, 1);
    world.end().await;
}

/// SCH-4: they are preferred, what they cannot take goes to on-demand instances, and those alone go
/// when they idle.
#[tokio::test]
async fn sch_4_they_are_preferred_and_what_is_over_goes_on_demand() {
    let world = world(|_| {}, slow);
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (60, 2));
    provision(&world, target(1)).unwrap();
    world.pass(2 * SECOND).await;
    let mut calls: Vec<_> = (0..2).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    assert_eq!(world.runtime.witness().starts, 1);
    let first = only_instance(&world);
    world.runtime.set_function("f", Script { run_time: 9 * SECOND, ..Script::default() });
    calls.push(world.call("f", "x"));
    world.settle().await;
    assert_eq!(world.runtime.witness().starts, 2, "on demand");
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    for _ in 0..5 {
        let reply = world.ok("f").await;
        assert_eq!(reply.report.instance, Some(first), "the provisioned one is preferred");
        drop(reply);
    }
    world.pass(300 * SECOND).await;
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.stops), (2, 1));
    assert!(!witness.instances[&first].is_stopped());
    world.end().await;
}

fn only_instance(world: &World) -> fc_core::InstanceId {
    let witness = world.runtime.witness();
    assert_eq!(witness.instances.len(), 1);
    *witness.instances.keys().next().unwrap()
}

/// SCH-4, SCH-9: with on-demand disabled nothing is started for requests: they wait for a
/// provisioned instance, and are refused at once if there is none.
#[tokio::test]
async fn sch_4_on_demand_can_be_disabled() {
    let world = world(|_| {}, |script| script.run_time(8 * SECOND));
    world.deploy("f", |spec| spec.timeout = 60);
    let disabled =
        |default_target| ProvisionConfig { on_demand_disabled: true, ..target(default_target) };
    provision(&world, disabled(1)).unwrap();
    world.settle().await;
    let calls: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    let outcomes = [true, true, false];
    for (call, served) in calls.into_iter().zip(outcomes) {
        match world.finish(call).await {
            Ok(_) => assert!(served),
            Err(error) => {
                assert!(!served, "{error}");
                assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
                assert!(matches!(error.retry(), Retry::After(_)));
            }
        }
    }
    assert_eq!(world.runtime.witness().starts, 1);
    provision(&world, disabled(0)).unwrap();
    world.pass(400 * SECOND).await;
    assert_eq!(world.runtime.witness().live(), 0);
    let began = world.clock.now();
    let refused = world.err("f").await;
    assert!(refused.message().contains("on_demand_disabled"), "{refused}");
    assert_eq!(world.clock.now(), began);
    provision(&world, target(0)).unwrap();
    assert!(world.scheduler.provisioned(account(), &name("f"), &latest()).is_none());
    drop(world.ok("f").await);
    world.end().await;
}

/// SCH-4: what is over a lowered target becomes on-demand, serves on, and idles out.
#[tokio::test]
async fn sch_4_a_lowered_target_demotes() {
    let world = world(|_| {}, |script| script.run_time(SECOND));
    world.deploy("f", |_| {});
    provision(&world, target(3)).unwrap();
    world.settle().await;
    let calls: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    provision(&world, target(1)).unwrap();
    assert_eq!(status(&world).current, 1);
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    assert_eq!((world.runtime.witness().starts, world.runtime.witness().stops), (3, 0));
    world.pass(300 * SECOND).await;
    assert_eq!(world.runtime.witness().live(), 1, "two idled out");
    provision(&world, target(0)).unwrap();
    world.pass(301 * SECOND).await;
    assert_eq!(world.runtime.witness().live(), 0);
    world.end().await;
}

/// SCH-4: on-demand instances that are there are promoted before others are started.
#[tokio::test]
async fn sch_4_a_raised_target_promotes_what_is_there() {
    let world = world(|_| {}, |script| script.run_time(SECOND));
    world.deploy("f", |_| {});
    drop(world.ok("f").await);
    provision(&world, target(2)).unwrap();
    world.pass(700 * SECOND).await;
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.stops, status(&world).current), (2, 0, 2));
    world.end().await;
}

/// SCH-4, SCH-5: a new version of the function gets the provisioned instances, and the old one's go.
#[tokio::test]
async fn sch_4_a_new_version_gets_the_instances() {
    let world = world(|_| {}, slow);
    world.deploy("f", |spec| spec.timeout = 60);
    provision(&world, target(2)).unwrap();
    world.pass(3 * SECOND).await;
    let running = world.call("f", "x");
    world.settle().await;
    let old = world.deploy("f", |spec| spec.description = "new".into()).unwrap();
    world.scheduler.retire(&old);
    world.pass(4 * SECOND).await;
    assert_eq!(world.scheduler.usage(&world.version("f")).provisioned, 2);
    assert_eq!(status(&world).current, 2);
    assert_eq!(world.scheduler.usage(&old).instances, 0);
    drop(world.finish(running).await.unwrap());
    let reply = world.ok("f").await;
    assert!(!reply.report.cold);
    drop(reply);
    assert_eq!((world.runtime.witness().starts, world.runtime.witness().live()), (4, 2));
    world.end().await;
}

/// SCH-4: what crashes is replaced without a request.
#[tokio::test]
async fn sch_4_a_crashed_one_is_replaced() {
    let world = world(|_| {}, |script| script.answer(Answer::Crash));
    world.deploy("f", |_| {});
    provision(&world, target(2)).unwrap();
    world.settle().await;
    world.err("f").await;
    world.settle().await;
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.live(), status(&world).current), (3, 2, 2));
    world.end().await;
}

/// 1 700 000 000 s is 2023-11-14 22:13:20 UTC: 400 s before 22:20.
fn action(name: &str, target: u32, expression: &str) -> ScheduledAction {
    ScheduledAction {
        name: name.into(),
        start_time: None,
        end_time: None,
        target,
        schedule_expression: expression.into(),
        time_zone: String::new(),
    }
}

/// SCH-4: a scheduled action fires in its second, by the wall clock.
#[tokio::test]
async fn sch_4_a_schedule_fires_in_its_second() {
    let world = world(|_| {}, |script| script);
    world.deploy("f", |_| {});
    assert_eq!(world.clock.wall(), Timestamp::from_unix_millis(1_700_000_000_000));
    let actions = vec![
        // Without a start it would have fired yesterday, and its target would be in force.
        ScheduledAction {
            start_time: Some("2023-11-14T22:15:00Z".into()),
            ..action("up", 3, "cron(0 20 22 * * *)")
        },
        action("down", 1, "at(2023-11-14T22:30:00Z)"),
    ];
    provision(&world, ProvisionConfig { scheduled_actions: actions, ..target(0) }).unwrap();
    world.pass(399 * SECOND).await;
    assert_eq!((status(&world).target, world.runtime.witness().starts), (0, 0));
    world.pass(SECOND).await;
    assert_eq!((status(&world).target, world.runtime.witness().live()), (3, 3), "22:20:00");
    world.pass(599 * SECOND).await;
    assert_eq!(status(&world).target, 3);
    world.pass(SECOND).await;
    assert_eq!((status(&world).target, status(&world).current), (1, 1), "22:30:00");
    world.end().await;
}

/// SCH-4: target tracking follows what runs, up to its maximum, and comes down slowly.
#[tokio::test]
async fn sch_4_target_tracking_follows() {
    let world = world(|_| {}, |script| script.run_time(30 * SECOND));
    world.deploy("f", |spec| spec.timeout = 60);
    let policy = TargetTrackingPolicy {
        name: "busy".into(),
        start_time: None,
        end_time: None,
        metric_type: "ProvisionedConcurrencyUtilization".into(),
        metric_target: 0.5,
        min_capacity: 1,
        max_capacity: 6,
        time_zone: String::new(),
    };
    let config = ProvisionConfig { target_tracking_policies: vec![policy], ..target(0) };
    provision(&world, config).unwrap();
    world.settle().await;
    assert_eq!(status(&world).target, 1);
    let calls: Vec<_> = (0..2).map(|_| world.call("f", "x")).collect();
    world.pass(3 * SECOND).await;
    assert_eq!((status(&world).target, status(&world).current), (4, 4), "2 run at 50 %");
    let more: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    world.pass(3 * SECOND).await;
    assert_eq!(status(&world).target, 6, "the maximum");
    for call in calls.into_iter().chain(more) {
        drop(world.finish(call).await.unwrap());
    }
    world.pass(250 * SECOND).await;
    assert_eq!(status(&world).target, 6, "5 minutes are not over");
    world.pass(1_200 * SECOND).await;
    assert_eq!(status(&world).target, 1);
    world.pass(301 * SECOND).await;
    assert_eq!(world.runtime.witness().live(), 1);
    world.end().await;
}

/// QUO-3: provisioned instances are 90 % of an account's concurrency at most, over all functions
/// and all qualifiers of one; a refusal changes nothing.
#[tokio::test]
async fn quo_3_at_most_90_percent_may_be_provisioned() {
    let world = world(|it| it.account_quota = Some(AccountQuota::function_graph()), |it| it);
    for name in ["f", "g"] {
        world.deploy(name, |_| {});
    }
    provision(&world, target(60)).unwrap();
    let of_g = |config| world.scheduler.provision(account(), &name("g"), &latest(), config);
    let refused = of_g(target(31)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
    let what = "provisioned_instances_max: 31 more over 60 of 90";
    assert!(refused.message().contains(what), "{refused}");
    of_g(target(29)).unwrap();
    let alias: Qualifier = "prod".parse().unwrap();
    let of_alias = |config| world.scheduler.provision(account(), &name("f"), &alias, config);
    let refused = of_alias(target(2)).unwrap_err();
    assert!(refused.message().contains("_max: 62 more over 29 of 90"), "{refused}");
    of_alias(target(1)).unwrap();
    of_alias(target(0)).unwrap();
    let refused = of_g(target(31)).unwrap_err();
    assert!(refused.message().contains("31 more over 60 of 90"), "LATEST still has its: {refused}");
    of_g(target(30)).unwrap();
    let later = vec![action("up", 61, "cron(0 20 22 * * *)")];
    let refused =
        provision(&world, ProvisionConfig { scheduled_actions: later, ..target(0) }).unwrap_err();
    assert!(
        refused.message().contains("61 more over 30 of 90"),
        "also what comes later: {refused}"
    );
    assert_eq!(status(&world).target, 60);
    world.settle().await;
    assert_eq!(world.runtime.witness().live(), 90);
    world.end().await;
}

/// SCH-4, QUO-4: the status says what stands in the way, and it is made good when that is gone.
#[tokio::test]
async fn sch_4_the_status_says_what_stands_in_the_way() {
    let mut quota = AccountQuota::function_compute();
    quota.instances = PooledQuota { max: Some(2), burst: 300, per_minute: 300 };
    let world = world(|it| it.account_quota = Some(quota), |it| it);
    provision(&world, target(3)).unwrap();
    let error = status(&world).current_error.unwrap();
    assert!(error.contains("'f' does not exist"), "{error}");
    world.deploy("f", |_| {});
    world.pass(SECOND).await;
    let found = status(&world);
    assert_eq!((found.target, found.current), (3, 2));
    let error = found.current_error.unwrap();
    assert!(error.contains("instances_max: 1 more over 2 of 2"), "{error}");
    quota.instances.max = Some(5);
    world.scheduler.set_account_quota(account(), quota).unwrap();
    world.settle().await;
    assert_eq!((status(&world).current, status(&world).current_error), (3, None));
    world.end().await;
}

/// SCH-4, QUO-2: what the growth does not allow at once comes as it does.
#[tokio::test]
async fn quo_2_a_target_over_the_burst_is_reached_in_time() {
    let quota = AccountQuota::function_compute();
    let world = world(|it| it.account_quota = Some(quota), |it| it);
    world.deploy("f", |_| {});
    provision(&world, target(310)).unwrap();
    world.settle().await;
    assert_eq!(status(&world).current, 300);
    assert!(status(&world).current_error.unwrap().contains("instances_burst"));
    world.pass(SECOND).await;
    assert_eq!(status(&world).current, 305);
    world.pass(SECOND).await;
    assert_eq!((status(&world).current, status(&world).current_error), (310, None));
    world.end().await;
}

/// SCH-4: a version cannot have provisioned instances by its number; what is wrong in a
/// configuration is named, and nothing changes.
#[tokio::test]
async fn sch_4_what_cannot_be_promised_is_refused() {
    let world = world(|_| {}, |it| it);
    world.deploy("f", |_| {});
    provision(&world, target(1)).unwrap();
    let version: Qualifier = "7".parse().unwrap();
    let refused =
        world.scheduler.provision(account(), &name("f"), &version, target(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
    assert!(refused.message().starts_with("qualifier"), "{refused}");
    let refused = provision(&world, target(10_001)).unwrap_err();
    assert!(refused.message().starts_with("default_target"), "{refused}");
    assert_eq!(status(&world).target, 1);
    world.end().await;
}

/// SCH-11: a policy for all functions has instances there before they are asked for; they do not
/// idle out below what it wants.
#[tokio::test]
async fn sch_11_a_policy_sets_a_floor() {
    let floor = |it: &mut SchedulerConfig| it.policies.scaling = Some(Arc::new(DefaultTarget(3)));
    let world = world(floor, |script| script);
    world.deploy("f", |_| {});
    world.pass(100 * SECOND).await;
    assert_eq!(world.runtime.witness().starts, 0, "nobody has asked for the function yet");
    drop(world.ok("f").await);
    world.pass(SECOND).await;
    assert_eq!(world.runtime.witness().live(), 3);
    world.pass(700 * SECOND).await;
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.stops), (3, 0));
    world.scheduler.retire(&world.remove("f"));
    world.settle().await;
    assert_eq!(world.runtime.witness().live(), 0);
    world.pass(10 * SECOND).await;
    world.end().await;
}

/// When, and mean, peak and arrivals.
type Reading = (Instant, f64, u32, u64);

/// Writes down when it is asked, and of what.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<Vec<Reading>>>);

impl Scaling for Asked {
    fn name(&self) -> &'static str {
        "asked"
    }

    fn begin(&self) -> Box<dyn ScalingState> {
        Box::new(self.clone())
    }
}

impl ScalingState for Asked {
    fn target(&mut self, load: &Load) -> Option<u32> {
        self.0.lock().push((load.now, load.running_mean, load.running_peak, load.arrivals));
        None
    }

    fn next_change(&self, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

/// SCH-11: a policy is asked once in each tick, whoever else waits for what, and is told the load
/// since the last.
#[tokio::test]
async fn sch_11_a_policy_is_asked_once_a_tick() {
    let asked = Asked::default();
    let policy = asked.clone();
    let mut quota = AccountQuota::function_compute();
    quota.instances.max = Some(1);
    let change = |it: &mut SchedulerConfig| {
        it.policies.scaling = Some(Arc::new(policy));
        it.policies.wait_for_quota = true;
        it.account_quota = Some(quota);
    };
    let world = world(change, |script| script.run_time(5 * SECOND));
    world.deploy("f", |spec| spec.timeout = 60);
    world.deploy("g", |spec| spec.timeout = 60);
    drop(world.ok("f").await);
    let running = world.call("f", "x");
    let waits = world.call("f", "x");
    world.settle().await;
    let before = asked.0.lock().len();
    world.pass(4 * SECOND).await;
    let seen = asked.0.lock()[before..].to_vec();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert!(seen.windows(2).all(|pair| pair[1].0 - pair[0].0 == SECOND), "{seen:?}");
    assert!(seen[1..].iter().all(|each| (each.1, each.2, each.3) == (1.0, 1, 0)), "{seen:?}");
    assert_eq!(seen[0].3, 2, "two came: {seen:?}");
    for call in [running, waits] {
        drop(world.finish(call).await.unwrap());
    }
    world.end().await;
}

/// SCH-4: freezing leaves provisioned instances alone.
#[tokio::test]
async fn sch_4_provisioned_instances_are_not_frozen() {
    let world = world(|it| it.policies.freeze_after = Some(SECOND), |script| script);
    world.deploy("f", |_| {});
    provision(&world, target(1)).unwrap();
    world.pass(100 * SECOND).await;
    drop(world.ok("f").await);
    world.pass(100 * SECOND).await;
    let witness = world.runtime.witness();
    let events = &witness.instances.values().next().unwrap().events;
    assert!(!events.contains(&Event::Suspended), "{events:?}");
    world.end().await;
}

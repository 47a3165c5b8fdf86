//! Freezing and thawing idle instances (SCH-7, I16), and more CPU at a start (QUO-5).
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    Clock, Context, CpuBoost, Enforcement, Error, Exit, FunctionVersion, Hook, HookConfig,
    Instance, InstanceLifecycleConfig, InstanceSpec, Invocation, Isolation, Reply, RequestId,
    Result, Runtime, RuntimeCapabilities, RuntimeKind,
};
use fc_sched::core::placement::RuntimeSet;
use fc_sched::{Node, Policies};
use fc_testkit::ScriptedRuntime;
use fc_testkit::scripted::{Event, InstanceWitness};
use parking_lot::Mutex;
use support::{Decisions, SECOND, World, config, node_spec};

/// What a driver does when it is asked for the CPU.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Driver {
    #[default]
    Works,
    Fails,
    Hangs,
}

/// What the test tells the driver, and what that was told.
#[derive(Debug, Default)]
struct Moods {
    suspend: Driver,
    resume: Driver,
    boosts: Vec<Option<CpuBoost>>,
    boosts_ended: u32,
}

/// A scripted runtime that may fail to suspend and to resume.
#[derive(Debug)]
struct Fickle {
    inner: Arc<ScriptedRuntime>,
    moods: Arc<Mutex<Moods>>,
}

#[derive(Debug)]
struct FickleInstance {
    inner: Arc<dyn Instance>,
    moods: Arc<Mutex<Moods>>,
}

async fn does(driver: Driver) -> Result<()> {
    match driver {
        Driver::Works => Ok(()),
        Driver::Fails => Err(Error::internal("as the test wants")),
        Driver::Hangs => std::future::pending().await,
    }
}

#[async_trait]
impl Runtime for Fickle {
    fn capabilities(&self) -> RuntimeCapabilities {
        Runtime::capabilities(&*self.inner)
    }

    async fn prepare(&self, cx: Context, version: &Arc<FunctionVersion>) -> Result<()> {
        self.inner.prepare(cx, version).await
    }

    async fn start(&self, cx: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        self.moods.lock().boosts.push(spec.boost);
        let inner = self.inner.start(cx, spec).await?;
        Ok(Arc::new(FickleInstance { inner, moods: self.moods.clone() }))
    }
}

#[async_trait]
impl Instance for FickleInstance {
    async fn run_hook(&self, cx: Context, hook: Hook) -> Result<()> {
        self.inner.run_hook(cx, hook).await
    }

    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        self.inner.invoke(cx, invocation).await
    }

    async fn log_tail(&self, request: RequestId, max: usize) -> Option<Bytes> {
        self.inner.log_tail(request, max).await
    }

    async fn suspend(&self, cx: Context) -> Result<()> {
        let driver = self.moods.lock().suspend;
        does(driver).await?;
        self.inner.suspend(cx).await
    }

    async fn resume(&self, cx: Context) -> Result<()> {
        let driver = self.moods.lock().resume;
        does(driver).await?;
        self.inner.resume(cx).await
    }

    async fn end_boost(&self, cx: Context) -> Result<()> {
        self.moods.lock().boosts_ended += 1;
        self.inner.end_boost(cx).await
    }

    async fn exited(&self) -> Exit {
        self.inner.exited().await
    }

    async fn stop(&self, cx: Context) -> Result<()> {
        self.inner.stop(cx).await
    }
}

type Edit = fn(ScriptedRuntime) -> ScriptedRuntime;

/// A world that freezes what idles for a second.
fn world(script: Edit) -> (World, Arc<Mutex<Moods>>) {
    world_beside(script, |_| Vec::new())
}

fn world_beside(
    script: Edit,
    others: fn(&Arc<ScriptedRuntime>) -> Vec<Node>,
) -> (World, Arc<Mutex<Moods>>) {
    let moods = Arc::new(Mutex::new(Moods::default()));
    let policies = Policies { freeze_after: Some(SECOND), ..Policies::default() };
    let nodes = |inner: Arc<ScriptedRuntime>| {
        let mut nodes = others(&inner);
        let fickle = Fickle { inner, moods: moods.clone() };
        nodes.push(Node::local(vec![Arc::new(fickle)]).unwrap());
        nodes
    };
    let world =
        World::with_config(config(policies, &Arc::new(Decisions::default())), script, nodes);
    (world, moods)
}

fn abilities(suspend: bool, cpu: bool) -> RuntimeCapabilities {
    RuntimeCapabilities {
        kind: RuntimeKind::InProcess,
        isolation: Isolation::None,
        concurrency_max: 1_000,
        streaming: true,
        suspend,
        enforces: Enforcement { cpu, ..Enforcement::default() },
    }
}

fn hooks() -> Option<InstanceLifecycleConfig> {
    let hook = || Some(HookConfig { handler: "h".into(), timeout: 90 });
    Some(InstanceLifecycleConfig { initializer: None, pre_freeze: hook(), pre_stop: hook() })
}

/// The instances that there were, in the order of their ids.
fn instances(world: &World) -> Vec<InstanceWitness> {
    world.runtime.witness().instances.into_values().collect()
}

fn only(world: &World) -> InstanceWitness {
    let mut all = instances(world);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// I16, by the runtime's own account: no request reached an instance without CPU.
async fn end(world: World) {
    let misdirected: u64 = instances(&world).iter().map(|each| each.misdirected).sum();
    assert_eq!(misdirected, 0, "I16");
    world.end().await;
}

/// SCH-7, I16: after its time an idle instance has its hook, then is frozen; it is thawed before the
/// next request, which is warm; at its end it is thawed for its last hook.
#[tokio::test]
async fn sch_7_an_idle_instance_is_frozen_and_thawed() {
    let (world, _) = world(|runtime| runtime);
    world.deploy("f", |spec| spec.instance_lifecycle_config = hooks());
    drop(world.ok("f").await);
    world.pass(SECOND - Duration::from_nanos(1)).await;
    assert_eq!(only(&world).events, [Event::Started, Event::FirstRequest]);
    world.pass(Duration::from_nanos(1)).await;
    let frozen = [Event::Hook(Hook::PreFreeze), Event::Suspended];
    assert_eq!(only(&world).events[2..], frozen);
    world.pass(60 * SECOND).await;
    let warm = world.ok("f").await;
    assert_eq!((warm.report.cold, warm.report.waited), (false, Duration::ZERO));
    drop(warm);
    assert_eq!(only(&world).events[4..], [Event::Resumed]);
    world.pass(SECOND).await;
    assert_eq!(only(&world).events[5..], frozen);
    world.pass(299 * SECOND - Duration::from_nanos(1)).await;
    assert_eq!(world.runtime.witness().stops, 0, "SCH-3, I19: frozen or not, its idle time");
    world.pass(Duration::from_nanos(1)).await;
    let last = [Event::Resumed, Event::Hook(Hook::PreStop), Event::Stopped];
    assert_eq!(only(&world).events[7..], last);
    end(world).await;
}

/// I16: an instance that runs a request is not frozen, however long it takes; nor while its answer
/// is read.
#[tokio::test]
async fn i_16_a_busy_instance_is_never_frozen() {
    let (world, _) = world(|runtime| runtime.run_time(20 * SECOND));
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (60, 2));
    let call = world.call("f", "x");
    world.pass(10 * SECOND).await;
    let other = world.call("f", "x");
    drop(world.finish(call).await.unwrap());
    world.pass(5 * SECOND).await;
    assert!(!only(&world).events.contains(&Event::Suspended));
    drop(world.finish(other).await.unwrap());
    let (_feed, call) = world.call_feed("f");
    let unread = world.finish(call).await.unwrap();
    world.pass(5 * SECOND).await;
    assert!(!only(&world).events.contains(&Event::Suspended));
    drop(unread);
    world.pass(SECOND).await;
    assert!(only(&world).events.contains(&Event::Suspended));
    end(world).await;
}

/// SCH-2, SCH-7: who comes while an instance is just being frozen has it thawed right after: sooner
/// than a new one, and none is started.
#[tokio::test]
async fn sch_7_a_request_during_freezing_waits_for_the_thaw() {
    let (world, _) = world(|runtime| runtime.hook_time(3 * SECOND));
    world.deploy("f", |spec| {
        (spec.instance_lifecycle_config, spec.instance_concurrency) = (hooks(), 2);
    });
    drop(world.ok("f").await);
    world.pass(2 * SECOND).await;
    assert_eq!(only(&world).events.last(), Some(&Event::Hook(Hook::PreFreeze)));
    let calls = [world.call("f", "x"), world.call("f", "x")];
    for call in calls {
        let reply = world.finish(call).await.unwrap();
        assert_eq!((reply.report.cold, reply.report.waited), (false, 2 * SECOND));
    }
    let events = only(&world).events;
    assert_eq!(events[3..], [Event::Suspended, Event::Resumed]);
    assert_eq!(world.runtime.witness().starts, 1);
    end(world).await;
}

/// SCH-7: a hook has its own limit, and its failure to end costs nothing else.
#[tokio::test]
async fn sch_7_a_hook_has_its_time() {
    let (world, _) = world(|runtime| runtime.hook_time(3_600 * SECOND));
    world.deploy("f", |spec| spec.instance_lifecycle_config = hooks());
    drop(world.ok("f").await);
    world.pass(90 * SECOND).await;
    assert!(!only(&world).events.contains(&Event::Suspended));
    world.pass(SECOND).await;
    assert!(only(&world).events.contains(&Event::Suspended), "after 90 s");
    drop(world.ok("f").await);
    assert_eq!(world.runtime.witness().starts, 1);
    end(world).await;
}

/// SCH-7, I17: an instance that could not be frozen ends; the next request gets a new one.
#[tokio::test]
async fn sch_7_what_cannot_be_frozen_ends() {
    for driver in [Driver::Fails, Driver::Hangs] {
        let (world, moods) = world(|runtime| runtime);
        world.deploy("f", |spec| spec.instance_lifecycle_config = hooks());
        moods.lock().suspend = driver;
        drop(world.ok("f").await);
        world.pass(6 * SECOND).await;
        let events = only(&world).events;
        assert_eq!(events[2..], [Event::Hook(Hook::PreFreeze), Event::Stopped], "{driver:?}");
        moods.lock().suspend = Driver::Works;
        assert!(world.ok("f").await.report.cold);
        end(world).await;
    }
}

/// SCH-7, I17: a request whose instance could not be thawed gets a new one.
#[tokio::test]
async fn sch_7_what_cannot_be_thawed_ends_and_its_request_is_served() {
    for (driver, waits) in [(Driver::Fails, 0), (Driver::Hangs, 5)] {
        let (world, moods) = world(|runtime| runtime);
        world.deploy("f", |_| {});
        drop(world.ok("f").await);
        world.pass(10 * SECOND).await;
        moods.lock().resume = driver;
        let reply = world.ok("f").await;
        assert!(reply.report.cold);
        assert_eq!(reply.report.waited, waits * SECOND, "{driver:?}");
        drop(reply);
        assert_eq!(instances(&world).iter().filter(|each| each.is_stopped()).count(), 1);
        moods.lock().resume = Driver::Works;
        end(world).await;
    }
}

/// SCH-7: a version that is retired while it is frozen is resumed for its hook, or stopped without
/// it if that fails.
#[tokio::test]
async fn sch_7_a_frozen_instance_is_resumed_for_its_last_hook() {
    for driver in [Driver::Works, Driver::Fails] {
        let (world, moods) = world(|runtime| runtime);
        world.deploy("f", |spec| spec.instance_lifecycle_config = hooks());
        drop(world.ok("f").await);
        world.pass(10 * SECOND).await;
        moods.lock().resume = driver;
        world.scheduler.retire(&world.remove("f"));
        world.settle().await;
        let last = if driver == Driver::Works {
            vec![Event::Resumed, Event::Hook(Hook::PreStop), Event::Stopped]
        } else {
            vec![Event::Stopped]
        };
        assert_eq!(only(&world).events[4..], last);
        end(world).await;
    }
}

/// SCH-7: a version that is retired while its instance is being frozen ends as soon as that is done.
#[tokio::test]
async fn sch_7_a_retirement_during_freezing() {
    let (world, _) = world(|runtime| runtime.hook_time(3 * SECOND));
    world.deploy("f", |spec| spec.instance_lifecycle_config = hooks());
    drop(world.ok("f").await);
    world.pass(2 * SECOND).await;
    world.scheduler.retire(&world.remove("f"));
    world.pass(10 * SECOND).await;
    let events = only(&world).events;
    let last = [Event::Suspended, Event::Resumed, Event::Hook(Hook::PreStop), Event::Stopped];
    assert_eq!(events[3..], last);
    end(world).await;
}

/// SCH-7: without a runtime that can, nothing is frozen and nothing ends for it.
#[tokio::test]
async fn sch_7_a_runtime_that_cannot_suspend_is_not_asked() {
    let (world, _) = world(|runtime| runtime.capabilities(abilities(false, false)));
    world.deploy("f", |spec| spec.instance_lifecycle_config = hooks());
    drop(world.ok("f").await);
    world.pass(200 * SECOND).await;
    assert_eq!(only(&world).events, [Event::Started, Event::FirstRequest]);
    drop(world.ok("f").await);
    end(world).await;
}

/// A runtime of another kind, which cannot suspend.
fn wasm_node(inner: &Arc<ScriptedRuntime>) -> Vec<Node> {
    #[derive(Debug)]
    struct Wasm(Arc<ScriptedRuntime>);

    #[async_trait]
    impl Runtime for Wasm {
        fn capabilities(&self) -> RuntimeCapabilities {
            RuntimeCapabilities { kind: RuntimeKind::Wasm, ..abilities(false, false) }
        }

        async fn prepare(&self, cx: Context, version: &Arc<FunctionVersion>) -> Result<()> {
            self.0.prepare(cx, version).await
        }

        async fn start(&self, cx: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
            self.0.start(cx, spec).await
        }
    }

    let mut spec = node_spec("wasm", "a", 10);
    spec.runtimes = RuntimeSet::of(RuntimeKind::Wasm);
    vec![Node::new(spec, vec![Arc::new(Wasm(inner.clone()))]).unwrap()]
}

/// SCH-7: nodes on which a function never runs say nothing about how it is frozen.
#[tokio::test]
async fn sch_7_other_runtimes_do_not_matter() {
    let (world, _) = world_beside(|runtime| runtime, wasm_node);
    world.deploy("f", |_| {});
    world.deploy("other", |spec| spec.runtime = "wasm".into());
    drop(world.ok("f").await);
    world.pass(2 * SECOND).await;
    assert!(only(&world).events.contains(&Event::Suspended));
    drop(world.ok("other").await);
    world.pass(100 * SECOND).await;
    let other = instances(&world).into_iter().find(|each| !each.events.contains(&Event::Suspended));
    assert_eq!(other.unwrap().events, [Event::Started, Event::FirstRequest]);
    end(world).await;
}

/// QUO-5: an instance has more CPU for 20 s from its creation, however long its start takes.
#[tokio::test]
async fn quo_5_a_new_instance_has_more_cpu_for_20_s() {
    let script: Edit =
        |runtime| runtime.capabilities(abilities(true, true)).start_delay(7 * SECOND);
    let (world, moods) = world(script);
    world.deploy("f", |spec| (spec.cpu, spec.memory_size) = (1.0, 1_024));
    let call = world.call("f", "x");
    world.pass(19 * SECOND).await;
    drop(world.finish(call).await.unwrap());
    let boost = CpuBoost { cpu_milli: 2_000, lasts: 20 * SECOND };
    assert_eq!(moods.lock().boosts, [Some(boost)]);
    world.pass(SECOND - Duration::from_nanos(1)).await;
    assert!(!only(&world).events.contains(&Event::BoostEnded));
    world.pass(Duration::from_nanos(1)).await;
    assert!(only(&world).events.contains(&Event::BoostEnded));
    assert_eq!(world.clock.now().since_origin(), 20 * SECOND);
    world.pass(100 * SECOND).await;
    assert_eq!(moods.lock().boosts_ended, 1);
    end(world).await;
}

/// QUO-5: nobody is told to end what was not given: by a runtime that does not enforce CPU, or for
/// an instance that has all there is.
#[tokio::test]
async fn quo_5_without_more_cpu_nothing_ends() {
    let whole: (f64, u32) = (16.0, 16 * 1_024);
    for (enforced, (cpu, memory)) in [(false, (1.0, 1_024)), (true, whole)] {
        let script: Edit = if enforced {
            |runtime| runtime.capabilities(abilities(true, true))
        } else {
            |runtime| runtime.capabilities(abilities(true, false))
        };
        let (world, moods) = world(script);
        world.deploy("f", |spec| (spec.cpu, spec.memory_size) = (cpu, memory));
        drop(world.ok("f").await);
        world.pass(100 * SECOND).await;
        assert_eq!(moods.lock().boosts, [None]);
        assert_eq!(moods.lock().boosts_ended, 0);
        assert!(!only(&world).events.contains(&Event::BoostEnded));
        end(world).await;
    }
}

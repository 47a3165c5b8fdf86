//! The scheduler over a scripted runtime and simulated time: what callers and instances see.

mod support;

use std::time::Duration;

use fc_core::{
    Asynchronous, Blame, Body, Clock, CustomRuntimeConfig, ErrorKind, FunctionName,
    HealthCheckConfig, Hook, HookConfig, InstanceLifecycleConfig, Invocation, Invoke, Limits,
    Retry,
};
use fc_testkit::scripted::{Answer, Script};
use support::{SECOND, World};

fn script(answer: Answer) -> Script {
    Script { answer, ..Script::default() }
}

/// INV-1, SCH-3, SCH-8: the first request is cold, the next is warm; an idle instance goes after
/// exactly its idle time.
#[tokio::test]
async fn sch_3_an_idle_instance_is_kept_for_its_time_and_no_longer() {
    let world = World::new(|runtime| runtime.start_delay(2 * SECOND).run_time(SECOND));
    world.deploy("f", |_| {});
    let cold = world.ok("f").await;
    assert!(cold.report.cold);
    assert_eq!(cold.report.waited, 2 * SECOND);
    assert_eq!((cold.report.initialized, cold.report.ran), (2 * SECOND, SECOND));
    drop(cold);
    let warm = world.ok("f").await;
    assert!(!warm.report.cold);
    assert_eq!((warm.report.waited, warm.report.initialized), (Duration::ZERO, Duration::ZERO));
    drop(warm);
    world.pass(300 * SECOND - Duration::from_nanos(1)).await;
    assert_eq!(world.runtime.witness().stops, 0, "I19: released too early");
    world.pass(Duration::from_nanos(1)).await;
    assert_eq!(world.runtime.witness().stops, 1);
    assert_eq!(world.scheduler.usage(&world.version("f")).instances, 0);
    world.end().await;
}

/// SCH-3: the idle time is the function's own.
#[tokio::test]
async fn sch_3_the_function_sets_its_idle_time() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.idle_timeout = Some(10));
    drop(world.ok("f").await);
    world.pass(9 * SECOND).await;
    drop(world.ok("f").await);
    world.pass(9 * SECOND).await;
    assert_eq!(world.runtime.witness().stops, 0, "the second request renewed it");
    world.pass(SECOND).await;
    assert_eq!(world.runtime.witness().stops, 1);
    world.end().await;
}

/// SCH-1, SCH-2: ten requests share the one instance that is starting; the eleventh needs another.
#[tokio::test]
async fn sch_2_nothing_is_started_for_which_a_start_is_under_way() {
    let world = World::new(|runtime| runtime.start_delay(SECOND).run_time(SECOND));
    world.deploy("f", |spec| spec.instance_concurrency = 10);
    let calls: Vec<_> = (0..10).map(|_| world.call("f", "x")).collect();
    world.settle().await;
    assert_eq!(world.runtime.witness().starts, 1);
    let eleventh = world.call("f", "x");
    world.settle().await;
    assert_eq!(world.runtime.witness().starts, 2);
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    drop(world.finish(eleventh).await.unwrap());
    assert_eq!(world.runtime.witness().peak_concurrency(), 10, "I14");
    world.end().await;
}

/// SCH-2: a request that waits for a start takes the slot that falls free before.
#[tokio::test]
async fn sch_2_a_freed_slot_serves_the_line_first() {
    let world = World::new(|runtime| runtime.start_delay(10 * SECOND).run_time(SECOND));
    world.deploy("f", |_| {});
    drop(world.ok("f").await);
    let first = world.call("f", "a");
    world.settle().await;
    let second = world.call("f", "b");
    drop(world.finish(first).await.unwrap());
    let second = world.finish(second).await.unwrap();
    assert_eq!(second.report.waited, SECOND);
    assert!(!second.report.cold);
    drop(second);
    world.end().await;
}

/// INV-7, SCH-6, I17: at the limit the caller gets an error and the instance goes.
#[tokio::test]
async fn inv_7_a_request_over_its_time_is_ended_and_its_instance_revoked() {
    let world = World::new(|runtime| runtime.answer(Answer::Never));
    world.deploy("f", |spec| spec.timeout = 5);
    let began = world.clock.now();
    let error = world.err("f").await;
    assert_eq!(world.clock.now() - began, 5 * SECOND);
    assert_eq!((error.kind(), error.blame()), (ErrorKind::FunctionTimeout, Blame::Function));
    assert!(error.message().starts_with("Function time out after"));
    world.settle().await;
    assert_eq!(world.runtime.witness().stops, 1);
    world.runtime.set_function("f", script(Answer::Echo));
    assert!(world.ok("f").await.report.cold);
    world.end().await;
}

/// INV-7: time runs while the answer streams.
#[tokio::test]
async fn inv_7_a_stream_is_bounded_as_well() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.timeout = 5);
    let (feed, call) = world.call_feed("f");
    let reply = world.finish(call).await.unwrap();
    let body = reply.response.into_body();
    assert!(!body.is_in_memory(), "the script streams");
    let began = world.clock.now();
    let read = tokio::spawn(body.read(100));
    let error = world.finish(read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionTimeout);
    assert_eq!(world.clock.now() - began, 5 * SECOND);
    drop(feed);
    world.settle().await;
    assert_eq!(world.runtime.witness().stops, 1);
    world.end().await;
}

/// SCH-6: others in the same instance finish; it takes no more.
#[tokio::test]
async fn sch_6_retirement_never_cuts_a_running_request() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| (spec.timeout, spec.instance_concurrency) = (5, 10));
    let (_stuck_feed, stuck) = world.call_feed("f");
    let stuck = world.finish(stuck).await.unwrap();
    world.pass(3 * SECOND).await;
    let (feed, neighbour) = world.call_feed("f");
    let neighbour = world.finish(neighbour).await.unwrap();
    assert_eq!(neighbour.report.instance, stuck.report.instance);
    let stuck = tokio::spawn(stuck.response.into_body().read(100));
    world.finish(stuck).await.unwrap_err();
    assert_eq!(world.runtime.witness().stops, 0, "the neighbour still runs there");
    let later = world.ok("f").await;
    assert!(later.report.cold, "I17: it serves nobody else");
    drop(later);
    feed.send("late".into()).await.unwrap();
    drop(feed);
    let read = tokio::spawn(neighbour.response.into_body().read(100));
    assert_eq!(world.finish(read).await.unwrap(), "late");
    world.settle().await;
    assert_eq!(world.runtime.witness().stops, 1);
    world.end().await;
}

/// SCH-6: a crash is reported to the request that saw it, and the next gets a new instance.
#[tokio::test]
async fn sch_6_a_crashed_instance_is_replaced() {
    let world = World::new(|runtime| runtime.answer(Answer::Crash));
    world.deploy("f", |_| {});
    assert_eq!(world.err("f").await.kind(), ErrorKind::FunctionCrashed);
    world.runtime.set_function("f", script(Answer::Echo));
    assert!(world.ok("f").await.report.cold);
    world.end().await;
}

/// INV-1, SCH-6: a failure that the function reports costs nobody the instance, and is not retried.
#[tokio::test]
async fn inv_1_a_reported_failure_is_not_retried() {
    let world = World::new(|runtime| runtime.answer(Answer::Fail));
    world.deploy("f", |_| {});
    assert_eq!(world.err("f").await.kind(), ErrorKind::FunctionFailed);
    let witness = world.runtime.witness();
    assert_eq!((witness.requests, witness.starts), (1, 1));
    world.runtime.set_function("f", script(Answer::Echo));
    assert!(!world.ok("f").await.report.cold);
    world.end().await;
}

/// SCH-6: an instance serves for 36 h at most.
#[tokio::test]
async fn sch_6_an_instance_does_not_grow_old() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.idle_timeout = Some(3_600));
    drop(world.ok("f").await);
    for _ in 0..71 {
        world.pass(1_800 * SECOND).await;
        assert!(!world.ok("f").await.report.cold);
    }
    world.pass(1_800 * SECOND).await;
    assert!(world.ok("f").await.report.cold, "36 h are over");
    world.end().await;
}

/// INV-8, SCH-6: with one request at a time the instance is rebuilt when its client goes; a
/// replacement starts at once.
#[tokio::test]
async fn inv_8_a_client_that_goes_away_costs_the_instance() {
    let world = World::new(|runtime| runtime.answer(Answer::Never));
    world.deploy("f", |_| {});
    let call = world.call("f", "x");
    world.settle().await;
    call.abort();
    world.settle().await;
    let witness = world.runtime.witness();
    assert_eq!((witness.starts, witness.stops, witness.running()), (2, 1, 0));
    world.runtime.set_function("f", script(Answer::Echo));
    assert!(!world.ok("f").await.report.cold, "the replacement was ready");
    world.end().await;
}

/// INV-8: a health check vouches for the instance; so does higher concurrency.
#[tokio::test]
async fn inv_8_a_function_may_opt_out_of_the_rebuild() {
    let world = World::new(|runtime| runtime.answer(Answer::Never).capabilities(process()));
    let check = HealthCheckConfig::default();
    let config =
        CustomRuntimeConfig { health_check_config: Some(check), ..CustomRuntimeConfig::default() };
    world.deploy("checked", |spec| {
        (spec.runtime, spec.custom_runtime_config) = ("custom".into(), Some(config));
    });
    world.deploy("shared", |spec| {
        (spec.runtime, spec.instance_concurrency) = ("custom".into(), 2);
    });
    for name in ["checked", "shared"] {
        let call = world.call(name, "x");
        world.settle().await;
        call.abort();
        world.settle().await;
        world.runtime.set_function(name, script(Answer::Echo));
        assert!(!world.ok(name).await.report.cold, "{name}");
    }
    assert_eq!(world.runtime.witness().starts, 2);
    world.end().await;
}

fn process() -> fc_core::RuntimeCapabilities {
    fc_core::RuntimeCapabilities {
        kind: fc_core::RuntimeKind::Process,
        isolation: fc_core::Isolation::Process,
        concurrency_max: 1_000,
        streaming: true,
        suspend: false,
        enforces: fc_core::Enforcement::default(),
    }
}

/// INV-8: a client that leaves in the middle of a streamed answer frees the slot.
#[tokio::test]
async fn inv_8_a_dropped_body_ends_the_request() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |_| {});
    let (_feed, call) = world.call_feed("f");
    let reply = world.finish(call).await.unwrap();
    assert_eq!(world.runtime.witness().running(), 1, "the slot travels with the body");
    drop(reply);
    world.settle().await;
    let witness = world.runtime.witness();
    assert_eq!((witness.running(), witness.stops, witness.starts), (0, 1, 2));
    world.end().await;
}

/// SCH-9, I4: the line is bounded; what is refused never ran and says when to come back.
#[tokio::test]
async fn sch_9_a_full_line_refuses() {
    let limits = Limits { waiting_per_function_max: 3, ..Limits::function_compute() };
    let world = World::with_limits(limits, |runtime| runtime.run_time(SECOND));
    world.deploy("f", |spec| spec.instance_max = Some(1));
    let running = world.call("f", "x");
    world.settle().await;
    let mut calls: Vec<_> = (0..3).map(|_| world.call("f", "x")).collect();
    calls.push(running);
    world.settle().await;
    let refused = world.err("f").await;
    assert_eq!(refused.kind(), ErrorKind::ResourceExhausted);
    assert!(matches!(refused.retry(), Retry::After(_)));
    assert!(refused.message().contains('3'), "names the limit: {refused}");
    for call in calls {
        drop(world.finish(call).await.unwrap());
    }
    assert_eq!(world.runtime.witness().requests, 4);
    world.end().await;
}

/// SCH-9, SCH-10: at the maximum requests wait, then are throttled; nobody else is starved.
#[tokio::test]
async fn sch_10_at_the_maximum_requests_wait_then_are_throttled() {
    let world = World::new(|runtime| runtime.run_time(30 * SECOND));
    world.deploy("busy", |spec| (spec.instance_max, spec.timeout) = (Some(2), 60));
    world.deploy("other", |spec| spec.timeout = 60);
    let running = [world.call("busy", "x"), world.call("busy", "x")];
    world.settle().await;
    let began = world.clock.now();
    let waiting = world.call("busy", "x");
    world.settle().await;
    let other = world.call("other", "x");
    let throttled = world.finish(waiting).await.unwrap_err();
    assert_eq!(throttled.kind(), ErrorKind::ResourceExhausted);
    assert!(throttled.message().contains("at most 2"), "{throttled}");
    let waited = Duration::from_millis(world.limits.capacity_wait_ms_max);
    assert_eq!(world.clock.now() - began, waited);
    assert_eq!(world.runtime.witness().peak_requests, 3, "the other function runs");
    drop(world.finish(other).await.unwrap());
    for call in running {
        drop(world.finish(call).await.unwrap());
    }
    assert_eq!(world.runtime.witness().starts, 3);
    world.end().await;
}

/// SCH-9: nobody waits past his own deadline.
#[tokio::test]
async fn sch_9_waiting_ends_at_the_requests_own_deadline() {
    let world = World::new(|runtime| runtime.start_delay(60 * SECOND));
    world.deploy("f", |_| {});
    let began = world.clock.now();
    let call = world.call_within("f", "x", 4 * SECOND);
    let error = world.finish(call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(world.clock.now() - began, 4 * SECOND);
    let patient = world.call("f", "x");
    drop(world.finish(patient).await.unwrap());
    assert_eq!(world.runtime.witness().starts, 1, "the start went on for the next");
    world.end().await;
}

/// SCH-10: a maximum of 0 stops invocation.
#[tokio::test]
async fn sch_10_a_maximum_of_zero_stops_invocation() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |spec| spec.instance_max = Some(0));
    assert_eq!(world.err("f").await.kind(), ErrorKind::ResourceExhausted);
    assert_eq!(world.runtime.witness().starts, 0);
    world.end().await;
}

/// INV-10, SCH-5: running requests finish on the old version, later ones use the new; no instance
/// ever serves two.
#[tokio::test]
async fn inv_10_a_new_version_drains_the_old() {
    let world = World::new(|runtime| runtime.run_time(4 * SECOND));
    world.deploy("f", |spec| (spec.timeout, spec.instance_max) = (60, Some(1)));
    let running = world.call("f", "x");
    world.settle().await;
    let waiting = world.call("f", "x");
    world.settle().await;
    let old = world.deploy("f", |spec| spec.timeout = 60).unwrap();
    world.scheduler.retire(&old);
    let new = world.finish(world.call("f", "x")).await.unwrap();
    assert!(new.report.cold);
    let running = world.finish(running).await.unwrap();
    assert_ne!(running.report.instance, new.report.instance);
    let waiting = world.finish(waiting).await.unwrap();
    assert_eq!(waiting.report.instance, running.report.instance, "accepted before the change");
    drop((running, waiting, new));
    world.settle().await;
    assert_eq!(world.scheduler.usage(&old).instances, 0);
    for instance in world.runtime.witness().instances.values() {
        assert_eq!(instance.versions.len(), 1, "SCH-5");
    }
    world.end().await;
}

/// INV-10: a request that had resolved the old version before the change does not revive its pool.
#[tokio::test]
async fn inv_10_a_late_request_for_a_retired_version_keeps_nothing() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |_| {});
    let old = world.version("f");
    world.deploy("f", |_| {});
    world.scheduler.retire(&old);
    let target = fc_core::Target::Resolved { version: old.clone(), qualifier: Default::default() };
    let name = fc_core::FunctionName::new("f").unwrap();
    let mut invocation = fc_core::Invocation::event(support::account(), name, "x");
    invocation.target = target;
    let (scheduler, cx) = (world.scheduler.clone(), world.cx());
    let late =
        tokio::spawn(async move { fc_core::Invoke::invoke(&scheduler, cx, invocation).await });
    drop(world.finish(late).await.unwrap());
    world.settle().await;
    assert_eq!(world.scheduler.usage(&old).instances, 0, "stopped without an idle time");
    world.end().await;
}

/// SCH-8, SCH-7: the initializer runs once, before the first request; PreStop before the end.
#[tokio::test]
async fn sch_8_hooks_run_once_and_in_order() {
    let world = World::new(|runtime| {
        runtime.hook_time(SECOND).start_delay(SECOND).answer(Answer::Initialized)
    });
    world.deploy("f", |spec| {
        let hook = Some(HookConfig { handler: "h".into(), timeout: 3 });
        spec.instance_lifecycle_config = Some(InstanceLifecycleConfig {
            initializer: hook.clone(),
            pre_stop: hook,
            ..Default::default()
        });
        spec.instance_concurrency = 10;
    });
    let calls: Vec<_> = (0..5).map(|_| world.call("f", "x")).collect();
    for call in calls {
        let reply = world.finish(call).await.unwrap();
        assert_eq!(reply.report.initialized, 2 * SECOND, "start and initializer, apart from ran");
        assert_eq!(reply.report.ran, Duration::ZERO);
        assert_eq!(reply.response.into_body().read(10).await.unwrap(), "yes");
    }
    world.pass(400 * SECOND).await;
    let witness = world.runtime.witness();
    let instance = witness.instances.values().next().unwrap();
    assert_eq!(instance.hooks(), [Hook::Initialize, Hook::PreStop]);
    assert_eq!((witness.starts, witness.stops), (1, 1));
    world.end().await;
}

/// SCH-8: a failed or late initializer fails its invocation; the next builds a new instance.
#[tokio::test]
async fn sch_8_a_failed_initializer_fails_its_invocation() {
    let world = World::new(|runtime| runtime.fail_initializer(1));
    let initializer = |spec: &mut fc_core::FunctionSpec| {
        let hook = Some(HookConfig { handler: "h".into(), timeout: 3 });
        spec.instance_lifecycle_config =
            Some(InstanceLifecycleConfig { initializer: hook, ..Default::default() });
    };
    world.deploy("f", initializer);
    assert_eq!(world.err("f").await.kind(), ErrorKind::InitializationError);
    world.settle().await;
    assert_eq!(world.runtime.witness().live(), 0);
    drop(world.ok("f").await);
    world.deploy("slow", initializer);
    let slow = Script { hook_time: 5 * SECOND, ..Script::default() };
    world.runtime.set_function("slow", slow);
    let late = world.err("slow").await;
    assert_eq!(late.kind(), ErrorKind::InitializationError);
    assert!(late.message().contains("time out after 3 s"), "{late}");
    world.end().await;
}

/// A start that fails is told to those that it was for, and leaves nothing.
#[tokio::test]
async fn a_failed_start_fails_those_that_waited_for_it() {
    let world = World::new(|runtime| runtime.start_delay(SECOND).fail_start(2));
    world.deploy("f", |spec| spec.instance_concurrency = 2);
    let calls: Vec<_> = (0..5).map(|_| world.call("f", "x")).collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.push(world.finish(call).await.map(drop).map_err(|error| error.kind()));
    }
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!((2..=4).contains(&failed), "{outcomes:?}");
    for outcome in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(outcome, ErrorKind::FunctionNotStarted);
    }
    world.end().await;
}

/// RUN-2: a start has 120 s.
#[tokio::test]
async fn run_2_a_start_that_takes_too_long_is_given_up() {
    let world = World::new(|runtime| runtime.start_delay(500 * SECOND));
    world.deploy("f", |_| {});
    let began = world.clock.now();
    let error = world.err("f").await;
    assert_eq!(error.kind(), ErrorKind::FunctionNotStarted);
    // A runtime that does not see to it itself has one second more.
    assert_eq!(world.clock.now() - began, 121 * SECOND);
    world.end().await;
}

/// INV-9: the log's end is taken when the answer is whole.
#[tokio::test]
async fn inv_9_the_log_tail_comes_with_the_answer() {
    let world = World::new(|runtime| runtime.answer(Answer::Print));
    world.deploy("f", |_| {});
    let name = fc_core::FunctionName::new("f").unwrap();
    let mut invocation = fc_core::Invocation::event(support::account(), name, "printed");
    invocation.log = fc_core::LogType::Tail;
    let reply = fc_core::Invoke::invoke(&world.scheduler, world.cx(), invocation).await.unwrap();
    let tail = reply.report.log_tail.clone().unwrap();
    assert!(String::from_utf8_lossy(&tail).contains("printed"));
    drop(reply);
    world.end().await;
}

/// INV-9: the log is wanted most when the invocation fails.
#[tokio::test]
async fn inv_9_the_log_tail_comes_with_a_failure() {
    let world = World::new(|runtime| runtime.answer(Answer::Fail));
    world.deploy("f", |_| {});
    let name = fc_core::FunctionName::new("f").unwrap();
    let mut invocation = fc_core::Invocation::event(support::account(), name, "x");
    invocation.log = fc_core::LogType::Tail;
    let failed = fc_core::Invoke::invoke(&world.scheduler, world.cx(), invocation).await;
    assert!(failed.unwrap_err().log_tail().is_some());
    assert!(world.err("f").await.log_tail().is_none(), "it was not asked for");
    world.end().await;
}

/// I28: a shutdown refuses the new, finishes what runs and what waits, and leaves nothing.
#[tokio::test]
async fn a_shutdown_drains() {
    let world = World::new(|runtime| runtime.run_time(4 * SECOND));
    world.deploy("f", |spec| (spec.instance_max, spec.timeout) = (Some(1), 60));
    let running = world.call("f", "x");
    world.settle().await;
    let waiting = world.call("f", "x");
    world.settle().await;
    let (scheduler, by) = (world.scheduler.clone(), world.clock.now() + 60 * SECOND);
    let shutdown = tokio::spawn(async move { scheduler.shutdown(by).await });
    world.settle().await;
    let refused = world.err("f").await;
    assert_eq!(refused.kind(), ErrorKind::ResourceThrottled);
    let running = world.finish(running).await.unwrap();
    let _: Body = running.response.into_body();
    drop(world.finish(waiting).await.unwrap());
    world.finish(shutdown).await;
    world.nothing_left();
}

/// I28: at the shutdown's deadline what still runs is stopped.
#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever() {
    let world = World::new(|runtime| runtime.answer(Answer::Never));
    world.deploy("f", |spec| spec.timeout = 600);
    world.deploy("starting", |_| {});
    let slow = Script { start_delay: 100 * SECOND, ..Script::default() };
    world.runtime.set_function("starting", slow);
    let calls = [world.call("f", "x"), world.call("starting", "x")];
    world.settle().await;
    let (scheduler, by) = (world.scheduler.clone(), world.clock.now() + 5 * SECOND);
    let shutdown = tokio::spawn(async move { scheduler.shutdown(by).await });
    for call in calls {
        world.finish(call).await.unwrap_err();
    }
    world.finish(shutdown).await;
    assert_eq!(world.clock.now().since_origin(), 5 * SECOND);
    world.nothing_left();
}

/// I4, I25: what does not exist touches nothing.
#[tokio::test]
async fn an_unknown_function_touches_nothing() {
    let world = World::new(|runtime| runtime);
    assert_eq!(world.err("f").await.kind(), ErrorKind::FunctionNotFound);
    assert_eq!(world.runtime.witness().prepares, 0);
    world.end().await;
}

/// INV-2: what is to be queued is not run in its place, nor does it touch an instance.
#[tokio::test]
async fn inv_2_an_asynchronous_invocation_is_not_run_at_once() {
    let world = World::new(|runtime| runtime);
    world.deploy("f", |_| {});
    let name = FunctionName::new("f").unwrap();
    for asynchronous in
        [Asynchronous::default(), Asynchronous { task_id: Some("a".into()), delay: Some(SECOND) }]
    {
        let asynchronous = Some(Box::new(asynchronous));
        let invocation = Invocation::event(support::account(), name.clone(), "x");
        let invocation = Invocation { asynchronous, ..invocation };
        let refused = world.scheduler.invoke(world.cx(), invocation).await.unwrap_err();
        assert_eq!((refused.kind(), refused.retry()), (ErrorKind::Unsupported, Retry::Never));
        assert!(refused.message().contains("queues no asynchronous"), "{refused}");
    }
    assert_eq!(world.runtime.witness().starts, 0);
    drop(world.ok("f").await);
    assert_eq!(world.runtime.witness().starts, 1);
    world.end().await;
}

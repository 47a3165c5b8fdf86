use std::future::Future;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use fc_core::{
    AccountId, Attachment, AttachmentId, Body, CodeRef, Exit, FunctionSpec, Hook, InstanceId,
    Invocation, InvocationKind, Limits, LogType, Qualifier, Reply, Request, RequestId, Target,
    Timestamp, VersionId,
};

use super::*;
use crate::SimClock;

const CX: Context = Context::new(RequestId::NIL);

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut TaskContext::from_waker(Waker::noop()))
}

fn ready<F: Future>(future: F) -> F::Output {
    match poll(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

fn version(uid: u64, name: &str) -> Arc<FunctionVersion> {
    let spec = FunctionSpec {
        function_name: name.into(),
        runtime: "in-process".into(),
        ..FunctionSpec::default()
    };
    let account = AccountId::new("1").unwrap();
    let (code, limits) = (Arc::new(CodeRef::Registered), Limits::default());
    let version = FunctionVersion::new(uid, account, VersionId::LATEST, &spec, code, &limits);
    Arc::new(version.unwrap())
}

fn spec(id: &str, version: &Arc<FunctionVersion>) -> InstanceSpec {
    InstanceSpec {
        id: InstanceId::new(id).unwrap(),
        version: version.clone(),
        attachment: Attachment {
            id: AttachmentId(0),
            address: [127, 0, 0, 1].into(),
            own_address: false,
            namespace: None,
        },
        boost: None,
    }
}

fn invocation(version: &Arc<FunctionVersion>, body: &'static str) -> Invocation {
    Invocation {
        target: Target::Resolved { version: version.clone(), qualifier: Qualifier::default() },
        kind: InvocationKind::Event,
        client_ip: None,
        log: LogType::None,
        asynchronous: None,
        request: Request::new(Body::from(body)),
    }
}

fn sim() -> SimClock {
    SimClock::new(Timestamp::default())
}

fn text(reply: Reply) -> String {
    String::from_utf8(ready(reply.response.into_body().read(100)).unwrap().into()).unwrap()
}

#[test]
fn starts_take_their_time_on_the_clock_and_fail_as_often_as_told() {
    let clock = sim();
    let second = Duration::from_secs(1);
    let runtime = ScriptedRuntime::new(Arc::new(clock.clone())).start_delay(second).fail_start(1);
    let version = version(1, "f");
    let spec = spec("c-1", &version);
    for fails in [true, false] {
        let mut start = pin!(runtime.start(CX, &spec));
        assert!(poll(start.as_mut()).is_pending());
        assert_eq!(runtime.witness().live(), 0);
        clock.advance(second);
        let started = poll(start);
        assert!(matches!(started, Poll::Ready(result) if result.is_err() == fails));
    }
    let witness = runtime.witness();
    assert_eq!((witness.starts, witness.failed_starts, witness.live()), (2, 1, 1));
}

#[test]
fn a_dropped_start_leaves_nothing() {
    let clock = sim();
    let runtime = ScriptedRuntime::new(Arc::new(clock.clone())).start_delay(Duration::from_secs(1));
    let version = version(1, "f");
    {
        let spec = spec("c-1", &version);
        let mut start = pin!(runtime.start(CX, &spec));
        assert!(poll(start.as_mut()).is_pending());
    }
    clock.advance(Duration::from_secs(2));
    let witness = runtime.witness();
    assert_eq!((witness.starts, witness.live(), witness.instances.len()), (1, 0, 0));
    assert_eq!(clock.pending_timers(), 0);
}

#[test]
fn the_witness_counts_a_request_until_its_body_is_over() {
    let clock = sim();
    let runtime = ScriptedRuntime::new(Arc::new(clock.clone())).run_time(Duration::from_secs(1));
    let (version, other) = (version(1, "f"), version(2, "f"));
    let instance = ready(runtime.start(CX, &spec("c-1", &version))).unwrap();
    {
        let mut one = pin!(instance.invoke(CX, invocation(&version, "one")));
        let mut two = pin!(instance.invoke(CX, invocation(&other, "two")));
        assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
        assert_eq!(runtime.witness().running(), 2);
        clock.advance(Duration::from_secs(1));
        let Poll::Ready(Ok(reply)) = poll(one) else { panic!("no answer") };
        assert_eq!(runtime.witness().running(), 2);
        assert_eq!(text(reply), "one");
        assert_eq!(runtime.witness().running(), 1);
        // The other is dropped half-way.
    }
    ready(instance.stop(CX)).unwrap();
    ready(instance.stop(CX)).unwrap();
    let witness = runtime.witness();
    assert_eq!((witness.running(), witness.live(), witness.stops), (0, 0, 1));
    let seen = witness.instances.values().next().unwrap();
    assert_eq!((seen.peak_concurrency, seen.requests, seen.misdirected), (2, 2, 0));
    assert_eq!(seen.versions.iter().copied().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn hooks_and_the_first_request_are_in_order() {
    let runtime = ScriptedRuntime::new(Arc::new(sim())).answer(Answer::Initialized);
    let version = version(1, "f");
    let instance = ready(runtime.start(CX, &spec("c-1", &version))).unwrap();
    ready(instance.run_hook(CX, Hook::Initialize)).unwrap();
    for _ in 0..2 {
        let reply = ready(instance.invoke(CX, invocation(&version, ""))).unwrap();
        assert_eq!(text(reply), "yes");
    }
    ready(instance.suspend(CX)).unwrap();
    ready(instance.resume(CX)).unwrap();
    ready(instance.run_hook(CX, Hook::PreStop)).unwrap();
    ready(instance.stop(CX)).unwrap();
    let witness = runtime.witness();
    let seen = witness.instances.values().next().unwrap();
    assert_eq!(seen.hooks(), [Hook::Initialize, Hook::PreStop]);
    assert_eq!(
        seen.events,
        [
            Event::Started,
            Event::Hook(Hook::Initialize),
            Event::FirstRequest,
            Event::Suspended,
            Event::Resumed,
            Event::Hook(Hook::PreStop),
            Event::Stopped,
        ]
    );
}

#[test]
fn a_crash_ends_the_instance_and_all_that_is_in_it() {
    let runtime = ScriptedRuntime::new(Arc::new(sim())).answer(Answer::Never);
    let version = version(1, "f");
    let instance = ready(runtime.start(CX, &spec("c-1", &version))).unwrap();
    let mut waits = pin!(instance.invoke(CX, invocation(&version, "")));
    assert!(poll(waits.as_mut()).is_pending());
    runtime.set_function("f", Script { answer: Answer::Crash, ..Script::default() });
    let crashed = ready(instance.invoke(CX, invocation(&version, ""))).unwrap_err();
    assert_eq!(crashed.kind(), ErrorKind::FunctionCrashed);
    assert!(matches!(poll(waits), Poll::Ready(Err(e)) if e.kind() == ErrorKind::FunctionCrashed));
    assert_eq!(ready(instance.exited()), Exit::Code(1));
    ready(instance.stop(CX)).unwrap();
    assert_eq!(ready(instance.exited()), Exit::Code(1));
    assert!(ready(instance.invoke(CX, invocation(&version, ""))).is_err());
    let witness = runtime.witness();
    assert_eq!(witness.instances.values().next().unwrap().misdirected, 1);
    assert_eq!((witness.running(), witness.live()), (0, 0));
}

#[test]
fn failing_initializers_are_counted_by_instance() {
    let runtime = ScriptedRuntime::new(Arc::new(sim())).fail_initializer(1);
    let version = version(1, "f");
    let first = ready(runtime.start(CX, &spec("c-1", &version))).unwrap();
    let second = ready(runtime.start(CX, &spec("c-2", &version))).unwrap();
    for _ in 0..2 {
        let failed = ready(first.run_hook(CX, Hook::Initialize)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::InitializationError);
    }
    ready(second.run_hook(CX, Hook::Initialize)).unwrap();
}

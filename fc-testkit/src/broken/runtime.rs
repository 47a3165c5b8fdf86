//! Broken runtimes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::{
    Attachment, Context, Error, ErrorKind, Exit, FunctionVersion, Hook, Instance, InstanceSpec,
    Invocation, InvocationKind, Reply, RequestId, Result, Runtime, RuntimeCapabilities,
};
use parking_lot::Mutex;

use crate::conformance::runtime::{Behaviour, RuntimeFixture};

/// How a [`BrokenFixture`]'s runtime is broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuntimeFault {
    /// It declares something else each time.
    CapabilitiesChange,
    /// The third `prepare` of a version fails.
    PrepareFailsWhenRepeated,
    /// Each HTTP request reaches the function as a POST.
    MethodIsLost,
    /// Of a body of more than 512 KB, half is passed on.
    LargeBodyIsCut,
    /// A second start of a version gives the first's instance.
    InstancesAreShared,
    /// A request is read to its end before it is passed on.
    RequestIsBuffered,
    /// One request at a time.
    RequestsAreSerialised,
    /// After a cancelled request, all fail.
    CancelPoisons,
    /// A crash is reported as a bad response.
    CrashIsBadResponse,
    /// An instance that died says that it was stopped.
    CrashLooksStopped,
    /// Who waits for the end beside another gets another answer.
    SecondWaiterIsToldOtherwise,
    /// The second `stop` fails.
    SecondStopFails,
    /// An instance that was stopped says that a signal ended it.
    StopLooksLikeSignal,
    /// A request to a stopped instance waits for ever.
    LateRequestHangs,
    /// A request that runs when the instance is stopped waits for ever.
    RunningRequestHangs,
    /// `stop` leaves something of an instance that was used.
    StopLeaks,
    /// The initializer is not called.
    InitializerIsSkipped,
    /// A failing initializer is reported as a failing request.
    InitializerFailureIsOther,
    /// A program that does not start is reported as the platform's failure.
    StartFailureIsOther,
    /// A start that failed leaves something.
    FailedStartLeaks,
    /// A start that is dropped goes on.
    DroppedStartGoesOn,
    /// `suspend` works though it is not declared.
    SuspendIsNotDeclared,
    /// `resume` fails though it is declared.
    ResumeFails,
    /// The log is always that of the last request.
    LogIsOfTheLastRequest,
}

impl RuntimeFault {
    /// Every fault, with the one case that finds it.
    pub const ALL: [(Self, &'static str); 24] = [
        (Self::CapabilitiesChange, "capabilities_are_constant"),
        (Self::PrepareFailsWhenRepeated, "prepare_is_idempotent"),
        (Self::MethodIsLost, "a_request_arrives_with_method_and_path"),
        (Self::LargeBodyIsCut, "a_body_comes_back_whole"),
        (Self::InstancesAreShared, "instances_have_a_state_of_their_own"),
        (Self::RequestIsBuffered, "bodies_pass_while_they_arise"),
        (Self::RequestsAreSerialised, "the_declared_concurrency_is_there"),
        (Self::CancelPoisons, "a_cancelled_request_disturbs_no_other_instance"),
        (Self::CrashIsBadResponse, "a_crash_is_reported_to_its_request"),
        (Self::CrashLooksStopped, "a_crash_ends_the_instance"),
        (Self::SecondWaiterIsToldOtherwise, "exited_tells_everybody_the_same"),
        (Self::SecondStopFails, "stop_is_idempotent"),
        (Self::StopLooksLikeSignal, "a_stopped_instance_has_exited"),
        (Self::LateRequestHangs, "a_stopped_instance_refuses_requests"),
        (Self::RunningRequestHangs, "stop_ends_what_runs"),
        (Self::StopLeaks, "stop_leaves_nothing"),
        (Self::InitializerIsSkipped, "an_initializer_runs_before_requests"),
        (Self::InitializerFailureIsOther, "a_failing_initializer_is_reported"),
        (Self::StartFailureIsOther, "what_does_not_start_is_reported"),
        (Self::FailedStartLeaks, "a_failed_start_leaves_nothing"),
        (Self::DroppedStartGoesOn, "a_dropped_start_leaves_nothing"),
        (Self::SuspendIsNotDeclared, "suspend_is_refused_unless_declared"),
        (Self::ResumeFails, "a_resumed_instance_answers"),
        (Self::LogIsOfTheLastRequest, "log_tail_is_the_end_of_what_was_printed"),
    ];
}

/// A good runtime's fixture behind a wrapper that breaks one rule.
///
/// The good runtime declares `streaming` and `suspend`, keeps a log, and says what it holds; its
/// starts take more than one poll.
pub struct BrokenFixture<F> {
    good: F,
    shared: Arc<Shared>,
}

/// What a broken runtime remembers.
#[derive(Debug)]
struct Shared {
    fault: RuntimeFault,
    asked: AtomicU32,
    prepared: Mutex<HashMap<u64, u32>>,
    started: Mutex<HashMap<u64, Arc<dyn Instance>>>,
    leaked: AtomicUsize,
    poisoned: AtomicBool,
    last_request: Mutex<RequestId>,
    /// Held by the one request that may run.
    turn: tokio::sync::Mutex<()>,
}

impl Shared {
    fn has(&self, fault: RuntimeFault) -> bool {
        self.fault == fault
    }

    /// With this fault, an error of one kind becomes one of another.
    fn disguise<T>(
        &self,
        result: Result<T>,
        fault: RuntimeFault,
        from: ErrorKind,
        to: ErrorKind,
    ) -> Result<T> {
        result.map_err(|error| match error.kind() == from && self.has(fault) {
            true => Error::new(to, error.message().to_owned()),
            false => error,
        })
    }
}

impl<F: RuntimeFixture> BrokenFixture<F> {
    /// Breaks the runtime of `good`.
    pub fn new(good: F, fault: RuntimeFault) -> Self {
        let shared = Shared {
            fault,
            asked: AtomicU32::new(0),
            prepared: Mutex::default(),
            started: Mutex::default(),
            leaked: AtomicUsize::new(0),
            poisoned: AtomicBool::new(false),
            last_request: Mutex::new(RequestId::NIL),
            turn: tokio::sync::Mutex::new(()),
        };
        Self { good, shared: Arc::new(shared) }
    }
}

impl<F> std::fmt::Debug for BrokenFixture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokenFixture").field("fault", &self.shared.fault).finish_non_exhaustive()
    }
}

#[async_trait]
impl<F: RuntimeFixture> RuntimeFixture for BrokenFixture<F> {
    async fn runtime(&self) -> Arc<dyn Runtime> {
        let failing = self.good.version(Behaviour::FailInitializer);
        Arc::new(BrokenRuntime {
            good: self.good.runtime().await,
            shared: self.shared.clone(),
            failing_initializer: failing.map(|version| version.uid()),
        })
    }

    fn version(&self, behaviour: Behaviour) -> Option<Arc<FunctionVersion>> {
        self.good.version(behaviour)
    }

    fn held(&self) -> Option<usize> {
        Some(self.good.held()? + self.shared.leaked.load(Ordering::SeqCst))
    }

    fn attachment(&self) -> Attachment {
        self.good.attachment()
    }
}

#[derive(Debug)]
struct BrokenRuntime {
    good: Arc<dyn Runtime>,
    shared: Arc<Shared>,
    /// Uid of the function whose initializer fails.
    failing_initializer: Option<u64>,
}

#[async_trait]
impl Runtime for BrokenRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        let mut capabilities = self.good.capabilities();
        match self.shared.fault {
            RuntimeFault::CapabilitiesChange => {
                capabilities.concurrency_max += self.shared.asked.fetch_add(1, Ordering::SeqCst);
            }
            RuntimeFault::SuspendIsNotDeclared => capabilities.suspend = false,
            _ => {}
        }
        capabilities
    }

    async fn prepare(&self, cx: Context, version: &Arc<FunctionVersion>) -> Result<()> {
        let times = {
            let mut prepared = self.shared.prepared.lock();
            let times = prepared.entry(version.uid()).or_default();
            *times += 1;
            *times
        };
        if times > 2 && self.shared.has(RuntimeFault::PrepareFailsWhenRepeated) {
            return Err(Error::internal("it is prepared already"));
        }
        self.good.prepare(cx, version).await
    }

    async fn start(&self, cx: Context, spec: &InstanceSpec) -> Result<Arc<dyn Instance>> {
        let (shared, uid) = (&self.shared, spec.version.uid());
        if shared.has(RuntimeFault::InstancesAreShared)
            && let Some(instance) = shared.started.lock().get(&uid)
        {
            return Ok(instance.clone());
        }
        let started = if shared.has(RuntimeFault::DroppedStartGoesOn) {
            let (good, spec) = (self.good.clone(), spec.clone());
            let start = tokio::spawn(async move { good.start(cx, &spec).await });
            start.await.unwrap_or_else(|_| Err(Error::internal("the start was aborted")))
        } else {
            self.good.start(cx, spec).await
        };
        if started.is_err() && shared.has(RuntimeFault::FailedStartLeaks) {
            shared.leaked.fetch_add(1, Ordering::SeqCst);
        }
        let (from, to) = (ErrorKind::FunctionNotStarted, ErrorKind::InternalServerError);
        let good = shared.disguise(started, RuntimeFault::StartFailureIsOther, from, to)?;
        let instance = Arc::new(BrokenInstance {
            good,
            shared: shared.clone(),
            fails_to_initialize: self.failing_initializer == Some(uid),
            used: AtomicBool::new(false),
            stops: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
        });
        shared.started.lock().insert(uid, instance.clone());
        Ok(instance)
    }
}

#[derive(Debug)]
struct BrokenInstance {
    good: Arc<dyn Instance>,
    shared: Arc<Shared>,
    /// Its initializer is one that fails: it is called even where others are skipped.
    fails_to_initialize: bool,
    used: AtomicBool,
    stops: AtomicU32,
    /// Calls of `exited` that wait.
    waiting: AtomicU32,
}

impl BrokenInstance {
    fn is_stopped(&self) -> bool {
        self.stops.load(Ordering::SeqCst) > 0
    }

    /// What is wrong with the request before the function has it.
    async fn spoil(&self, mut invocation: Invocation) -> Result<Invocation> {
        let request = &mut invocation.request;
        match self.shared.fault {
            RuntimeFault::MethodIsLost if invocation.kind == InvocationKind::Http => {
                *request.method_mut() = http::Method::POST;
            }
            RuntimeFault::LargeBodyIsCut
                if request.body().known_length().is_some_and(|bytes| bytes > 512 * 1024) =>
            {
                let mut body = std::mem::take(request.body_mut()).read(u64::MAX).await?;
                body.truncate(body.len() / 2);
                *request.body_mut() = body.into();
            }
            RuntimeFault::RequestIsBuffered if !request.body().is_in_memory() => {
                *request.body_mut() =
                    std::mem::take(request.body_mut()).read(u64::MAX).await?.into();
            }
            _ => {}
        }
        Ok(invocation)
    }
}

#[async_trait]
impl Instance for BrokenInstance {
    async fn run_hook(&self, cx: Context, hook: Hook) -> Result<()> {
        if self.shared.has(RuntimeFault::InitializerIsSkipped) && !self.fails_to_initialize {
            return Ok(());
        }
        let ran = self.good.run_hook(cx, hook).await;
        let (from, to) = (ErrorKind::InitializationError, ErrorKind::FunctionFailed);
        self.shared.disguise(ran, RuntimeFault::InitializerFailureIsOther, from, to)
    }

    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        let shared = &self.shared;
        let stopped = self.is_stopped();
        self.used.store(true, Ordering::SeqCst);
        *shared.last_request.lock() = cx.request_id;
        if shared.poisoned.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::BadResponse, "an earlier request was cancelled"));
        }
        let mut poison = PoisonOnDrop(shared.has(RuntimeFault::CancelPoisons).then_some(shared));
        let _turn = match shared.fault {
            RuntimeFault::RequestsAreSerialised => Some(shared.turn.lock().await),
            _ => None,
        };
        let invocation = self.spoil(invocation).await?;
        let answer = self.good.invoke(cx, invocation).await;
        poison.0 = None;
        let hangs = match shared.fault {
            RuntimeFault::LateRequestHangs => stopped,
            RuntimeFault::RunningRequestHangs => !stopped && self.is_stopped() && answer.is_err(),
            _ => false,
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let (from, to) = (ErrorKind::FunctionCrashed, ErrorKind::BadResponse);
        shared.disguise(answer, RuntimeFault::CrashIsBadResponse, from, to)
    }

    async fn log_tail(&self, request: RequestId, max: usize) -> Option<Bytes> {
        let last = *self.shared.last_request.lock();
        let other = self.shared.has(RuntimeFault::LogIsOfTheLastRequest);
        self.good.log_tail(if other { last } else { request }, max).await
    }

    async fn suspend(&self, cx: Context) -> Result<()> {
        self.good.suspend(cx).await
    }

    async fn resume(&self, cx: Context) -> Result<()> {
        if self.shared.has(RuntimeFault::ResumeFails) {
            return Err(Error::internal("it cannot be resumed"));
        }
        self.good.resume(cx).await
    }

    async fn end_boost(&self, cx: Context) -> Result<()> {
        self.good.end_boost(cx).await
    }

    async fn exited(&self) -> Exit {
        let beside_another = self.waiting.fetch_add(1, Ordering::SeqCst) > 0;
        let waits = Waits(&self.waiting);
        let exit = self.good.exited().await;
        drop(waits);
        match self.shared.fault {
            RuntimeFault::CrashLooksStopped => Exit::Stopped,
            RuntimeFault::StopLooksLikeSignal if exit == Exit::Stopped => Exit::Signal(9),
            RuntimeFault::SecondWaiterIsToldOtherwise if beside_another => Exit::OutOfMemory,
            _ => exit,
        }
    }

    async fn stop(&self, cx: Context) -> Result<()> {
        let again = self.stops.fetch_add(1, Ordering::SeqCst) > 0;
        if again && self.shared.has(RuntimeFault::SecondStopFails) {
            return Err(Error::internal("it is stopped already"));
        }
        if !again && self.used.load(Ordering::SeqCst) && self.shared.has(RuntimeFault::StopLeaks) {
            self.shared.leaked.fetch_add(1, Ordering::SeqCst);
        }
        self.good.stop(cx).await
    }
}

/// Poisons the runtime when a request is dropped half-way.
struct PoisonOnDrop<'s>(Option<&'s Arc<Shared>>);

impl Drop for PoisonOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.poisoned.store(true, Ordering::SeqCst);
        }
    }
}

/// Counts a waiter for as long as it waits.
struct Waits<'c>(&'c AtomicU32);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

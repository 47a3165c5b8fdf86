//! Asynchronous invocation, whole.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fc_core::port::queue::{Lane, LaneDepth, Place, TaskView};
use fc_core::{
    AccountId, AsyncConfig, Context, FunctionName, Instant, Invocation, Invoke, Reply, RequestId,
    Result, TaskStatus, Timestamp,
};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::anchored::AnchoredClock;
use crate::config::{EngineConfig, EnginePorts, TaskNews};
use crate::configs::Configs;
use crate::core::destination::RecordForm;
use crate::core::envelope::InvokeJob;
use crate::core::retry::RetryPolicy;
use crate::core::sideline::Sideline;
use crate::counters::{Counters, EngineCounters};
use crate::dispatch::{self, Budgets, Lanes, Permits, Starts};
use crate::tasks::{Records, sweep};
use crate::{enqueue, fit};

/// Asynchronous invocation: an [`Invoke`] that queues, and what runs the queue.
///
/// Cloning is cheap and gives the same engine. What [`Engine::invoke`](Invoke::invoke) answered with
/// 202 is as durable as the queue declares; it is run at least once, and ends exactly once.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

/// What all parts of an engine share.
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) ports: EnginePorts,
    pub(crate) wall: AnchoredClock,
    pub(crate) configs: Configs,
    pub(crate) records: Records,
    pub(crate) sideline: Mutex<Sideline>,
    pub(crate) budgets: Budgets,
    pub(crate) permits: Permits,
    pub(crate) starts: Starts,
    pub(crate) lanes: Lanes,
    /// Tasks that run here and whose callers may stop them, by account, function and id.
    pub(crate) running: Mutex<HashMap<(AccountId, FunctionName, String), CancellationToken>>,
    /// Nothing new is taken.
    pub(crate) closing: CancellationToken,
    /// What runs is let go.
    pub(crate) abandoning: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) counters: Counters,
}

impl Engine {
    /// An engine that takes invocations and runs what is queued, what an earlier process left too.
    ///
    /// It warns, through `tracing`, of a queue or a store that does not declare to keep what it
    /// acknowledges (I35).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names a setting that cannot be kept, or what a driver declares that is
    /// too little for the settings: sizes, the longest delay, and a store that is gone with its process
    /// under a queue that is not, which would drop acknowledged tasks with their records. Whatever keeps
    /// the store from being read.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(config: EngineConfig, ports: EnginePorts) -> Result<Self> {
        let config = config.proved()?;
        let store = ports.store.clone();
        let (of_queue, of_store) = (ports.queue.capabilities(), store.capabilities());
        fit::check(&config, &of_queue, &of_store)?;
        fit::warn(&of_queue, &of_store);
        let shared = Arc::new(Shared {
            wall: AnchoredClock::new(ports.clock.clone()),
            configs: Configs::load(store.clone(), ports.clock.clone()).await?,
            records: Records::new(store, ports.clock.clone()),
            sideline: Mutex::new(Sideline::new(config.sideline)),
            budgets: Budgets::new(config.retry.budget),
            permits: Permits::new(config.concurrency),
            starts: Starts::new(),
            lanes: Lanes::default(),
            running: Mutex::default(),
            closing: CancellationToken::new(),
            abandoning: CancellationToken::new(),
            tasks: TaskTracker::new(),
            counters: Counters::default(),
            config,
            ports,
        });
        for duty in [Duty::Follow, Duty::Discover, Duty::Sweep] {
            let closing = shared.closing.clone();
            let work = duty.work(shared.clone());
            shared.tasks.spawn(async move { closing.run_until_cancelled(work).await });
        }
        Ok(Self { shared })
    }

    /// Takes nothing new and begins no task any more; lets those that run finish until `deadline`.
    /// Then what still runs is cancelled and goes back to the queue, for whoever comes next (I28).
    pub async fn shutdown(&self, deadline: Instant) {
        let shared = &self.shared;
        shared.closing.cancel();
        shared.tasks.close();
        let clock = &shared.ports.clock;
        if clock.with_deadline(deadline, shared.tasks.wait()).await.is_err() {
            shared.abandoning.cancel();
            shared.tasks.wait().await;
        }
    }

    /// What this engine has done so far (I32).
    pub fn counters(&self) -> EngineCounters {
        self.shared.counters.snapshot()
    }

    /// The dead letters of a lane, oldest first, behind a position.
    ///
    /// # Errors
    ///
    /// Whatever keeps the queue from reading.
    pub async fn dead_letters(
        &self,
        lane: &Lane,
        after: Option<u64>,
        max: usize,
    ) -> Result<Vec<TaskView>> {
        self.shared.ports.queue.list(lane, Place::Buried, after, max).await
    }

    /// Lets dead letters run again, as if they were accepted now: the one of this id, or all of the
    /// lane. Gives how many (ASY-6).
    ///
    /// # Errors
    ///
    /// As [`Queue::redrive`](fc_core::Queue::redrive).
    pub async fn redrive(&self, cx: Context, lane: &Lane, id: Option<&str>) -> Result<u64> {
        let now = self.shared.wall.after(Duration::ZERO);
        let note = dispatch::fresh_note(now);
        let queue = &self.shared.ports.queue;
        let revived = queue.redrive(cx, lane, id, now, note).await?;
        self.shared.lanes.found(&self.shared, lane);
        Ok(revived)
    }

    /// Removes all dead letters of a lane. Gives how many.
    ///
    /// # Errors
    ///
    /// As [`Queue::purge`](fc_core::Queue::purge).
    pub async fn purge_dead_letters(&self, cx: Context, lane: &Lane) -> Result<u64> {
        self.shared.ports.queue.purge(cx, lane, Place::Buried).await
    }

    /// What a lane holds.
    ///
    /// # Errors
    ///
    /// Whatever keeps the queue from reading.
    pub async fn depth(&self, lane: &Lane) -> Result<LaneDepth> {
        self.shared.ports.queue.depth(lane).await
    }
}

/// What an engine does beside running tasks, for as long as it is open.
#[derive(Clone, Copy)]
enum Duty {
    Follow,
    Discover,
    Sweep,
}

impl Duty {
    async fn work(self, shared: Arc<Shared>) {
        match self {
            Self::Follow => shared.configs.clone().follow().await,
            Self::Discover => dispatch::discover(shared).await,
            Self::Sweep => sweep::run(&shared).await,
        }
    }
}

impl Shared {
    /// A function's ARN (`alibaba-fc.md` 3.4).
    pub(crate) fn arn(&self, account: AccountId, function: &FunctionName) -> String {
        format!("acs:fc:{}:{account}:functions/{function}", self.config.region)
    }

    /// The lane of a function's tasks.
    pub(crate) fn lane(&self, account: AccountId, function: &FunctionName, is_aside: bool) -> Lane {
        if is_aside { Lane::function(account, function) } else { Lane::account(account) }
    }

    /// How an invocation under these settings is run, and whether it is a task that is recorded.
    pub(crate) fn job(&self, config: Option<&AsyncConfig>) -> Result<(InvokeJob, bool)> {
        let policy = &self.config.retry;
        let configured = config.map(|config| policy.configured(config)).transpose()?;
        let policy = configured.as_ref().unwrap_or(policy);
        let destinations = config.and_then(|config| config.destination_config.clone());
        let destinations = destinations.unwrap_or_default();
        let job = InvokeJob {
            age_ms_max: u64::try_from(policy.age.as_millis()).unwrap_or(u64::MAX),
            retries_max: policy.retries,
            on_success: destinations.on_success.map(|to| to.destination),
            on_failure: destinations.on_failure.map(|to| to.destination),
            ..InvokeJob::default()
        };
        Ok((job, config.and_then(|config| config.async_task).unwrap_or_default()))
    }

    /// The engine's policy with the numbers of the moment of acceptance.
    pub(crate) fn policy(&self, job: &InvokeJob) -> RetryPolicy {
        RetryPolicy {
            retries: job.retries_max,
            age: Duration::from_millis(job.age_ms_max),
            ..self.config.retry.clone()
        }
    }

    /// Whose form records have.
    pub(crate) fn record_form(&self) -> RecordForm {
        self.config.record_form.unwrap_or(self.config.limits.dialect.into())
    }

    /// What the engine does for itself.
    pub(crate) fn context(&self) -> Context {
        Context::new(RequestId::NIL)
    }

    pub(crate) fn tell(
        &self,
        account: AccountId,
        function: &FunctionName,
        task_id: &str,
        status: TaskStatus,
        attempts: u32,
    ) {
        let at: Timestamp = self.wall.now();
        tracing::debug!(%account, %function, task_id, status = status.as_str(), attempts, "task");
        if let Some(sink) = &self.ports.sink {
            let (function, task_id) = (function.clone(), task_id.to_owned());
            sink.told(&TaskNews { account, function, task_id, status, at, attempts });
        }
    }
}

#[async_trait]
impl Invoke for Engine {
    /// Queues `invocation`. The answer is 202 without a body, and names the task in
    /// `x-fc-async-task-id`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a delay, id or payload that is not allowed, `FunctionNotFound` and the
    /// like; `StatefulAsyncInvocationAlreadyExists`; `ResourceExhausted` or `ResourceThrottled` if the
    /// queue takes nothing: then the function does not run. `Unknown`: it may.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have queued.
    async fn invoke(&self, cx: Context, invocation: Invocation) -> Result<Reply> {
        enqueue::enqueue(&self.shared, cx, invocation).await
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// An empty note.
pub(crate) const NO_NOTE: Bytes = Bytes::new();

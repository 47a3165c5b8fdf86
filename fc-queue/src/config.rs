//! What an engine is made of.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    AccountId, Catalog, Clock, Error, FunctionName, Invoke, Limits, Queue, Result, Store,
    TaskStatus, Timestamp,
};

use crate::core::concurrency::ConcurrencyLimits;
use crate::core::destination::{DEPTH_MAX, RecordForm};
use crate::core::retry::{DeliveryPolicy, RetryPolicy};
use crate::core::sideline::SidelineLimits;
use crate::destination::Registry;

/// An engine's settings. [`EngineConfig::default`] gives the defaults named at each field.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Sizes, and the cloud whose words records have. Default: [`Limits::function_compute`].
    pub limits: Limits,
    /// The region in functions' ARNs. Default: empty, as captures of the cloud's records have it
    /// (`alibaba-fc.md` 3.5).
    pub region: String,
    /// When tasks are tried again (ASY-2, 3, 4). Default: [`RetryPolicy::function_compute`].
    pub retry: RetryPolicy,
    /// When a delivery to a destination is tried again. Default: [`DeliveryPolicy::day`].
    pub delivery: DeliveryPolicy,
    /// How long one delivery may take. Default: 30 s.
    pub delivery_timeout: Duration,
    /// How long a lease holds a task; it is renewed three times in that while the task runs. After a
    /// crash its tasks are run again this much later at the latest. Default: 60 s.
    pub visibility: Duration,
    /// Leases of a task that may end without a word from their holder, beyond which the task is a dead
    /// letter: it may be what kills them (I11). Default: 100, more than restarts in a bad week.
    pub lost_leases_max: u32,
    /// Tasks that run at once in this process. Default: from 64 to 1024.
    pub concurrency: ConcurrencyLimits,
    /// The same of one lane. Default: from 16 to 256.
    pub lane_concurrency: ConcurrencyLimits,
    /// Tasks that are leased at once. Default: 32.
    pub batch_max: usize,
    /// How often the queue is asked for lanes that other processes have begun. Default: 2 s.
    pub rescan: Duration,
    /// A lane without tasks is waited at for this long; then it is found again when it has tasks.
    /// Default: 60 s.
    pub lane_idle: Duration,
    /// When a function gets a lane of its own (ASY-7). Default: above 1000 tasks, until 100.
    pub sideline: SidelineLimits,
    /// How long a task's record is kept after its end. Default: 7 days (`alibaba-fc.md` 3.6).
    pub history: Duration,
    /// How long a dead letter is kept. Default: 7 days.
    pub dead_letter_age: Duration,
    /// How often old records and dead letters are looked for. Default: 10 min.
    pub sweep: Duration,
    /// Bytes of an answer that are kept and delivered. Default: 1 MB (`alibaba-fc.md` 3.6).
    pub result_bytes_max: u64,
    /// Longest deferral, seconds (INV-5). Default: 3600.
    pub delay_s_max: u64,
    /// How often a running task looks whether its caller has asked another process to stop it.
    /// Default: 5 s.
    pub stop_poll: Duration,
    /// Whose form records have. Default: the dialect's of `limits`.
    pub record_form: Option<RecordForm>,
    /// Functions in a chain of destinations (I12). Default: 16.
    pub depth_max: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        let cut_pause = Duration::from_secs(1);
        let week = Duration::from_secs(7 * 86_400);
        Self {
            limits: Limits::function_compute(),
            region: String::new(),
            retry: RetryPolicy::function_compute(),
            delivery: DeliveryPolicy::day(),
            delivery_timeout: Duration::from_secs(30),
            visibility: Duration::from_secs(60),
            lost_leases_max: 100,
            concurrency: ConcurrencyLimits { start: 64, max: 1024, cut_pause },
            lane_concurrency: ConcurrencyLimits { start: 16, max: 256, cut_pause },
            batch_max: 32,
            rescan: Duration::from_secs(2),
            lane_idle: Duration::from_secs(60),
            sideline: SidelineLimits { enter: 1000, leave: 100 },
            history: week,
            dead_letter_age: week,
            sweep: Duration::from_secs(600),
            result_bytes_max: 1024 * 1024,
            delay_s_max: 3600,
            stop_poll: Duration::from_secs(5),
            record_form: None,
            depth_max: DEPTH_MAX,
        }
    }
}

impl EngineConfig {
    /// What can be kept is returned.
    pub(crate) fn proved(self) -> Result<Self> {
        self.retry.validate()?;
        self.delivery.validate()?;
        for (field, value) in [
            ("visibility", self.visibility),
            ("rescan", self.rescan),
            ("lane_idle", self.lane_idle),
            ("sweep", self.sweep),
            ("stop_poll", self.stop_poll),
        ] {
            if value < Duration::from_millis(10) {
                return Err(Error::invalid(field, "must be 10 ms or more"));
            }
        }
        for (field, limits) in
            [("concurrency", self.concurrency), ("lane_concurrency", self.lane_concurrency)]
        {
            if limits.start == 0 || limits.max < limits.start {
                return Err(Error::invalid(field, "must start at 1 or more, and below its most"));
            }
        }
        if self.batch_max == 0 {
            return Err(Error::invalid("batch_max", "must not be zero"));
        }
        if self.sideline.leave >= self.sideline.enter {
            return Err(Error::invalid("sideline", "must be left at less than it is entered at"));
        }
        Ok(self)
    }
}

/// What an engine asks of others.
#[derive(Clone, Debug)]
pub struct EnginePorts {
    /// Where tasks wait.
    pub queue: Arc<dyn Queue>,
    /// Where records of tasks and functions' settings are kept.
    pub store: Arc<dyn Store>,
    /// Which functions there are.
    pub catalog: Arc<dyn Catalog>,
    /// Who runs a function: the scheduler.
    pub invoke: Arc<dyn Invoke>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where results can go beside functions and queues.
    pub destinations: Arc<Registry>,
    /// Who is told of what becomes of tasks; `None`: `tracing` alone.
    pub sink: Option<Arc<dyn TaskSink>>,
}

/// What has become of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskNews {
    /// Whose.
    pub account: AccountId,
    /// Of which function.
    pub function: FunctionName,
    /// Which task.
    pub task_id: String,
    /// What it is now.
    pub status: TaskStatus,
    /// When.
    pub at: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
}

/// Who is told what becomes of tasks: metrics, audit, a test. It must not block.
pub trait TaskSink: Debug + Send + Sync + 'static {
    /// A task has taken a step. Told after the step is durable; not told again after a crash.
    fn told(&self, news: &TaskNews);
}

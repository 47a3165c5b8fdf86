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

/// Shortest and longest of what is waited for or kept.
const DURATION_MIN: Duration = Duration::from_millis(10);
const DURATION_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);
/// Tasks that may run at once: a task each of the runtime's, and a permit each.
const RUNNING_MAX: u32 = 1_000_000;
const BATCH_MAX: u64 = 10_000;
/// Of a payload or an answer: each is in memory whole.
const BYTES_MAX: u64 = 1 << 30;
/// A chain of more functions is no chain but a loop.
const DEPTH_LIMIT: u64 = 1_000;
const REGION_BYTES_MAX: usize = 64;

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
    /// The same of one lane, whose limit falls when its tasks find no capacity, and rises when they
    /// run. Default: from 16 to 256.
    pub lane_concurrency: ConcurrencyLimits,
    /// A lane's limit is halved at most once in this time; what else is throttled in it takes one task
    /// off. Default: 1 s.
    pub cut_pause: Duration,
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
    /// Longest deferral, seconds (INV-5); 0: none is taken. Default: 3600.
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
        let week = Duration::from_secs(7 * 86_400);
        Self {
            limits: Limits::function_compute(),
            region: String::new(),
            retry: RetryPolicy::function_compute(),
            delivery: DeliveryPolicy::day(),
            delivery_timeout: Duration::from_secs(30),
            visibility: Duration::from_secs(60),
            lost_leases_max: 100,
            concurrency: ConcurrencyLimits { start: 64, max: 1024 },
            lane_concurrency: ConcurrencyLimits { start: 16, max: 256 },
            cut_pause: Duration::from_secs(1),
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
            ("delivery_timeout", self.delivery_timeout),
            ("visibility", self.visibility),
            ("rescan", self.rescan),
            ("lane_idle", self.lane_idle),
            ("history", self.history),
            ("dead_letter_age", self.dead_letter_age),
            ("sweep", self.sweep),
            ("stop_poll", self.stop_poll),
        ] {
            if !(DURATION_MIN..=DURATION_MAX).contains(&value) {
                let (min, max) = (DURATION_MIN, DURATION_MAX);
                let what = format_args!("{value:?} is not from {min:?} to {max:?}");
                return Err(Error::invalid(field, what));
            }
        }
        for (field, limits) in
            [("concurrency", self.concurrency), ("lane_concurrency", self.lane_concurrency)]
        {
            let ConcurrencyLimits { start, max } = limits;
            if start == 0 || max < start || max > RUNNING_MAX {
                let what =
                    format_args!("{start} to {max} is not a range within 1 to {RUNNING_MAX}");
                return Err(Error::invalid(field, what));
            }
        }
        if self.cut_pause > DURATION_MAX {
            let what = format_args!("{:?} is over {DURATION_MAX:?}", self.cut_pause);
            return Err(Error::invalid("cut_pause", what));
        }
        let body = self.limits.async_request_body_bytes_max;
        for (field, unit, min, max, value) in [
            ("limits.async_request_body_bytes_max", "bytes", 1, BYTES_MAX, body),
            ("batch_max", "tasks", 1, BATCH_MAX, self.batch_max as u64),
            ("result_bytes_max", "bytes", 1, BYTES_MAX, self.result_bytes_max),
            ("delay_s_max", "seconds", 0, DURATION_MAX.as_secs(), self.delay_s_max),
            ("depth_max", "functions", 1, DEPTH_LIMIT, self.depth_max.into()),
        ] {
            if value < min {
                return Err(Error::invalid(field, "must not be zero"));
            }
            if value > max {
                return Err(Error::over_limit(field, unit, max, value));
            }
        }
        let SidelineLimits { enter, leave } = self.sideline;
        if leave >= enter {
            let what =
                format_args!("left at {leave} tasks, which must be less than enter, {enter}");
            return Err(Error::invalid("sideline", what));
        }
        // It stands in functions' names, between colons.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if self.region.len() > REGION_BYTES_MAX || !self.region.bytes().all(is_plain) {
            let what = format_args!("is not 0 to {REGION_BYTES_MAX} letters, digits or '-'");
            return Err(Error::invalid("region", what));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes one field.
    type Change = fn(&mut EngineConfig);

    /// What is refused, by the name that is said. A field that nobody has thought of does not compile.
    fn fields() -> Vec<(&'static str, Vec<Change>)> {
        let EngineConfig {
            limits: _,
            region: _,
            retry: _,
            delivery: _,
            delivery_timeout: _,
            visibility: _,
            // Any: 0 trusts no task whose holder has died.
            lost_leases_max: _,
            concurrency: _,
            lane_concurrency: _,
            cut_pause: _,
            batch_max: _,
            rescan: _,
            lane_idle: _,
            sideline: _,
            history: _,
            dead_letter_age: _,
            sweep: _,
            result_bytes_max: _,
            delay_s_max: _,
            stop_poll: _,
            // Any.
            record_form: _,
            depth_max: _,
        } = EngineConfig::default();
        vec![
            (
                "limits.async_request_body_bytes_max",
                vec![|c| c.limits.async_request_body_bytes_max = 0, |c| {
                    c.limits.async_request_body_bytes_max = u64::MAX
                }],
            ),
            ("region", vec![|c| c.region = "a:b".into(), |c| c.region = "x".repeat(65)]),
            ("retries", vec![|c| c.retry.retries = 9]),
            ("age", vec![|c| c.retry.age = Duration::ZERO]),
            ("budget.burst", vec![|c| c.retry.budget.burst = 0]),
            ("delivery.age", vec![|c| c.delivery.age = Duration::ZERO]),
            ("delivery.schedule.growth", vec![|c| c.delivery.schedule.growth = 0]),
            (
                "delivery_timeout",
                vec![|c| c.delivery_timeout = Duration::ZERO, |c| {
                    c.delivery_timeout = Duration::MAX
                }],
            ),
            (
                "visibility",
                vec![|c| c.visibility = Duration::from_millis(9), |c| c.visibility = Duration::MAX],
            ),
            (
                "concurrency",
                vec![
                    |c| c.concurrency.start = 0,
                    |c| c.concurrency.max = c.concurrency.start - 1,
                    |c| c.concurrency.max = u32::MAX,
                ],
            ),
            (
                "lane_concurrency",
                vec![|c| c.lane_concurrency.start = 0, |c| c.lane_concurrency.max = u32::MAX],
            ),
            ("cut_pause", vec![|c| c.cut_pause = Duration::MAX]),
            ("batch_max", vec![|c| c.batch_max = 0, |c| c.batch_max = usize::MAX]),
            ("rescan", vec![|c| c.rescan = Duration::ZERO, |c| c.rescan = Duration::MAX]),
            ("lane_idle", vec![|c| c.lane_idle = Duration::ZERO, |c| c.lane_idle = Duration::MAX]),
            ("sideline", vec![|c| c.sideline.leave = c.sideline.enter, |c| c.sideline.enter = 0]),
            ("history", vec![|c| c.history = Duration::ZERO, |c| c.history = Duration::MAX]),
            (
                "dead_letter_age",
                vec![|c| c.dead_letter_age = Duration::ZERO, |c| c.dead_letter_age = Duration::MAX],
            ),
            ("sweep", vec![|c| c.sweep = Duration::ZERO, |c| c.sweep = Duration::MAX]),
            (
                "result_bytes_max",
                vec![|c| c.result_bytes_max = 0, |c| c.result_bytes_max = u64::MAX],
            ),
            ("delay_s_max", vec![|c| c.delay_s_max = u64::MAX]),
            ("stop_poll", vec![|c| c.stop_poll = Duration::ZERO, |c| c.stop_poll = Duration::MAX]),
            ("depth_max", vec![|c| c.depth_max = 0, |c| c.depth_max = u32::MAX]),
        ]
    }

    #[test]
    fn a_value_that_cannot_be_kept_is_refused_by_name() {
        EngineConfig::default().proved().unwrap();
        for (field, changes) in fields() {
            for (number, change) in changes.iter().enumerate() {
                let mut config = EngineConfig::default();
                change(&mut config);
                let refused = config.proved().expect_err(&format!("{field}, change {number}"));
                assert_eq!(refused.code(), "InvalidArgument");
                let said = refused.to_string();
                assert!(
                    said.starts_with(&format!("{field}: ")),
                    "{field}, change {number}: {said}"
                );
            }
        }
    }

    /// Both sides of a range, and what is needed for tests and small machines.
    #[test]
    fn the_ends_of_the_ranges_are_kept() {
        let changes: [Change; 9] = [
            |c| c.visibility = DURATION_MIN,
            |c| c.history = DURATION_MAX,
            |c| c.batch_max = 1,
            |c| c.concurrency = ConcurrencyLimits { start: 1, max: 1 },
            |c| c.depth_max = 1,
            |c| c.delay_s_max = 0,
            |c| c.lost_leases_max = 0,
            |c| c.region = "cn-hangzhou".into(),
            |c| c.limits = Limits::function_graph(),
        ];
        for change in changes {
            let mut config = EngineConfig::default();
            change(&mut config);
            config.proved().unwrap();
        }
    }
}

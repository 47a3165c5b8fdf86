//! The numbers a pool decides by, and how much of it is in use.

use std::time::Duration;

/// The numbers a pool decides by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolRules {
    /// Requests at once in one instance (SCH-1).
    pub concurrency: u32,
    /// On-demand instances at most, those being started or stopped included (SCH-10).
    pub instance_max: u32,
    /// Requests that may wait (SCH-9).
    pub waiting_max: u32,
    /// How long an on-demand instance may idle, unless a keep-alive policy says (SCH-3).
    pub idle: Duration,
    /// How long an instance may live (SCH-6).
    pub life: Duration,
    /// After this a request has lost its slot, whatever its caller does with the answer (INV-7).
    pub overdue: Duration,
    /// How long an instance idles before it is frozen (SCH-7); `None`: it cannot be.
    pub freeze: Option<Duration>,
    /// How long a new instance has more CPU, from its creation (QUO-5); zero: no longer than the
    /// runtime gives it by itself.
    pub boost: Duration,
}

/// How many instances a pool keeps whatever its requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Levels {
    /// Provisioned instances: kept whatever their idleness, and preferred (SCH-4).
    pub provisioned: u32,
    /// Instances in all that a forecast wants to be there (SCH-11).
    pub floor: u32,
    /// Nothing is started for requests: provisioned instances alone serve.
    pub on_demand_disabled: bool,
    /// Idle provisioned instances are frozen too (`alwaysAllocateCPU: false`).
    pub freeze_provisioned: bool,
}

/// How much of a pool is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolUse {
    /// Instances in any phase.
    pub instances: u32,
    /// Instances that do not serve yet.
    pub starting: u32,
    /// Provisioned instances that are not on their way out.
    pub provisioned: u32,
    /// Requests that run.
    pub running: u32,
    /// Requests that wait.
    pub waiting: u32,
}

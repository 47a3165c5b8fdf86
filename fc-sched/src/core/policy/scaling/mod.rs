//! How many instances should exist, whatever the present requests need.

mod combined;
mod compile;
mod config;
mod default_target;
mod forecast;
mod period;
mod recent_max;
mod schedule;
mod season;
mod tracking;

use std::fmt::Debug;
use std::time::Duration;

use fc_core::{Instant, Timestamp};

pub use combined::Combined;
pub use config::{ProvisionConfig, ScheduledAction, TargetTrackingPolicy};
pub use default_target::DefaultTarget;
pub use forecast::Forecast;
pub use period::Period;
pub use schedule::{Action, Schedule};
pub use season::{ForecastShape, Season};
pub use tracking::{ScaleIn, TargetTracking};

/// Instances that a policy may ask for at most (`alibaba-fc.md` 4.7).
pub const TARGET_MAX: u32 = 10_000;

/// What a function has had to do since the last tick.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Load {
    /// Now, for what lasts.
    pub now: Instant,
    /// Now, for what is due at a time of day.
    pub wall: Timestamp,
    /// Its instances, those that are starting included.
    pub instances: u32,
    /// Those of them that are kept whatever their idleness.
    pub provisioned: u32,
    /// Requests at once in one instance.
    pub concurrency: u32,
    /// Running requests, averaged over the time since the last tick.
    pub running_mean: f64,
    /// Running requests at most since the last tick.
    pub running_peak: u32,
    /// Requests that came since the last tick.
    pub arrivals: u64,
    /// What a start took on average with its initializer, measured (SCH-8); zero before the first.
    pub start_cost: Duration,
    /// Time from one tick to the next.
    pub tick: Duration,
}

/// A way to say how many instances should exist: an integrator's to replace, one for each function.
///
/// # Contract
///
/// Synchronous, without I/O or a clock of its own. The engine starts what is missing within the
/// quotas, and requests start further instances as ever.
pub trait Scaling: Debug + Send + Sync + 'static {
    /// What logs and metrics call it.
    fn name(&self) -> &'static str;

    /// The state for one function.
    fn begin(&self) -> Box<dyn ScalingState>;
}

/// What a policy remembers of one function.
pub trait ScalingState: Debug + Send {
    /// How many instances should exist until the next tick. `None`: it has no opinion now.
    ///
    /// A function that has no instance need not be asked at each tick: time without a call is time
    /// without a request. It must be asked at [`next_change`](Self::next_change).
    fn target(&mut self, load: &Load) -> Option<u32>;

    /// When, later than `wall`, time alone will change the target. `None`: it will not.
    fn next_change(&self, wall: Timestamp) -> Option<Timestamp>;
}

/// A load for the tests of the policies.
#[cfg(test)]
fn load(seconds: u64, running: u32) -> Load {
    Load {
        now: Instant::ORIGIN + Duration::from_secs(seconds),
        wall: Timestamp::from_unix_millis(seconds * 1000),
        instances: 0,
        provisioned: 0,
        concurrency: 1,
        running_mean: running.into(),
        running_peak: running,
        arrivals: running.into(),
        start_cost: Duration::from_secs(2),
        tick: Duration::from_secs(1),
    }
}

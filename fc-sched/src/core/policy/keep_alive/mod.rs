//! How long idle instances are kept, which goes first under pressure, and when to start one again
//! before the next request is expected.

mod clock;
mod fixed;
mod forecast;
mod greedy_dual;
mod histogram;
mod hybrid;

use std::fmt::Debug;
use std::time::Duration;

use fc_core::{Instant, Resources};

pub use fixed::FixedKeepAlive;
pub use greedy_dual::GreedyDual;
pub use hybrid::{HistogramShape, HybridHistogram};

/// What the engine knows of one function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// How long its idle instances are kept by its configuration (SCH-3).
    pub idle_timeout: Duration,
    /// What one instance takes of a node.
    pub size: Resources,
    /// Requests at once in one instance.
    pub concurrency: u32,
    /// What a start took on average with its initializer, measured (SCH-8); zero before the first.
    pub start_cost: Duration,
    /// Requests since the pool began.
    pub served: u64,
}

/// How long an idle instance is kept. All times are measured from the moment it fell idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// It is kept this long. Zero: stop it at once; [`Duration::MAX`]: until there is pressure.
    pub keep: Duration,
    /// If by then no request has come, start one again.
    pub prewarm: Option<Prewarm>,
}

impl Window {
    /// Kept this long, and not started again before a request.
    pub const fn keep(keep: Duration) -> Self {
        Self { keep, prewarm: None }
    }
}

/// One instance, started before the request that is expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prewarm {
    /// Start it this long after the function fell idle, never before [`Window::keep`] is over. The
    /// start itself is already taken off.
    pub after: Duration,
    /// Keep it this long from then on if no request comes.
    pub keep: Duration,
}

/// A way to keep instances: an integrator's to replace, one for a whole scheduler.
///
/// # Contract
///
/// Synchronous, without I/O or a clock of its own. `begin` makes the state of one function. The
/// engine keeps it while the function has an instance or a [`Prewarm`] to come; how much longer it
/// remembers is its choice.
pub trait KeepAlive: Debug + Send + Sync + 'static {
    /// What logs and metrics call it.
    fn name(&self) -> &'static str;

    /// The state of a function that runs no request.
    fn begin(&self) -> Box<dyn KeepAliveState>;
}

/// What a policy remembers of one function.
pub trait KeepAliveState: Debug + Send {
    /// The function goes from no running request to one, so that the time since
    /// [`fell_idle`](Self::fell_idle) was idle time. Called on that edge only, not for each request.
    fn woke(&mut self, facts: &Facts, now: Instant);

    /// The function's last running request ended.
    fn fell_idle(&mut self, facts: &Facts, now: Instant);

    /// How long an instance that falls idle now is kept. It may do so while others of the function
    /// run requests; if not, [`fell_idle`](Self::fell_idle) comes first.
    fn window(&self, facts: &Facts) -> Window;

    /// What an instance idle since then is worth when memory is short: the lowest goes first, and
    /// of equals the one that is idle longest.
    ///
    /// For the same `idle_since` it never decreases, and it is no lower for a later one. The engine
    /// relies on that: it keeps instances in a heap, and looks again only at the lowest.
    fn worth(&self, facts: &Facts, idle_since: Instant) -> u64;

    /// An instance of this function was stopped because memory was short, when it was worth that.
    fn evicted(&mut self, worth: u64, now: Instant);
}

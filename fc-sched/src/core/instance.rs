//! The life of an instance, as a machine that refuses what must not happen.

use fc_core::Instant;

/// Where in its life an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// The runtime is starting it.
    Creating,
    /// Its initializer runs.
    Initializing,
    /// It takes requests: idle, or busy with some.
    Serving,
    /// It takes no more requests; those that run go on.
    Draining,
    /// It is being stopped.
    Stopping,
    /// Nothing of it is left.
    Gone,
}

impl Phase {
    /// Whether an instance may go from here to `next`.
    ///
    /// ```
    /// use fc_sched::core::Phase;
    /// assert!(Phase::Serving.may_become(Phase::Draining));
    /// assert!(!Phase::Draining.may_become(Phase::Serving));
    /// ```
    pub const fn may_become(self, next: Self) -> bool {
        use Phase::{Creating, Draining, Gone, Initializing, Serving, Stopping};
        matches!(
            (self, next),
            (Creating, Initializing | Gone)
                | (Initializing, Serving | Gone)
                | (Serving, Draining)
                | (Draining, Stopping)
                | (Stopping, Gone)
        )
    }
}

/// What the pool knows of one instance.
#[derive(Clone, Copy, Debug)]
pub struct InstanceState {
    phase: Phase,
    busy: u32,
    /// When it began to serve.
    born: Instant,
    /// When its last request ended.
    idle_since: Instant,
    failed: bool,
}

impl InstanceState {
    pub(super) const CREATING: Self = Self {
        phase: Phase::Creating,
        busy: 0,
        born: Instant::ORIGIN,
        idle_since: Instant::ORIGIN,
        failed: false,
    };

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How many requests it runs.
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// When it began to serve.
    pub fn born(&self) -> Instant {
        self.born
    }

    /// When its last request ended, or when it began to serve.
    pub fn idle_since(&self) -> Instant {
        self.idle_since
    }

    /// Whether it, or a request in it, failed: it is not trusted with hooks.
    pub fn failed(&self) -> bool {
        self.failed
    }

    pub(super) fn mark_failed(&mut self) {
        self.failed = true;
    }

    /// Moves on to `next`.
    ///
    /// # Panics
    ///
    /// If the machine has no such step: a bug of the pool's, caught before it serves anybody.
    pub(super) fn enter(&mut self, next: Phase) {
        assert!(self.phase.may_become(next), "{:?} may not become {next:?}", self.phase);
        debug_assert!(
            self.busy == 0 || !matches!(next, Phase::Stopping | Phase::Gone),
            "an instance that runs a request is not stopped"
        );
        self.phase = next;
    }

    pub(super) fn begin_serving(&mut self, now: Instant) {
        self.enter(Phase::Serving);
        self.born = now;
        self.idle_since = now;
    }

    pub(super) fn add_request(&mut self) {
        debug_assert_eq!(self.phase, Phase::Serving);
        self.busy += 1;
    }

    pub(super) fn end_request(&mut self, now: Instant) {
        debug_assert!(self.busy > 0, "more requests ended than began");
        self.busy = self.busy.saturating_sub(1);
        self.idle_since = now;
    }
}

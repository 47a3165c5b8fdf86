//! The life of an instance, as a machine that refuses what must not happen.

use fc_core::Instant;

use super::placement::NodeKey;

/// Where in its life an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// The runtime is starting it.
    Creating,
    /// Its initializer runs.
    Initializing,
    /// It takes requests, and runs none.
    Idle,
    /// It runs requests, and takes more up to its concurrency.
    Busy,
    /// Its PreFreeze hook runs, then its CPU is taken away.
    Freezing,
    /// It has no CPU.
    Frozen,
    /// It gets its CPU back.
    Thawing,
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
    /// assert!(Phase::Busy.may_become(Phase::Draining));
    /// assert!(!Phase::Busy.may_become(Phase::Freezing), "I16: a busy instance is never frozen");
    /// assert!(!Phase::Frozen.may_become(Phase::Busy), "I16: nor does a frozen one get a request");
    /// assert!(!Phase::Draining.may_become(Phase::Idle));
    /// ```
    pub const fn may_become(self, next: Self) -> bool {
        use Phase::{
            Busy, Creating, Draining, Freezing, Frozen, Gone, Idle, Initializing, Stopping, Thawing,
        };
        matches!(
            (self, next),
            (Creating, Initializing | Gone)
                | (Initializing, Idle | Gone)
                | (Idle, Busy | Freezing | Draining)
                | (Busy, Idle | Draining)
                | (Freezing, Frozen | Draining)
                | (Frozen, Thawing | Draining)
                | (Thawing, Idle | Draining)
                | (Draining, Stopping)
                | (Stopping, Gone)
        )
    }

    /// Whether it takes requests.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Idle | Self::Busy)
    }

    /// Whether it does not serve yet.
    pub const fn starts(self) -> bool {
        matches!(self, Self::Creating | Self::Initializing)
    }

    /// Whether it will take no request any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Draining | Self::Stopping | Self::Gone)
    }
}

/// Which promise an instance was started for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Kept whatever its idleness, and preferred (SCH-4).
    Provisioned,
    /// Started when needed, released when idle (SCH-3).
    OnDemand,
}

/// What the pool knows of one instance.
#[derive(Clone, Copy, Debug)]
pub struct InstanceState {
    phase: Phase,
    class: Class,
    failed: bool,
    /// It goes as soon as what happens to it now has happened.
    pub(super) retiring: bool,
    /// It is to be thawed as soon as it is frozen.
    pub(super) wanted: bool,
    /// Its node is emptied: it goes when another has taken its place (NOD-5).
    pub(super) leaving: bool,
    node: NodeKey,
    busy: u32,
    /// When it was created, until it serves; then when it began to.
    born: Instant,
    /// When its last request ended.
    idle_since: Instant,
}

impl InstanceState {
    pub(super) const fn creating(class: Class, node: NodeKey, now: Instant) -> Self {
        Self {
            phase: Phase::Creating,
            class,
            failed: false,
            retiring: false,
            wanted: false,
            leaving: false,
            node,
            busy: 0,
            born: now,
            idle_since: now,
        }
    }

    /// Where in its life it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Which promise it is there for.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Where it runs.
    pub fn node(&self) -> NodeKey {
        self.node
    }

    /// How many requests it runs.
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// When it began to serve; before that, when it was created.
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

    /// Whether it counts for what the function should have: it is not on its way out.
    pub(super) fn is_useful(&self) -> bool {
        !self.leaving && !self.retiring && !self.phase.is_over()
    }

    pub(super) fn mark_failed(&mut self) {
        self.failed = true;
    }

    pub(super) fn set_class(&mut self, class: Class) {
        self.class = class;
    }

    /// Moves on to `next`.
    ///
    /// # Panics
    ///
    /// If the machine has no such step: a bug of the pool's, caught before it serves anybody.
    pub(super) fn enter(&mut self, next: Phase) {
        assert!(self.phase.may_become(next), "{:?} may not become {next:?}", self.phase);
        debug_assert!(
            self.busy == 0 || matches!(next, Phase::Busy | Phase::Draining),
            "an instance that runs a request is neither frozen nor stopped"
        );
        self.phase = next;
    }

    /// It serves from now on; gives what its start and its initializer took.
    pub(super) fn begin_serving(&mut self, now: Instant) -> std::time::Duration {
        self.enter(Phase::Idle);
        let took = now - self.born;
        self.born = now;
        self.idle_since = now;
        took
    }

    pub(super) fn add_request(&mut self) {
        if self.busy == 0 {
            self.enter(Phase::Busy);
        }
        self.busy += 1;
    }

    pub(super) fn end_request(&mut self, now: Instant) {
        debug_assert!(self.busy > 0, "more requests ended than began");
        self.busy = self.busy.saturating_sub(1);
        self.idle_since = now;
        if self.busy == 0 && self.phase == Phase::Busy {
            self.enter(Phase::Idle);
        }
    }
}

//! A keep-alive policy at work for one pool.

use std::time::Duration;

use fc_core::{Instant, Resources};

use super::policy::{Facts, KeepAliveState, Window};

/// A keep-alive policy's memory of one function, and the facts it is told.
#[derive(Debug)]
pub struct Keeper {
    state: Box<dyn KeepAliveState>,
    facts: Facts,
}

impl Keeper {
    /// A policy that knows nothing yet of a function of this size.
    pub fn new(
        state: Box<dyn KeepAliveState>,
        size: Resources,
        idle_timeout: Duration,
        concurrency: u32,
    ) -> Self {
        let facts =
            Facts { idle_timeout, size, concurrency, start_cost: Duration::ZERO, served: 0 };
        Self { state, facts }
    }

    /// How long an instance is kept before anything was learned.
    pub(super) fn first_keep(&self) -> Duration {
        self.state.window(&self.facts).keep
    }

    pub(super) fn woke(&mut self, facts: Measured, now: Instant) {
        self.learn(facts);
        self.state.woke(&self.facts, now);
    }

    pub(super) fn fell_idle(&mut self, facts: Measured, now: Instant) -> Window {
        self.learn(facts);
        self.state.fell_idle(&self.facts, now);
        self.state.window(&self.facts)
    }

    pub(super) fn worth(&self, idle_since: Instant) -> u64 {
        self.state.worth(&self.facts, idle_since)
    }

    pub(super) fn evicted(&mut self, worth: u64, now: Instant) {
        self.state.evicted(worth, now);
    }

    fn learn(&mut self, facts: Measured) {
        (self.facts.start_cost, self.facts.served) = (facts.start_cost, facts.served);
    }
}

/// What a pool has measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    /// Mean of what starts with their initializers took lately (SCH-8).
    pub(super) start_cost: Duration,
    /// Requests that got a slot.
    pub(super) served: u64,
}

/// A start weighs one eighth in the mean: the last ten or so count.
const START_WEIGHT: u32 = 8;

impl Measured {
    pub(super) fn started(&mut self, took: Duration) {
        self.start_cost = if self.start_cost.is_zero() {
            took
        } else {
            self.start_cost * (START_WEIGHT - 1) / START_WEIGHT + took / START_WEIGHT
        };
    }
}

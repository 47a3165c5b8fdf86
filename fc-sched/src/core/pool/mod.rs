//! The pool of one function version: who gets which slot, when an instance is started or stopped.
//!
//! Here is what a request meets: [`Pool::acquire`] and [`Pool::release`]. [`life`] has what happens
//! to one instance, [`levels`] how many there should be, [`look`] what comes with time.

mod effect;
mod levels;
mod life;
mod look;
mod rules;

use std::collections::VecDeque;
use std::time::Duration;

use fc_core::Instant;

pub use effect::{Acquire, Effect, Refusal, Release, SlotKey, StopReason, WaitsFor};
pub use look::Worth;
pub use rules::{Levels, PoolRules, PoolUse};

use super::instance::{Class, InstanceState, Phase};
use super::keeper::{Keeper, Measured};
use super::line::{Line, WaiterKey};
use super::load::{LoadMeter, LoadReading};
use super::policy::Prewarm;
use super::running::Running;
use super::slots::{InstanceKey, SlotTable};

/// Instances, slots and waiting requests of one function version.
///
/// `I` is what the shell keeps of an instance, `W` of a waiter. After each call the shell takes the
/// [effects](Pool::take_effects) and carries them out; their results come back as calls.
///
/// Invariants: while a slot is free nobody waits (SCH-2); an instance is wanted only if those under
/// way will not have a slot for every waiter (SCH-2); an instance that was drained never serves
/// again (I17); a frozen one gets no request and a busy one is not frozen (I16); there are never
/// more than `instance_max` on demand (SCH-10).
#[derive(Debug)]
pub struct Pool<I, W> {
    rules: PoolRules,
    slots: SlotTable<I>,
    line: Line<W>,
    /// Requests that hold a slot, by the time at which they lose it.
    running: Running,
    measured: Measured,
    /// How long an on-demand instance may idle, as things are now.
    keep: Duration,
    /// Instances to be started though nobody waits: those that replace revoked ones.
    owed: u32,
    /// Instances that the capacity was last told to be wanted.
    asked: u32,
    /// The version is no longer served: what is accepted is finished, nothing is kept.
    closing: bool,
    closed: bool,
    effects: Vec<Effect<I, W>>,
    /// What most pools do without.
    more: Option<Box<More>>,
}

/// What most pools do without: a policy of their own, levels, migration, boosts.
#[derive(Debug, Default)]
struct More {
    levels: Levels,
    keeper: Option<Keeper>,
    load: Option<LoadMeter>,
    /// When to start an instance for the request that is expected, and how long to keep it.
    prewarm: Option<(Instant, Duration)>,
    /// Instances whose node is emptied, in the order in which they are replaced (NOD-5).
    leaving: VecDeque<InstanceKey>,
    /// Instances with more CPU than they have later, by when that ends (QUO-5).
    boosted: VecDeque<(Instant, InstanceKey)>,
    /// No provisioned instance is too old before this; `None`: not known.
    age: Option<Instant>,
}

impl<I: Clone, W> Pool<I, W> {
    /// An empty pool.
    pub fn new(rules: PoolRules) -> Self {
        Self {
            rules,
            slots: SlotTable::new(rules.concurrency),
            line: Line::default(),
            running: Running::default(),
            measured: Measured::default(),
            keep: rules.idle,
            owed: 0,
            asked: 0,
            closing: false,
            closed: false,
            effects: Vec::new(),
            more: None,
        }
    }

    /// An empty pool whose instances a policy keeps.
    pub fn with_keeper(rules: PoolRules, keeper: Keeper) -> Self {
        let mut pool = Self::new(rules);
        pool.keep = keeper.first_keep();
        pool.more().keeper = Some(keeper);
        pool
    }

    /// What is to be done now, in order.
    pub fn take_effects(&mut self) -> Vec<Effect<I, W>> {
        std::mem::take(&mut self.effects)
    }

    /// Whether anything is to be done.
    pub fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// How much is in use.
    pub fn usage(&self) -> PoolUse {
        PoolUse {
            instances: self.slots.live(),
            starting: self.slots.starting(),
            provisioned: self.slots.counts().useful[Class::Provisioned as usize],
            running: self.running.len(),
            waiting: self.line.len(),
        }
    }

    /// Mean of what starts with their initializers took lately; zero before the first.
    pub fn start_cost(&self) -> Duration {
        self.measured.start_cost
    }

    /// What it decides by.
    pub fn rules(&self) -> &PoolRules {
        &self.rules
    }

    /// The slots, to look at.
    pub fn slots(&self) -> &SlotTable<I> {
        &self.slots
    }

    /// Whether the version is no longer served.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The load since the last reading; the first call begins to measure.
    pub fn read_load(&mut self, now: Instant) -> LoadReading {
        let running = self.running.len();
        let load = self.more().load.get_or_insert_with(|| LoadMeter::new(running, now));
        load.read(now)
    }

    /// A slot for a request, or a place in the line for `waiter`.
    ///
    /// `waiter` is only asked for if there is no slot.
    pub fn acquire(&mut self, now: Instant, waiter: impl FnOnce() -> W) -> Acquire<I> {
        if self.closed {
            return Acquire::Refused(Refusal::Closed);
        }
        if let Some(load) = self.more.as_mut().and_then(|more| more.load.as_mut()) {
            load.arrived();
        }
        if self.line.is_empty()
            && let Some((key, handle)) = self.take_best_slot(now)
        {
            return Acquire::Slot(key, handle);
        }
        if let Some(refusal) = self.refusal() {
            return Acquire::Refused(refusal);
        }
        if self.line.len() >= self.rules.waiting_max {
            return Acquire::Refused(Refusal::LineFull(self.rules.waiting_max));
        }
        let waits_for = self.waits_for();
        let key = self.line.join(waiter());
        self.balance();
        Acquire::Wait(key, waits_for)
    }

    /// A request leaves the line; whether it was in it.
    pub fn leave(&mut self, waiter: WaiterKey) -> bool {
        let left = self.line.leave(waiter).is_some();
        if left {
            self.balance();
            self.retire_idle_if_closing();
            self.close_if_empty();
        }
        left
    }

    /// A request leaves its instance. One that has lost its slot has left already.
    pub fn release(&mut self, slot: SlotKey, how: Release, now: Instant) {
        if self.running.end(slot.request).is_some() {
            self.ended(slot.instance, how, now);
            self.balance();
            self.retire_idle_if_closing();
        }
    }

    /// The version is no longer served: finishes what was accepted and keeps nothing (INV-10).
    pub fn close(&mut self) {
        self.closing = true;
        self.owed = 0;
        if let Some(more) = &mut self.more {
            let on_demand_disabled = more.levels.on_demand_disabled && self.line.is_empty();
            more.levels = Levels { on_demand_disabled, ..Levels::default() };
            more.prewarm = None;
        }
        self.balance();
        self.retire_idle_if_closing();
        self.close_if_empty();
    }

    /// As [`Pool::close`], and closes an empty pool that nobody uses, to save its memory. One whose
    /// policy has learned something, or that has levels to keep, stays.
    pub fn close_if_unused(&mut self) {
        let keeps = self.more.as_ref().is_some_and(|more| {
            more.keeper.is_some() || more.levels != Levels::default() || more.load.is_some()
        });
        if self.slots.live() == 0 && self.line.is_empty() && self.owed == 0 && !keeps {
            self.close();
        }
    }

    /// Gives up on what still runs or waits: every waiter fails, every request loses its slot, every
    /// instance that serves is stopped.
    pub fn abandon(&mut self, now: Instant) {
        self.close();
        while let Some(waiter) = self.line.serve_next() {
            self.effects.push(Effect::Fail(waiter));
        }
        while let Some((request, instance, _)) = self.running.first() {
            self.running.end(request);
            self.ended(instance, Release::Revoke { replace: false }, now);
        }
        self.balance();
        self.retire_idle_if_closing();
        self.close_if_empty();
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn levels(&self) -> Levels {
        self.more.as_ref().map(|more| more.levels).unwrap_or_default()
    }

    fn state(&self, key: InstanceKey) -> Option<InstanceState> {
        self.slots.state(key)
    }

    fn phase(&self, key: InstanceKey) -> Option<Phase> {
        self.state(key).map(|state| state.phase())
    }

    fn is_old(&self, key: InstanceKey, now: Instant) -> bool {
        self.state(key).is_some_and(|state| now - state.born() >= self.rules.life)
    }

    /// Why nobody needs to wait: no instance will ever come.
    fn refusal(&self) -> Option<Refusal> {
        let levels = self.levels();
        let provisioned = self.slots.counts().live[Class::Provisioned as usize];
        if levels.provisioned > 0 || provisioned > 0 {
            return None;
        }
        if levels.on_demand_disabled {
            return Some(Refusal::OnDemandDisabled);
        }
        (self.rules.instance_max == 0).then_some(Refusal::Disabled)
    }

    fn waits_for(&self) -> WaitsFor {
        let counts = self.slots.counts();
        let more = self.line.len() >= self.promised();
        if !more && counts.starting > 0 {
            WaitsFor::Start
        } else if !more || self.slots.next_frozen().is_some() {
            WaitsFor::Thaw
        } else if self.on_demand_room() == 0 {
            WaitsFor::Slot
        } else if counts.serving == 0 {
            WaitsFor::FirstInstance
        } else {
            WaitsFor::AnotherInstance
        }
    }

    /// The busiest instance's free slot, after instances that are too old were retired.
    fn take_best_slot(&mut self, now: Instant) -> Option<(SlotKey, I)> {
        loop {
            let key = self.slots.pick()?;
            if !self.is_old(key, now) {
                let handle = self.slots.take_slot(key)?;
                let request = self.running.begin(key, now + self.rules.overdue);
                self.measured.served += 1;
                if self.more.is_some() {
                    self.began(now);
                }
                return Some((SlotKey { instance: key, request }, handle));
            }
            self.slots.drain(key);
            self.stop_if_idle(key);
        }
    }

    /// Tells the policies that one request more runs.
    fn began(&mut self, now: Instant) {
        let (running, measured) = (self.running.len(), self.measured);
        let more = self.more();
        if let Some(load) = &mut more.load {
            load.runs(running, now);
        }
        if running == 1
            && let Some(keeper) = &mut more.keeper
        {
            keeper.woke(measured, now);
            more.prewarm = None;
        }
    }

    /// A request is over, and its instance goes on or goes.
    fn ended(&mut self, key: InstanceKey, how: Release, now: Instant) {
        if self.more.is_some() {
            self.one_less(now);
        }
        self.leave_instance(key, how, now);
    }

    /// Tells the policies that one request less runs.
    fn one_less(&mut self, now: Instant) {
        let (running, measured) = (self.running.len(), self.measured);
        let more = self.more();
        if let Some(load) = &mut more.load {
            load.runs(running, now);
        }
        if running == 0
            && let Some(keeper) = &mut more.keeper
        {
            let window = keeper.fell_idle(measured, now);
            more.prewarm = window.prewarm.map(|Prewarm { after, keep }| (now + after, keep));
            self.keep = window.keep;
        }
    }

    fn leave_instance(&mut self, key: InstanceKey, how: Release, now: Instant) {
        if let Release::Revoke { replace } = how {
            let serving = self.state(key).is_some_and(|state| state.phase().serves());
            let provisioned = self.state(key).is_some_and(|s| s.class() == Class::Provisioned);
            self.slots.edit(key, InstanceState::mark_failed);
            self.slots.drain(key);
            // A provisioned one is wanted again by its level.
            if serving && replace && !self.closing && !provisioned {
                self.owed = (self.owed + 1).min(self.rules.instance_max);
            }
        }
        let Some(state) = self.slots.free_slot(key, now) else {
            return;
        };
        if state.phase().serves() {
            if self.is_old(key, now) {
                self.slots.drain(key);
                self.stop_if_idle(key);
            } else {
                self.serve_line(now);
                self.let_go_if_idle(key);
            }
        } else {
            self.stop_if_idle(key);
        }
    }

    fn serve_line(&mut self, now: Instant) {
        while !self.line.is_empty() {
            let Some((key, handle)) = self.take_best_slot(now) else {
                return;
            };
            // The line is not empty.
            let Some(waiter) = self.line.serve_next() else {
                return;
            };
            self.effects.push(Effect::Grant(waiter, key, handle));
        }
    }

    fn stop_if_idle(&mut self, key: InstanceKey) {
        let Some(state) = self.state(key) else {
            return;
        };
        let reason =
            if state.failed() { StopReason::Failed } else { StopReason::Retired { frozen: false } };
        self.stop(key, reason);
    }

    fn stop(&mut self, key: InstanceKey, reason: StopReason) {
        if let Some(handle) = self.slots.stop(key) {
            self.effects.push(Effect::Stop(key, handle, reason));
        }
    }

    fn close_if_empty(&mut self) {
        let empty = self.slots.live() == 0 && self.line.is_empty();
        if self.closing && empty && !self.closed {
            self.closed = true;
            self.effects.push(Effect::Closed);
        }
    }
}

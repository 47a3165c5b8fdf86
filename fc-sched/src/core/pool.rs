//! The pool of one function version: who gets which slot, when an instance is started or stopped.

use std::time::Duration;

use fc_core::Instant;

use super::instance::Phase;
use super::line::{Line, WaiterKey};
use super::running::{RequestKey, Running};
use super::slots::{InstanceKey, SlotTable};

/// One request's slot of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotKey {
    /// The instance.
    pub instance: InstanceKey,
    request: RequestKey,
}

/// The numbers a pool decides by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolRules {
    /// Requests at once in one instance (SCH-1).
    pub concurrency: u32,
    /// Instances at most, those being started or stopped included (SCH-10).
    pub instance_max: u32,
    /// Requests that may wait (SCH-9).
    pub waiting_max: u32,
    /// How long an instance may idle (SCH-3).
    pub idle: Duration,
    /// How long an instance may live (SCH-6).
    pub life: Duration,
    /// After this a request has lost its slot, whatever its caller does with the answer (INV-7).
    pub overdue: Duration,
}

/// What a request gets.
#[derive(Debug)]
pub enum Acquire<I> {
    /// A slot, now.
    Slot(SlotKey, I),
    /// A place in the line: an [`Effect::Grant`] or [`Effect::Fail`] follows.
    Wait(WaiterKey),
    /// Nothing.
    Refused(Refusal),
}

/// Why a request gets nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The line is full: its limit.
    LineFull(u32),
    /// The function may have no instance.
    Disabled,
    /// The pool is no more: ask for the version's pool again.
    Closed,
}

/// How a request left its instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// As it should: the instance may serve others.
    Reuse,
    /// The instance takes no more requests (SCH-6). With `replace`, another is started at once.
    Revoke {
        /// Whether to start another in its place.
        replace: bool,
    },
}

/// Why an instance is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// It was idle, old, or its version is no longer served: its hooks run first.
    Retired,
    /// It failed, or a request in it did: it is not trusted with hooks.
    Failed,
}

/// What the shell is to do.
#[derive(Debug)]
pub enum Effect<I, W> {
    /// Start an instance under this key; answer with `initializing`, `ready` or `start_failed`.
    Start(InstanceKey),
    /// Stop this one; answer with `gone`.
    Stop(InstanceKey, I, StopReason),
    /// This waiter has a slot.
    Grant(W, SlotKey, I),
    /// This waiter gets the error of the start that just failed.
    Fail(W),
    /// The pool is empty and closed: forget it.
    Closed,
}

/// How much of a pool is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolUse {
    /// Instances in any phase.
    pub instances: u32,
    /// Instances that do not serve yet.
    pub starting: u32,
    /// Requests that wait.
    pub waiting: u32,
}

/// Instances, slots and waiting requests of one function version.
///
/// `I` is what the shell keeps of an instance, `W` of a waiter. After each call the shell takes the
/// [effects](Pool::take_effects) and carries them out; their results come back as calls.
///
/// Invariants: while a slot is free nobody waits (SCH-2); a start is asked for only if those under
/// way will not have a slot for every waiter (SCH-2); an instance that was drained never serves
/// again (I17); there are never more than `instance_max` (SCH-10).
#[derive(Debug)]
pub struct Pool<I, W> {
    rules: PoolRules,
    slots: SlotTable<I>,
    line: Line<W>,
    /// Requests that hold a slot, by the time at which they lose it.
    running: Running,
    /// Instances to be started though nobody waits: those that replace revoked ones.
    owed: u32,
    /// The version is no longer served: what is accepted is finished, nothing is kept.
    closing: bool,
    closed: bool,
    effects: Vec<Effect<I, W>>,
}

impl<I: Clone, W> Pool<I, W> {
    /// An empty pool.
    pub fn new(rules: PoolRules) -> Self {
        Self {
            rules,
            slots: SlotTable::new(rules.concurrency),
            line: Line::default(),
            running: Running::default(),
            owed: 0,
            closing: false,
            closed: false,
            effects: Vec::new(),
        }
    }

    /// What is to be done now, in order.
    pub fn take_effects(&mut self) -> Vec<Effect<I, W>> {
        std::mem::take(&mut self.effects)
    }

    /// When the first of the requests in instances loses its slot.
    pub fn first_overdue(&self) -> Option<Instant> {
        self.running.first().map(|(_, _, due)| due)
    }

    /// How much is in use.
    pub fn usage(&self) -> PoolUse {
        PoolUse {
            instances: self.slots.live(),
            starting: self.slots.starting(),
            waiting: self.line.len(),
        }
    }

    /// The slots, to look at.
    pub fn slots(&self) -> &SlotTable<I> {
        &self.slots
    }

    /// A slot for a request, or a place in the line for `waiter`.
    ///
    /// `waiter` is only asked for if there is no slot.
    pub fn acquire(&mut self, now: Instant, waiter: impl FnOnce() -> W) -> Acquire<I> {
        if self.closed {
            return Acquire::Refused(Refusal::Closed);
        }
        if self.line.is_empty()
            && let Some((key, handle)) = self.take_best_slot(now)
        {
            return Acquire::Slot(key, handle);
        }
        if self.rules.instance_max == 0 {
            return Acquire::Refused(Refusal::Disabled);
        }
        if self.line.len() >= self.rules.waiting_max {
            return Acquire::Refused(Refusal::LineFull(self.rules.waiting_max));
        }
        let key = self.line.join(waiter());
        self.balance();
        Acquire::Wait(key)
    }

    /// A request leaves the line; whether it was in it.
    pub fn leave(&mut self, waiter: WaiterKey) -> bool {
        let left = self.line.leave(waiter).is_some();
        self.close_if_empty();
        left
    }

    /// A request leaves its instance. One that has lost its slot has left already.
    pub fn release(&mut self, slot: SlotKey, how: Release, now: Instant) {
        if self.running.end(slot.request).is_some() {
            self.leave_instance(slot.instance, how, now);
            self.balance();
            self.retire_idle_if_closing();
        }
    }

    /// Takes the slot of every request that should have left long ago, and says when to look again.
    /// Their instances are not trusted any further.
    pub fn expel_overdue(&mut self, now: Instant) -> Option<Instant> {
        while let Some((request, instance, due)) = self.running.first() {
            if due > now {
                return Some(due);
            }
            self.running.end(request);
            self.leave_instance(instance, Release::Revoke { replace: false }, now);
        }
        self.balance();
        self.retire_idle_if_closing();
        None
    }

    fn leave_instance(&mut self, key: InstanceKey, how: Release, now: Instant) {
        if let Release::Revoke { replace } = how {
            let serving = self.phase(key) == Some(Phase::Serving);
            self.slots.mark_failed(key);
            self.slots.drain(key);
            if serving && replace && !self.closing {
                self.owed = (self.owed + 1).min(self.rules.instance_max);
            }
        }
        match self.slots.free_slot(key, now).map(|state| state.phase()) {
            Some(Phase::Serving) if self.is_old(key, now) => {
                self.slots.drain(key);
                self.stop_if_idle(key);
            }
            Some(Phase::Serving) => self.serve_line(now),
            Some(_) => self.stop_if_idle(key),
            None => {}
        }
    }

    /// The instance's initializer begins.
    pub fn initializing(&mut self, key: InstanceKey) {
        self.slots.initializing(key);
    }

    /// The instance serves from now on.
    pub fn ready(&mut self, key: InstanceKey, handle: I, now: Instant) {
        self.slots.serve(key, handle, now);
        self.serve_line(now);
        self.retire_idle_if_closing();
    }

    /// The start failed and left nothing. The waiters that it was for fail with it; if more wait
    /// than the other starts have slots for, another is started.
    pub fn start_failed(&mut self, key: InstanceKey) {
        self.slots.remove(key);
        let unpromised = self.line.len().saturating_sub(self.promised());
        for _ in 0..unpromised.min(self.rules.concurrency) {
            if let Some(waiter) = self.line.serve_next() {
                self.effects.push(Effect::Fail(waiter));
            }
        }
        self.balance();
        self.close_if_empty();
    }

    /// The instance ended by itself.
    pub fn exited(&mut self, key: InstanceKey) {
        self.slots.mark_failed(key);
        self.slots.drain(key);
        self.stop_if_idle(key);
        self.balance();
    }

    /// A stop is done.
    pub fn gone(&mut self, key: InstanceKey) {
        self.slots.remove(key);
        self.balance();
        self.close_if_empty();
    }

    /// Retires what has idled for long enough, and says when to look again.
    pub fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some(key) = self.slots.longest_idle() {
            let state = self.slots.state(key)?;
            let due = state.idle_since() + self.rules.idle;
            if due > now && !self.is_old(key, now) {
                return Some(due.min(state.born() + self.rules.life));
            }
            self.slots.drain(key);
            self.stop_if_idle(key);
        }
        // Busy instances are looked at when they fall idle.
        None
    }

    /// The version is no longer served: finishes what was accepted and keeps nothing (INV-10).
    pub fn close(&mut self) {
        self.closing = true;
        self.owed = 0;
        self.retire_idle_if_closing();
        self.close_if_empty();
    }

    /// As [`Pool::close`], and closes an empty pool that nobody uses, to save its memory.
    pub fn close_if_unused(&mut self) {
        if self.slots.live() == 0 && self.line.is_empty() && self.owed == 0 {
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
            self.leave_instance(instance, Release::Revoke { replace: false }, now);
        }
        self.retire_idle_if_closing();
        self.close_if_empty();
    }

    fn phase(&self, key: InstanceKey) -> Option<Phase> {
        self.slots.state(key).map(|state| state.phase())
    }

    fn is_old(&self, key: InstanceKey, now: Instant) -> bool {
        self.slots.state(key).is_some_and(|state| now - state.born() >= self.rules.life)
    }

    /// The busiest instance's free slot, after instances that are too old were retired.
    fn take_best_slot(&mut self, now: Instant) -> Option<(SlotKey, I)> {
        loop {
            let key = self.slots.pick()?;
            if !self.is_old(key, now) {
                let handle = self.slots.take_slot(key)?;
                let request = self.running.begin(key, now + self.rules.overdue);
                return Some((SlotKey { instance: key, request }, handle));
            }
            self.slots.drain(key);
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

    /// Slots that instances under way will have.
    fn promised(&self) -> u32 {
        self.slots.starting().saturating_mul(self.rules.concurrency)
    }

    /// Starts what the waiters need beyond what is under way, and what is owed.
    fn balance(&mut self) {
        while self.slots.live() < self.rules.instance_max {
            if self.line.len() <= self.promised() && self.owed == 0 {
                return;
            }
            // Whoever it is started for, it stands in for one that is owed.
            self.owed = self.owed.saturating_sub(1);
            let key = self.slots.create();
            self.effects.push(Effect::Start(key));
        }
    }

    fn stop_if_idle(&mut self, key: InstanceKey) {
        let failed = self.slots.state(key).is_some_and(|state| state.failed());
        let reason = if failed { StopReason::Failed } else { StopReason::Retired };
        if let Some(handle) = self.slots.stop(key) {
            self.effects.push(Effect::Stop(key, handle, reason));
        }
    }

    fn retire_idle_if_closing(&mut self) {
        if !self.closing || !self.line.is_empty() {
            return;
        }
        while let Some(key) = self.slots.longest_idle() {
            self.slots.drain(key);
            self.stop_if_idle(key);
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

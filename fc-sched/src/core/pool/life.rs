//! What happens to one instance: it comes up, is frozen and thawed, fails, goes.

use fc_core::Instant;

use super::{Effect, Pool, StopReason};
use crate::core::instance::{Class, InstanceState, Phase};
use crate::core::slots::InstanceKey;

impl<I: Clone, W> Pool<I, W> {
    /// The instance's initializer begins.
    pub fn initializing(&mut self, key: InstanceKey) {
        self.slots.enter(key, Phase::Initializing);
    }

    /// The instance serves from now on.
    pub fn ready(&mut self, key: InstanceKey, handle: I, now: Instant) {
        let Some(took) = self.slots.serve(key, handle, now) else {
            return;
        };
        self.measured.started(took);
        if let Some(class) = self.state(key).map(|state| state.class()) {
            self.note_age(class, now);
        }
        self.note_boost(key, now, took);
        self.replace_one(key);
        self.serve_line(now);
        self.let_go_if_idle(key);
        self.balance();
        self.retire_idle_if_closing();
    }

    /// The start failed and left nothing. The waiters that it was for fail with it; if more wait
    /// than the other starts have slots for, another is wanted.
    pub fn start_failed(&mut self, key: InstanceKey) {
        self.slots.remove(key);
        self.fail_unpromised(self.rules.concurrency);
        self.balance();
        self.close_if_empty();
    }

    /// The start came to nothing through no fault of the function's, as when its node is lost: its
    /// waiters wait on, and another is wanted for them.
    pub fn start_lost(&mut self, key: InstanceKey) {
        self.slots.remove(key);
        self.balance();
        self.close_if_empty();
    }

    /// The instance ended by itself.
    pub fn exited(&mut self, key: InstanceKey) {
        self.fail_instance(key);
        self.balance();
    }

    /// A stop is done.
    pub fn gone(&mut self, key: InstanceKey) {
        self.slots.remove(key);
        self.balance();
        self.close_if_empty();
    }

    /// The instance has no CPU any more, or could not be frozen, which ends it.
    pub fn frozen(&mut self, key: InstanceKey, done: bool) {
        let Some(state) = self.state(key).filter(|state| state.phase() == Phase::Freezing) else {
            return;
        };
        if !done {
            self.fail_instance(key);
        } else if state.retiring {
            self.slots.drain(key);
            self.stop(key, StopReason::Retired { frozen: true });
        } else {
            self.slots.edit(key, |state| {
                state.wanted = false;
                state.enter(Phase::Frozen);
            });
        }
        self.balance();
        self.retire_idle_if_closing();
    }

    /// The instance has its CPU again, or could not be resumed, which ends it.
    pub fn thawed(&mut self, key: InstanceKey, done: bool, now: Instant) {
        let Some(state) = self.state(key).filter(|state| state.phase() == Phase::Thawing) else {
            return;
        };
        if !done {
            self.fail_instance(key);
        } else if state.retiring {
            self.slots.drain(key);
            self.stop_if_idle(key);
        } else {
            self.slots.enter(key, Phase::Idle);
            self.serve_line(now);
        }
        self.balance();
        self.retire_idle_if_closing();
    }

    pub(super) fn fail_instance(&mut self, key: InstanceKey) {
        self.forgive(key);
        self.slots.edit(key, InstanceState::mark_failed);
        self.slots.drain(key);
        self.stop_if_idle(key);
    }

    /// Retires an instance that runs no request: its hooks run first.
    pub(super) fn retire(&mut self, key: InstanceKey) {
        match self.phase(key) {
            Some(Phase::Idle) => {
                self.slots.drain(key);
                self.stop_if_idle(key);
            }
            Some(Phase::Frozen) => {
                self.slots.drain(key);
                self.stop(key, StopReason::Retired { frozen: true });
            }
            // What is under way is not cut.
            Some(Phase::Freezing | Phase::Thawing) => {
                self.slots.edit(key, |state| {
                    state.wanted = false;
                    state.retiring = true;
                });
            }
            _ => {}
        }
    }

    /// An instance of a node that is emptied goes when it is idle; a provisioned one when another
    /// has taken its place.
    pub(super) fn let_go_if_idle(&mut self, key: InstanceKey) {
        let idle = |state: &InstanceState| state.leaving && state.phase() == Phase::Idle;
        let Some(state) = self.state(key).filter(idle) else {
            return;
        };
        let waits = |more: &super::More| more.leaving.contains(&key);
        let replaced = !self.more.as_deref().is_some_and(waits);
        if replaced || state.class() == Class::OnDemand {
            self.forgive(key);
            self.retire(key);
        }
    }

    /// An instance of a node that is emptied goes before it was replaced: none is owed for it any
    /// more.
    pub(super) fn forgive(&mut self, key: InstanceKey) {
        let Some(more) = &mut self.more else {
            return;
        };
        if let Some(place) = more.leaving.iter().position(|each| *each == key) {
            more.leaving.remove(place);
            if self.state(key).is_some_and(|state| state.class() == Class::OnDemand) {
                self.owed = self.owed.saturating_sub(1);
            }
        }
    }

    /// A new instance takes the place of one whose node is emptied (NOD-5).
    fn replace_one(&mut self, new: InstanceKey) {
        let Some(class) = self.state(new).filter(|s| !s.leaving).map(|state| state.class()) else {
            return;
        };
        let slots = &self.slots;
        let leaving = |key: &InstanceKey| {
            slots.state(*key).is_some_and(|state| state.leaving && !state.phase().is_over())
        };
        let Some(more) = &mut self.more else {
            return;
        };
        more.leaving.retain(leaving);
        let same = |key: &InstanceKey| slots.state(*key).is_some_and(|s| s.class() == class);
        let Some(place) = more.leaving.iter().position(same) else {
            return;
        };
        if let Some(old) = more.leaving.remove(place) {
            self.let_go(old);
        }
    }

    /// Takes no more requests; those that run go on.
    pub(super) fn let_go(&mut self, key: InstanceKey) {
        if self.phase(key) == Some(Phase::Busy) {
            self.slots.drain(key);
        } else {
            self.retire(key);
        }
    }

    pub(super) fn thaw(&mut self, key: InstanceKey) {
        self.slots.enter(key, Phase::Thawing);
        if let Some(handle) = self.slots.handle(key).cloned() {
            self.effects.push(Effect::Thaw(key, handle));
        }
    }

    pub(super) fn freeze(&mut self, key: InstanceKey) {
        self.slots.enter(key, Phase::Freezing);
        if let Some(handle) = self.slots.handle(key).cloned() {
            self.effects.push(Effect::Freeze(key, handle));
        }
    }
}

//! How many instances there should be.

use fc_core::Instant;

use super::{Effect, Levels, Pool, Release};
use crate::core::instance::{Class, Phase};
use crate::core::placement::NodeKey;
use crate::core::slots::InstanceKey;

const PROVISIONED: usize = Class::Provisioned as usize;
const ON_DEMAND: usize = Class::OnDemand as usize;

impl<I: Clone, W> Pool<I, W> {
    /// How many instances to keep from now on. What is there already is promoted first, the most
    /// recently used before others; what is over becomes on-demand and idles out (SCH-4).
    pub fn set_levels(&mut self, levels: Levels) {
        if self.closing || levels == self.levels() {
            return;
        }
        self.more().levels = levels;
        let have = self.slots.counts().useful[PROVISIONED];
        if have < levels.provisioned {
            self.change_class(Class::OnDemand, levels.provisioned - have);
        } else {
            self.change_class(Class::Provisioned, have - levels.provisioned);
        }
        self.balance();
    }

    /// The levels that are kept.
    pub fn kept_levels(&self) -> Levels {
        self.levels()
    }

    /// What there is takes no more requests: it goes when those that run are over.
    pub fn let_all_go(&mut self) {
        let keys: Vec<InstanceKey> = self.slots.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.forgive(key);
            self.let_go(key);
        }
        self.balance();
        self.close_if_empty();
    }

    /// The maximum of on-demand instances from now on: what is over it stays until it is idle.
    pub fn set_instance_max(&mut self, instance_max: u32) {
        self.rules.instance_max = instance_max;
        self.owed = self.owed.min(instance_max);
        self.balance();
    }

    /// How many instances are wanted beyond those there are, as things are now.
    pub fn wanted(&self) -> u32 {
        let levels = self.levels();
        let useful = self.slots.counts().useful;
        let provisioned = levels.provisioned.saturating_sub(useful[PROVISIONED]);
        let unpromised = self.line.len().saturating_sub(self.promised());
        let for_line = unpromised.div_ceil(self.rules.concurrency);
        let in_all = useful[PROVISIONED] + useful[ON_DEMAND] + provisioned;
        let on_demand = for_line
            .saturating_sub(provisioned)
            .max(self.owed)
            .max(levels.floor.saturating_sub(in_all));
        provisioned + on_demand.min(self.on_demand_room())
    }

    /// The pool may have one instance more, on this node; `None` if it wants none any more. An
    /// [`Effect::Start`] follows.
    pub fn grant(&mut self, node: NodeKey, now: Instant) -> Option<InstanceKey> {
        if self.wanted() == 0 {
            self.asked = 0;
            return None;
        }
        let levels = self.levels();
        let provisioned = self.slots.counts().useful[PROVISIONED] < levels.provisioned;
        let class = if provisioned { Class::Provisioned } else { Class::OnDemand };
        if class == Class::OnDemand {
            // Whoever it is started for, it stands in for one that is owed.
            self.owed = self.owed.saturating_sub(1);
        }
        let key = self.slots.create(class, node, now);
        self.effects.push(Effect::Start(key));
        self.asked = self.wanted();
        Some(key)
    }

    /// What is still wanted cannot be had: the waiters that it was for fail. Levels are kept wanted.
    pub fn refuse(&mut self) {
        self.owed = 0;
        self.fail_unpromised(u32::MAX);
        self.balance();
        self.close_if_empty();
    }

    /// The capacity knows what is wanted now.
    pub fn told(&mut self) -> u32 {
        self.asked = self.wanted();
        self.asked
    }

    /// Whether anybody waits for an instance that is not under way.
    pub fn has_unpromised(&self) -> bool {
        self.line.len() > self.promised()
    }

    /// The node is emptied (NOD-5): what idles on it goes, what runs requests or is provisioned is
    /// replaced first.
    pub fn migrate(&mut self, node: NodeKey) {
        for key in self.on_node(node) {
            let Some(state) = self.state(key).filter(|state| state.is_useful()) else {
                continue;
            };
            if state.class() == Class::OnDemand && !state.phase().starts() && state.busy() == 0 {
                self.retire(key);
                continue;
            }
            self.slots.edit(key, |state| state.leaving = true);
            self.more().leaving.push_back(key);
            if state.class() == Class::OnDemand && !self.closing {
                self.owed = (self.owed + 1).min(self.rules.instance_max);
            }
        }
        self.balance();
    }

    /// The node's time is up: what is left on it takes no more requests.
    pub fn leave_node(&mut self, node: NodeKey) {
        for key in self.on_node(node) {
            self.forgive(key);
            self.let_go(key);
        }
        self.balance();
        self.retire_idle_if_closing();
    }

    /// The node is gone with all that ran on it. Starts under way there are left to whoever made
    /// them, who reports [`Pool::start_lost`].
    pub fn lose_node(&mut self, node: NodeKey) {
        for key in self.on_node(node) {
            if self.phase(key).is_some_and(|phase| !phase.starts()) {
                self.fail_instance(key);
            }
        }
        self.balance();
    }

    /// Requests on a node lose their slots, and their instances are stopped under them: with a lost
    /// node, whose driver may never say that they are over.
    pub fn expel_from(&mut self, node: NodeKey, now: Instant) {
        for key in self.on_node(node) {
            for request in self.running.of(key) {
                self.running.end(request);
                self.ended(key, Release::Revoke { replace: false }, now);
            }
        }
        self.balance();
        self.retire_idle_if_closing();
    }

    /// Instances on a node. As slow as there are many in the pool.
    fn on_node(&self, node: NodeKey) -> Vec<InstanceKey> {
        let there = self.slots.iter().filter(|(_, state)| state.node() == node);
        there.map(|(key, _)| key).collect()
    }

    /// So many of a class, the most recently used first, change into the other.
    fn change_class(&mut self, from: Class, count: u32) {
        let of_class =
            |state: &crate::core::InstanceState| state.class() == from && state.is_useful();
        let mut keys: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, state)| of_class(state))
            .map(|(key, state)| (state.phase().serves(), state.idle_since(), key))
            .collect();
        keys.sort_unstable();
        let to = if from == Class::OnDemand { Class::Provisioned } else { Class::OnDemand };
        // The least useful are given up, the most useful are kept for good.
        let chosen: Vec<InstanceKey> = if to == Class::Provisioned {
            keys.iter().rev().take(count as usize).map(|(.., key)| *key).collect()
        } else {
            keys.iter().take(count as usize).map(|(.., key)| *key).collect()
        };
        for key in chosen {
            self.slots.edit(key, |state| state.set_class(to));
            if let Some(born) = self.state(key).map(|state| state.born()) {
                self.note_age(to, born);
            }
        }
    }

    /// How many on-demand instances there may still be.
    pub(super) fn on_demand_room(&self) -> u32 {
        if self.levels().on_demand_disabled {
            return 0;
        }
        self.rules.instance_max.saturating_sub(self.slots.counts().live[ON_DEMAND])
    }

    /// Slots that instances under way will have.
    pub(super) fn promised(&self) -> u32 {
        let counts = self.slots.counts();
        let coming = counts.starting + counts.thawing + counts.wanted;
        coming.saturating_mul(self.rules.concurrency)
    }

    /// Fails waiters for whom nothing is under way, at most `most`.
    pub(super) fn fail_unpromised(&mut self, most: u32) {
        let unpromised = self.line.len().saturating_sub(self.promised());
        for _ in 0..unpromised.min(most) {
            if let Some(waiter) = self.line.serve_next() {
                self.effects.push(Effect::Fail(waiter));
            }
        }
    }

    /// Thaws what the waiters need, and says if more or fewer instances are wanted than before.
    pub(super) fn balance(&mut self) {
        while self.line.len() > self.promised()
            && let Some(key) = self.slots.next_frozen()
        {
            self.thaw(key);
        }
        if self.line.len() > self.promised() && self.slots.counts().freezing > 0 {
            self.want_freezing();
        }
        if self.wanted() != self.asked {
            self.asked = self.wanted();
            self.effects.push(Effect::Want);
        }
    }

    /// Instances that are just being frozen are thawed right after.
    fn want_freezing(&mut self) {
        let freezing = |state: &crate::core::InstanceState| {
            state.phase() == Phase::Freezing && !state.wanted && !state.retiring
        };
        while self.line.len() > self.promised() {
            let found = self.slots.iter().find(|(_, state)| freezing(state));
            let Some((key, _)) = found else {
                return;
            };
            self.slots.edit(key, |state| state.wanted = true);
        }
    }

    pub(super) fn retire_idle_if_closing(&mut self) {
        if !self.closing || !self.line.is_empty() {
            return;
        }
        for class in [Class::OnDemand, Class::Provisioned] {
            while let Some(key) = self.slots.longest_idle(class) {
                self.retire(key);
            }
            while let Some(key) = self.slots.longest_frozen(class) {
                self.retire(key);
            }
        }
        let passing = |phase| matches!(phase, Phase::Freezing | Phase::Thawing);
        if self.rules.freeze.is_some() {
            let keys: Vec<_> = self.slots.iter().filter(|(_, s)| passing(s.phase())).collect();
            let keys: Vec<InstanceKey> = keys.into_iter().map(|(key, _)| key).collect();
            keys.into_iter().for_each(|key| self.retire(key));
        }
    }
}

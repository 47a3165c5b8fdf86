//! What comes with time: instances idle out, grow old, are frozen, are pre-warmed; requests overrun.

use std::time::Duration;

use fc_core::Instant;

use super::{Effect, Pool, Release};
use crate::core::instance::{Class, Phase};
use crate::core::slots::InstanceKey;

/// What an instance is worth to whoever needs its place. Less goes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worth {
    /// It can be evicted.
    Idle(u64),
    /// It cannot be now; it will be worth at least this when it can.
    Busy(u64),
    /// There is no such instance any more.
    Gone,
}

impl<I: Clone, W> Pool<I, W> {
    /// When [`Pool::look`] has something to do next.
    pub fn next_look(&self) -> Instant {
        let first = |due: Option<Instant>| due.unwrap_or(Instant::MAX);
        let mut next = first(self.running.first().map(|(_, _, due)| due))
            .min(first(self.next_release()))
            .min(first(self.next_freeze()));
        if let Some(more) = &self.more {
            next = next
                .min(first(more.prewarm.map(|(at, _)| at)))
                .min(first(more.boosted.front().map(|(at, _)| *at)))
                .min(first(more.age));
        }
        next
    }

    /// Does what is due.
    pub fn look(&mut self, now: Instant) {
        self.expel_overdue(now);
        self.release_idle(now);
        self.freeze_idle(now);
        if self.more.is_some() {
            self.end_boosts(now);
            self.retire_old(now);
            self.prewarm(now);
        }
        self.balance();
        self.retire_idle_if_closing();
    }

    /// What an instance is worth.
    pub fn worth(&self, key: InstanceKey, now: Instant) -> Worth {
        let Some(state) = self.state(key).filter(|state| !state.phase().is_over()) else {
            return Worth::Gone;
        };
        let evictable = matches!(state.phase(), Phase::Idle | Phase::Frozen)
            && state.class() == Class::OnDemand
            && self.may_shrink()
            && self.line.is_empty();
        if evictable {
            Worth::Idle(self.worth_if_idle_since(state.idle_since()))
        } else {
            Worth::Busy(self.worth_if_idle_since(now))
        }
    }

    /// Gives up an idle instance for others' sake; whether it was one.
    pub fn evict(&mut self, key: InstanceKey, now: Instant) -> bool {
        let Worth::Idle(worth) = self.worth(key, now) else {
            return false;
        };
        if let Some(keeper) = self.more.as_mut().and_then(|more| more.keeper.as_mut()) {
            keeper.evicted(worth, now);
        }
        self.retire(key);
        self.balance();
        true
    }

    /// Without a policy, the one that was used least recently is worth least.
    fn worth_if_idle_since(&self, idle_since: Instant) -> u64 {
        let keeper = self.more.as_ref().and_then(|more| more.keeper.as_ref());
        keeper.map_or(idle_since.as_nanos(), |keeper| keeper.worth(idle_since))
    }

    /// Takes the slot of every request that should have left long ago. Their instances are not
    /// trusted any further.
    fn expel_overdue(&mut self, now: Instant) {
        while let Some((request, instance, due)) = self.running.first() {
            if due > now {
                return;
            }
            self.running.end(request);
            self.ended(instance, Release::Revoke { replace: false }, now);
        }
    }

    /// Whether there are more instances than a forecast wants.
    fn may_shrink(&self) -> bool {
        let useful = self.slots.counts().useful;
        useful[0] + useful[1] > self.levels().floor
    }

    /// The on-demand instance that idles for longest, with or without CPU.
    fn longest_unused(&self) -> Option<InstanceKey> {
        let frozen = self.slots.longest_frozen(Class::OnDemand);
        let idle = self.slots.longest_idle(Class::OnDemand);
        let since = |key| self.state(key).map_or(Instant::MAX, |state| state.idle_since());
        match (frozen, idle) {
            (Some(frozen), Some(idle)) if since(idle) < since(frozen) => Some(idle),
            (Some(frozen), _) => Some(frozen),
            (None, idle) => idle,
        }
    }

    /// When the first on-demand instance will have idled for long enough, or be too old.
    fn next_release(&self) -> Option<Instant> {
        let state = self.state(self.longest_unused()?)?;
        let old = state.born() + self.rules.life;
        if !self.may_shrink() {
            return Some(old);
        }
        Some(old.min(state.idle_since() + self.keep))
    }

    fn release_idle(&mut self, now: Instant) {
        while let Some(key) = self.longest_unused()
            && self.next_release().is_some_and(|due| due <= now)
        {
            self.retire(key);
        }
    }

    fn freezable(&self) -> Option<(InstanceKey, Instant)> {
        let after = self.rules.freeze?;
        let classes: &[Class] = if self.levels().freeze_provisioned {
            &[Class::OnDemand, Class::Provisioned]
        } else {
            &[Class::OnDemand]
        };
        let longest = classes.iter().filter_map(|class| self.slots.longest_idle(*class));
        let due = longest.filter_map(|key| Some((key, self.state(key)?.idle_since() + after)));
        due.min_by_key(|(_, due)| *due)
    }

    fn next_freeze(&self) -> Option<Instant> {
        self.freezable().map(|(_, due)| due)
    }

    fn freeze_idle(&mut self, now: Instant) {
        while let Some((key, due)) = self.freezable()
            && due <= now
        {
            self.freeze(key);
        }
    }

    /// Provisioned instances do not idle out: they are looked at when one may be too old. On-demand
    /// ones are when they are used, and when they idle.
    pub(super) fn note_age(&mut self, class: Class, born: Instant) {
        if class == Class::Provisioned {
            let due = born + self.rules.life;
            let more = self.more();
            more.age = Some(more.age.map_or(due, |age| age.min(due)));
        }
    }

    fn retire_old(&mut self, now: Instant) {
        let due = |age: Option<Instant>| age.is_some_and(|age| age <= now);
        if !self.more.as_ref().is_some_and(|more| due(more.age)) {
            return;
        }
        let life = self.rules.life;
        let mut next: Option<Instant> = None;
        let mut old = Vec::new();
        for (key, state) in self.slots.iter() {
            let due = state.born() + life;
            if state.class() != Class::Provisioned || state.phase().is_over() || state.retiring {
                continue;
            }
            if due <= now && !state.phase().starts() {
                old.push(key);
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        self.more().age = next;
        old.into_iter().for_each(|key| self.let_go(key));
    }

    /// The instance has more CPU until the boost's time since its creation is over.
    pub(super) fn note_boost(&mut self, key: InstanceKey, now: Instant, took: Duration) {
        if self.rules.boost.is_zero() {
            return;
        }
        let until = now + self.rules.boost.saturating_sub(took);
        let boosted = &mut self.more().boosted;
        // Starts that took longer come later and end earlier: they are few, and go to their place.
        let place = boosted.partition_point(|(at, _)| *at <= until);
        boosted.insert(place, (until, key));
    }

    fn end_boosts(&mut self, now: Instant) {
        while let Some(more) = &mut self.more
            && more.boosted.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, key)) = more.boosted.pop_front()
        {
            let over = self.phase(key).is_none_or(Phase::is_over);
            if let Some(handle) = self.slots.handle(key).filter(|_| !over).cloned() {
                self.effects.push(Effect::EndBoost(key, handle));
            }
        }
    }

    /// Starts an instance for the request that a policy expects (SCH-11).
    fn prewarm(&mut self, now: Instant) {
        let Some(more) = &mut self.more else {
            return;
        };
        let Some((_, keep)) = more.prewarm.take_if(|(at, _)| *at <= now) else {
            return;
        };
        self.keep = keep;
        let useful = self.slots.counts().useful;
        if useful[0] + useful[1] == 0 && !self.closing {
            self.owed = self.owed.max(1);
        }
    }
}

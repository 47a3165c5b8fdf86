//! Slots of a function's instances, packed: the busiest instance with a free slot comes first.

use std::time::Duration;

use fc_core::Instant;

use super::chain::{Chain, Link, Links};
use super::instance::{Class, InstanceState, Phase};
use super::placement::NodeKey;

/// Names an instance of a pool. A key of an instance that is gone names nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InstanceKey {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry<I> {
    generation: u32,
    link: Link,
    state: InstanceState,
    /// What the shell keeps of it, from when it serves on.
    handle: Option<I>,
}

/// How many instances a table has, by what they do and by what they are there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) starting: u32,
    pub(super) serving: u32,
    pub(super) thawing: u32,
    /// Freezing, and to be thawed right after.
    pub(super) wanted: u32,
    /// Freezing, and not to be thawed or retired right after.
    pub(super) freezing: u32,
    /// In any phase, by class.
    pub(super) live: [u32; 2],
    /// Not on their way out, by class.
    pub(super) useful: [u32; 2],
}

/// The instances of one function version.
///
/// Instances that serve stand in one list per class and number of running requests, most recently
/// used first; a bitmap tells which lists hold any. So picking, releasing, adding and removing take
/// constant time, whatever the number of instances (SCH-1).
#[derive(Debug)]
pub struct SlotTable<I> {
    concurrency: u32,
    /// Given to each new instance, so that no two of one table have the same key.
    generation: u32,
    entries: Vec<Entry<I>>,
    free: Vec<u32>,
    /// Lists of serving instances: on-demand ones by running requests, then, from
    /// [`SlotTable::first_provisioned`] on, provisioned ones. Grown to the highest seen.
    lists: Vec<Chain>,
    /// Bit n: list n is not empty.
    occupied: Vec<u64>,
    /// Frozen instances by class, last frozen first.
    frozen: [Chain; 2],
    counts: Counts,
}

impl<I> Links for [Entry<I>] {
    fn link(&mut self, node: u32) -> &mut Link {
        &mut self[node as usize].link
    }
}

impl<I: Clone> SlotTable<I> {
    /// A table of instances that take `concurrency` requests each.
    pub fn new(concurrency: u32) -> Self {
        Self {
            concurrency: concurrency.max(1),
            generation: 0,
            entries: Vec::new(),
            free: Vec::new(),
            lists: Vec::new(),
            occupied: Vec::new(),
            frozen: [Chain::EMPTY; 2],
            counts: Counts::default(),
        }
    }

    /// Instances in any phase.
    pub fn live(&self) -> u32 {
        self.counts.live[0] + self.counts.live[1]
    }

    /// Instances that do not serve yet.
    pub fn starting(&self) -> u32 {
        self.counts.starting
    }

    /// Instances that take requests.
    pub fn serving(&self) -> u32 {
        self.counts.serving
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What is known of an instance.
    pub fn state(&self, key: InstanceKey) -> Option<InstanceState> {
        self.entry(key).map(|entry| entry.state)
    }

    /// What the shell keeps of an instance that has served and is not stopped.
    pub fn handle(&self, key: InstanceKey) -> Option<&I> {
        self.entry(key).and_then(|entry| entry.handle.as_ref())
    }

    /// Every instance, in no order. As slow as there are many.
    pub fn iter(&self) -> impl Iterator<Item = (InstanceKey, &InstanceState)> {
        self.entries.iter().enumerate().filter(|(_, entry)| entry.state.phase() != Phase::Gone).map(
            |(index, entry)| {
                let key = InstanceKey { index: index as u32, generation: entry.generation };
                (key, &entry.state)
            },
        )
    }

    fn entry(&self, key: InstanceKey) -> Option<&Entry<I>> {
        self.entries.get(key.index as usize).filter(|entry| {
            entry.generation == key.generation && entry.state.phase() != Phase::Gone
        })
    }

    /// Changes an instance's state, and keeps the counts and lists that follow from it.
    fn change<R>(
        &mut self,
        key: InstanceKey,
        change: impl FnOnce(&mut InstanceState) -> R,
    ) -> Option<R> {
        let before = self.entry(key)?.state;
        self.unlist(key.index, before);
        let entry = &mut self.entries[key.index as usize];
        let result = change(&mut entry.state);
        let after = entry.state;
        self.count(before, after);
        self.list(key.index, after);
        Some(result)
    }

    fn count(&mut self, before: InstanceState, after: InstanceState) {
        let counts = &mut self.counts;
        let tally = |counter: &mut u32, was: bool, is: bool| match (was, is) {
            (false, true) => *counter += 1,
            (true, false) => *counter -= 1,
            _ => {}
        };
        let phase = (before.phase(), after.phase());
        tally(&mut counts.starting, phase.0.starts(), phase.1.starts());
        tally(&mut counts.serving, phase.0.serves(), phase.1.serves());
        tally(&mut counts.thawing, phase.0 == Phase::Thawing, phase.1 == Phase::Thawing);
        tally(&mut counts.wanted, before.wanted, after.wanted);
        let freezing = |state: InstanceState| {
            state.phase() == Phase::Freezing && !state.wanted && !state.retiring
        };
        tally(&mut counts.freezing, freezing(before), freezing(after));
        for class in [Class::Provisioned, Class::OnDemand] {
            let is = |state: InstanceState| state.class() == class;
            let live = |state: InstanceState| is(state) && state.phase() != Phase::Gone;
            let useful = |state: InstanceState| is(state) && state.is_useful();
            tally(&mut counts.live[class as usize], live(before), live(after));
            tally(&mut counts.useful[class as usize], useful(before), useful(after));
        }
    }

    /// A new instance in phase `Creating`.
    pub(super) fn create(&mut self, class: Class, node: NodeKey, now: Instant) -> InstanceKey {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let state = InstanceState::creating(class, node, now);
        self.counts.starting += 1;
        self.counts.live[class as usize] += 1;
        self.counts.useful[class as usize] += 1;
        let entry = Entry { generation, link: Link::ALONE, state, handle: None };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                if self.entries.is_empty() {
                    // Most functions have one instance, and a vector begins with room for four.
                    self.entries.reserve_exact(1);
                }
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        InstanceKey { index, generation }
    }

    pub(super) fn enter(&mut self, key: InstanceKey, phase: Phase) {
        self.change(key, |state| state.enter(phase));
    }

    pub(super) fn edit(&mut self, key: InstanceKey, edit: impl FnOnce(&mut InstanceState)) {
        self.change(key, edit);
    }

    /// The instance serves; gives what its start and its initializer took.
    pub(super) fn serve(&mut self, key: InstanceKey, handle: I, now: Instant) -> Option<Duration> {
        let took = self.change(key, |state| state.begin_serving(now))?;
        self.entries[key.index as usize].handle = Some(handle);
        Some(took)
    }

    /// The busiest serving instance with a free slot, the most recently used of those; provisioned
    /// ones come before all others (SCH-4).
    pub(super) fn pick(&self) -> Option<InstanceKey> {
        let provisioned = self.first_provisioned();
        let list = self
            .highest(provisioned, provisioned + self.concurrency)
            .or_else(|| self.highest(0, self.concurrency))?;
        Some(self.key(self.lists[list as usize].first))
    }

    /// The idle instance of this class that has been idle for longest, frozen ones aside.
    pub(super) fn longest_idle(&self, class: Class) -> Option<InstanceKey> {
        let list = self.list_of(class, 0) as usize;
        let idle = self.lists.get(list).filter(|chain| !chain.is_empty())?;
        Some(self.key(idle.last))
    }

    /// The frozen instance of this class that was frozen first.
    pub(super) fn longest_frozen(&self, class: Class) -> Option<InstanceKey> {
        let chain = self.frozen[class as usize];
        (!chain.is_empty()).then(|| self.key(chain.last))
    }

    /// The frozen instance to be thawed next: provisioned before others, last frozen first.
    pub(super) fn next_frozen(&self) -> Option<InstanceKey> {
        let chain = self.frozen.iter().find(|chain| !chain.is_empty())?;
        Some(self.key(chain.first))
    }

    /// A slot of a serving instance, and the instance.
    pub(super) fn take_slot(&mut self, key: InstanceKey) -> Option<I> {
        let entry = self.entry(key)?;
        let handle = entry.handle.clone()?;
        self.unlist(key.index, entry.state);
        let state = &mut self.entries[key.index as usize].state;
        // No count changes: it serves before and after.
        state.add_request();
        let state = *state;
        self.list(key.index, state);
        Some(handle)
    }

    /// Ends a request; gives what is known of the instance afterwards.
    pub(super) fn free_slot(&mut self, key: InstanceKey, now: Instant) -> Option<InstanceState> {
        let before = self.entry(key)?.state;
        self.unlist(key.index, before);
        let state = &mut self.entries[key.index as usize].state;
        state.end_request(now);
        let state = *state;
        self.list(key.index, state);
        Some(state)
    }

    /// An instance that serves, or has no CPU, takes no more requests.
    pub(super) fn drain(&mut self, key: InstanceKey) {
        let phase = self.entry(key).map(|entry| entry.state.phase());
        if phase.is_some_and(|phase| !phase.starts() && !phase.is_over()) {
            self.change(key, |state| {
                state.wanted = false;
                state.enter(Phase::Draining);
            });
        }
    }

    /// A drained instance without requests is stopped from now on; gives it, once.
    pub(super) fn stop(&mut self, key: InstanceKey) -> Option<I> {
        let state = self.entry(key)?.state;
        if state.phase() != Phase::Draining || state.busy() != 0 {
            return None;
        }
        self.enter(key, Phase::Stopping);
        self.entries[key.index as usize].handle.take()
    }

    /// Nothing of the instance is left: a start that failed, or a stop that is done.
    pub(super) fn remove(&mut self, key: InstanceKey) {
        if self.change(key, |state| state.enter(Phase::Gone)).is_none() {
            return;
        }
        self.entries[key.index as usize].handle = None;
        self.free.push(key.index);
        if self.free.len() == self.entries.len() {
            // An idle function keeps no memory for instances that it once had.
            *self = Self { generation: self.generation, ..Self::new(self.concurrency) };
        }
    }

    fn key(&self, index: u32) -> InstanceKey {
        InstanceKey { index, generation: self.entries[index as usize].generation }
    }

    /// Where provisioned instances' lists begin: behind every on-demand one's, at a whole word.
    fn first_provisioned(&self) -> u32 {
        (self.concurrency + 1).next_multiple_of(64)
    }

    fn list_of(&self, class: Class, busy: u32) -> u32 {
        match class {
            Class::OnDemand => busy,
            Class::Provisioned => self.first_provisioned() + busy,
        }
    }

    fn list(&mut self, index: u32, state: InstanceState) {
        if state.phase().serves() {
            let list = self.list_of(state.class(), state.busy()) as usize;
            if self.lists.len() <= list {
                self.lists.resize(list + 1, Chain::EMPTY);
                self.occupied.resize(list / 64 + 1, 0);
            }
            self.entries.push_front(&mut self.lists[list], index);
            self.occupied[list / 64] |= 1 << (list % 64);
        } else if state.phase() == Phase::Frozen {
            self.entries.push_front(&mut self.frozen[state.class() as usize], index);
        }
    }

    fn unlist(&mut self, index: u32, state: InstanceState) {
        if state.phase().serves() {
            let list = self.list_of(state.class(), state.busy()) as usize;
            self.entries.unlink(&mut self.lists[list], index);
            if self.lists[list].is_empty() {
                self.occupied[list / 64] &= !(1 << (list % 64));
            }
        } else if state.phase() == Phase::Frozen {
            self.entries.unlink(&mut self.frozen[state.class() as usize], index);
        }
    }

    /// The highest list from `low` to below `high` that is not empty. `low` is a multiple of 64.
    fn highest(&self, low: u32, high: u32) -> Option<u32> {
        let top = (high - 1) as usize;
        let last = (top / 64).min(self.occupied.len().checked_sub(1)?);
        (low as usize / 64..=last).rev().find_map(|word| {
            let below = if word == top / 64 && top % 64 < 63 {
                self.occupied[word] & ((1 << (top % 64 + 1)) - 1)
            } else {
                self.occupied[word]
            };
            (below != 0).then(|| (word * 64) as u32 + 63 - below.leading_zeros())
        })
    }
}

//! Slots of a function's instances, packed: the busiest instance with a free slot comes first.

use fc_core::Instant;

use super::chain::{Chain, Link, Links};
use super::instance::{InstanceState, Phase};

/// Names an instance of a pool. A key of an instance that is gone names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct InstanceKey {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry<I> {
    generation: u32,
    link: Link,
    state: InstanceState,
    /// What the shell keeps of it, from `Serving` on.
    handle: Option<I>,
}

/// The instances of one function version.
///
/// Serving instances with a free slot or without stand in one list per number of running requests,
/// most recently used first; a bitmap tells which lists hold any. So picking, releasing, adding and
/// removing take constant time, whatever the number of instances (SCH-1).
#[derive(Debug)]
pub struct SlotTable<I> {
    concurrency: u32,
    /// Given to each new instance, so that no two of one table have the same key.
    generation: u32,
    entries: Vec<Entry<I>>,
    free: Vec<u32>,
    /// Lists of serving instances by running requests; grown to the highest number seen.
    by_busy: Vec<Chain>,
    /// Bit n: the list of n requests is not empty.
    occupied: Vec<u64>,
    starting: u32,
    serving: u32,
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
            by_busy: Vec::new(),
            occupied: Vec::new(),
            starting: 0,
            serving: 0,
        }
    }

    /// Instances in any phase.
    pub fn live(&self) -> u32 {
        (self.entries.len() - self.free.len()) as u32
    }

    /// Instances that do not serve yet.
    pub fn starting(&self) -> u32 {
        self.starting
    }

    /// Instances that take requests.
    pub fn serving(&self) -> u32 {
        self.serving
    }

    /// What is known of an instance.
    pub fn state(&self, key: InstanceKey) -> Option<InstanceState> {
        self.entry(key).map(|entry| entry.state)
    }

    fn entry(&self, key: InstanceKey) -> Option<&Entry<I>> {
        self.entries.get(key.index as usize).filter(|entry| {
            entry.generation == key.generation && entry.state.phase() != Phase::Gone
        })
    }

    fn entry_mut(&mut self, key: InstanceKey) -> Option<&mut Entry<I>> {
        self.entries.get_mut(key.index as usize).filter(|entry| {
            entry.generation == key.generation && entry.state.phase() != Phase::Gone
        })
    }

    /// A new instance in phase `Creating`.
    pub(super) fn create(&mut self) -> InstanceKey {
        self.starting += 1;
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let state = InstanceState::CREATING;
        let entry = Entry { generation, link: Link::ALONE, state, handle: None };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        InstanceKey { index, generation }
    }

    pub(super) fn initializing(&mut self, key: InstanceKey) {
        if let Some(entry) = self.entry_mut(key) {
            entry.state.enter(Phase::Initializing);
        }
    }

    pub(super) fn serve(&mut self, key: InstanceKey, handle: I, now: Instant) {
        let Some(entry) = self.entry_mut(key) else {
            return;
        };
        entry.state.begin_serving(now);
        entry.handle = Some(handle);
        self.starting -= 1;
        self.serving += 1;
        self.list(key.index);
    }

    /// The busiest serving instance with a free slot, the most recently used of those.
    pub(super) fn pick(&self) -> Option<InstanceKey> {
        let busy = self.busiest_below(self.concurrency)?;
        Some(self.key(self.by_busy[busy as usize].first))
    }

    /// The idle instance that has been idle for longest.
    pub(super) fn longest_idle(&self) -> Option<InstanceKey> {
        let idle = self.by_busy.first().filter(|chain| !chain.is_empty())?;
        Some(self.key(idle.last))
    }

    /// A slot of a serving instance, and the instance.
    pub(super) fn take_slot(&mut self, key: InstanceKey) -> Option<I> {
        let handle = self.entry(key)?.handle.clone()?;
        self.unlist(key.index);
        self.entries[key.index as usize].state.add_request();
        self.list(key.index);
        Some(handle)
    }

    /// Ends a request; gives what is known of the instance afterwards.
    pub(super) fn free_slot(&mut self, key: InstanceKey, now: Instant) -> Option<InstanceState> {
        let serving = self.entry(key)?.state.phase() == Phase::Serving;
        if serving {
            self.unlist(key.index);
        }
        let entry = &mut self.entries[key.index as usize];
        entry.state.end_request(now);
        let state = entry.state;
        if serving {
            self.list(key.index);
        }
        Some(state)
    }

    /// A serving instance takes no more requests.
    pub(super) fn drain(&mut self, key: InstanceKey) {
        if self.entry(key).is_some_and(|entry| entry.state.phase() == Phase::Serving) {
            self.unlist(key.index);
            self.entries[key.index as usize].state.enter(Phase::Draining);
            self.serving -= 1;
        }
    }

    /// A drained instance without requests is stopped from now on; gives it, once.
    pub(super) fn stop(&mut self, key: InstanceKey) -> Option<I> {
        let entry = self.entry_mut(key)?;
        if entry.state.phase() != Phase::Draining || entry.state.busy() != 0 {
            return None;
        }
        entry.state.enter(Phase::Stopping);
        entry.handle.take()
    }

    /// Nothing of the instance is left: a start that failed, or a stop that is done.
    pub(super) fn remove(&mut self, key: InstanceKey) {
        let Some(entry) = self.entry_mut(key) else {
            return;
        };
        let started = entry.state.phase() == Phase::Stopping;
        entry.state.enter(Phase::Gone);
        entry.handle = None;
        if !started {
            self.starting -= 1;
        }
        self.free.push(key.index);
        if self.free.len() == self.entries.len() {
            // An idle function keeps no memory for instances that it once had.
            *self = Self { generation: self.generation, ..Self::new(self.concurrency) };
        }
    }

    /// Notes that the instance is not to be trusted with hooks.
    pub(super) fn mark_failed(&mut self, key: InstanceKey) {
        if let Some(entry) = self.entry_mut(key) {
            entry.state.mark_failed();
        }
    }

    fn key(&self, index: u32) -> InstanceKey {
        InstanceKey { index, generation: self.entries[index as usize].generation }
    }

    fn list(&mut self, index: u32) {
        let busy = self.entries[index as usize].state.busy() as usize;
        if self.by_busy.len() <= busy {
            self.by_busy.resize(busy + 1, Chain::EMPTY);
            self.occupied.resize(busy / 64 + 1, 0);
        }
        self.entries.push_front(&mut self.by_busy[busy], index);
        self.occupied[busy / 64] |= 1 << (busy % 64);
    }

    fn unlist(&mut self, index: u32) {
        let busy = self.entries[index as usize].state.busy() as usize;
        self.entries.unlink(&mut self.by_busy[busy], index);
        if self.by_busy[busy].is_empty() {
            self.occupied[busy / 64] &= !(1 << (busy % 64));
        }
    }

    /// The highest number of requests below `bound` that some serving instance runs.
    fn busiest_below(&self, bound: u32) -> Option<u32> {
        let top = (bound - 1) as usize;
        let last = (top / 64).min(self.occupied.len().checked_sub(1)?);
        (0..=last).rev().find_map(|word| {
            let below = if word == top / 64 && top % 64 < 63 {
                self.occupied[word] & ((1 << (top % 64 + 1)) - 1)
            } else {
                self.occupied[word]
            };
            (below != 0).then(|| (word * 64) as u32 + 63 - below.leading_zeros())
        })
    }
}

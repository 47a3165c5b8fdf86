//! Instances in the order in which they would be given up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fc_core::Resources;

use crate::core::placement::NodeKey;
use crate::core::{InstanceKey, Worth};

/// How many instances are looked at to find room for one: the least valuable, whatever there are.
const LOOKED_AT_MAX: usize = 64;

/// An instance that may be given up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Candidate<K> {
    /// At least so much: worth only grows while an instance lives.
    worth: u64,
    pub(super) instance: InstanceKey,
    pub(super) pool: K,
    pub(super) node: NodeKey,
    pub(super) size: Size,
}

/// [`Resources`] with an order, so that heaps of them have one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Size {
    cpu_milli: u32,
    memory_mb: u32,
    disk_mb: u32,
}

impl From<Resources> for Size {
    fn from(size: Resources) -> Self {
        let Resources { cpu_milli, memory_mb, disk_mb } = size;
        Self { cpu_milli, memory_mb, disk_mb }
    }
}

impl From<Size> for Resources {
    fn from(size: Size) -> Self {
        let Size { cpu_milli, memory_mb, disk_mb } = size;
        Self { cpu_milli, memory_mb, disk_mb }
    }
}

/// Instances by what they were last known to be worth.
///
/// Nothing is told when an instance is used: its true worth is asked for when its turn comes, and
/// since worth only grows, the lowest true worth at the top of the heap is the lowest of all. So a
/// warm request pays nothing, and what is looked up again was used since it was looked up last.
#[derive(Debug)]
pub(super) struct Evictable<K> {
    heap: BinaryHeap<Reverse<Candidate<K>>>,
    /// Entries whose instance is gone, at least.
    gone: usize,
}

impl<K: Copy + Ord> Evictable<K> {
    pub(super) fn new() -> Self {
        Self { heap: BinaryHeap::new(), gone: 0 }
    }

    pub(super) fn add(&mut self, pool: K, instance: InstanceKey, node: NodeKey, size: Resources) {
        let candidate = Candidate { worth: 0, instance, pool, node, size: size.into() };
        self.heap.push(Reverse(candidate));
    }

    /// One instance is gone: its entry is swept out once such are the most.
    pub(super) fn one_gone(&mut self, mut is_alive: impl FnMut(K, InstanceKey) -> bool) {
        self.gone += 1;
        if self.gone > 32 && self.gone * 2 > self.heap.len() {
            self.heap.retain(|Reverse(each)| is_alive(each.pool, each.instance));
            self.gone = 0;
        }
    }

    /// The least valuable that are idle, in order, of the first that are looked at.
    pub(super) fn least(
        &mut self,
        mut worth: impl FnMut(K, InstanceKey) -> Worth,
        mut enough: impl FnMut(&Candidate<K>) -> bool,
    ) -> Vec<Candidate<K>> {
        let mut found = Vec::new();
        let mut again = Vec::new();
        for _ in 0..LOOKED_AT_MAX {
            let Some(Reverse(candidate)) = self.heap.pop() else {
                break;
            };
            match worth(candidate.pool, candidate.instance) {
                Worth::Gone => self.gone = self.gone.saturating_sub(1),
                Worth::Busy(worth) => again.push(Candidate { worth, ..candidate }),
                Worth::Idle(worth) if worth > candidate.worth => {
                    // It was used since: it stands further back, and may come up again.
                    self.heap.push(Reverse(Candidate { worth, ..candidate }));
                }
                Worth::Idle(_) => {
                    found.push(candidate);
                    again.push(candidate);
                    if enough(&candidate) {
                        break;
                    }
                }
            }
        }
        self.heap.extend(again.into_iter().map(Reverse));
        found
    }
}

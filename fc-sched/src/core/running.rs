//! Requests that hold a slot, in the order in which they will lose it.

use fc_core::Instant;

use super::chain::{Chain, Link, Links};
use super::slots::InstanceKey;

/// Names a request that holds a slot. A key of one that has ended names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct RequestKey {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry {
    generation: u32,
    link: Link,
    /// None: the place is free.
    instance: Option<InstanceKey>,
    due: Instant,
}

/// Requests by the time at which they lose their slot. All have the same time allowed, so the order
/// in which they begin is the order in which they are due: beginning and ending take constant time.
#[derive(Debug)]
pub(super) struct Running {
    entries: Vec<Entry>,
    free: Vec<u32>,
    order: Chain,
    len: u32,
}

impl Default for Running {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), order: Chain::EMPTY, len: 0 }
    }
}

impl Links for [Entry] {
    fn link(&mut self, node: u32) -> &mut Link {
        &mut self[node as usize].link
    }
}

impl Running {
    /// How many hold a slot.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn begin(&mut self, instance: InstanceKey, due: Instant) -> RequestKey {
        let index = self.free.pop().unwrap_or_else(|| {
            let (link, instance) = (Link::ALONE, None);
            if self.entries.is_empty() {
                // Most instances run one request, and a vector begins with room for four.
                self.entries.reserve_exact(1);
            }
            self.entries.push(Entry { generation: 0, link, instance, due });
            (self.entries.len() - 1) as u32
        });
        self.entries.push_back(&mut self.order, index);
        let entry = &mut self.entries[index as usize];
        (entry.instance, entry.due) = (Some(instance), due);
        self.len += 1;
        RequestKey { index, generation: entry.generation }
    }

    /// Where the request ran; `None` if it has ended already.
    pub(super) fn end(&mut self, key: RequestKey) -> Option<InstanceKey> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let instance = entry.instance.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.entries.unlink(&mut self.order, key.index);
        self.free.push(key.index);
        self.len -= 1;
        Some(instance)
    }

    /// The requests that hold a slot of `instance`, in no order. As slow as there are many.
    pub(super) fn of(&self, instance: InstanceKey) -> Vec<RequestKey> {
        let entries = self.entries.iter().enumerate();
        let there = entries.filter(|(_, entry)| entry.instance == Some(instance));
        let key = |(index, entry): (usize, &Entry)| RequestKey {
            index: index as u32,
            generation: entry.generation,
        };
        there.map(key).collect()
    }

    /// The request that is due first, its instance, and when.
    pub(super) fn first(&self) -> Option<(RequestKey, InstanceKey, Instant)> {
        let index = (!self.order.is_empty()).then_some(self.order.first)?;
        let entry = &self.entries[index as usize];
        let key = RequestKey { index, generation: entry.generation };
        entry.instance.map(|instance| (key, instance, entry.due))
    }
}

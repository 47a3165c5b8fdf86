//! What is to happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fc_core::Instant;

use crate::core::InstanceKey;

/// What is to happen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::sim) enum Event {
    /// A request is over.
    Finish { request: u32, generation: u32 },
    /// An instance has started.
    Ready { pool: u32, key: InstanceKey },
    /// An instance has no CPU any more.
    Frozen { pool: u32, key: InstanceKey },
    /// An instance has its CPU again.
    Thawed { pool: u32, key: InstanceKey, instance: u32 },
    /// An instance is stopped.
    Gone { pool: u32, key: InstanceKey, instance: u32 },
    /// Time has something to do in a pool.
    Look { pool: u32, due: Instant },
    /// A request has waited for long enough.
    GiveUp { request: u32, generation: u32 },
    /// A request's caller goes away, if it still waits.
    Leave { request: u32, generation: u32 },
    /// Those who wait for a quota's growth are looked at.
    Serve,
}

/// Events by time; of the same time, in the order in which they were thought of.
#[derive(Debug, Default)]
pub(in crate::sim) struct Events {
    heap: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    thought_of: u64,
    pub(in crate::sim) handled: u64,
}

impl Events {
    pub(in crate::sim) fn push(&mut self, at: Instant, event: Event) {
        if at != Instant::MAX {
            self.thought_of += 1;
            self.heap.push(Reverse((at, self.thought_of, event)));
        }
    }

    pub(in crate::sim) fn pop_due(&mut self, until: Instant) -> Option<(Instant, Event)> {
        let Reverse((at, ..)) = self.heap.peek()?;
        if *at > until {
            return None;
        }
        let Reverse((at, _, event)) = self.heap.pop()?;
        self.handled += 1;
        Some((at, event))
    }
}

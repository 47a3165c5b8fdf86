//! What a broken queue remembers to be broken.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use fc_core::Timestamp;
use fc_core::port::queue::{Lane, LeaseToken};

/// A task by its lane and its id.
pub(super) type Key = (Lane, String);

#[derive(Default, Debug)]
pub(super) struct Seen {
    /// Leases that were neither settled nor cancelled, the last one of each task.
    pub(super) held: HashMap<Key, Held>,
    /// Settlements since anything else was asked, and before.
    pub(super) settled_just_now: HashSet<LeaseToken>,
    pub(super) settled: HashSet<LeaseToken>,
    /// Tasks that are done.
    pub(super) done: HashSet<Key>,
    /// The lane that used an id first.
    pub(super) ids: HashMap<String, Lane>,
    pub(super) lanes: BTreeSet<Lane>,
    /// Times of pushes, as they were asked for.
    pub(super) times: HashMap<Key, Timestamp>,
    pub(super) last_push: Option<Key>,
    /// What the last lease of a lane gave.
    pub(super) last_lease: HashMap<Lane, Vec<fc_core::port::queue::Leased>>,
    /// Pushes, settlements and leases of a lane.
    pub(super) pushes: HashMap<Lane, u64>,
    pub(super) settlements: HashMap<Lane, u64>,
    pub(super) leases: u64,
    pub(super) leasing: u64,
    pub(super) settling: u64,
    pub(super) asked: u64,
    /// What fences are counted from.
    pub(super) fence_base: Option<u64>,
    pub(super) has_crashed: bool,
}

/// A lease.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) token: LeaseToken,
    pub(super) until: Timestamp,
    pub(super) note: Bytes,
}

impl Seen {
    /// Whoever asks anything but a settlement sees what was settled.
    pub(super) fn settle_down(&mut self) {
        self.settled.extend(self.settled_just_now.drain());
    }

    pub(super) fn count(&self, of: &HashMap<Lane, u64>, lane: &Lane) -> u64 {
        of.get(lane).copied().unwrap_or(0)
    }
}

pub(super) fn key(token: &LeaseToken) -> Key {
    (token.lane.clone(), token.task.clone())
}

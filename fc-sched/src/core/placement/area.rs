//! What a zone's ready nodes hold together.

use std::ops::{Add, Sub};

use super::Zone;
use super::index::{Dim, Room};

/// A zone of a cluster. Its place is taken by another zone once it has no node.
#[derive(Debug)]
pub(super) struct Area {
    pub(super) zone: Zone,
    /// In any state.
    pub(super) nodes: u32,
    pub(super) ready: u32,
    /// On ready nodes.
    pub(super) instances: u64,
    /// Of ready nodes with a limit.
    pub(super) capacity: [u64; 3],
    pub(super) free: [u64; 3],
}

impl Area {
    pub(super) fn new(zone: Zone) -> Self {
        Self { zone, nodes: 0, ready: 0, instances: 0, capacity: [0; 3], free: [0; 3] }
    }

    /// Whether an instance should rather go here than there, if the function has as many instances
    /// in both: where the greater share is free of what the instance needs most, so that zones fill
    /// evenly and the loss of one loses no more than its part.
    pub(super) fn is_freer_than(&self, other: &Self, by: Dim) -> bool {
        let share = |area: &Self| match area.capacity[by as usize] {
            0 => (1, 1),
            capacity => (u128::from(area.free[by as usize]), u128::from(capacity)),
        };
        let ((free, capacity), (other_free, other_capacity)) = (share(self), share(other));
        let (here, there) = (free * other_capacity, other_free * capacity);
        here > there || (here == there && self.instances < other.instances)
    }

    pub(super) fn occupy(&mut self, taken: &Room) {
        self.instances += 1;
        each(&mut self.free, taken, u64::sub);
    }

    pub(super) fn vacate(&mut self, given: &Room) {
        self.instances -= 1;
        each(&mut self.free, given, u64::add);
    }

    /// A node becomes ready; of no limit if it has no capacity here.
    pub(super) fn join(&mut self, capacity: &Room) {
        self.ready += 1;
        each(&mut self.capacity, capacity, u64::add);
        each(&mut self.free, capacity, u64::add);
    }

    /// A node is not ready any more.
    pub(super) fn part(&mut self, capacity: &Room, free: &Room, instances: u32) {
        self.ready -= 1;
        self.instances -= u64::from(instances);
        each(&mut self.capacity, capacity, u64::sub);
        each(&mut self.free, free, u64::sub);
    }
}

/// At most 2³² nodes of 32 bits each: sums do not overflow, and nothing is taken that was not added.
fn each(sum: &mut [u64; 3], room: &Room, with: impl Fn(u64, u64) -> u64) {
    for (sum, value) in sum.iter_mut().zip(room) {
        *sum = with(*sum, u64::from(*value));
    }
}

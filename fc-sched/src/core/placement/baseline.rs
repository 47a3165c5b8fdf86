//! What the index is measured against: the same decisions by looking at every node.
//!
//! For benchmarks and tests only.

use super::index::{Dim, Room, fits, room};
use super::spec::Offer;
use super::spread::ZONES_MAX;
use super::{Cluster, Demand, NodeKey, NodeState};

use fc_core::AccountId;

/// The ready nodes of a cluster, in a list.
#[derive(Clone, Debug)]
pub struct LinearCluster {
    nodes: Vec<LinearNode>,
    capacity: [u64; 3],
}

#[derive(Clone, Debug)]
struct LinearNode {
    free: Room,
    capacity: Room,
    zone: u8,
    unlimited: bool,
    offer: Offer,
    owner: Option<AccountId>,
    key: NodeKey,
}

/// A function's instances by zone.
pub type LinearSpread = [u32; ZONES_MAX];

impl LinearCluster {
    /// The ready nodes of `cluster` as they are now.
    pub fn of(cluster: &Cluster) -> Self {
        let ready = cluster.nodes().filter(|node| node.state() == NodeState::Ready);
        let nodes: Vec<_> = ready
            .map(|node| LinearNode {
                free: node.slot.free,
                capacity: node.slot.capacity,
                zone: node.slot.zone,
                unlimited: node.slot.unlimited,
                offer: Offer::of(node.spec()),
                owner: node.owner().copied(),
                key: node.key(),
            })
            .collect();
        let mut capacity = [0; 3];
        for node in nodes.iter().filter(|node| !node.unlimited) {
            (0..3).for_each(|dim| capacity[dim] += u64::from(node.capacity[dim]));
        }
        Self { nodes, capacity }
    }

    /// Best fit: fewest instances of the function in the zone, own nodes first, least left of the
    /// dominant quantity. Of zones with equally many instances, that of the better fit.
    pub fn best_fit(&mut self, demand: &Demand, spread: &mut LinearSpread) -> Option<usize> {
        let by = self.dominant(&room(demand.size));
        self.take_least(demand, spread, |node| u64::from(by.of(&node.free)))
    }

    /// Least loaded: fewest instances of the function in the zone, own nodes first, then the
    /// greatest share of the dominant quantity free.
    pub fn least_loaded(&mut self, demand: &Demand, spread: &mut LinearSpread) -> Option<usize> {
        let by = self.dominant(&room(demand.size));
        self.take_least(demand, spread, |node| {
            let free = u64::from(by.of(&node.free)) << 31;
            u64::MAX - free / u64::from(by.of(&node.capacity)).max(1)
        })
    }

    /// Gives back what [`best_fit`](Self::best_fit) or [`least_loaded`](Self::least_loaded) took.
    pub fn release(&mut self, node: usize, demand: &Demand, spread: &mut LinearSpread) {
        let node = &mut self.nodes[node];
        spread[usize::from(node.zone)] -= 1;
        if !node.unlimited {
            let given = room(demand.size);
            (0..3).for_each(|dim| node.free[dim] += given[dim]);
        }
    }

    /// Which node of the cluster this was.
    pub fn key(&self, node: usize) -> NodeKey {
        self.nodes[node].key
    }

    fn take_least(
        &mut self,
        demand: &Demand,
        spread: &mut LinearSpread,
        score: impl Fn(&LinearNode) -> u64,
    ) -> Option<usize> {
        let need = room(demand.size);
        let mut best = None;
        for (index, node) in self.nodes.iter().enumerate() {
            let others = node.owner.is_some_and(|owner| owner != demand.account);
            if !fits(&need, &node.free) || others || !node.offer.serves(demand) {
                continue;
            }
            let rank = (spread[usize::from(node.zone)], node.owner.is_none(), score(node), index);
            if best.is_none_or(|best| rank < best) {
                best = Some(rank);
            }
        }
        let (.., index) = best?;
        let node = &mut self.nodes[index];
        spread[usize::from(node.zone)] += 1;
        if node.offer.tenancy == super::Tenancy::Dedicated {
            node.owner = Some(demand.account);
        }
        if !node.unlimited {
            (0..3).for_each(|dim| node.free[dim] -= need[dim]);
        }
        Some(index)
    }

    fn dominant(&self, need: &Room) -> Dim {
        let greater = |a: Dim, b: Dim| {
            let total = |dim: Dim| u128::from(self.capacity[dim as usize].max(1));
            u128::from(a.of(need)) * total(b) > u128::from(b.of(need)) * total(a)
        };
        let memory = if greater(Dim::Memory, Dim::Cpu) { Dim::Memory } else { Dim::Cpu };
        if greater(Dim::Disk, memory) { Dim::Disk } else { memory }
    }
}

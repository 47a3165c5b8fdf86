//! What a cluster holds, in sums.

use super::index::{Room, room};
use super::spec::Offer;
use super::{Capacity, Cluster, Demand, NodeState, NodeView};

/// vCPU, memory and disk of many nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ResourceTotals {
    /// Thousandths of a vCPU.
    pub cpu_milli: u64,
    /// MB of memory.
    pub memory_mb: u64,
    /// MB of disk.
    pub disk_mb: u64,
}

impl ResourceTotals {
    fn of([cpu_milli, memory_mb, disk_mb]: [u64; 3]) -> Self {
        Self { cpu_milli, memory_mb, disk_mb }
    }
}

/// Nodes by state, and what the ready ones have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClusterTotals {
    /// Nodes that take instances.
    pub ready: u32,
    /// Nodes that take no more.
    pub draining: u32,
    /// Nodes that failed.
    pub lost: u32,
    /// Instances on ready nodes.
    pub instances: u64,
    /// Of ready nodes that have a limit.
    pub capacity: ResourceTotals,
    /// Free of that.
    pub free: ResourceTotals,
}

/// How well ready nodes are packed, for instances of one shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fragmentation {
    /// Instances for which there is room, node by node.
    pub fit: u64,
    /// Instances for which there would be room if all that is free were in one place.
    pub fit_pooled: u64,
    /// Nodes that hold an instance.
    pub nodes_used: u32,
    /// No fewer nodes could hold what these hold, in any packing: in each quantity, so many of the
    /// largest are needed for the sum.
    pub nodes_least: u32,
}

impl Fragmentation {
    /// The share, 0 to 1, of the free capacity that instances of this shape cannot use since it is
    /// scattered. 0 if even one place would hold none.
    pub fn unusable_share(&self) -> f64 {
        match self.fit_pooled {
            0 => 0.0,
            pooled => 1.0 - self.fit as f64 / pooled as f64,
        }
    }
}

impl Cluster {
    /// Nodes by state, and what the ready ones have. Looks at each class and zone, not at each node.
    pub fn totals(&self) -> ClusterTotals {
        let mut totals = ClusterTotals::default();
        let (mut capacity, mut free) = ([0; 3], [0; 3]);
        for area in &self.areas {
            totals.ready += area.ready;
            totals.instances += area.instances;
            for dim in 0..3 {
                capacity[dim] += area.capacity[dim];
                free[dim] += area.free[dim];
            }
        }
        (totals.draining, totals.lost) = self.classes.away();
        (totals.capacity, totals.free) = (ResourceTotals::of(capacity), ResourceTotals::of(free));
        totals
    }

    /// How well the nodes are packed that are ready, have a limit and may serve this demand. Looks
    /// at each node.
    pub fn fragmentation(&self, shape: &Demand) -> Fragmentation {
        let may_serve = |node: &NodeView<'_>| {
            node.state() == NodeState::Ready
                && node.spec().capacity != Capacity::Unlimited
                && Offer::of(node.spec()).serves(shape)
                && node.owner().is_none_or(|owner| *owner == shape.account)
        };
        let need = room(shape.size);
        let mut report = Fragmentation::default();
        let (mut free, mut used) = ([0; 3], [0; 3]);
        let mut capacities: [Vec<u32>; 3] = Default::default();
        for node in self.nodes().filter(may_serve) {
            report.fit += times(&need, &node.slot.free.map(u64::from));
            report.nodes_used += u32::from(node.instances() > 0);
            for dim in 0..3 {
                free[dim] += u64::from(node.slot.free[dim]);
                used[dim] += u64::from(node.slot.capacity[dim] - node.slot.free[dim]);
                capacities[dim].push(node.slot.capacity[dim]);
            }
        }
        report.fit_pooled = times(&need, &free);
        let least = capacities.into_iter().zip(used).map(|(of, sum)| count_for(sum, of));
        report.nodes_least = least.max().unwrap_or_default();
        report
    }
}

/// How many times `need` goes into `free`; 0 if nothing is needed.
fn times(need: &Room, free: &[u64; 3]) -> u64 {
    let limits = need.iter().zip(free).filter(|(need, _)| **need > 0);
    limits.map(|(need, free)| free / u64::from(*need)).min().unwrap_or_default()
}

/// How many of the largest make `sum`.
fn count_for(sum: u64, mut of: Vec<u32>) -> u32 {
    of.sort_unstable_by(|a, b| b.cmp(a));
    let mut left = sum;
    let enough = |capacity: &u32| {
        let more = left > 0;
        left = left.saturating_sub(u64::from(*capacity));
        more
    };
    of.iter().copied().take_while(enough).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_number_of_nodes_is_that_of_the_largest() {
        assert_eq!(count_for(0, vec![5, 5]), 0);
        assert_eq!(count_for(5, vec![1, 5, 2]), 1);
        assert_eq!(count_for(6, vec![1, 5, 2]), 2);
        assert_eq!(count_for(8, vec![1, 5, 2]), 3);
    }

    #[test]
    fn a_quantity_that_is_not_needed_limits_nothing() {
        assert_eq!(times(&[2, 0, 3], &[9, 0, 9]), 3);
        assert_eq!(times(&[0, 0, 0], &[9, 9, 9]), 0);
    }
}

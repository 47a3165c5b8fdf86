//! What gives way when there is no room.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use fc_core::{Instant, Resources};

use super::evictable::Candidate;
use super::{Blocked, Pools, Supply};
use crate::core::placement::{Capacity, Cluster, Demand, NodeKey, NodeState, Tenancy, Unplaceable};

impl<K: Copy + Ord + Hash + Debug> Supply<K> {
    /// Evicts idle instances so that one instance of `pool` finds room: under a quota the account's
    /// own, on full nodes the least valuable of all, on one node as many as it takes.
    pub(super) fn make_room(
        &mut self,
        pool: K,
        blocked: &Blocked,
        pools: &mut impl Pools<K>,
        now: Instant,
    ) {
        let level = self.line.level(pool);
        let Some(holder) = self.holders.get(&pool) else {
            return;
        };
        if !self.rules.evict || holder.evicting >= level {
            return;
        }
        let profile = holder.profile.clone();
        let victims = match blocked {
            Blocked::Quota(exceeded) if exceeded.quota.is_total() => {
                let Some(account) = self.accounts.get_mut(&profile.account) else {
                    return;
                };
                let short = exceeded.used.saturating_add(exceeded.asked) - exceeded.limit;
                let mut freed = 0;
                let enough = |candidate: &Candidate<K>| {
                    freed += exceeded.quota.of(candidate.size.into());
                    freed >= short
                };
                let mut done = false;
                let mut enough = enough;
                let worth = |pool, key| pools.worth(pool, key, now);
                let found = account.evictable.least(worth, |each| {
                    done = enough(each);
                    done
                });
                if done { found } else { Vec::new() }
            }
            Blocked::NoRoom(Unplaceable::Full { .. }) => {
                let demand = profile.demand();
                let cluster = &self.cluster;
                let mut freed: HashMap<NodeKey, Resources> = HashMap::new();
                let mut node = None;
                let worth = |pool, key| pools.worth(pool, key, now);
                let found = self.evictable.least(worth, |each| {
                    let freed = freed.entry(each.node).or_default();
                    *freed = sum(*freed, each.size.into());
                    let fits = would_fit(cluster, each.node, &demand, *freed);
                    node = fits.then_some(each.node);
                    fits
                });
                let there = |each: &Candidate<K>| Some(each.node) == node;
                found.into_iter().filter(there).collect()
            }
            _ => Vec::new(),
        };
        let mut evicting = 0;
        for victim in victims {
            if pools.evict(victim.pool, victim.instance, now) {
                self.evicted.insert((victim.pool, victim.instance), pool);
                evicting += 1;
            }
        }
        if let Some(holder) = self.holders.get_mut(&pool) {
            holder.evicting += evicting;
        }
    }
}

/// Whether the node takes the instance once so much more of it is free.
fn would_fit(cluster: &Cluster, node: NodeKey, demand: &Demand, freed: Resources) -> bool {
    let Some(node) = cluster.node(node).filter(|node| node.state() == NodeState::Ready) else {
        return false;
    };
    let spec = node.spec();
    let serves = spec.tenancy == demand.tenancy
        && spec.isolation >= demand.isolation
        && spec.runtimes.contains(demand.runtime)
        && (spec.tenancy == Tenancy::Shared || node.owner() == Some(&demand.account));
    serves
        && match node.free() {
            Capacity::Unlimited => true,
            Capacity::Limited(free) => Capacity::Limited(sum(free, freed)).holds(demand.size),
        }
}

fn sum(one: Resources, other: Resources) -> Resources {
    Resources {
        cpu_milli: one.cpu_milli.saturating_add(other.cpu_milli),
        memory_mb: one.memory_mb.saturating_add(other.memory_mb),
        disk_mb: one.disk_mb.saturating_add(other.disk_mb),
    }
}

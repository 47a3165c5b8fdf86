//! Where an instance goes.

use std::ops::ControlFlow;

use fc_core::{Error, Instant, Resources, Result};

use super::classes::{Class, ClassId};
use super::index::{Dim, Room, room};
use super::{
    Cluster, Demand, NodeKey, NodeState, PlacementPolicy, Spread, Tenancy, Unplaceable, Zone,
};

impl Cluster {
    /// Reserves room for one instance of the function whose spread this is.
    ///
    /// 1. Of the zones with room, the one with the fewest instances of the function (NOD-4); of
    ///    equals, the one with the greatest share of its dominant quantity free.
    /// 2. In the zone, of the nodes that may serve the account (NOD-2), a node that is the
    ///    account's already before one that would be bound to it, for ever.
    /// 3. Of those with room one that fits best (NOD-1): after placing, it has least left of the
    ///    *dominant* quantity, which is that of which the instance takes the greatest share of what
    ///    all ready nodes have. Best to an eighth: what the node has of it before is less than an
    ///    eighth (of disk, a fourth) more than what the best node has that an exhaustive search
    ///    finds; under 1/32 vCPU, 128 MB of memory or 512 MB of disk, at most that much more.
    ///
    /// A node is drained here if it has reached its age `now` (NOD-3).
    ///
    /// # Cost
    ///
    /// It does not grow with the number of nodes, but up to a constant with the number of different
    /// rooms that they have, to the eighth; for each zone that is looked at (the first with room ends
    /// it), and each combination of isolation and runtimes there. What can exceed it is many nodes
    /// that have within an eighth of what is asked for of two quantities at once, some too little of
    /// one, some of the other: they are looked at one by one. There are none if the sizes asked for
    /// are (8, 9, … 15)/8 x 2ⁿ vCPU and MB of memory, and (4, 5, 6, 7)/4 x 2ⁿ MB of disk.
    ///
    /// # Errors
    ///
    /// Why there is no such node. That is exact too: if a node fits it is found.
    pub fn place(
        &mut self,
        demand: &Demand,
        spread: &mut Spread,
        now: Instant,
    ) -> Result<NodeKey, Unplaceable> {
        self.drain_expired(now);
        let need = room(demand.size);
        let by = self.dominant(&need);
        let own = match demand.tenancy {
            Tenancy::Shared => &[],
            Tenancy::Dedicated => self.classes.owned(&demand.account),
        };
        let (mut tried, mut refused) = (0u32, false);
        while let Some(zone) = self.next_zone(spread, tried, by) {
            tried |= 1 << zone;
            match self.search(zone, own, demand, &need, by) {
                Found::Node(index) => return Ok(self.occupy(index, &need, demand, spread)),
                Found::OnlyRefused => refused = true,
                Found::None => {}
            }
        }
        Err(self.why(demand, by, refused))
    }

    /// Gives back what one instance had of a node; whether the node may be removed now, since it
    /// takes nothing new and holds nothing.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names `node`, `size` or `spread` if this instance is not there. Then
    /// nothing is changed.
    pub fn release(&mut self, node: NodeKey, size: Resources, spread: &mut Spread) -> Result<bool> {
        self.slot(node)?;
        let slot = &mut self.slots[node.index as usize];
        if slot.instances == 0 {
            return Err(Error::invalid("node", "holds no instance"));
        }
        let given = if slot.unlimited { [0; 3] } else { room(size) };
        let after: Room = std::array::from_fn(|dim| slot.free[dim].saturating_add(given[dim]));
        let over = after.iter().zip(&slot.capacity).any(|(after, capacity)| after > capacity);
        if over || (slot.instances == 1 && after != slot.capacity) {
            return Err(Error::invalid("size", "is not that of an instance on this node"));
        }
        let zone = usize::from(slot.zone);
        if !spread.remove(zone) {
            return Err(Error::invalid("spread", "counts no instance in this node's zone"));
        }
        slot.instances -= 1;
        let before = std::mem::replace(&mut slot.free, after);
        if slot.state == NodeState::Ready {
            self.areas[zone].vacate(&given);
            if before != after {
                self.classes.update(slot.class, node.index, &after);
            }
        }
        Ok(slot.is_removable())
    }

    /// In which zones a function's instances are.
    pub fn zones_of(&self, spread: &Spread) -> impl Iterator<Item = (&Zone, u32)> {
        let counts =
            self.areas.iter().enumerate().map(|(at, area)| (&area.zone, spread.in_zone(at)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// The quantity of which `need` takes the greatest share of what the ready nodes have.
    pub(super) fn dominant(&self, need: &Room) -> Dim {
        let total = |dim: Dim| {
            let sum: u64 = self.areas.iter().map(|area| area.capacity[dim as usize]).sum();
            u128::from(sum.max(1))
        };
        let mut dominant = (Dim::Cpu, total(Dim::Cpu));
        for dim in [Dim::Memory, Dim::Disk] {
            let of = total(dim);
            if u128::from(dim.of(need)) * dominant.1 > u128::from(dominant.0.of(need)) * of {
                dominant = (dim, of);
            }
        }
        dominant.0
    }

    /// Of the zones that have a ready node and were not tried, the one to try next.
    fn next_zone(&self, spread: &Spread, tried: u32, by: Dim) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (zone, area) in self.areas.iter().enumerate() {
            if area.ready == 0 || tried & (1 << zone) != 0 {
                continue;
            }
            let better = best.is_none_or(|best| {
                let (here, there) = (spread.in_zone(zone), spread.in_zone(best));
                here < there || (here == there && area.is_freer_than(&self.areas[best], by))
            });
            if better {
                best = Some(zone);
            }
        }
        best
    }

    fn search(&self, zone: usize, own: &[ClassId], demand: &Demand, need: &Room, by: Dim) -> Found {
        let mut refused = false;
        for classes in self.classes.usable(zone, demand, own) {
            let found = match &self.policy {
                None => {
                    let found = classes.filter_map(|class| class.ready.find(by, need));
                    let best = found.min_by_key(|(room, _)| by.of(room));
                    best.map_or(Found::None, |(_, index)| Found::Node(index))
                }
                Some(policy) => self.choose(&**policy, classes, demand, need, by),
            };
            match found {
                Found::Node(_) => return found,
                Found::OnlyRefused => refused = true,
                Found::None => {}
            }
        }
        if refused { Found::OnlyRefused } else { Found::None }
    }

    /// Of the first nodes of each class, the one that the policy scores lowest; if it admits none of
    /// those, the first that it admits.
    fn choose<'c>(
        &self,
        policy: &dyn PlacementPolicy,
        classes: impl Iterator<Item = &'c Class> + Clone,
        demand: &Demand,
        need: &Room,
        by: Dim,
    ) -> Found {
        let admitted = |index| self.view(index).filter(|node| policy.admits(node, demand));
        let mut best: Option<(u64, u32)> = None;
        let (mut any, mut more) = (false, false);
        for class in classes.clone() {
            let mut seen = 0;
            let all = class.ready.each(by, need, |index| {
                if seen == self.rules.candidates_max {
                    return ControlFlow::Break(());
                }
                (seen, any) = (seen + 1, true);
                if let Some(node) = admitted(index) {
                    let score = policy.score(&node, demand);
                    if best.is_none_or(|(least, _)| score < least) {
                        best = Some((score, index));
                    }
                }
                ControlFlow::Continue(())
            });
            more |= all.is_break();
        }
        if best.is_none() && more {
            let first = classes.filter_map(|class| {
                let found = class.ready.each(by, need, |index| match admitted(index) {
                    Some(_) => ControlFlow::Break(index),
                    None => ControlFlow::Continue(()),
                });
                found.break_value()
            });
            best = first.map(|index| (0, index)).next();
        }
        match best {
            Some((_, index)) => Found::Node(index),
            None if any => Found::OnlyRefused,
            None => Found::None,
        }
    }

    fn occupy(&mut self, index: u32, need: &Room, demand: &Demand, spread: &mut Spread) -> NodeKey {
        let unbound = demand.tenancy == Tenancy::Dedicated
            && self.view(index).is_some_and(|node| node.owner().is_none());
        if unbound {
            self.bind(index, demand.account);
        }
        let slot = &mut self.slots[index as usize];
        slot.instances += 1;
        spread.add(usize::from(slot.zone));
        let taken = if slot.unlimited { [0; 3] } else { *need };
        self.areas[usize::from(slot.zone)].occupy(&taken);
        let before = slot.free;
        slot.free = std::array::from_fn(|dim| before[dim] - taken[dim]);
        if slot.free != before {
            self.classes.update(slot.class, index, &slot.free);
        }
        self.key(index)
    }
}

/// What a zone has for an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    Node(u32),
    /// Nodes with room, none of which the policy admits.
    OnlyRefused,
    None,
}

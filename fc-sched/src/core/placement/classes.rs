//! Ready nodes, by all that decides whom they serve; and how many are not ready.

use std::collections::HashMap;

use fc_core::AccountId;

use super::index::{Room, Seats, Shelf};
use super::spec::Offer;
use super::spread::ZONES_MAX;
use super::{Demand, NodeState, Tenancy};

/// Names a class.
pub(super) type ClassId = u32;

/// Nodes of one zone, offer and owner.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) zone: usize,
    pub(super) offer: Offer,
    /// `None`: shared, or not bound yet.
    pub(super) owner: Option<AccountId>,
    /// Those that are ready.
    pub(super) ready: Shelf,
    pub(super) draining: u32,
    pub(super) lost: u32,
}

impl Class {
    fn is_empty(&self) -> bool {
        self.ready.len() == 0 && self.draining == 0 && self.lost == 0
    }

    /// How many of its nodes are in a state other than ready.
    fn away(&mut self, state: NodeState) -> Option<&mut u32> {
        match state {
            NodeState::Draining => Some(&mut self.draining),
            NodeState::Lost => Some(&mut self.lost),
            NodeState::Ready | NodeState::Removed => None,
        }
    }
}

/// All classes that have a node.
#[derive(Debug, Default)]
pub(super) struct Classes {
    all: Vec<Option<Class>>,
    vacant: Vec<ClassId>,
    shared: [Vec<ClassId>; ZONES_MAX],
    unbound: [Vec<ClassId>; ZONES_MAX],
    owned: HashMap<AccountId, Vec<ClassId>, foldhash::fast::RandomState>,
    seats: Seats,
}

impl Classes {
    pub(super) fn class(&self, id: ClassId) -> Option<&Class> {
        self.all.get(id as usize)?.as_ref()
    }

    /// The classes of an account's own nodes, in all zones.
    pub(super) fn owned(&self, account: &AccountId) -> &[ClassId] {
        self.owned.get(account).map_or(&[], Vec::as_slice)
    }

    /// The classes of a zone that serve this demand: those to be looked at first, then the others.
    pub(super) fn usable<'c>(
        &'c self,
        zone: usize,
        demand: &'c Demand,
        own: &'c [ClassId],
    ) -> [impl Iterator<Item = &'c Class> + Clone; 2] {
        let [first, then] = match demand.tenancy {
            Tenancy::Shared => [&self.shared[zone][..], &[]],
            Tenancy::Dedicated => [own, &self.unbound[zone][..]],
        };
        [first, then].map(|ids| {
            let classes = ids.iter().filter_map(|id| self.class(*id));
            classes.filter(move |class| class.zone == zone && class.offer.serves(demand))
        })
    }

    /// The class of such nodes.
    pub(super) fn class_of(
        &mut self,
        zone: usize,
        offer: Offer,
        owner: Option<AccountId>,
    ) -> ClassId {
        let ids = match (offer.tenancy, owner) {
            (Tenancy::Shared, _) => &mut self.shared[zone],
            (Tenancy::Dedicated, None) => &mut self.unbound[zone],
            (Tenancy::Dedicated, Some(account)) => self.owned.entry(account).or_default(),
        };
        let alike = |class: &Class| class.zone == zone && class.offer == offer;
        let found = ids.iter().find(|id| self.all[**id as usize].as_ref().is_some_and(alike));
        if let Some(id) = found {
            return *id;
        }
        let ready = Shelf::new();
        let class = Some(Class { zone, offer, owner, ready, draining: 0, lost: 0 });
        let id = match self.vacant.pop() {
            Some(id) => {
                self.all[id as usize] = class;
                id
            }
            None => {
                self.all.push(class);
                (self.all.len() - 1) as u32
            }
        };
        ids.push(id);
        id
    }

    /// Adds a ready node.
    pub(super) fn insert(&mut self, id: ClassId, index: u32, room: &Room) {
        if let Some(class) = &mut self.all[id as usize] {
            class.ready.insert(&mut self.seats, index, room);
        }
    }

    /// A ready node has other room now.
    pub(super) fn update(&mut self, id: ClassId, index: u32, room: &Room) {
        if let Some(class) = &mut self.all[id as usize] {
            class.ready.update(&mut self.seats, index, room);
        }
    }

    /// A node goes from one state to another; the class goes with its last node.
    pub(super) fn pass(&mut self, id: ClassId, index: u32, from: NodeState, to: NodeState) {
        let Some(class) = &mut self.all[id as usize] else {
            return;
        };
        match class.away(from) {
            Some(count) => *count -= 1,
            None => class.ready.remove(&mut self.seats, index),
        }
        if let Some(count) = class.away(to) {
            *count += 1;
        }
        if class.is_empty() {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ClassId) {
        let Some(Class { zone, offer, owner, .. }) = self.all[id as usize].take() else {
            return;
        };
        self.vacant.push(id);
        match (offer.tenancy, owner) {
            (Tenancy::Shared, _) => self.shared[zone].retain(|each| *each != id),
            (Tenancy::Dedicated, None) => self.unbound[zone].retain(|each| *each != id),
            (Tenancy::Dedicated, Some(account)) => {
                if let Some(ids) = self.owned.get_mut(&account) {
                    ids.retain(|each| *each != id);
                    if ids.is_empty() {
                        self.owned.remove(&account);
                    }
                }
            }
        }
    }

    /// How many nodes drain, and how many are lost.
    pub(super) fn away(&self) -> (u32, u32) {
        let classes = self.all.iter().flatten();
        classes
            .fold((0, 0), |(draining, lost), class| (draining + class.draining, lost + class.lost))
    }

    /// Whether nothing is left of nodes that are gone.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let zones = self.shared.iter().chain(&self.unbound);
        self.all.iter().all(Option::is_none)
            && self.owned.is_empty()
            && zones.flatten().next().is_none()
    }
}

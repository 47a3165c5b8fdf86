//! The nodes, and their lives.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use fc_core::{AccountId, Error, ErrorKind, Instant, NodeId, Result};

use super::area::Area;
use super::classes::Classes;
use super::index::{Room, Seats, Shelf};
use super::node::{About, Slot};
use super::spec::Offer;
use super::spread::ZONES_MAX;
use super::{
    Capacity, ClusterRules, NodeKey, NodeSpec, NodeState, NodeView, PlacementPolicy, Zone,
};

/// The nodes of a cluster, what is free of them, and who may have it.
///
/// ```
/// use fc_core::{AccountId, Instant, Isolation, NodeId, Resources, RuntimeKind};
/// use fc_sched::core::placement::{
///     Capacity, Cluster, ClusterRules, Demand, NodeSpec, RuntimeSet, Spread, Tenancy, Zone,
/// };
///
/// let now = Instant::ORIGIN;
/// let mut cluster = Cluster::new(ClusterRules::default())?;
/// for (id, zone) in [("n-1", "a"), ("n-2", "b")] {
///     let spec = NodeSpec {
///         id: NodeId::new(id)?,
///         capacity: Capacity::Limited(Resources { cpu_milli: 4_000, memory_mb: 8_192, disk_mb: 20_480 }),
///         zone: Zone::new(zone)?,
///         tenancy: Tenancy::Shared,
///         isolation: Isolation::Sandbox,
///         runtimes: RuntimeSet::of(RuntimeKind::Wasm),
///         owner: None,
///         accounts_trust_each_other: false,
///     };
///     cluster.add(spec, now)?;
/// }
/// let demand = Demand {
///     account: AccountId::new("1")?,
///     size: Resources { cpu_milli: 2_000, memory_mb: 4_096, disk_mb: 512 },
///     runtime: RuntimeKind::Wasm,
///     isolation: Isolation::Sandbox,
///     tenancy: Tenancy::Shared,
/// };
/// let mut spread = Spread::EMPTY; // of one function
/// let first = cluster.place(&demand, &mut spread, now)?;
/// let second = cluster.place(&demand, &mut spread, now)?;
/// assert_ne!(first, second, "NOD-4: in two zones");
/// cluster.release(first, demand.size, &mut spread)?;
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Cluster {
    pub(super) rules: ClusterRules,
    /// `None`: best fit.
    pub(super) policy: Option<Arc<dyn PlacementPolicy>>,
    pub(super) slots: Vec<Slot>,
    /// Beside `slots`; `None`: nobody is there.
    pub(super) abouts: Vec<Option<About>>,
    vacant: Vec<u32>,
    /// Given to each new node, so that no two have the same key.
    generation: u32,
    ids: HashMap<NodeId, u32, foldhash::fast::RandomState>,
    pub(super) classes: Classes,
    pub(super) areas: Vec<Area>,
    pub(super) stocks: Vec<Stock>,
    stock_seats: Seats,
    /// Ready nodes by birth, if nodes have a life.
    ages: BTreeSet<(Instant, u32)>,
    /// Drained for their age, and not yet reported.
    expired: Vec<NodeKey>,
}

/// All nodes of one offer, in any state and of any owner.
#[derive(Debug)]
pub(super) struct Stock {
    pub(super) offer: Offer,
    /// The nodes by what they hold when they are empty.
    pub(super) capacities: Shelf,
}

impl Cluster {
    /// A cluster without nodes, packed best-fit (NOD-1).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the rule.
    pub fn new(rules: ClusterRules) -> Result<Self> {
        Self::build(rules, None)
    }

    /// A cluster without nodes, packed as `policy` says.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the rule.
    pub fn with_policy(rules: ClusterRules, policy: Arc<dyn PlacementPolicy>) -> Result<Self> {
        Self::build(rules, Some(policy))
    }

    fn build(rules: ClusterRules, policy: Option<Arc<dyn PlacementPolicy>>) -> Result<Self> {
        rules.validate()?;
        Ok(Self {
            rules,
            policy,
            slots: Vec::new(),
            abouts: Vec::new(),
            vacant: Vec::new(),
            generation: 0,
            ids: HashMap::default(),
            classes: Classes::default(),
            areas: Vec::new(),
            stocks: Vec::new(),
            stock_seats: Seats::default(),
            ages: BTreeSet::new(),
            expired: Vec::new(),
        })
    }

    /// Adds a node, ready from now on. `born` is when its life began: now, or earlier if a
    /// scheduler that started again finds it running (its [owner](NodeSpec::owner) comes with it).
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a node that is not [valid](NodeSpec::validate), or one over
    /// [`ClusterRules::nodes_max`] or over 16 zones; `Conflict` if its id is in the cluster.
    pub fn add(&mut self, spec: NodeSpec, born: Instant) -> Result<NodeKey> {
        spec.validate()?;
        let (limit, count) = (u64::from(self.rules.nodes_max), self.ids.len() as u64);
        if count >= limit {
            return Err(Error::over_limit("nodes", "nodes", limit, count + 1));
        }
        if self.ids.contains_key(&spec.id) {
            let message = format!("node_id: '{}' is in the cluster", spec.id);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let zone = self.area_of(&spec.zone)?;
        let capacity = spec.capacity.room();
        let unlimited = spec.capacity == Capacity::Unlimited;
        let offer = Offer::of(&spec);
        let class = self.classes.class_of(zone, offer, spec.owner);
        self.generation = self.generation.wrapping_add(1);
        let slot = Slot {
            generation: self.generation,
            state: NodeState::Ready,
            unlimited,
            zone: zone as u8,
            class,
            instances: 0,
            free: capacity,
            capacity,
        };
        let id = spec.id;
        let about = Some(About { spec, born });
        let index = match self.vacant.pop() {
            Some(index) => {
                self.slots[index as usize] = slot;
                self.abouts[index as usize] = about;
                index
            }
            None => {
                self.slots.push(slot);
                self.abouts.push(about);
                (self.slots.len() - 1) as u32
            }
        };
        self.ids.insert(id, index);
        self.classes.insert(class, index, &capacity);
        self.areas[zone].nodes += 1;
        self.areas[zone].join(self.slots[index as usize].counted(&capacity));
        self.stock(offer, index, &capacity);
        if self.rules.node_life.is_some() {
            self.ages.insert((born, index));
        }
        Ok(self.key(index))
    }

    /// The node takes nothing new; whether it holds nothing either, and may be removed.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the key names no node, `Conflict` if the node is lost.
    pub fn drain(&mut self, node: NodeKey) -> Result<bool> {
        self.enter(node, NodeState::Draining)
    }

    /// The node failed; whether it held nothing, and may be removed. Its instances are gone: release
    /// each of them.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the key names no node.
    pub fn lose(&mut self, node: NodeKey) -> Result<bool> {
        self.enter(node, NodeState::Lost)
    }

    /// The zone failed: gives those of its nodes that were not lost before. Nodes that are added to
    /// it afterwards are ready.
    pub fn lose_zone(&mut self, zone: &Zone) -> Vec<NodeKey> {
        let here = |node: &NodeView<'_>| {
            node.spec().zone == *zone && node.state().may_become(NodeState::Lost)
        };
        let nodes: Vec<_> = self.nodes().filter(here).map(|node| node.key()).collect();
        for node in &nodes {
            self.change(node.index, NodeState::Lost);
        }
        nodes
    }

    /// Drains the nodes whose age is [`ClusterRules::node_life`] (NOD-3). Gives them, each once,
    /// also if a [`place`](Self::place) came first and drained them.
    pub fn expire(&mut self, now: Instant) -> Vec<NodeKey> {
        self.drain_expired(now);
        let mut expired = std::mem::take(&mut self.expired);
        expired.retain(|node| self.state(*node) == NodeState::Draining);
        expired
    }

    /// When [`expire`](Self::expire) has something to give next: when the next node reaches its
    /// age, or when one did that a [`place`](Self::place) has drained since.
    pub fn next_expiry(&self) -> Option<Instant> {
        let life = self.rules.node_life?;
        let born = |node: &NodeKey| self.node(*node).map(|node| node.about.born);
        let drained = self.expired.iter().find_map(born);
        Some(drained.or_else(|| self.ages.first().map(|(born, _)| *born))? + life)
    }

    fn next_age(&self) -> Option<Instant> {
        Some(self.ages.first()?.0 + self.rules.node_life?)
    }

    pub(super) fn drain_expired(&mut self, now: Instant) {
        while self.next_age().is_some_and(|due| due <= now) {
            let Some((_, index)) = self.ages.first().copied() else {
                return;
            };
            self.expired.push(self.key(index));
            self.change(index, NodeState::Draining);
        }
    }

    /// Takes a node without instances out of the cluster. Gives it as it was declared, with the
    /// account that it is bound to.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the key names no node, `PreconditionFailed` if it holds instances.
    pub fn remove(&mut self, node: NodeKey) -> Result<NodeSpec> {
        let slot = self.slot(node)?;
        if slot.instances > 0 {
            let message = format!("node: {} instances are on it", slot.instances);
            return Err(Error::new(ErrorKind::PreconditionFailed, message));
        }
        self.change(node.index, NodeState::Removed);
        let Some(About { spec, .. }) = self.abouts[node.index as usize].take() else {
            return Err(unknown());
        };
        self.ids.remove(&spec.id);
        self.vacant.push(node.index);
        let slot = &self.slots[node.index as usize];
        self.areas[usize::from(slot.zone)].nodes -= 1;
        let offer = Offer::of(&spec);
        if let Some(at) = self.stocks.iter().position(|stock| stock.offer == offer) {
            let stock = &mut self.stocks[at];
            stock.capacities.remove(&mut self.stock_seats, node.index);
            if stock.capacities.len() == 0 {
                self.stocks.swap_remove(at);
            }
        }
        Ok(spec)
    }

    /// The node that has this id.
    pub fn find(&self, id: &NodeId) -> Option<NodeKey> {
        self.ids.get(id).map(|index| self.key(*index))
    }

    /// Where in its life a node is.
    pub fn state(&self, node: NodeKey) -> NodeState {
        self.slot(node).map_or(NodeState::Removed, |slot| slot.state)
    }

    /// What is known of a node.
    pub fn node(&self, node: NodeKey) -> Option<NodeView<'_>> {
        self.slot(node).ok().and_then(|_| self.view(node.index))
    }

    /// All nodes, in no order of meaning.
    pub fn nodes(&self) -> impl Iterator<Item = NodeView<'_>> {
        (0..self.slots.len() as u32).filter_map(|index| self.view(index))
    }

    pub(super) fn view(&self, index: u32) -> Option<NodeView<'_>> {
        let about = self.abouts[index as usize].as_ref()?;
        Some(NodeView { key: self.key(index), slot: &self.slots[index as usize], about })
    }

    pub(super) fn key(&self, index: u32) -> NodeKey {
        NodeKey { index, generation: self.slots[index as usize].generation }
    }

    pub(super) fn slot(&self, node: NodeKey) -> Result<&Slot> {
        self.slots
            .get(node.index as usize)
            .filter(|slot| slot.generation == node.generation && slot.state != NodeState::Removed)
            .ok_or_else(unknown)
    }

    fn enter(&mut self, node: NodeKey, next: NodeState) -> Result<bool> {
        let state = self.slot(node)?.state;
        if state != next {
            if !state.may_become(next) {
                let message = format!("node: it is {state:?} and cannot become {next:?}");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            self.change(node.index, next);
        }
        Ok(self.slots[node.index as usize].is_removable())
    }

    fn change(&mut self, index: u32, next: NodeState) {
        let slot = &mut self.slots[index as usize];
        let state = std::mem::replace(&mut slot.state, next);
        debug_assert!(state.may_become(next), "from {state:?} to {next:?}");
        self.classes.pass(slot.class, index, state, next);
        if state == NodeState::Ready {
            let (capacity, free) = (slot.counted(&slot.capacity), slot.counted(&slot.free));
            self.areas[usize::from(slot.zone)].part(capacity, free, slot.instances);
            if let Some(about) = &self.abouts[index as usize] {
                self.ages.remove(&(about.born, index));
            }
        }
    }

    /// The node is bound to `account`, ever; it stands where bound nodes do.
    pub(super) fn bind(&mut self, index: u32, account: AccountId) {
        let slot = &mut self.slots[index as usize];
        let Some(about) = &mut self.abouts[index as usize] else {
            return;
        };
        about.spec.owner = Some(account);
        let (offer, zone) = (Offer::of(&about.spec), usize::from(slot.zone));
        self.classes.pass(slot.class, index, slot.state, NodeState::Removed);
        slot.class = self.classes.class_of(zone, offer, Some(account));
        self.classes.insert(slot.class, index, &slot.free);
    }

    fn area_of(&mut self, zone: &Zone) -> Result<usize> {
        let known = self.areas.iter().position(|area| area.nodes > 0 && area.zone == *zone);
        if let Some(at) = known {
            return Ok(at);
        }
        // A zone without nodes has no instances either, so that no spread counts them there.
        if let Some(at) = self.areas.iter().position(|area| area.nodes == 0) {
            self.areas[at] = Area::new(zone.clone());
            return Ok(at);
        }
        if self.areas.len() == ZONES_MAX {
            let limit = ZONES_MAX as u64;
            return Err(Error::over_limit("zone", "zones", limit, limit + 1));
        }
        self.areas.push(Area::new(zone.clone()));
        Ok(self.areas.len() - 1)
    }

    fn stock(&mut self, offer: Offer, index: u32, capacity: &Room) {
        let at = self.stocks.iter().position(|stock| stock.offer == offer).unwrap_or_else(|| {
            self.stocks.push(Stock { offer, capacities: Shelf::new() });
            self.stocks.len() - 1
        });
        self.stocks[at].capacities.insert(&mut self.stock_seats, index, capacity);
    }
}

pub(super) fn unknown() -> Error {
    Error::invalid("node", "is not in the cluster")
}

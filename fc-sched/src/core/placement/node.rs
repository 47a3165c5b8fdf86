//! What a cluster knows of one node.

use fc_core::{AccountId, Instant};

use super::index::{Room, resources};
use super::{Capacity, NodeSpec};

/// Names a node of a cluster. A key of a node that was removed names nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeKey {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Where in its life a node is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NodeState {
    /// It takes instances.
    Ready,
    /// It takes no more; those that it has move elsewhere, or end (NOD-3, NOD-5).
    Draining,
    /// It failed. What it held is gone, as soon as its instances are released.
    Lost,
    /// It is not in the cluster any more.
    Removed,
}

impl NodeState {
    /// Whether a node may go from here to `next`. None becomes ready again: it is added anew.
    ///
    /// ```
    /// use fc_sched::core::placement::NodeState;
    /// assert!(NodeState::Draining.may_become(NodeState::Lost));
    /// assert!(!NodeState::Lost.may_become(NodeState::Ready));
    /// ```
    pub const fn may_become(self, next: Self) -> bool {
        use NodeState::{Draining, Lost, Ready, Removed};
        matches!(
            (self, next),
            (Ready, Draining | Lost | Removed) | (Draining, Lost | Removed) | (Lost, Removed)
        )
    }
}

/// One node, as a policy or a listing sees it.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'c> {
    pub(super) key: NodeKey,
    pub(super) slot: &'c Slot,
    pub(super) about: &'c About,
}

impl<'c> NodeView<'c> {
    /// Its key.
    pub fn key(&self) -> NodeKey {
        self.key
    }

    /// As it was declared.
    pub fn spec(&self) -> &'c NodeSpec {
        &self.about.spec
    }

    /// What is not taken by instances, whether or not it may be taken: see [`state`](Self::state).
    pub fn free(&self) -> Capacity {
        match self.about.spec.capacity {
            Capacity::Limited(_) => Capacity::Limited(resources(self.slot.free)),
            Capacity::Unlimited => Capacity::Unlimited,
        }
    }

    /// Instances that it holds.
    pub fn instances(&self) -> u32 {
        self.slot.instances
    }

    /// Where in its life it is.
    pub fn state(&self) -> NodeState {
        self.slot.state
    }

    /// The account that a dedicated node is bound to, ever (NOD-2).
    pub fn owner(&self) -> Option<&'c AccountId> {
        self.about.spec.owner.as_ref()
    }

    /// When its life began.
    pub fn born(&self) -> Instant {
        self.about.born
    }

    /// Whether it takes nothing and holds nothing any more: nothing keeps it from being removed.
    pub fn is_removable(&self) -> bool {
        self.slot.is_removable()
    }
}

/// What is read and written at each decision.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) state: NodeState,
    pub(super) unlimited: bool,
    pub(super) zone: u8,
    pub(super) class: u32,
    pub(super) instances: u32,
    pub(super) free: Room,
    pub(super) capacity: Room,
}

impl Slot {
    /// What sums count: nothing of a node without limit.
    pub(super) fn counted<'r>(&self, room: &'r Room) -> &'r Room {
        if self.unlimited { &[0; 3] } else { room }
    }

    pub(super) fn is_removable(&self) -> bool {
        self.instances == 0 && matches!(self.state, NodeState::Draining | NodeState::Lost)
    }
}

/// What is read rarely.
#[derive(Debug)]
pub(super) struct About {
    /// `owner` is kept up to date.
    pub(super) spec: NodeSpec,
    pub(super) born: Instant,
}

//! What an integrator may put in the place of best fit.

use std::fmt::Debug;

use super::{Demand, NodeView};

/// An integrator's filter and score, in the place of best fit (NOD-1).
///
/// Both are pure: the same node and demand give the same answer. They are asked about nodes that may
/// take the instance by every other rule: room, runtime, isolation, tenancy, state. Zones come
/// first, as ever (NOD-4): a zone with more instances of the function is looked at only if the
/// policy admits no node of those with fewer. So are the nodes that an account has already, before
/// a node that would be bound to it (NOD-2).
///
/// # Cost
///
/// A zone's nodes come in the order of best fit, to the same eighth. Of each combination of isolation
/// and runtimes the first [`candidates_max`](super::ClusterRules::candidates_max) with room are asked
/// about, and of those admitted the one with the lowest score wins. If none of them is admitted, the
/// search goes on to the first that is, or until there is no node left: a filter that refuses nearly
/// all nodes costs as much as they are many, and in return a node that has room and is admitted is
/// never missed.
pub trait PlacementPolicy: Debug + Send + Sync + 'static {
    /// Whether this node may take the instance.
    fn admits(&self, node: &NodeView<'_>, demand: &Demand) -> bool;

    /// The lowest wins; of equals the one that came first.
    fn score(&self, node: &NodeView<'_>, demand: &Demand) -> u64;
}

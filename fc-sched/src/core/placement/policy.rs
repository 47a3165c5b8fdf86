//! What an integrator may put in the place of best fit.

use std::fmt::Debug;

use super::{Demand, NodeView};

/// Nodes of a zone that a policy is asked about, unless it admits none of them.
pub const CANDIDATES_MAX: u32 = 16;

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
/// A zone's nodes come in the order of best fit, one search of the index each (logarithmic). The
/// first [`CANDIDATES_MAX`] are asked about, and of those admitted the one with the lowest score
/// wins. If none of them is admitted, the search goes on until one is, or until there is no node
/// left: a filter that refuses nearly all nodes costs as much as they are many, and in return a
/// node that fits and is admitted is never missed.
pub trait PlacementPolicy: Debug + Send + Sync + 'static {
    /// Whether this node may take the instance.
    fn admits(&self, node: &NodeView<'_>, demand: &Demand) -> bool;

    /// The lowest wins; of equals the one that fits best.
    fn score(&self, node: &NodeView<'_>, demand: &Demand) -> u64;
}

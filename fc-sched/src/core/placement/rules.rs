//! What the nodes of a cluster have in common.

use std::time::Duration;

use fc_core::{Error, Result};

/// NOD-3.
const NODE_LIFE: Duration = Duration::from_secs(120 * 3_600);

/// What the decisions are made for.
const NODES_MAX: u32 = 100_000;

/// Enough to find a good one, few enough to stay far under a millisecond.
const CANDIDATES_MAX: u32 = 16;

/// What the nodes of a cluster have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClusterRules {
    /// A node of this age takes nothing new (NOD-3). `None`: it lives as long as its machine, as
    /// an embedder's own does.
    pub node_life: Option<Duration>,
    /// Nodes at once.
    pub nodes_max: u32,
    /// Nodes of a zone that a [policy](super::PlacementPolicy) is asked about, for each combination
    /// of isolation and runtimes there, unless it admits none of them.
    pub candidates_max: u32,
}

impl Default for ClusterRules {
    /// 120 hours (NOD-3), 100 000 nodes, 16 candidates.
    fn default() -> Self {
        Self { node_life: Some(NODE_LIFE), nodes_max: NODES_MAX, candidates_max: CANDIDATES_MAX }
    }
}

impl ClusterRules {
    pub(super) fn validate(&self) -> Result<()> {
        if self.node_life.is_some_and(|life| life.is_zero()) {
            return Err(Error::invalid("node_life", "0 s must be over 0"));
        }
        if self.nodes_max == 0 {
            return Err(Error::invalid("nodes_max", "0 must be over 0"));
        }
        if self.candidates_max == 0 {
            return Err(Error::invalid("candidates_max", "0 must be over 0"));
        }
        Ok(())
    }
}

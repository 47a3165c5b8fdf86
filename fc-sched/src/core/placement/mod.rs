//! Which node an instance goes to (NOD-1 to NOD-5).
//!
//! [`Cluster`] knows the nodes and what is free of them. [`Cluster::place`] reserves room for an
//! instance, [`Cluster::release`] gives it back. Which instances those are, and who moves them from
//! a node that drains, is the caller's to know.

mod area;
#[doc(hidden)]
pub mod baseline;
mod classes;
mod cluster;
mod index;
mod node;
mod place;
mod policy;
mod report;
mod rules;
mod runtimes;
mod spec;
mod spread;
#[cfg(test)]
mod tests;
mod unplaceable;
mod why;
mod zone;

pub use cluster::Cluster;
pub use node::{NodeKey, NodeState, NodeView};
pub use policy::PlacementPolicy;
pub use report::{ClusterTotals, Fragmentation, ResourceTotals};
pub use rules::ClusterRules;
pub use runtimes::RuntimeSet;
pub use spec::{Capacity, Demand, NodeSpec, Tenancy};
pub use spread::Spread;
pub use unplaceable::Unplaceable;
pub use zone::Zone;

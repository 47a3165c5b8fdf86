//! An instance as the simulation knows it.

use fc_core::Instant;

use crate::core::placement::NodeKey;

/// An instance as the simulation knows it.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct SimInstance {
    pub(in crate::sim) pool: u32,
    pub(in crate::sim) node: NodeKey,
    pub(in crate::sim) memory_mb: u32,
    /// When it began to serve.
    pub(in crate::sim) ready: Instant,
    /// Requests in it.
    pub(in crate::sim) running: u32,
}

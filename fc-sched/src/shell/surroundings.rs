//! What every pool of a scheduler shares.

use std::sync::Arc;

use fc_core::{Catalog, Clock, Context, Error, Limits, Network, RequestIds, Result};

use super::{NodeShell, PoolShell};
use crate::admission::Gate;
use crate::concurrency::Executions;
use crate::config::Policies;
use crate::core::placement::NodeKey;
use crate::core::supply::Supply;
use crate::decision::DecisionSink;
use crate::reaper::Reaper;
use crate::scaling::Scaled;
use crate::sync::{CancellationToken, HashMap, Mutex, Notify, TaskTracker};

/// The ports, the pools, and the tasks under way.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) request_ids: Arc<RequestIds>,
    pub(crate) limits: Limits,
    pub(crate) policies: Policies,
    pub(crate) decisions: Option<Arc<dyn DecisionSink>>,
    pub(crate) gate: Gate,
    /// Quotas and nodes: asked on cold starts, never by a warm request.
    pub(crate) supply: Mutex<Supply<u64>>,
    pub(crate) nodes: HashMap<NodeKey, Arc<NodeShell>>,
    pub(crate) executions: Executions,
    pub(crate) scaled: Scaled,
    pub(crate) reaper: Arc<Reaper>,
    /// By the version's uid, which the catalog chooses: no caller can make keys collide.
    pub(crate) pools: HashMap<u64, Arc<PoolShell>>,
    /// Told whenever a pool is forgotten.
    pub(crate) pool_closed: Notify,
    /// Starts, stops and watches of instances.
    pub(crate) tasks: TaskTracker,
    /// Ends starts that nobody waits for any more, and the reaper.
    pub(crate) stop: CancellationToken,
}

impl Surroundings {
    /// The node of a key that a pool was given.
    pub(crate) fn node(&self, key: NodeKey) -> Result<Arc<NodeShell>> {
        let node = self.nodes.pin().get(&key).cloned();
        node.ok_or_else(|| Error::internal("an instance was granted on a node that is not there"))
    }

    /// A context for work that the platform does for itself.
    pub(crate) fn own_context(&self) -> Context {
        Context::new(self.request_ids.next(self.clock.wall()))
    }

    pub(crate) fn all_pools(&self) -> Vec<Arc<PoolShell>> {
        self.pools.pin().values().cloned().collect()
    }
}

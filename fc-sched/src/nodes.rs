//! Nodes that come, are emptied, are lost (NOD-3, NOD-5).

use std::sync::Arc;

use fc_core::{AccountId, Error, ErrorKind, FunctionName, NodeId, Result};

use crate::Scheduler;
use crate::core::placement::{Capacity, NodeKey, NodeState, Zone};
use crate::core::quota::AccountQuota;
use crate::shell::{Node, NodeShell, Surroundings};

/// What is known of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// Its id.
    pub id: NodeId,
    /// Its zone.
    pub zone: Zone,
    /// Where in its life it is.
    pub state: NodeState,
    /// What is free of it.
    pub free: Capacity,
    /// Instances that it holds.
    pub instances: u32,
    /// The account that a dedicated node is bound to, ever (NOD-2).
    pub owner: Option<AccountId>,
}

impl Scheduler {
    /// The nodes there are. One that was emptied or lost is here until its last instance is gone.
    pub fn nodes(&self) -> Vec<NodeStatus> {
        let supply = self.around.supply.lock();
        let status = supply.cluster().nodes().map(|node| NodeStatus {
            id: node.spec().id,
            zone: node.spec().zone.clone(),
            state: node.state(),
            free: node.free(),
            instances: node.instances(),
            owner: node.owner().copied(),
        });
        status.collect()
    }

    /// Adds a node; requests that wait for room get it at once.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the field; `Conflict` if there is a node of this id.
    pub fn add_node(&self, node: Node) -> Result<()> {
        let spec = node.spec.clone();
        let shell = Arc::new(NodeShell::new(node));
        self.around.with_supply(|supply, pools, now| {
            // Known before anything can be granted there.
            let key = supply.cluster_mut().add(spec, now)?;
            self.around.nodes.pin().insert(key, shell);
            supply.node_added(key, pools, now);
            Ok(())
        })
    }

    /// Empties a node (NOD-5): nothing new goes there, what idles goes, what runs requests or is
    /// provisioned is replaced elsewhere first, and no request is cut. It leaves the list when it is
    /// empty.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is no such node, `Conflict` if it is lost.
    pub fn drain_node(&self, id: &NodeId) -> Result<()> {
        let key = self.find(id)?;
        self.around.supply.lock().cluster_mut().drain(key)?;
        self.around.empty(key);
        Ok(())
    }

    /// A node is gone with all that ran there. Requests that ran there fail, and may have been
    /// executed; those that waited for a start there wait for another elsewhere.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if there is no such node.
    pub fn lose_node(&self, id: &NodeId) -> Result<()> {
        let key = self.find(id)?;
        self.around.supply.lock().cluster_mut().lose(key)?;
        self.around.lost(key);
        Ok(())
    }

    /// A zone is gone with all its nodes; says how many those were.
    pub fn lose_zone(&self, zone: &Zone) -> usize {
        let nodes = self.around.supply.lock().cluster_mut().lose_zone(zone);
        nodes.iter().for_each(|key| self.around.lost(*key));
        nodes.len()
    }

    /// Another quota of an account from now on. What is held over a lowered one stays until it goes,
    /// and nothing is added until it fits.
    ///
    /// # Errors
    ///
    /// `PreconditionFailed` if accounts have no quota here.
    pub fn set_account_quota(&self, account: AccountId, quota: AccountQuota) -> Result<()> {
        let set = self
            .around
            .with_supply(|supply, pools, now| supply.set_quota(account, quota, pools, now));
        if !set {
            return Err(no_quotas());
        }
        if let Some(limit) = quota.concurrency {
            self.around.executions.set_limit(account, limit);
        }
        Ok(())
    }

    /// Reserves so many instances of its account's for a function, which may have no more than these;
    /// `None`: none are reserved. 0 stops the function (QUO-3).
    ///
    /// # Errors
    ///
    /// `ResourceExhausted` if the account's total does not allow it, `PreconditionFailed` if accounts
    /// have no quota here.
    pub fn reserve(
        &self,
        account: AccountId,
        function: &FunctionName,
        instances: Option<u32>,
    ) -> Result<()> {
        let reserved = self.around.with_supply(|supply, pools, now| {
            let reserved = supply.ledger(account, now)?.reserve(function, instances);
            supply.serve(pools, now);
            Some(reserved)
        });
        Ok(reserved.ok_or_else(no_quotas)??)
    }

    fn find(&self, id: &NodeId) -> Result<NodeKey> {
        let key = self.around.supply.lock().cluster().find(id);
        key.ok_or_else(|| Error::invalid("node_id", format_args!("there is no node '{id}'")))
    }
}

fn no_quotas() -> Error {
    Error::new(ErrorKind::PreconditionFailed, "account_quota: accounts have no quota here")
}

impl Surroundings {
    /// What a node that drains holds goes elsewhere.
    pub(crate) fn empty(self: &Arc<Self>, key: NodeKey) {
        self.scaled.drained_by(key, self.clock.now() + self.policies.drain_within);
        for pool in self.all_pools() {
            pool.update(None, |core| core.migrate(key));
        }
        self.forget_empty_nodes();
    }

    /// What a lost node held is gone.
    fn lost(self: &Arc<Self>, key: NodeKey) {
        if let Some(node) = self.nodes.pin().get(&key) {
            tracing::error!(node = %node.id, "node lost");
            node.lost.cancel();
        }
        for pool in self.all_pools() {
            pool.update(None, |core| core.lose_node(key));
        }
        self.forget_empty_nodes();
    }

    /// Nodes that take nothing and hold nothing any more.
    pub(crate) fn forget_empty_nodes(&self) {
        let mut supply = self.supply.lock();
        let empty = |node: &crate::core::placement::NodeView<'_>| node.is_removable();
        let keys: Vec<_> = supply.cluster().nodes().filter(empty).map(|node| node.key()).collect();
        for key in keys {
            match supply.cluster_mut().remove(key) {
                Ok(spec) => tracing::info!(node = %spec.id, "node is empty and forgotten"),
                Err(error) => tracing::error!(?key, %error, "an empty node was not forgotten"),
            }
            self.nodes.pin().remove(&key);
        }
    }
}

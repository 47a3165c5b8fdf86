//! What a scheduler is told once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fc_core::{
    Catalog, Clock, FunctionVersion, Isolation, Limits, Network, RequestIds, Result, Runtime,
};

use crate::core::placement::{PlacementPolicy, Tenancy};
use crate::core::policy::{KeepAlive, Scaling};
use crate::core::quota::AccountQuota;
use crate::decision::DecisionSink;
use crate::shell::Node;

/// What a scheduler is told once.
#[derive(Clone, Debug, Default)]
pub struct SchedulerConfig {
    /// The limits it enforces.
    pub limits: Limits,
    /// What each account may hold and how fast it may grow; `None`: no quota of accounts.
    pub account_quota: Option<AccountQuota>,
    /// What it decides with where there is a choice.
    pub policies: Policies,
    /// Who is told of every decision (OBS-6).
    pub decisions: Option<Arc<dyn DecisionSink>>,
}

/// What a scheduler decides with where there is a choice.
#[derive(Clone, Debug)]
pub struct Policies {
    /// How long idle instances are kept; `None`: as long as their function says (SCH-3).
    pub keep_alive: Option<Arc<dyn KeepAlive>>,
    /// How many instances functions have before they are asked for (SCH-11); `None`: none but those
    /// that are [provisioned](crate::Scheduler::provision).
    pub scaling: Option<Arc<dyn Scaling>>,
    /// Which node an instance gets; `None`: best fit.
    pub placement: Option<Arc<dyn PlacementPolicy>>,
    /// What an instance needs of its node; `None`: nothing in particular.
    pub needs: Option<NeedsOf>,
    /// How long an instance idles before it is frozen, where its runtime can (SCH-7); `None`: never.
    pub freeze_after: Option<Duration>,
    /// A request over a quota of its account waits for it as for room on a node. Without it, it is
    /// refused at once, as the clouds do (QUO-1, QUO-2).
    pub wait_for_quota: bool,
    /// Idle instances give way to requests that would find no room.
    pub evict: bool,
    /// How often scaling policies are asked.
    pub scaling_tick: Duration,
    /// How long a node lives before it is emptied (NOD-3): 120 hours in the clouds; `None`, the
    /// default: for as long as its machine, as an embedder's own.
    pub node_life: Option<Duration>,
    /// How long instances of a node that is emptied wait to be replaced (NOD-5).
    pub drain_within: Duration,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            keep_alive: None,
            scaling: None,
            placement: None,
            needs: None,
            freeze_after: Some(Duration::from_secs(1)),
            wait_for_quota: false,
            evict: true,
            scaling_tick: Duration::from_secs(1),
            node_life: None,
            drain_within: Duration::from_secs(600),
        }
    }
}

/// What an instance needs of its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needs {
    /// What must stand between it and others, at least.
    pub isolation: Isolation,
    /// Whether the node serves its account alone.
    pub tenancy: Tenancy,
}

impl Default for Needs {
    fn default() -> Self {
        Self { isolation: Isolation::None, tenancy: Tenancy::Shared }
    }
}

/// Says what each function's instances need of their node.
#[derive(Clone)]
pub struct NeedsOf(Arc<dyn Fn(&FunctionVersion) -> Needs + Send + Sync>);

impl NeedsOf {
    /// `needs` is asked on each cold start; it answers at once, and always the same for a version.
    pub fn new(needs: impl Fn(&FunctionVersion) -> Needs + Send + Sync + 'static) -> Self {
        Self(Arc::new(needs))
    }

    pub(crate) fn of(&self, version: &FunctionVersion) -> Needs {
        (self.0)(version)
    }
}

impl fmt::Debug for NeedsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NeedsOf")
    }
}

/// What a scheduler works with.
#[derive(Clone, Debug)]
pub struct SchedulerPorts {
    /// Which functions there are.
    pub catalog: Arc<dyn Catalog>,
    /// Where instances run; more may come and go ([`Scheduler::add_node`](crate::Scheduler::add_node)).
    pub nodes: Vec<Node>,
    /// What gives them a network.
    pub network: Arc<dyn Network>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids for instances and for work of the platform's own.
    pub request_ids: Arc<RequestIds>,
}

impl SchedulerPorts {
    /// Everything on one node, this process.
    ///
    /// # Errors
    ///
    /// As [`Node::local`].
    pub fn local(
        catalog: Arc<dyn Catalog>,
        runtimes: Vec<Arc<dyn Runtime>>,
        network: Arc<dyn Network>,
        clock: Arc<dyn Clock>,
        request_ids: Arc<RequestIds>,
    ) -> Result<Self> {
        let nodes = vec![Node::local(runtimes)?];
        Ok(Self { catalog, nodes, network, clock, request_ids })
    }
}

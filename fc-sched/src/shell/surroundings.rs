//! What every pool of a scheduler shares.

use std::sync::Arc;

use fc_core::{
    Catalog, Clock, Context, Error, ErrorKind, Limits, Network, RequestIds, Result, Runtime,
    RuntimeKind,
};
use papaya::HashMap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Accounts, PoolShell};
use crate::admission::Gate;
use crate::reaper::Reaper;

/// The ports, the pools, and the tasks under way.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) runtimes: Vec<Arc<dyn Runtime>>,
    pub(crate) request_ids: Arc<RequestIds>,
    pub(crate) limits: Limits,
    pub(crate) gate: Gate,
    pub(crate) accounts: Accounts,
    pub(crate) reaper: Arc<Reaper>,
    /// By the version's uid, which the catalog chooses: no caller can make keys collide.
    pub(crate) pools: HashMap<u64, Arc<PoolShell>, foldhash::fast::RandomState>,
    /// Told whenever a pool is forgotten.
    pub(crate) pool_closed: Notify,
    /// Starts, stops and watches of instances.
    pub(crate) tasks: TaskTracker,
    /// Ends starts that nobody waits for any more, and the reaper.
    pub(crate) stop: CancellationToken,
}

impl Surroundings {
    pub(crate) fn runtime(&self, kind: RuntimeKind) -> Result<&Arc<dyn Runtime>> {
        let offered = |runtime: &&Arc<dyn Runtime>| runtime.capabilities().kind == kind;
        self.runtimes.iter().find(offered).ok_or_else(|| {
            let message = format!("runtime: this platform has none of kind {kind:?}");
            Error::new(ErrorKind::InvalidArgument, message)
        })
    }

    /// A context for work that the platform does for itself.
    pub(crate) fn own_context(&self) -> Context {
        Context::new(self.request_ids.next(self.clock.wall()))
    }
}

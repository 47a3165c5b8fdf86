//! The asynchronous shell: carries out what the cores decide, and reports what happened.

mod freeze;
mod node;
mod pool;
mod share;
mod start;
mod stop;
mod surroundings;
mod waiting;

pub use node::Node;
pub(crate) use node::NodeShell;
pub(crate) use pool::{Acquired, Granted, PoolShell};
pub(crate) use share::Share;
pub(crate) use stop::STOPPED_WITHIN;
pub(crate) use surroundings::Surroundings;
pub(crate) use waiting::Waiting;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fc_core::{AttachmentId, Instance, InstanceId, Instant};

use crate::sync::{AbortHandle, Mutex};

/// An instance that serves.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: InstanceId,
    pub(crate) instance: Arc<dyn Instance>,
    pub(crate) node: Arc<NodeShell>,
    attachment: AttachmentId,
    /// Until it is stopped: a request that outlives its instance holds no quota and no room.
    share: Mutex<Option<Share>>,
    /// What its start and its initializer took (SCH-8).
    pub(crate) initialized: Duration,
    /// When it began to serve.
    pub(crate) born: Instant,
    /// Ends the task that waits for the instance's end.
    watch: OnceLock<AbortHandle>,
}

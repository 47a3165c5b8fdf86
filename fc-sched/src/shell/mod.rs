//! The asynchronous shell: carries out what a pool's core decides, and reports what happened.

mod accounts;
mod launch;
mod pool;
mod surroundings;

pub(crate) use accounts::{Accounts, QuotaPermit};
pub(crate) use pool::{Acquired, Granted, PoolShell, Waiting};
pub(crate) use surroundings::Surroundings;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fc_core::{AttachmentId, Instance, InstanceId, Instant};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// An instance that serves.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) id: InstanceId,
    pub(crate) instance: Arc<dyn Instance>,
    attachment: AttachmentId,
    /// Until it is stopped: a request that outlives its instance holds no quota.
    permit: Mutex<Option<QuotaPermit>>,
    /// What its start and its initializer took (SCH-8).
    pub(crate) initialized: Duration,
    /// When it began to serve.
    pub(crate) born: Instant,
    /// Ends the task that waits for the instance's end.
    watch: OnceLock<AbortHandle>,
}

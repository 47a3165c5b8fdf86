//! A slot that is held for a request: freed by `Drop`, and it travels in the response's body.

use std::sync::Arc;

use fc_core::{BodyGuard, Ending, ErrorKind, Instant};

use crate::concurrency::ExecutionPermit;
use crate::core::{Release, SlotKey};
use crate::shell::{PoolShell, Running};

/// One slot of one instance, held for one request.
///
/// Until [`SlotLease::begin`] a drop gives the slot back unused. From then on a drop is a caller who
/// went away, unless [`SlotLease::finish`] says otherwise.
#[derive(Debug)]
pub(crate) struct SlotLease {
    pool: Arc<PoolShell>,
    key: SlotKey,
    running: Arc<Running>,
    how: Release,
    /// The account's share of what may run at once (QUO-3), if that has a limit.
    permit: Option<ExecutionPermit>,
}

impl SlotLease {
    pub(crate) fn new(pool: Arc<PoolShell>, key: SlotKey, running: Arc<Running>) -> Self {
        Self { pool, key, running, how: Release::Reuse, permit: None }
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// Holds the account's share of what may run at once for as long as the slot.
    pub(crate) fn hold(&mut self, permit: Option<ExecutionPermit>) {
        self.permit = permit;
    }

    /// Whether the instance still takes requests.
    pub(crate) fn is_good(&self) -> bool {
        self.pool.is_serving(self.key.instance)
    }

    /// The instance sees the request from now on.
    pub(crate) fn begin(&mut self) {
        self.how = self.pool.when_cancelled();
    }

    /// How the instance will be left when the lease is dropped.
    pub(crate) fn finish(&mut self, how: Release) {
        self.how = how;
    }

    /// What an error says of the instance that it came from (SCH-6, I17).
    pub(crate) fn fail(&mut self, kind: ErrorKind) {
        self.how = match kind {
            // The function spoke, or spoke badly: the instance is as good as before.
            ErrorKind::FunctionFailed | ErrorKind::BadResponse => Release::Reuse,
            // The caller left, or sent what had to be cut off half-way.
            ErrorKind::ClientClosedRequest | ErrorKind::InvalidArgument => {
                self.pool.when_cancelled()
            }
            _ => Release::Revoke { replace: false },
        };
    }

    pub(crate) fn now(&self) -> Instant {
        self.pool.now()
    }
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        self.pool.release(self.key, self.how);
    }
}

impl BodyGuard for SlotLease {
    fn ended(mut self: Box<Self>, ending: Ending) {
        match ending {
            Ending::Complete => self.finish(Release::Reuse),
            Ending::Aborted => self.finish(self.pool.when_cancelled()),
            // The function's stream broke, or ran out of time: it is not trusted any further.
            Ending::Failed => self.finish(Release::Revoke { replace: false }),
        }
    }
}

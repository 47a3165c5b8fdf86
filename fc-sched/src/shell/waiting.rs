//! A request's place in the line.

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Error, Instant, Result, Retry};

use super::{Granted, PoolShell};
use crate::core::{WaiterKey, WaitsFor};
use crate::lease::SlotLease;
use crate::sync::oneshot;

/// A place in the line. Dropping it leaves the line.
pub(crate) struct Waiting {
    pool: Arc<PoolShell>,
    key: WaiterKey,
    grant: oneshot::Receiver<Result<SlotLease>>,
    pub(crate) waits_for: WaitsFor,
    since: Instant,
}

impl Waiting {
    pub(super) fn new(
        pool: Arc<PoolShell>,
        key: WaiterKey,
        grant: oneshot::Receiver<Result<SlotLease>>,
        waits_for: WaitsFor,
        since: Instant,
    ) -> Self {
        Self { pool, key, grant, waits_for, since }
    }

    /// Waits for a slot until `deadline`, but for capacity that nobody is starting only for the
    /// limit's time (SCH-9).
    ///
    /// # Errors
    ///
    /// When the wait is over, what it was in want of: room on the nodes, a quota, the function's
    /// maximum. The error of a start that failed.
    pub(crate) async fn granted(mut self, deadline: Instant) -> Result<Granted> {
        let around = self.pool.around.clone();
        let pause = Duration::from_millis(around.limits.capacity_wait_ms_max);
        let mut until = (self.since + pause).min(deadline);
        loop {
            let granted = around.clock.with_deadline(until, &mut self.grant).await;
            let Err(_) = granted else {
                let lost = || Error::internal("the pool was dropped under a waiting request");
                let lease = granted.ok().and_then(|granted| granted.ok()).ok_or_else(lost)??;
                let cold = lease.running().born >= self.since;
                let waited_for = Some(self.waits_for);
                return Ok(Granted { lease, cold, at: around.clock.now(), waited_for });
            };
            let now = around.clock.now();
            if now >= deadline || self.pool.usage().starting == 0 {
                return Err(self.too_late(now));
            }
            until = (now + pause).min(deadline);
        }
    }

    fn too_late(&self, now: Instant) -> Error {
        let blocked = self.pool.blocked();
        let usage = self.pool.usage();
        let waited = (now - self.since).as_millis();
        if let Some(error) = blocked {
            return error;
        }
        self.pool
            .exhausted(format!(
                "waited {waited} ms for an instance: {} of at most {} (instance_max) exist, {} \
                 requests wait",
                usage.instances,
                self.pool.version.instance_max(),
                usage.waiting
            ))
            .with_retry(Retry::After(Duration::from_secs(1)))
    }
}

impl PoolShell {
    /// Why it does not get the instances that it wants, if that is so.
    fn blocked(&self) -> Option<Error> {
        let supply = self.around.supply.lock();
        supply.blocked(self.version.uid()).map(crate::core::supply::Blocked::error)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.update(None, |core| {
            core.leave(self.key);
        });
        // A grant that was sent meanwhile is in the channel, and frees its slot as it is dropped.
    }
}

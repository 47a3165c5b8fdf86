//! A slot that is free now, for whoever wants to know before asking.

use std::sync::Arc;

use fc_core::{FunctionVersion, InstanceId};

use crate::Scheduler;
use crate::lease::SlotLease;

/// A slot of an instance that runs, held. Given back when dropped, as unused.
///
/// It counts as a request for as long as it is held: the instance is kept, and the slot and the
/// account's share of what may run at once (QUO-3) are not another's.
#[derive(Debug)]
pub struct WarmSlot {
    lease: SlotLease,
}

impl WarmSlot {
    /// Whose slot it is.
    pub fn instance(&self) -> InstanceId {
        self.lease.running().id
    }
}

impl Scheduler {
    /// A slot of a running instance of `version`, or `None` if a request would have to wait now, or
    /// would be refused. Waits for nothing and starts nothing.
    ///
    /// For whoever would do something else with a request that is not warm, such as send it to
    /// another scheduler. It takes the way of [`invoke`](fc_core::Invoke::invoke) to the slot: the
    /// gate, the account's limit, one look-up of the pool, its lock, one reading of the clock; and
    /// when it is dropped, the same way back. What it says holds while it is held: an invocation that
    /// comes after it was dropped takes its own.
    ///
    /// ```
    /// # use fc_core::FunctionVersion;
    /// # use fc_sched::Scheduler;
    /// # use std::sync::Arc;
    /// fn is_warm(scheduler: &Scheduler, version: &Arc<FunctionVersion>) -> bool {
    ///     scheduler.warm_slot(version).is_some()
    /// }
    /// ```
    pub fn warm_slot(&self, version: &Arc<FunctionVersion>) -> Option<WarmSlot> {
        let around = &*self.around;
        around.gate.admit().ok()?;
        let pool = around.pools.pin().get(&version.uid()).cloned()?;
        let permit = pool.permit().ok()?;
        let mut lease = pool.acquire_free(around.clock.now())?;
        lease.hold(permit);
        Some(WarmSlot { lease })
    }
}
